//! Which part of a log can be compacted, and whether it is worth it: pure.

use crate::log::segment::{Segment, SegmentName};
use crate::log::state::{LogConfig, LogState, Mark};

/// Parts of a million.
const MILLION: u128 = 1_000_000;

/// Most offsets between a segment's first and last record.
const OFFSETS_MAX: i64 = i32::MAX as i64;

/// One closed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub name: SegmentName,
    /// Where the next segment begins.
    pub until: i64,
    pub bytes: u64,
}

/// A part of a log that can be compacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cleanable {
    /// From the log start on; the last ones are those to be mapped.
    pub parts: Vec<Part>,
    /// Records below it are the last of their keys, as far as they go.
    pub first_dirty: i64,
    /// Bytes of segments that are wholly below it, and of the others.
    pub clean_bytes: u64,
    pub dirty_bytes: u64,
    /// Its oldest records have waited for `max.compaction.lag.ms`.
    pub is_overdue: bool,
}

impl Cleanable {
    /// Share of it that was not compacted, in millionths.
    pub(crate) fn dirty_ppm(&self) -> u32 {
        let total = u128::from(self.clean_bytes) + u128::from(self.dirty_bytes);
        (u128::from(self.dirty_bytes) * MILLION).checked_div(total).unwrap_or(0) as u32
    }

    /// Its segments below `until`, in groups that fit a segment of `segment_bytes`: each becomes one
    /// (Kafka's `groupSegmentsBySize`).
    pub(super) fn groups(&self, until: i64, segment_bytes: u64) -> Vec<Vec<Part>> {
        let mut groups: Vec<Vec<Part>> = Vec::new();
        let mut bytes = 0;
        for part in self.parts.iter().take_while(|part| part.name.base_offset < until) {
            bytes += part.bytes;
            match groups.last_mut() {
                Some(group)
                    if bytes <= segment_bytes
                        && part.until - group[0].name.base_offset <= OFFSETS_MAX =>
                {
                    group.push(*part);
                }
                _ => {
                    bytes = part.bytes;
                    groups.push(vec![*part]);
                }
            }
        }
        groups
    }
}

/// What a look at a log finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// It is not worth it; so much of it is dirty, in millionths.
    Nothing {
        dirty_ppm: u32,
    },
    /// The highest timestamp of the segment with this base offset has to be looked up first.
    Unknown(i64),
    Cleanable(Cleanable),
}

/// True if records may wait for `max.compaction.lag.ms` in the segment that is appended to: it has to
/// be closed.
pub(crate) fn must_close_active<F>(state: &LogState<F>, now_ms: i64) -> bool {
    let (active, lag_ms) = (state.active(), state.config.max_compaction_lag_ms);
    let may_close = state.config.compact_policy && state.offline.is_none();
    may_close && active.end > 0 && now_ms.saturating_sub(active.opened_ms) >= lag_ms
}

/// Looks at the closed segments. A mark at the very end of a segment is moved to the beginning of
/// the next, where it means the same, and does not hold the segment.
pub(crate) fn judge<F>(state: &mut LogState<F>, now_ms: i64) -> Judged {
    if !state.config.compact_policy || state.offline.is_some() || state.is_uncleanable {
        return Judged::Nothing { dirty_ppm: 0 };
    }
    move_marks(state);
    let config = &state.config;
    let first_dirty = state.first_dirty.max(state.log_start);
    let mut found = Cleanable {
        parts: Vec::new(),
        first_dirty,
        clean_bytes: 0,
        dirty_bytes: 0,
        is_overdue: false,
    };
    let next_bases = state.segments.iter().skip(1).map(|next| next.base_offset);
    for (segment, until) in state.segments.iter().zip(next_bases) {
        if !is_behind_us(state, segment) {
            break;
        }
        if until <= state.log_start {
            continue;
        }
        let is_dirty = until > first_dirty;
        if is_dirty && config.min_compaction_lag_ms > 0 {
            match segment.max_timestamp {
                None => return Judged::Unknown(segment.base_offset),
                Some(newest) if newest > now_ms.saturating_sub(config.min_compaction_lag_ms) => {
                    break;
                }
                Some(_) => {}
            }
        }
        if is_dirty {
            found.is_overdue |= is_overdue(config, segment, now_ms);
            found.dirty_bytes += segment.end;
        } else {
            found.clean_bytes += segment.end;
        }
        found.parts.push(Part { name: segment.name(), until, bytes: segment.end });
    }
    let is_worth_it = found.dirty_bytes > 0
        && (found.is_overdue || found.dirty_ppm() > config.min_cleanable_dirty_ppm);
    match is_worth_it {
        true => Judged::Cleanable(found),
        false => Judged::Nothing { dirty_ppm: found.dirty_ppm() },
    }
}

fn is_overdue<F>(config: &LogConfig, segment: &Segment<F>, now_ms: i64) -> bool {
    now_ms.saturating_sub(segment.opened_ms) >= config.max_compaction_lag_ms
}

/// Closed, synced, and nothing that is still going on refers to it: neither recovery, should it come
/// now, nor what is being published.
fn is_behind_us<F>(state: &LogState<F>, segment: &Segment<F>) -> bool {
    let marks = [state.checkpoint, state.flushed, state.written, state.high_watermark];
    segment.settled && marks.iter().all(|mark| segment.base_offset < mark.segment_base)
}

fn move_marks<F>(state: &mut LogState<F>) {
    let segments = &state.segments;
    let moved = |mark: Mark| {
        let next = segments.partition_point(|s| s.base_offset <= mark.segment_base);
        match segments.get(next) {
            Some(next) if next.base_offset == mark.offset => {
                Mark { segment_base: next.base_offset, position: 0, ..mark }
            }
            _ => mark,
        }
    };
    let [written, flushed, high_watermark] =
        [state.written, state.flushed, state.high_watermark].map(moved);
    (state.written, state.flushed, state.high_watermark) = (written, flushed, high_watermark);
}
