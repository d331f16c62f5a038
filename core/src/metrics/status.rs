//! Whether the broker lives, and whether it serves: what shards tell and the HTTP port asks, without
//! either waiting for the other.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use corelane_storage::store::StoreGauges;

/// How often a shard says that it lives.
pub const BEAT_INTERVAL: Duration = Duration::from_millis(250);

/// A shard that has not said so for this long does not live.
pub const BEAT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the broker is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Reads its directory; not listening yet.
    Recovering,
    /// Answers clients.
    Serving,
    /// Was told to stop: takes no connections any more.
    Stopping,
}

/// The broker's state of health; all threads share one.
#[derive(Debug)]
pub struct Status {
    began: Instant,
    phase: AtomicU8,
    shards: Box<[ShardStatus]>,
}

#[derive(Debug, Default)]
struct ShardStatus {
    /// Milliseconds since the start, plus one; 0: none yet.
    last_beat_ms: AtomicU64,
    offline_logs: AtomicUsize,
    disk_full: AtomicBool,
    failed: AtomicBool,
}

/// What `/healthz` and `/readyz` say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Yes, or no.
    pub is_good: bool,
    /// Why not, or in which way not wholly; each a line.
    pub reasons: Vec<String>,
}

impl Status {
    /// Of a broker that starts at `began`.
    pub fn new(shards: usize, began: Instant) -> Status {
        let shards = (0..shards).map(|_| ShardStatus::default()).collect();
        Status { began, phase: AtomicU8::new(Phase::Recovering as u8), shards }
    }

    /// When the broker started.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Where it is.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Recovering,
            1 => Phase::Serving,
            _ => Phase::Stopping,
        }
    }

    /// It has come to `phase`.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// Shard `shard` lives at `now`, and its storage stands so.
    pub fn beat(&self, shard: usize, now: Instant, storage: &StoreGauges) {
        let Some(status) = self.shards.get(shard) else { return };
        status.offline_logs.store(storage.offline_logs, Ordering::Relaxed);
        status.disk_full.store(storage.disk_full, Ordering::Relaxed);
        status.failed.store(storage.failed, Ordering::Relaxed);
        status.last_beat_ms.store(self.ms_at(now) + 1, Ordering::Release);
    }

    fn ms_at(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX - 1)
    }

    /// `/healthz`: false if it should be restarted. While it recovers, that it answers is enough.
    pub fn health(&self, now: Instant) -> Verdict {
        let reasons = match self.phase() {
            Phase::Recovering => Vec::new(),
            Phase::Serving | Phase::Stopping => self.silent_shards(now),
        };
        Verdict { is_good: reasons.is_empty(), reasons }
    }

    /// `/readyz`: false if clients should not be sent here. Where only some partitions suffer, the
    /// others are served: that is told, and no reason to send all clients away.
    pub fn readiness(&self, now: Instant) -> Verdict {
        match self.phase() {
            Phase::Recovering => return Verdict::bad("recovering: not listening yet"),
            Phase::Stopping => return Verdict::bad("stopping: no new connections"),
            Phase::Serving => {}
        }
        let mut reasons = self.silent_shards(now);
        let failed = self.shards.iter().enumerate();
        let failed = failed.filter(|(_, status)| status.failed.load(Ordering::Relaxed));
        reasons.extend(failed.map(|(shard, _)| {
            format!("shard {shard}: its journal can't be written; see the log, and restart")
        }));
        let is_good = reasons.is_empty();
        reasons.extend(self.degraded());
        Verdict { is_good, reasons }
    }

    /// What suffers though the broker serves.
    fn degraded(&self) -> Vec<String> {
        let offline: usize =
            self.shards.iter().map(|status| status.offline_logs.load(Ordering::Relaxed)).sum();
        let disk_full = self.shards.iter().any(|status| status.disk_full.load(Ordering::Relaxed));
        let offline = (offline > 0)
            .then(|| format!("degraded: {offline} partitions are offline; the log says why"));
        let disk_full =
            disk_full.then(|| "degraded: the disk is full, appends wait for space".to_owned());
        offline.into_iter().chain(disk_full).collect()
    }

    fn silent_shards(&self, now: Instant) -> Vec<String> {
        let now_ms = self.ms_at(now);
        let silent = |(shard, status): (usize, &ShardStatus)| {
            let last = status.last_beat_ms.load(Ordering::Acquire).checked_sub(1);
            let silence = Duration::from_millis(now_ms.saturating_sub(last.unwrap_or(0)));
            (silence > BEAT_TIMEOUT)
                .then(|| format!("shard {shard} has been silent for {} s", silence.as_secs()))
        };
        self.shards.iter().enumerate().filter_map(silent).collect()
    }
}

impl Verdict {
    fn bad(reason: &str) -> Verdict {
        Verdict { is_good: false, reasons: vec![reason.to_owned()] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(status: &Status, seconds: u64) -> Instant {
        status.began() + Duration::from_secs(seconds)
    }

    #[test]
    fn a_silent_shard_is_neither_healthy_nor_ready() {
        let status = Status::new(2, Instant::now());
        assert!(status.health(at(&status, 3_600)).is_good, "a recovery may take long");
        assert!(!status.readiness(at(&status, 1)).is_good);
        status.enter(Phase::Serving);
        let storage = StoreGauges::default();
        status.beat(0, at(&status, 100), &storage);
        status.beat(1, at(&status, 100), &storage);
        let good = Verdict { is_good: true, reasons: vec![] };
        assert_eq!(status.health(at(&status, 110)), good);
        assert_eq!(status.readiness(at(&status, 110)), good);
        status.beat(0, at(&status, 111), &storage);
        let silent = ["shard 1 has been silent for 11 s".to_owned()];
        assert_eq!(status.health(at(&status, 111)).reasons, silent);
        assert_eq!(status.readiness(at(&status, 111)).reasons, silent);
        status.enter(Phase::Stopping);
        assert!(!status.health(at(&status, 111)).is_good);
    }

    #[test]
    fn whoever_stops_lives_but_is_not_ready() {
        let status = Status::new(1, Instant::now());
        status.enter(Phase::Stopping);
        status.beat(0, at(&status, 0), &StoreGauges::default());
        assert!(status.health(at(&status, 1)).is_good);
        assert_eq!(status.readiness(at(&status, 1)), Verdict::bad("stopping: no new connections"));
    }

    #[test]
    fn some_partitions_that_suffer_are_told_of() {
        let status = Status::new(2, Instant::now());
        status.enter(Phase::Serving);
        let suffers = StoreGauges { offline_logs: 2, disk_full: true, ..StoreGauges::default() };
        status.beat(0, at(&status, 0), &suffers);
        status.beat(1, at(&status, 0), &StoreGauges { disk_full: false, ..suffers });
        let verdict = status.readiness(at(&status, 1));
        assert!(verdict.is_good);
        assert_eq!(verdict.reasons.len(), 2);
        assert!(verdict.reasons[0].contains("4 partitions"), "{verdict:?}");
        let lost = StoreGauges { failed: true, ..StoreGauges::default() };
        status.beat(1, at(&status, 1), &lost);
        let verdict = status.readiness(at(&status, 1));
        assert!(!verdict.is_good && verdict.reasons[0].contains("shard 1"), "{verdict:?}");
    }
}
