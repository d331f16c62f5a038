//! What groups must keep to: Kafka's configs, and limits of memory.

use std::time::Duration;

use super::consumer::assignor::Assignor;
use crate::catalog::config::Settings;

/// Members of one group, those that are still to come back with their id included.
pub const MEMBERS_MAX: usize = 10_000;
/// Groups of one partition of the offsets topic.
pub const GROUPS_MAX: usize = 20_000;
/// What one member may bring with it: a record of its group must hold it.
pub const MEMBER_BYTES_MAX: usize = 1 << 20;
/// What the offsets topic takes in one batch at least.
pub const BATCH_BYTES_MAX: u32 = 1_048_588;
/// Bytes of a group's record, as its members are stored: a batch, less what is around it.
pub const GROUP_RECORD_BYTES_MAX: usize = 1_000_000;
/// What the members of all groups of one partition of the offsets topic hold together.
pub const ALL_MEMBERS_BYTES_MAX: usize = 64 << 20;
/// Offsets of one partition of the offsets topic.
pub const OFFSETS_MAX: usize = 2_000_000;
/// What clients want kept with these offsets, together.
pub const OFFSETS_METADATA_BYTES_MAX: usize = 256 << 20;
/// What one member of the consumer protocol may say of itself: its record must hold it.
pub const MEMBER_RECORD_BYTES_MAX: usize = 900_000;
/// Partitions that one group of the consumer protocol reads: the record of a member that owns all of them, with
/// the epoch of each, must be smaller than a batch.
pub const PARTITIONS_MAX: i64 = 100_000;
/// Offsets or groups that one step of a coordinator looks at: about a microsecond each.
pub const STEP_MAX: usize = 256;
/// How long a new member may wait for its first rebalance (Kafka's `NEW_MEMBER_JOIN_TIMEOUT_MS`).
pub const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Kafka's broker configs for groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `group.initial.rebalance.delay.ms`
    pub initial_rebalance_delay: Duration,
    /// `group.min.session.timeout.ms`
    pub session_timeout_min_ms: i32,
    /// `group.max.session.timeout.ms`
    pub session_timeout_max_ms: i32,
    /// `group.max.size`, at most [`MEMBERS_MAX`]
    pub group_size_max: usize,
    /// `offset.metadata.max.bytes`, which Kafka counts in UTF-16 units
    pub offset_metadata_max: usize,
    /// `offsets.retention.minutes`
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`
    pub retention_check_interval: Duration,
    /// `offsets.topic.num.partitions`
    pub offsets_topic_partitions: i32,
    /// `group.consumer.session.timeout.ms`
    pub consumer_session_timeout: Duration,
    /// `group.consumer.heartbeat.interval.ms`
    pub consumer_heartbeat_interval_ms: i32,
    /// `group.consumer.max.size`, at most [`MEMBERS_MAX`]
    pub consumer_group_size_max: usize,
    /// `group.consumer.assignors`, the default one first
    pub consumer_assignors: Vec<Assignor>,
    /// `group.consumer.migration.policy`: whether classic groups become groups of the consumer protocol
    pub can_upgrade: bool,
    /// `group.consumer.migration.policy`: whether they become classic ones again
    pub can_downgrade: bool,
    /// `offsets.topic.segment.bytes`
    pub offsets_topic_segment_bytes: i32,
}

impl Rules {
    /// What the broker's settings say.
    pub fn of(settings: &Settings) -> Rules {
        let text =
            |name: &str| settings.on_command_line(name).or_else(|| settings.default_of(name));
        let number = |name: &str| {
            let number = text(name).and_then(|text| text.parse::<i64>().ok());
            // A test asks for every one of them.
            number.unwrap_or_else(|| panic!("{name} is a number with a default"))
        };
        let millis = |name| Duration::from_millis(number(name).try_into().unwrap_or(0));
        let int = |name| i32::try_from(number(name)).unwrap_or(i32::MAX);
        let size = |name| usize::try_from(number(name)).unwrap_or(usize::MAX);
        let assignors = text("group.consumer.assignors").unwrap_or_default();
        let policy = text("group.consumer.migration.policy").unwrap_or_default();
        let policy = policy.to_lowercase();
        Rules {
            initial_rebalance_delay: millis("group.initial.rebalance.delay.ms"),
            session_timeout_min_ms: int("group.min.session.timeout.ms"),
            session_timeout_max_ms: int("group.max.session.timeout.ms"),
            group_size_max: size("group.max.size").min(MEMBERS_MAX),
            offset_metadata_max: size("offset.metadata.max.bytes"),
            offsets_retention_ms: number("offsets.retention.minutes").saturating_mul(60_000),
            retention_check_interval: millis("offsets.retention.check.interval.ms"),
            offsets_topic_partitions: int("offsets.topic.num.partitions"),
            consumer_session_timeout: millis("group.consumer.session.timeout.ms"),
            consumer_heartbeat_interval_ms: int("group.consumer.heartbeat.interval.ms"),
            consumer_group_size_max: size("group.consumer.max.size").min(MEMBERS_MAX),
            consumer_assignors: assignors.split(',').filter_map(Assignor::configured).collect(),
            can_upgrade: matches!(&*policy, "upgrade" | "bidirectional"),
            can_downgrade: matches!(&*policy, "downgrade" | "bidirectional"),
            offsets_topic_segment_bytes: int("offsets.topic.segment.bytes"),
        }
    }

    /// What shares partitions out if no member prefers another.
    pub fn default_assignor(&self) -> Assignor {
        self.consumer_assignors.first().copied().unwrap_or(Assignor::Uniform)
    }

    /// Whether members of the classic protocol may be in a group of the consumer protocol.
    pub fn can_mix(&self) -> bool {
        self.can_upgrade || self.can_downgrade
    }
}
