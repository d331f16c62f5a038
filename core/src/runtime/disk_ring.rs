//! The shard's disk ring: a second io_uring beside the executor's own.
//!
//! Operations queue here, enter the kernel together (one `io_uring_enter` per scheduler pass) and
//! stay in their slot, buffers and descriptor included, until the kernel has answered, whether
//! or not anybody still awaits them. Completions are taken when a submission returns and when an
//! eventfd, read by a task of the executor, says that there are some.
//!
//! Limits: [`IN_FLIGHT_MAX`] entries in the kernel, the rest waits in order; besides, [`POLLS_MAX`]
//! that wait on peers. The kernel keeps completions that the queue has no room for.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use glommio::io::BufferedFile;
use io_uring::{IoUring, Probe, opcode};

use super::operation::{Operation, Step, Work};
use super::wakes::Wakes;

/// Operations that the kernel works on at once, per shard.
pub(super) const IN_FLIGHT_MAX: usize = 256;

/// Waits for readiness at once, per shard: one per listening socket, and one per connection that a
/// file is sent to and whose client is slower than the disk.
pub(super) const POLLS_MAX: usize = 1 << 16;

/// Twice what can complete, cancellations included.
const COMPLETIONS: u32 = 1024;

/// Pause before an operation or a submission that met EAGAIN is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(1);

/// `user_data` of cancellations, whose own completion tells nothing.
const CANCELLATION: u64 = u64::MAX;

/// What one ring has done, for measurements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingCounters {
    /// Operations begun.
    pub operations: u64,
    /// System calls that submitted.
    pub submissions: u64,
    /// Eventfd notifications read.
    pub notifications: u64,
}

enum Slot {
    Free,
    /// Queued here or in the kernel.
    Busy {
        /// `user_data` of its entries: the slot's index below, a number never reused above, so
        /// that a late cancellation can't hit the slot's next tenant.
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
}

struct State {
    /// `None` once the ring is closed.
    ring: Option<IoUring>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Slots to submit, oldest first.
    waiting: VecDeque<u32>,
    /// Slots to put back into `waiting` after a pause.
    paused: Vec<u32>,
    /// Keys of polls to cancel.
    cancel: Vec<u64>,
    in_flight: usize,
    polls: usize,
    /// Operations begun; the upper half of the next key.
    begun: u32,
    /// Reused by every drain.
    woken: Vec<Waker>,
}

/// One shard's disk ring. Lives on its thread.
pub(super) struct DiskRing {
    state: RefCell<State>,
    has_truncate: bool,
    dirty: Cell<bool>,
    submitter: Cell<Option<Waker>>,
    counters: Cell<RingCounters>,
}

impl DiskRing {
    /// Sets the ring up and starts its two tasks; on a thread that runs an executor.
    ///
    /// `locks` are registered with the ring, which so keeps their open file descriptions (and the
    /// flock on them) alive until its last operation has ended, even after a `kill -9`.
    pub(super) fn start(wakes: &Rc<Wakes>, locks: &[RawFd]) -> io::Result<Rc<Self>> {
        let ring = build_ring()?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        if !locks.is_empty() {
            ring.submitter().register_files(locks)?;
        }
        let events = wakes.events().try_clone()?;
        ring.submitter().register_eventfd(events.as_raw_fd())?;
        let state = State {
            ring: Some(ring),
            slots: Vec::new(),
            free: Vec::new(),
            waiting: VecDeque::new(),
            paused: Vec::new(),
            cancel: Vec::new(),
            in_flight: 0,
            polls: 0,
            begun: 0,
            woken: Vec::new(),
        };
        let ring = Rc::new(DiskRing {
            state: RefCell::new(state),
            has_truncate: probe.is_supported(opcode::Ftruncate::CODE),
            dirty: Cell::new(false),
            submitter: Cell::new(None),
            counters: Cell::new(RingCounters::default()),
        });
        glommio::spawn_local(Rc::clone(&ring).submit_when_dirty()).detach();
        glommio::spawn_local(Rc::clone(&ring).drain_when_notified(Rc::clone(wakes), events))
            .detach();
        Ok(ring)
    }

    /// Whether this kernel truncates through a ring (Linux 6.9).
    pub(super) fn has_truncate(&self) -> bool {
        self.has_truncate
    }

    pub(super) fn counters(&self) -> RingCounters {
        self.counters.get()
    }

    /// Queues `work` on `file`; it enters the kernel at the end of this scheduler pass.
    pub(super) fn begin(self: &Rc<Self>, work: Work, file: Arc<OwnedFd>) -> io::Result<Answer> {
        let operation = Operation::new(work, file);
        let mut state = self.state.borrow_mut();
        if state.ring.is_none() {
            return Err(io::Error::other("the disk ring of this shard is closed"));
        }
        if operation.is_poll() {
            if state.polls == POLLS_MAX {
                return Err(io::Error::other("too many sockets are waited for on one shard"));
            }
            state.polls += 1;
        }
        let slot = state.occupy(operation);
        state.waiting.push_back(slot);
        drop(state);
        self.count(|counters| counters.operations += 1);
        self.mark_dirty();
        Ok(Answer { ring: Rc::clone(self), slot: Some(slot) })
    }

    fn count(&self, change: impl FnOnce(&mut RingCounters)) {
        let mut counters = self.counters.get();
        change(&mut counters);
        self.counters.set(counters);
    }

    fn mark_dirty(&self) {
        self.dirty.set(true);
        if let Some(waker) = self.submitter.take() {
            waker.wake();
        }
    }

    /// The submitting task. Its wake-up queues behind every task that is runnable now, so that
    /// what those begin goes along in the same system call.
    async fn submit_when_dirty(self: Rc<Self>) {
        loop {
            poll_fn(|cx| {
                if self.dirty.replace(false) {
                    return Poll::Ready(());
                }
                self.submitter.set(Some(cx.waker().clone()));
                Poll::Pending
            })
            .await;
            if !self.submit_and_drain() {
                return;
            }
        }
    }

    /// The task that learns from the shard's eventfd that there are completions, or wake-ups from
    /// other threads.
    async fn drain_when_notified(self: Rc<Self>, wakes: Rc<Wakes>, events: OwnedFd) {
        // SAFETY: `into_raw_fd` gives up the ownership that the file takes over.
        let events = unsafe { BufferedFile::from_raw_fd(events.into_raw_fd()) };
        loop {
            if let Err(error) = events.read_at(0, 8).await {
                tracing::error!(%error, "reading the disk ring's eventfd");
                glommio::timer::sleep(RETRY_PAUSE).await;
            }
            self.count(|counters| counters.notifications += 1);
            wakes.answer();
            if !self.drain() {
                return;
            }
        }
    }

    /// One submission, and whatever has completed by then. False if the ring is closed.
    fn submit_and_drain(self: &Rc<Self>) -> bool {
        let mut state = self.state.borrow_mut();
        let submitted = state.submit();
        drop(state);
        match submitted {
            Ok(0) => {}
            Ok(calls) => self.count(|counters| counters.submissions += calls),
            Err(error) => {
                // EAGAIN, EBUSY and ENOMEM pass; nothing else is documented for a sound ring.
                // The entries stay in the submission queue and their buffers in their slots.
                if !is_transient(&error) {
                    tracing::error!(%error, "submitting to the disk ring; trying again");
                }
                self.resume_after_pause();
            }
        }
        self.drain()
    }

    /// Takes all completions. False if the ring is closed.
    fn drain(self: &Rc<Self>) -> bool {
        let mut state = self.state.borrow_mut();
        if state.ring.is_none() {
            return false;
        }
        let had_paused = !state.paused.is_empty();
        state.drain();
        let to_submit = !state.waiting.is_empty();
        let to_pause = !had_paused && !state.paused.is_empty();
        let mut woken = mem::take(&mut state.woken);
        drop(state);
        // Outside the borrow: a waker may run whatever its owner likes.
        for waker in woken.drain(..) {
            waker.wake();
        }
        self.state.borrow_mut().woken = woken;
        if to_submit {
            self.mark_dirty();
        }
        if to_pause {
            self.resume_after_pause();
        }
        true
    }

    fn resume_after_pause(self: &Rc<Self>) {
        let ring = Rc::clone(self);
        let resume = async move {
            glommio::timer::sleep(RETRY_PAUSE).await;
            let mut state = ring.state.borrow_mut();
            let paused = mem::take(&mut state.paused);
            state.waiting.extend(paused);
            drop(state);
            ring.mark_dirty();
        };
        glommio::spawn_local(resume).detach();
    }

    /// Ends the ring: cancels polls, waits until the kernel is done with every buffer, closes.
    /// Blocks the thread; called when the shard's executor has ended.
    pub(super) fn close(&self) {
        let mut state = self.state.borrow_mut();
        state.cancel_polls();
        while state.in_flight > 0 || !state.waiting.is_empty() || !state.paused.is_empty() {
            let paused = mem::take(&mut state.paused);
            state.waiting.extend(paused);
            match state.submit().and_then(|_| state.wait()) {
                Ok(()) => {}
                Err(error) if is_transient(&error) => std::thread::sleep(RETRY_PAUSE),
                Err(error) => {
                    // The kernel may still use this memory: it is never freed.
                    tracing::error!(%error, "the disk ring does not end; its buffers are kept");
                    mem::forget(mem::take(&mut state.slots));
                    break;
                }
            }
            state.drain();
        }
        state.ring = None;
        let woken = mem::take(&mut state.woken);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }
}

/// COOP_TASKRUN (Linux 5.19) spares an interrupt per completion; SINGLE_ISSUER (6.0) some locks.
fn build_ring() -> io::Result<IoUring> {
    let entries = IN_FLIGHT_MAX as u32;
    let built = IoUring::builder()
        .setup_cqsize(COMPLETIONS)
        .setup_coop_taskrun()
        .setup_single_issuer()
        .build(entries);
    match built {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            IoUring::builder().setup_cqsize(COMPLETIONS).build(entries)
        }
        built => built,
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EBUSY))
}

impl State {
    fn occupy(&mut self, operation: Operation) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::Free);
            (self.slots.len() - 1) as u32
        });
        self.begun = self.begun.wrapping_add(1);
        let key = u64::from(self.begun) << 32 | u64::from(index);
        self.slots[index as usize] = Slot::Busy { key, operation, waker: None, awaited: true };
        index
    }

    /// Moves what may go into the submission queue and submits it; returns the system calls made.
    fn submit(&mut self) -> io::Result<u64> {
        let Some(ring) = self.ring.as_mut() else { return Ok(0) };
        let mut calls = 0;
        loop {
            let mut queue = ring.submission();
            while !queue.is_full() && self.in_flight < IN_FLIGHT_MAX + self.polls {
                let entry = if let Some(key) = self.cancel.pop() {
                    opcode::AsyncCancel::new(key).build().user_data(CANCELLATION)
                } else if let Some(index) = self.waiting.pop_front() {
                    let slot = self.slots.get_mut(index as usize);
                    let Some(Slot::Busy { key, operation, .. }) = slot else { continue };
                    operation.entry().user_data(*key)
                } else {
                    break;
                };
                // SAFETY: the operation owns the memory and the descriptor of its entry and stays
                // in its slot, untouched, until the completion that carries its key; a
                // cancellation refers to no memory.
                let pushed = unsafe { queue.push(&entry) };
                debug_assert!(pushed.is_ok(), "room was checked");
                self.in_flight += 1;
            }
            if queue.is_empty() {
                return Ok(calls);
            }
            drop(queue);
            calls += 1;
            match ring.submit() {
                Ok(0) => return Err(io::Error::from_raw_os_error(libc::EAGAIN)),
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Blocks until at least one completion is there.
    fn wait(&mut self) -> io::Result<()> {
        let Some(ring) = self.ring.as_mut() else { return Ok(()) };
        match ring.submit_and_wait(1) {
            Err(error) if error.raw_os_error() != Some(libc::EINTR) => Err(error),
            _ => Ok(()),
        }
    }

    fn drain(&mut self) {
        loop {
            let Some(ring) = self.ring.as_mut() else { return };
            let Some(entry) = ring.completion().next() else {
                // Completions that did not fit wait in the kernel until somebody enters it.
                if ring.submission().cq_overflow() && ring.submit().is_ok() {
                    continue;
                }
                return;
            };
            self.in_flight -= 1;
            if entry.user_data() != CANCELLATION {
                self.complete(entry.user_data() as u32, entry.result());
            }
        }
    }

    fn complete(&mut self, index: u32, result: i32) {
        let Some(slot) = self.slots.get_mut(index as usize) else { return };
        let Slot::Busy { operation, .. } = slot else { return };
        let result = match operation.completed(result) {
            Step::Again => return self.waiting.push_front(index),
            Step::Later => return self.paused.push(index),
            Step::Done(result) => result,
        };
        self.finish(index, result);
    }

    fn finish(&mut self, index: u32, result: io::Result<()>) {
        let Some(slot) = self.slots.get_mut(index as usize) else { return };
        let Slot::Busy { operation, waker, awaited, .. } = mem::replace(slot, Slot::Free) else {
            return;
        };
        if operation.is_poll() {
            self.polls -= 1;
        }
        if awaited {
            *slot = Slot::Done { work: operation.work, result };
            self.woken.extend(waker);
        } else {
            self.free.push(index);
        }
    }

    /// Ends the poll in slot `index`, here or, if it is there already, in the kernel.
    fn cancel_poll(&mut self, index: u32) {
        let Some(Slot::Busy { key, .. }) = self.slots.get(index as usize) else { return };
        if self.waiting.contains(&index) {
            self.waiting.retain(|waiting| *waiting != index);
            self.finish(index, Err(io::Error::from_raw_os_error(libc::ECANCELED)));
        } else {
            self.cancel.push(*key);
        }
    }

    fn cancel_polls(&mut self) {
        for index in 0..self.slots.len() {
            if matches!(&self.slots[index], Slot::Busy { operation, .. } if operation.is_poll()) {
                self.cancel_poll(index as u32);
            }
        }
    }
}

/// The answer to one operation. Dropping it does not cancel a disk operation.
pub(super) struct Answer {
    ring: Rc<DiskRing>,
    slot: Option<u32>,
}

impl Future for Answer {
    type Output = (Work, io::Result<()>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(index) = self.slot else { return Poll::Pending };
        let ring = Rc::clone(&self.ring);
        let mut state = ring.state.borrow_mut();
        let Some(slot) = state.slots.get_mut(index as usize) else { return Poll::Pending };
        if let Slot::Busy { waker, .. } = slot {
            let stale = waker.replace(cx.waker().clone());
            drop(state);
            drop(stale);
            return Poll::Pending;
        }
        let Slot::Done { work, result } = mem::replace(slot, Slot::Free) else {
            return Poll::Pending;
        };
        state.free.push(index);
        self.slot = None;
        Poll::Ready((work, result))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let Some(index) = self.slot else { return };
        let mut state = self.ring.state.borrow_mut();
        let mut dropped = None;
        let mut cancelled = false;
        if let Some(slot) = state.slots.get_mut(index as usize) {
            match slot {
                Slot::Busy { operation, waker, awaited, .. } => {
                    *awaited = false;
                    dropped = waker.take();
                    cancelled = operation.is_poll();
                }
                Slot::Done { .. } => {
                    *slot = Slot::Free;
                    state.free.push(index);
                }
                Slot::Free => {}
            }
        }
        if cancelled {
            state.cancel_poll(index);
        }
        drop(state);
        drop(dropped);
        if cancelled {
            self.ring.mark_dirty();
        }
    }
}

/// Waits until `fd` takes bytes, or has failed.
pub(super) async fn writable(ring: &Rc<DiskRing>, fd: &Arc<OwnedFd>) -> io::Result<()> {
    ring.begin(Work::Writable, Arc::clone(fd))?.await.1
}

/// Waits until `fd` is readable (a listening socket: has a connection to accept).
pub(super) async fn readable(ring: &Rc<DiskRing>, fd: &Arc<OwnedFd>) -> io::Result<()> {
    ring.begin(Work::Readable, Arc::clone(fd))?.await.1
}
