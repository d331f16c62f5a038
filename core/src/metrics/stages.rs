//! How long each stage of a request takes. What happens on a shard is timed for one request in
//! [`TIMED_EACH`]: to look at the clock costs some 20 ns, and a small request takes few thousand.

use std::cell::Cell;
use std::time::Duration;

use corelane_storage::meters::Latency;
use corelane_storage::runtime::Runtime;

use crate::shard::Shard;

/// Of so many requests one is timed, the first of them.
const TIMED_EACH: u64 = 8;

/// A stage of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// From a request's last byte until it is decoded.
    Parse,
    /// From the shard of a connection to the shard that owns a partition.
    Hop,
    /// Batches, until it is their turn and there is room for unwritten bytes.
    Queue,
    /// Batches, being checked and copied.
    Append,
    /// A batch that is appended, until it is written: what its producer waits for by default.
    Write,
    /// A batch that is appended, until it is written and flushed: what its producer waits for in
    /// partitions that are flushed for each acknowledgement.
    Flush,
    /// A fetch that found too little, until there is enough or its time is up.
    Wait,
    /// A fetch that knows what it sends, until that is in memory.
    Read,
    /// Answers that were gathered, until the socket has taken their last byte.
    Send,
}

impl Stage {
    /// All of them, in the order of a request.
    pub const ALL: [Stage; 9] = [
        Stage::Parse,
        Stage::Hop,
        Stage::Queue,
        Stage::Append,
        Stage::Write,
        Stage::Flush,
        Stage::Wait,
        Stage::Read,
        Stage::Send,
    ];

    /// Its name as a label.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Parse => "parse",
            Stage::Hop => "hop",
            Stage::Queue => "queue",
            Stage::Append => "append",
            Stage::Write => "write",
            Stage::Flush => "flush",
            Stage::Wait => "wait",
            Stage::Read => "read",
            Stage::Send => "send",
        }
    }
}

/// How long the stages took on one shard.
#[derive(Default)]
pub struct Stages {
    seen: Cell<u64>,
    by_stage: [Latency; Stage::ALL.len()],
}

impl Stages {
    /// One more of a stage.
    pub fn record(&self, stage: Stage, took: Duration) {
        self.by_stage[stage as usize].record(took);
    }

    /// Those of a stage.
    pub fn latency(&self, stage: Stage) -> &Latency {
        &self.by_stage[stage as usize]
    }

    /// True for one in [`TIMED_EACH`] calls, the first among them.
    fn is_timed(&self) -> bool {
        let seen = self.seen.replace(self.seen.get().wrapping_add(1));
        seen.is_multiple_of(TIMED_EACH)
    }
}

/// When the stage that a request is in began, if it is timed. Monotonic time is the same on every
/// shard, so it may travel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stopwatch(Option<Duration>);

impl Shard {
    /// The first stage of a request begins, or of a part of it.
    pub fn stopwatch(&self) -> Stopwatch {
        Stopwatch(self.counters.stages.is_timed().then(|| self.runtime.monotonic()))
    }

    /// A stage ends, on this shard, and the next one begins.
    pub fn lap(&self, watch: &mut Stopwatch, stage: Stage) {
        if let Some(began) = &mut watch.0 {
            let now = self.runtime.monotonic();
            self.counters.stages.record(stage, now.saturating_sub(*began));
            *began = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_eight_is_timed_from_the_first_on() {
        let stages = Stages::default();
        let timed: Vec<bool> = (0..17).map(|_| stages.is_timed()).collect();
        let places: Vec<usize> = (0..17).filter(|place| timed[*place]).collect();
        assert_eq!(places, [0, 8, 16]);
    }

    #[test]
    fn each_stage_has_a_name_and_a_place_of_its_own() {
        let stages = Stages::default();
        for (place, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(stage as usize, place);
            stages.record(stage, Duration::from_micros(place as u64));
        }
        for stage in Stage::ALL {
            assert_eq!(stages.latency(stage).durations().count(), 1, "{}", stage.name());
        }
        let names =
            Stage::ALL.map(Stage::name).into_iter().collect::<std::collections::HashSet<_>>();
        assert_eq!(names.len(), Stage::ALL.len());
    }
}
