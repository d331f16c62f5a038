//! The scenarios: who asks what, one file per API.

mod absent_features;
mod alter_configs;
mod api_versions;
mod cluster;
mod consumer_groups;
mod describe_configs;
mod fetch;
mod fetch_sessions;
mod groups;
mod list_offsets;
mod metadata;
mod produce;
mod records;
mod topics;

use crate::harness::options::Options;
use crate::stage::Stage;

/// Requests in an order, played on a broker that has served the scenarios before it.
pub struct Scenario {
    /// Also the name of its recording.
    pub name: &'static str,
    /// Which of the two brokers it plays on.
    pub auto_create_topics: bool,
    pub play: fn(&mut Stage<'_>),
}

const fn scenario(name: &'static str, play: fn(&mut Stage<'_>)) -> Scenario {
    Scenario { name, auto_create_topics: true, play }
}

/// All of them. Those that ask about everything there is come first: later ones leave topics behind.
pub const SCENARIOS: &[Scenario] = &[
    scenario("metadata_of_everything", metadata::everything),
    scenario("list_config_resources", describe_configs::listed),
    scenario("api_versions", api_versions::play),
    scenario("metadata", metadata::play),
    scenario("produce", produce::play),
    scenario("produce_malformed", produce::malformed),
    scenario("produce_idempotent", produce::idempotent),
    scenario("produce_configured", produce::configured),
    scenario("fetch", fetch::play),
    scenario("fetch_stored", fetch::stored),
    scenario("fetch_sessions", fetch_sessions::play),
    scenario("list_offsets", list_offsets::play),
    scenario("list_offsets_compressed", list_offsets::compressed),
    scenario("list_offsets_stamped", list_offsets::stamped),
    scenario("init_producer_id", records::init_producer_id),
    scenario("delete_records", records::delete_records),
    scenario("offset_for_leader_epoch", records::offset_for_leader_epoch),
    scenario("create_topics", topics::create),
    scenario("create_topics_configured", topics::create_configured),
    scenario("delete_topics", topics::delete),
    scenario("create_partitions", topics::create_partitions),
    scenario("describe_configs_of_topics", describe_configs::topics),
    scenario("describe_configs_of_brokers", describe_configs::brokers),
    scenario("describe_configs_of_others", describe_configs::others),
    scenario("incremental_alter_configs_of_topics", alter_configs::incremental_topics),
    scenario("incremental_alter_configs_of_brokers", alter_configs::incremental_brokers),
    scenario("alter_configs", alter_configs::whole_sets),
    scenario("describe_cluster", cluster::cluster),
    scenario("describe_topic_partitions", cluster::topic_partitions),
    scenario("describe_log_dirs", cluster::log_dirs),
    scenario("describe_producers", cluster::producers),
    scenario("acls", absent_features::acls),
    scenario("scram_credentials", absent_features::scram),
    scenario("client_quotas", absent_features::quotas),
    scenario("reassignments", absent_features::reassignments),
    scenario("elections", absent_features::elections),
    scenario("find_coordinator", groups::find_coordinator),
    scenario("group_commits", groups::commits),
    scenario("group_refused_joins", groups::refused_joins),
    scenario("group_one_member", groups::one_member),
    scenario("group_static_member", groups::static_member),
    scenario("consumer_group_refused", consumer_groups::refused),
    scenario("consumer_group_members", consumer_groups::members),
    scenario("consumer_group_static_member", consumer_groups::static_member),
    scenario("group_offsets_topic", groups::offsets_topic),
    Scenario {
        auto_create_topics: false,
        ..scenario("metadata_without_creation", metadata::refused)
    },
];

/// What both brokers are started with.
pub fn options(auto_create_topics: bool) -> Options {
    Options { auto_create_topics, default_partitions: 4, ..Options::default() }
}
