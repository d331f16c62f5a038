//! From "the disk has it" to "everybody may see it": the high watermark and those who wait for it.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Poll, Waker};

use crate::log::Log;
use crate::log::segment::Segment;
use crate::log::state::{Durability, LogState, Run, Waiter};
use crate::mutants::{Mutant, active};
use crate::runtime::Runtime;

/// The log can't keep its word any more (KAFKA_STORAGE_ERROR, 56), or is deleted.
#[derive(Clone, Debug, thiserror::Error)]
#[error("partition is offline: {0}")]
pub struct Offline(pub Arc<str>);

impl<R: Runtime> Log<R> {
    /// Resolves once everything before `next_offset` is acknowledged as the topic's durability
    /// says, and readable.
    ///
    /// # Errors
    /// [`Offline`] if that can't happen any more.
    pub fn acknowledged(
        &self,
        next_offset: i64,
    ) -> impl Future<Output = Result<(), Offline>> + use<R> {
        let log = self.clone();
        let mut registered: Option<Waker> = None;
        poll_fn(move |cx| {
            let state = &mut *log.inner.state.borrow_mut();
            if state.high_watermark.offset >= next_offset {
                return Poll::Ready(Ok(()));
            }
            if let Some(reason) = &state.offline {
                return Poll::Ready(Err(Offline(reason.clone())));
            }
            if !registered.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
                registered = Some(cx.waker().clone());
                state.waiters.push(Waiter { offset: next_offset, waker: cx.waker().clone() });
            }
            Poll::Pending
        })
    }

    /// Looks at what the disk has by now, and moves the offsets that follow from it.
    pub(crate) fn publish(&self) {
        let inner = &*self.inner;
        let shared = &inner.shared;
        let state = &mut *inner.state.borrow_mut();
        if state.offline.is_some() {
            return;
        }
        advance_written(state, shared.journal.written(), shared.flush_round.get());
        advance_flushed(state, shared.journal.flushed());
        if !state.unflushed.is_empty() && state.unflushed_since.is_none() {
            state.unflushed_since = Some(shared.runtime.monotonic());
            shared.unflushed.borrow_mut().push(self.clone());
        }
        if !state.unflushed.is_empty() && state.config.durability == Durability::Flushed {
            shared.flush_wanted.set(true);
            shared.flush_work.notify_all();
        }
        let acknowledged = match state.config.durability {
            Durability::Flushed if !active(Mutant::AcknowledgeBeforeFsync) => state.flushed,
            _ => state.written,
        };
        let acknowledged = match state.unwritten.back() {
            Some(run) if active(Mutant::AcknowledgeBeforeWrite) => run.end,
            _ => acknowledged,
        };
        if acknowledged.offset <= state.high_watermark.offset {
            return;
        }
        state.high_watermark = acknowledged;
        assert!(acknowledged.offset <= state.log_end, "the high watermark is within the log");
        wake(state);
    }

    /// Ends the log's service: everybody who waits is told why. Nothing of its state is written any
    /// more, no checkpoint either: the next start recovers it.
    pub fn go_offline(&self, reason: &str) {
        let inner = &*self.inner;
        {
            let state = &mut *inner.state.borrow_mut();
            if state.offline.is_some() {
                return;
            }
            state.offline = Some(reason.into());
            let offline_logs = &inner.shared.meters.offline_logs;
            offline_logs.set(offline_logs.get() + 1);
            // Its blocks may never be written: nobody else is to wait for them.
            inner
                .shared
                .unwritten_shrank(state.segments.iter().map(Segment::unwritten_blocks).sum());
            state.waiters.drain().for_each(|w| w.waker.wake());
            for (_, signal) in state.subscribers.drain(..) {
                if let Some(signal) = signal.upgrade() {
                    signal.fire();
                }
            }
        }
        inner.changed.notify_all();
    }
}

/// Takes the runs that the disk has, in offset order: a later one never overtakes an earlier one.
fn advance_written<F>(state: &mut LogState<F>, journal_written: u64, round: u64) {
    while let Some(run) = state.unwritten.front().copied() {
        let in_segment = state.segment(run.end.segment_base).map(|s| s.in_segment);
        let is_written = in_segment.is_none_or(|p| p >= run.segment_upto)
            && run.journal_sequence <= journal_written;
        if !is_written {
            if active(Mutant::PublishOutOfOrder)
                && state.unwritten.back().is_some_and(|last| {
                    last.segment_upto == 0 && last.journal_sequence <= journal_written
                })
            {
                let last = *state.unwritten.back().expect("just seen");
                state.written = last.end;
            }
            return;
        }
        state.unwritten.pop_front();
        assert!(run.end.offset >= state.written.offset, "runs are published in offset order");
        state.written = run.end;
        note_unflushed(state, run, round);
    }
}

/// Runs that came between the same two flushes are flushed together: one entry for them.
fn note_unflushed<F>(state: &mut LogState<F>, run: Run, round: u64) {
    match state.unflushed.back_mut() {
        Some((last, last_round))
            if *last_round == round && last.end.segment_base == run.end.segment_base =>
        {
            last.end = run.end;
            last.segment_upto = last.segment_upto.max(run.segment_upto);
            last.journal_sequence = last.journal_sequence.max(run.journal_sequence);
        }
        _ => state.unflushed.push_back((run, round)),
    }
}

fn advance_flushed<F>(state: &mut LogState<F>, journal_flushed: u64) {
    while let Some((run, _)) = state.unflushed.front().copied() {
        let flushed = state.segment(run.end.segment_base).map(|s| s.flushed);
        let by_parts = flushed.is_none_or(|p| p >= run.segment_upto)
            && run.journal_sequence <= journal_flushed;
        let by_segment = flushed.is_some_and(|p| p >= run.end.position);
        if !by_parts && !by_segment {
            return;
        }
        state.unflushed.pop_front();
        state.flushed = run.end;
    }
}

fn wake<F>(state: &mut LogState<F>) {
    let reached = state.high_watermark.offset;
    while state.waiters.peek().is_some_and(|w| w.offset <= reached) {
        if let Some(waiter) = state.waiters.pop() {
            waiter.waker.wake();
        }
    }
    state.subscribers.retain(|(past_offset, signal)| {
        if *past_offset >= reached {
            return true;
        }
        if let Some(signal) = signal.upgrade() {
            signal.fire();
        }
        false
    });
}
