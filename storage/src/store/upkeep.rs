//! Upkeep: what nobody waits for. Checkpoints, giving back journal files, removing deleted segments,
//! and putting partitions to rest that are not written to any more.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::buffer::trim_memory;
use crate::log::Log;
use crate::runtime::{BLOCK_BYTES, Runtime};
use crate::store::shared::Shared;

const TICK: Duration = Duration::from_millis(250);

/// How often idle logs are looked for.
const REST_EVERY: Duration = Duration::from_secs(1);

/// A log that was not appended to for this long is put to rest.
const IDLE: Duration = Duration::from_secs(5);

/// A log that is appended to is checkpointed at least this often, and as soon as it has grown by so
/// much: what the next start after a kill has to read.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(30);
const CHECKPOINT_BYTES: u64 = 64 << 20;

/// Files that are not used for this long are closed, and indexes forgotten.
const FILE_IDLE: Duration = Duration::from_secs(30);

/// A log that was not appended to for this long gives up what the cache holds of it.
const CACHE_IDLE: Duration = Duration::from_secs(60);

/// Memory that was not used for this long goes back to the kernel.
const TRIM_EVERY: Duration = Duration::from_secs(60);

/// Checkpoints written at once.
const CHECKPOINTS_MAX: usize = 8;

/// Runs until the store stops.
pub(crate) async fn run<R: Runtime>(shared: Rc<Shared<R>>) {
    let mut last_checkpoints = shared.runtime.monotonic();
    let mut last_rest = last_checkpoints;
    let mut last_trim = last_checkpoints;
    while !shared.stopping.get() {
        shared.runtime.sleep(TICK).await;
        shared.enforce_cache();
        shared.read_back.tick();
        free_journal(&shared).await;
        let now = shared.runtime.monotonic();
        let everything = now - last_checkpoints >= CHECKPOINT_EVERY;
        if everything {
            last_checkpoints = now;
        }
        let active = shared.active.borrow().clone();
        let due: Vec<_> =
            active.into_iter().filter(|log| everything || log.has_outgrown_checkpoint()).collect();
        checkpoint_all(&due).await;
        remove_dead_segments(&shared).await;
        if now - last_rest >= REST_EVERY {
            last_rest = now;
            shared.cache_tick(now);
            rest_idle(&shared, now).await;
        }
        if now - last_trim >= TRIM_EVERY && !trim_memory() {
            last_trim = now;
        }
    }
}

/// Checkpoints `logs`, a few at a time.
pub(crate) async fn checkpoint_all<R: Runtime>(logs: &[Log<R>]) {
    for some in logs.chunks(CHECKPOINTS_MAX) {
        join_all(some.iter().map(Log::checkpoint)).await;
    }
}

/// Frees the journal's oldest files while there are too many: what they hold goes where it belongs.
async fn free_journal<R: Runtime>(shared: &Shared<R>) {
    loop {
        let files = shared.journal.file_indexes();
        let Some(&oldest) = files.first() else { return };
        let pins = shared.journal_pins(oldest);
        if pins.is_empty() && files.len() > 1 {
            shared.journal.release_oldest(oldest);
            continue;
        }
        if files.len() <= shared.limits.journal_files || shared.stopping.get() {
            return;
        }
        checkpoint_all(&pins).await;
        if !shared.journal_pins(oldest).is_empty() {
            return;
        }
    }
}

async fn remove_dead_segments<R: Runtime>(shared: &Shared<R>) {
    let shrinking = std::mem::take(&mut *shared.shrinking.borrow_mut());
    for log in shrinking {
        if log.remove_dead_segments().await {
            shared.shrinking.borrow_mut().push(log);
        }
    }
}

async fn rest_idle<R: Runtime>(shared: &Shared<R>, now: Duration) {
    let active = shared.active.borrow().clone();
    let idle: Vec<_> = active.into_iter().filter(|log| log.is_idle(now)).collect();
    if idle.is_empty() {
        return;
    }
    checkpoint_all(&idle).await;
    for log in &idle {
        let Some(Rested { taken, freed }) = log.rest(now) else { continue };
        shared.cache_grew(taken);
        shared.cache_shrank(freed);
    }
    shared.active.borrow_mut().retain(Log::is_active);
}

/// Memory that putting a log to rest took and gave back.
struct Rested {
    taken: usize,
    freed: usize,
}

impl<R: Runtime> Log<R> {
    fn is_idle(&self, now: Duration) -> bool {
        self.with_state(|state| now.saturating_sub(state.last_append) >= IDLE)
    }

    fn has_outgrown_checkpoint(&self) -> bool {
        self.with_state(|state| {
            let (end, last) = (state.end(), state.checkpoint);
            end.segment_base != last.segment_base
                || end.position - last.position >= CHECKPOINT_BYTES
        })
    }

    fn is_active(&self) -> bool {
        self.with_state(|state| state.is_active)
    }

    /// Gives up what an idle log does not need: its large buffer, its files, its indexes, and in
    /// the end its part of the cache. `None` if it is not at rest yet.
    fn rest(&self, now: Duration) -> Option<Rested> {
        self.with_state(|state| {
            let at_rest = state.offline.is_some()
                || (state.end() == state.checkpoint
                    && state.unwritten.is_empty()
                    && state.segments.iter().all(|s| !s.sealed || s.settled));
            if !at_rest {
                return None;
            }
            let mut files_open = false;
            for segment in &mut state.segments {
                if now.saturating_sub(segment.file_used) >= FILE_IDLE {
                    segment.file = None;
                    if segment.settled {
                        segment.index = None;
                    }
                }
                files_open |= segment.file.is_some();
            }
            let active = state.active_mut();
            let is_written = active.end - active.in_segment < BLOCK_BYTES as u64;
            let taken = if is_written && active.is_quiet() { active.tail.shrink() } else { 0 };
            if taken > 0 {
                self.leave_rest(active);
            }
            let keeps_cache = now.saturating_sub(state.last_append) < CACHE_IDLE;
            let mut freed = 0;
            for segment in state.segments.iter_mut().filter(|_| !keeps_cache) {
                let (in_segment, settled) = (segment.in_segment, segment.settled);
                while let Some(bytes) = segment.tail.evict_oldest(in_segment, settled) {
                    freed += bytes;
                }
            }
            state.is_active = files_open || keeps_cache;
            Some(Rested { taken, freed })
        })
    }
}
