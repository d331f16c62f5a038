//! The same requests to Apache Kafka and to Corelane, and the answers compared field by field.
//!
//! Kafka's answers are recorded in `recorded/`, one file a scenario, so that this runs without a JVM. What still
//! differs stands in `docs/differences.md` with its reason: a difference that is not listed there fails, and so
//! does one that is listed and is gone.
//!
//! To record anew, from a real Kafka:
//!
//! ```text
//! CORELANE_TEST_PROGRAM=$PWD/bench/compare/kafka.sh KAFKA_LIB=/path/to/jars CORELANE_RECORD=1 \
//!     cargo test -p corelane --test differential
//! ```
//!
//! Without `CORELANE_RECORD` the same line asks Kafka twice: its answers must be those on record.
//! `CORELANE_SCENARIO=fetch` takes only the scenarios whose name begins so.
//!
//! - `stage.rs`: the broker, a connection to it, and what became of each request
//! - `scenarios/`: who asks what, one file per API
//! - `fields.rs`: an answer as lines of `path = value`
//! - `masks.rs`: what no two brokers can have in common: ids, ports, the time
//! - `batches.rs`: record batches in words
//! - `recording.rs`: the recorded files
//! - `differences.rs`: the table of known differences

#[path = "../harness/mod.rs"]
mod harness;

mod batches;
mod differences;
mod fields;
mod masks;
mod recording;
mod scenarios;
mod stage;

use std::path::PathBuf;

use differences::{Difference, Known};
use harness::broker::Broker;
use recording::Recording;
use scenarios::{SCENARIOS, Scenario};
use stage::Stage;

/// What a run does with the answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Compares Corelane with the recording, known differences apart.
    Compare,
    /// Compares another program with the recording: nothing may differ.
    Verify,
    /// Writes the recording.
    Record,
}

impl Mode {
    fn of_environment() -> Mode {
        let foreign = std::env::var_os("CORELANE_TEST_PROGRAM").is_some();
        let record = std::env::var_os("CORELANE_RECORD").is_some();
        assert!(
            foreign || !record,
            "CORELANE_RECORD needs CORELANE_TEST_PROGRAM: Kafka is recorded"
        );
        match (foreign, record) {
            (_, true) => Mode::Record,
            (true, false) => Mode::Verify,
            (false, false) => Mode::Compare,
        }
    }
}

#[test]
fn answers_are_those_of_apache_kafka() {
    if Broker::must_skip("differential") {
        return;
    }
    let mode = Mode::of_environment();
    let filter = std::env::var("CORELANE_SCENARIO").unwrap_or_default();
    let chosen: Vec<&Scenario> =
        SCENARIOS.iter().filter(|scenario| scenario.name.starts_with(&filter)).collect();
    assert!(!chosen.is_empty(), "no scenario's name begins with {filter}");
    let mut found = Vec::new();
    for auto_create_topics in [true, false] {
        let of_broker = chosen.iter().filter(|one| one.auto_create_topics == auto_create_topics);
        found.extend(play_on_one_broker(of_broker.copied(), auto_create_topics, mode));
    }
    let whole = filter.is_empty();
    let known = if mode == Mode::Compare { Known::read() } else { Known::default() };
    let complaints = known.judge(&found, whole);
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

fn play_on_one_broker<'a>(
    scenarios: impl Iterator<Item = &'a Scenario>,
    auto_create_topics: bool,
    mode: Mode,
) -> Vec<Difference> {
    let options = scenarios::options(auto_create_topics);
    let mut scenarios = scenarios.peekable();
    if scenarios.peek().is_none() {
        return Vec::new();
    }
    let broker = Broker::start(options);
    let mut found = Vec::new();
    for scenario in scenarios {
        let mut stage = Stage::open(&broker);
        (scenario.play)(&mut stage);
        let played = stage.finish();
        let path = recorded(scenario.name);
        if mode == Mode::Record {
            played.write(&path);
        } else {
            found.extend(Recording::read(&path).differences(&played, scenario.name));
        }
    }
    found
}

fn recorded(scenario: &str) -> PathBuf {
    let crate_dir = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    crate_dir.join("tests/differential/recorded").join(scenario).with_extension("txt")
}
