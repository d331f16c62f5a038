//! One member.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use corelane_net::codec::Str;
use corelane_net::group_records::{ClassicMemberValue, ConsumerMemberValue};

use super::super::classic::millis;
use super::super::rules::Rules;
use super::read::Wish;
use super::reconcile::{MemberState, NEW, Standing};

/// A member: as it joined, how it stands, and when it counts as dead.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub value: ConsumerMemberValue,
    /// What `value` says of it.
    pub wish: Arc<Wish>,
    pub standing: Standing,
    /// When its session ends.
    pub session: Option<Duration>,
    /// When it must have given up what it is to give up, and in which epoch it was asked.
    pub rebalance: Option<(Duration, i32)>,
    /// When a member that speaks the classic protocol must have joined again.
    pub join: Option<Duration>,
    /// When it must have asked for its share.
    pub sync: Option<Duration>,
}

impl Member {
    pub fn new(value: ConsumerMemberValue, wish: Arc<Wish>) -> Member {
        let standing = NEW;
        Member { value, wish, standing, session: None, rebalance: None, join: None, sync: None }
    }

    pub fn is_reconciled_to(&self, epoch: i32) -> bool {
        self.standing.state == MemberState::Stable && self.standing.epoch == epoch
    }

    pub fn is_classic(&self) -> bool {
        self.value.classic.is_some()
    }

    pub fn classic(&self) -> Option<&ClassicMemberValue> {
        self.value.classic.as_ref()
    }

    /// The pattern that it subscribes to, if any.
    pub fn pattern(&self) -> Option<&Str> {
        pattern_of(&self.value)
    }

    pub fn session_timeout(&self, rules: &Rules) -> Duration {
        match self.classic() {
            Some(classic) => millis(classic.session_timeout_ms),
            None => rules.consumer_session_timeout,
        }
    }

    pub fn rebalance_timeout(&self) -> Duration {
        millis(self.value.rebalance_timeout_ms)
    }

    pub fn deadlines(&self) -> impl Iterator<Item = Duration> {
        let rebalance = self.rebalance.map(|(deadline, _)| deadline);
        self.session.into_iter().chain(rebalance).chain(self.join).chain(self.sync)
    }

    /// Whether it is to be given up.
    pub fn is_due(&self, now: Duration) -> bool {
        let is_over = |deadline: Option<Duration>| deadline.is_some_and(|deadline| deadline <= now);
        let holds_up = |(deadline, epoch)| deadline <= now && epoch == self.standing.epoch;
        is_over(self.session)
            || is_over(self.join)
            || is_over(self.sync)
            || self.rebalance.is_some_and(holds_up)
    }
}

pub(super) fn pattern_of(value: &ConsumerMemberValue) -> Option<&Str> {
    value.subscribed_topic_regex.as_ref().filter(|pattern| !pattern.is_empty())
}

/// What a member holds in memory, and its record, roughly and rather too much.
pub(super) fn value_bytes(value: &ConsumerMemberValue) -> usize {
    let text = |text: &Option<Str>| text.as_ref().map_or(0, |text| text.len());
    let names: usize = value.subscribed_topic_names.iter().map(|name| 40 + name.len()).sum();
    let protocols = value.classic.iter().flat_map(|classic| &classic.protocols);
    let protocols: usize = protocols.map(|one| 40 + one.name.len() + one.metadata.len()).sum();
    size_of::<Member>()
        + text(&value.instance_id)
        + text(&value.rack_id)
        + text(&value.subscribed_topic_regex)
        + text(&value.server_assignor)
        + value.client_id.len()
        + value.client_host.len()
        + names
        + protocols
}

/// What a member with this id holds in memory, roughly: the id stands in the group's maps as well.
pub(super) fn member_bytes(id: &str, value: &ConsumerMemberValue) -> usize {
    let name = value.instance_id.as_ref().map_or(0, |name| name.len());
    value_bytes(value) + 3 * id.len() + name
}

/// Names in memory of their own, sorted, each once.
pub(super) fn kept_names(names: &[Str]) -> Vec<Str> {
    let sorted: BTreeSet<&Str> = names.iter().collect();
    sorted.into_iter().map(Str::detached).collect()
}
