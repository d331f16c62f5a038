//! What a ring has under way, in slots, and what waits to enter the kernel. No I/O.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::rc::Rc;
use std::task::Waker;
use std::time::Instant;

use io_uring::squeue::Entry;

use super::super::operation::{Operation, Step, Work};
use super::RETRY_PAUSE;
use super::watch::Watch;

enum Slot {
    Free,
    /// Queued here or in the kernel.
    Busy {
        key: u64,
        operation: Operation,
        waker: Option<Waker>,
        awaited: bool,
    },
    /// Answered, not yet collected.
    Done {
        work: Work,
        result: io::Result<()>,
    },
    /// Queued here or in the kernel; answered again and again.
    Watching {
        key: u64,
        watch: Rc<Watch>,
    },
}

/// Slots are known by their index; their entries by a key, which is the index below and a number never
/// reused above, so that a late cancellation can't hit the slot's next tenant.
#[derive(Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Slots to submit, oldest first.
    waiting: VecDeque<u32>,
    /// Slots to put back into `waiting` after a pause, and when that ends.
    paused: Vec<u32>,
    resume_at: Option<Instant>,
    /// Keys to cancel.
    cancel: Vec<u64>,
    polls: usize,
    /// Slots taken so far; the upper half of the next key.
    taken: u32,
}

impl Slots {
    /// Slots that wait on peers.
    pub(super) fn polls(&self) -> usize {
        self.polls
    }

    /// Nothing waits to be submitted.
    pub(super) fn is_submitted(&self) -> bool {
        self.waiting.is_empty() && self.cancel.is_empty()
    }

    /// Nothing waits at all.
    pub(super) fn is_idle(&self) -> bool {
        self.is_submitted() && self.paused.is_empty()
    }

    /// When [`Slots::resume`] has something to do.
    pub(super) fn resume_at(&self) -> Option<Instant> {
        self.resume_at
    }

    /// What was paused until `now` waits to be submitted again.
    pub(super) fn resume(&mut self, now: Instant) {
        if self.resume_at.is_some_and(|at| at <= now) {
            self.resume_at = None;
            self.waiting.extend(self.paused.drain(..));
        }
    }

    /// Takes a slot for `operation`.
    pub(super) fn operate(&mut self, operation: Operation) -> u32 {
        self.polls += usize::from(operation.is_poll());
        let (index, key) = self.take();
        self.slots[index as usize] = Slot::Busy { key, operation, waker: None, awaited: true };
        self.waiting.push_back(index);
        index
    }

    /// Takes a slot for `watch`, which learns its key.
    pub(super) fn watch(&mut self, watch: &Rc<Watch>) {
        self.polls += 1;
        let (index, key) = self.take();
        watch.watched(key);
        self.slots[index as usize] = Slot::Watching { key, watch: Rc::clone(watch) };
        self.waiting.push_back(index);
    }

    fn take(&mut self) -> (u32, u64) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::Free);
            (self.slots.len() - 1) as u32
        });
        self.taken = self.taken.wrapping_add(1);
        (index, u64::from(self.taken) << 32 | u64::from(index))
    }

    /// A key to cancel.
    pub(super) fn next_cancellation(&mut self) -> Option<u64> {
        self.cancel.pop()
    }

    /// The next entry to submit, and its key.
    pub(super) fn next_entry(&mut self) -> Option<(u64, Entry)> {
        while let Some(index) = self.waiting.pop_front() {
            match self.slots.get_mut(index as usize) {
                Some(Slot::Busy { key, operation, .. }) => return Some((*key, operation.entry())),
                Some(Slot::Watching { key, watch }) => return Some((*key, watch.entry())),
                _ => {}
            }
        }
        None
    }

    /// A completion of the entry in slot `index`; `more` follow. The waker of whoever awaits it.
    pub(super) fn completed(
        &mut self,
        index: u32,
        result: i32,
        more: bool,
        now: Instant,
    ) -> Option<Waker> {
        match self.slots.get_mut(index as usize)? {
            Slot::Busy { operation, .. } => match operation.completed(result) {
                Step::Again => self.waiting.push_front(index),
                Step::Later => {
                    self.paused.push(index);
                    self.resume_at.get_or_insert(now + RETRY_PAUSE);
                }
                Step::Done(result) => return self.finish(index, result),
            },
            Slot::Watching { watch, .. } => {
                let waker = watch.happened(result, more);
                if !more {
                    self.polls -= 1;
                    self.release(index);
                }
                return waker;
            }
            Slot::Free | Slot::Done { .. } => {}
        }
        None
    }

    fn finish(&mut self, index: u32, result: io::Result<()>) -> Option<Waker> {
        let slot = self.slots.get_mut(index as usize)?;
        let Slot::Busy { operation, waker, awaited, .. } = mem::replace(slot, Slot::Free) else {
            return None;
        };
        self.polls -= usize::from(operation.is_poll());
        if awaited {
            *slot = Slot::Done { work: operation.work, result };
            return waker;
        }
        self.free.push(index);
        None
    }

    fn release(&mut self, index: u32) {
        self.slots[index as usize] = Slot::Free;
        self.free.push(index);
    }

    /// The result in slot `index`, which is then free.
    ///
    /// # Errors
    /// There is none yet: `waker` will be woken. A waker that it takes the place of is to be dropped
    /// outside of the borrow, since that may drop whatever its owner likes.
    pub(super) fn collect(
        &mut self,
        index: u32,
        waker: &Waker,
    ) -> Result<(Work, io::Result<()>), Option<Waker>> {
        let slot = self.slots.get_mut(index as usize).ok_or(None)?;
        if let Slot::Busy { waker: waiting, .. } = slot {
            let known = waiting.as_ref().is_some_and(|waiting| waiting.will_wake(waker));
            return Err(if known { None } else { waiting.replace(waker.clone()) });
        }
        let Slot::Done { work, result } = mem::replace(slot, Slot::Free) else {
            return Err(None);
        };
        self.free.push(index);
        Ok((work, result))
    }

    /// Nobody awaits slot `index` any more: a poll is cancelled, a disk operation goes on. What is to be
    /// dropped outside of the borrow.
    pub(super) fn abandon(&mut self, index: u32) -> Option<Waker> {
        let slot = self.slots.get_mut(index as usize)?;
        match slot {
            Slot::Busy { key, operation, waker, awaited } => {
                *awaited = false;
                let (key, waker) = (*key, waker.take());
                if operation.is_poll() {
                    // Its own waker was taken.
                    let _none = self.cancel(key);
                }
                waker
            }
            Slot::Done { .. } => {
                self.release(index);
                None
            }
            Slot::Free | Slot::Watching { .. } => None,
        }
    }

    /// Ends the poll or watch of this key, here or, if it is there already, in the kernel. The waker of
    /// whoever awaits it, to be woken or dropped outside of the borrow.
    pub(super) fn cancel(&mut self, key: u64) -> Option<Waker> {
        let index = key as u32;
        if self.key(index) != Some(key) {
            return None;
        }
        let Some(at) = self.waiting.iter().position(|waiting| *waiting == index) else {
            self.cancel.push(key);
            return None;
        };
        self.waiting.remove(at);
        // As the kernel would say it.
        self.completed(index, -libc::ECANCELED, false, Instant::now())
    }

    /// Ends all polls and watches, as [`Slots::cancel`] does.
    pub(super) fn cancel_polls(&mut self) -> Vec<Waker> {
        let keys: Vec<u64> = self.slots.iter().filter_map(Slot::poll_key).collect();
        keys.into_iter().filter_map(|key| self.cancel(key)).collect()
    }

    fn key(&self, index: u32) -> Option<u64> {
        match self.slots.get(index as usize)? {
            Slot::Busy { key, .. } | Slot::Watching { key, .. } => Some(*key),
            Slot::Free | Slot::Done { .. } => None,
        }
    }
}

impl Slot {
    fn poll_key(&self) -> Option<u64> {
        match self {
            Slot::Busy { key, operation, .. } if operation.is_poll() => Some(*key),
            Slot::Watching { key, .. } => Some(*key),
            _ => None,
        }
    }
}
