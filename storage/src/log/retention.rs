//! Retention: whole segments go, the oldest first, when time or size say so (`retention.ms`,
//! `retention.bytes`; Kafka's rules). Never beyond the high watermark.

use crate::log::segment::Segment;
use crate::log::state::LogState;
use crate::log::{Log, Offline};
use crate::mutants::{Mutant, active};
use crate::runtime::Runtime;

/// What retention finds.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing to delete.
    Keep,
    /// The highest timestamp of the segment with this base offset has to be looked up first.
    Unknown(i64),
    Delete(Expired),
}

/// What is to be deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Expired {
    /// The log start afterwards.
    before: i64,
    segments: usize,
    bytes: u64,
    /// Of these segments, how many because of their age; the others because of the log's size.
    by_time: usize,
    /// The segment that is appended to is one of them.
    with_active: bool,
}

/// Judges the segments in turn. A segment goes if without it the log still has `retention_bytes`, or
/// if its newest record is older than `retention_ms`.
fn judge<F>(state: &LogState<F>, now_ms: i64) -> Verdict {
    let config = &state.config;
    let dead = state.segments.iter().skip(1).take_while(|s| s.base_offset <= state.log_start);
    let live = dead.count();
    let size: u64 = state.segments.range(live..).map(|s| s.end).sum();
    let kept_bytes = u64::try_from(config.retention_bytes).unwrap_or(u64::MAX);
    let mut surplus = size.checked_sub(kept_bytes);
    let mut expired = Expired::default();
    for (i, segment) in state.segments.iter().enumerate().skip(live) {
        let next = state.segments.get(i + 1);
        let before = next.map_or(state.log_end, |n| n.base_offset);
        let is_acknowledged =
            before <= state.high_watermark.offset || active(Mutant::RetainBeyondHighWatermark);
        let is_new = segment.end == 0 && next.is_none();
        if !is_acknowledged || is_new {
            break;
        }
        let by_size = surplus.is_some_and(|surplus| surplus >= segment.end);
        if !by_size {
            match age_ms(segment, now_ms) {
                _ if config.retention_ms < 0 => break,
                None => return Verdict::Unknown(segment.base_offset),
                Some(age_ms) if age_ms <= config.retention_ms => break,
                Some(_) => expired.by_time += 1,
            }
        }
        surplus = surplus.and_then(|surplus| surplus.checked_sub(segment.end));
        expired.before = before;
        expired.segments += 1;
        expired.bytes += segment.end;
        expired.with_active = next.is_none();
    }
    let has_expired = config.delete_policy && state.offline.is_none() && expired.segments > 0;
    if has_expired { Verdict::Delete(expired) } else { Verdict::Keep }
}

/// Age of its newest record; of its file, if its records have no timestamps. `None`: unknown.
fn age_ms<F>(segment: &Segment<F>, now_ms: i64) -> Option<i64> {
    let newest_ms = match segment.max_timestamp? {
        ..0 => segment.last_append_ms,
        timestamp => timestamp,
    };
    Some(now_ms.saturating_sub(newest_ms))
}

impl<R: Runtime> Log<R> {
    /// Deletes what the topic's retention lets go, in the background; nothing if it is still at it.
    pub(crate) fn spawn_retention(&self) {
        if self.inner.retaining.replace(true) {
            return;
        }
        let log = self.clone();
        self.spawn(async move {
            log.apply_retention().await;
            log.inner.retaining.set(false);
        });
    }

    /// Resolves once retention is not at work on this log.
    pub(crate) async fn retention_rests(&self) {
        self.inner.changed.until(|| !self.inner.retaining.get()).await;
    }

    async fn apply_retention(&self) {
        loop {
            let now_ms = self.inner_runtime().now_ms();
            match self.with_state(|state| judge(state, now_ms)) {
                Verdict::Keep => return,
                Verdict::Unknown(segment_base) => {
                    if let Err(error) = self.learn_max_timestamp(segment_base).await {
                        let partition = self.inner.id;
                        tracing::warn!(%partition, segment_base, %error, "retention can't tell a segment's age");
                        return;
                    }
                }
                Verdict::Delete(expired) => return self.delete(expired, now_ms).await,
            }
        }
    }

    async fn delete(&self, expired: Expired, now_ms: i64) {
        let Expired { before, segments, bytes, by_time, with_active } = expired;
        if with_active {
            self.with_state(|state| self.roll(state, now_ms));
        }
        if let Err(Offline(reason)) = self.raise_log_start(before).await {
            tracing::warn!(partition = %self.inner.id, %reason, "retention found a partition offline");
            return;
        }
        let by_size = segments - by_time;
        tracing::info!(
            partition = %self.inner.id, segments, bytes, by_time, by_size, log_start = before,
            "retention deletes segments"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::LogConfig;
    use crate::log::state::Mark;

    const NOW_MS: i64 = 1_000_000;

    /// Three closed segments of 100 bytes and ten records each, and an active one of 50 bytes and
    /// five; their newest records are so many ms old.
    fn log_of(retention_ms: i64, retention_bytes: i64, ages_ms: [i64; 4]) -> LogState<()> {
        let config = LogConfig { retention_ms, retention_bytes, ..LogConfig::default() };
        let mut state = LogState::new(config, 0, 0);
        state.segments.clear();
        for (i, age_ms) in ages_ms.into_iter().enumerate() {
            let mut segment = Segment::new(10 * i as i64, 0);
            segment.end = if i == 3 { 50 } else { 100 };
            segment.max_timestamp = Some(NOW_MS - age_ms);
            state.segments.push_back(segment);
        }
        state.log_end = 35;
        state.high_watermark = Mark { offset: 35, segment_base: 30, position: 50 };
        state
    }

    fn deleted(state: &LogState<()>) -> Option<(i64, usize, bool)> {
        match judge(state, NOW_MS) {
            Verdict::Keep => None,
            Verdict::Unknown(base) => panic!("age of {base} unknown"),
            Verdict::Delete(e) => Some((e.before, e.by_time, e.with_active)),
        }
    }

    #[test]
    fn old_segments_go_and_the_active_one_if_all_of_it_is_old() {
        assert_eq!(deleted(&log_of(-1, -1, [9, 9, 9, 9])), None);
        assert_eq!(deleted(&log_of(5, -1, [9, 6, 5, 4])), Some((20, 2, false)));
        assert_eq!(deleted(&log_of(5, -1, [4, 9, 9, 9])), None, "oldest first");
        assert_eq!(deleted(&log_of(5, -1, [9, 9, 9, 9])), Some((35, 4, true)));
    }

    #[test]
    fn size_keeps_at_least_what_was_asked_for() {
        assert_eq!(deleted(&log_of(-1, 251, [0; 4])), None);
        assert_eq!(deleted(&log_of(-1, 250, [0; 4])), Some((10, 0, false)));
        assert_eq!(deleted(&log_of(-1, 149, [0; 4])), Some((20, 0, false)));
        assert_eq!(deleted(&log_of(-1, 0, [0; 4])), Some((35, 0, true)));
        let both = log_of(5, 250, [9, 0, 0, 0]);
        assert_eq!(deleted(&both), Some((10, 0, false)), "what time takes counts for size");
    }

    #[test]
    fn nothing_goes_beyond_the_high_watermark() {
        let mut state = log_of(5, 0, [9, 9, 9, 9]);
        state.high_watermark = Mark { offset: 25, segment_base: 20, position: 50 };
        assert_eq!(deleted(&state), Some((20, 0, false)));
        state.config.delete_policy = false;
        assert_eq!(deleted(&state), None);
    }

    #[test]
    fn segments_below_the_log_start_do_not_count() {
        let mut state = log_of(-1, 250, [0; 4]);
        state.log_start = 10;
        assert_eq!(deleted(&state), None);
    }

    #[test]
    fn without_timestamps_the_last_append_counts() {
        let mut state = log_of(5, -1, [0; 4]);
        state.segments[0].max_timestamp = Some(-1);
        state.segments[0].last_append_ms = NOW_MS - 9;
        assert_eq!(deleted(&state), Some((10, 1, false)));
        state.segments[0].max_timestamp = None;
        assert_eq!(judge(&state, NOW_MS), Verdict::Unknown(0));
    }
}
