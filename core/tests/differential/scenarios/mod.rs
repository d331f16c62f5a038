//! The scenarios: who asks what, one file per API.

mod api_versions;
mod metadata;

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
    scenario("api_versions", api_versions::play),
    scenario("metadata", metadata::play),
    Scenario {
        auto_create_topics: false,
        ..scenario("metadata_without_creation", metadata::refused)
    },
];

/// What both brokers are started with.
pub fn options(auto_create_topics: bool) -> Options {
    Options { auto_create_topics, default_partitions: 4, ..Options::default() }
}
