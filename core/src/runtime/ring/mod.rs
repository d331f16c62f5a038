//! The shard's ring: an io_uring through which its files, sockets and sleep go.
//!
//! Operations queue here, enter the kernel together (one `io_uring_enter` a turn of the
//! [`super::reactor`]) and stay in their slot, buffers and descriptor included, until the kernel has
//! answered, whether or not anybody still awaits them. A [`Watch`] stays there for as long as its socket is
//! open, and is told each time that there is something to read.
//!
//! Limits: [`IN_FLIGHT_MAX`] entries in the kernel, the rest waits in order; besides, [`POLLS_MAX`]
//! that wait on peers. The kernel keeps completions that the queue has no room for.

mod answer;
mod slots;
mod watch;

use std::cell::{Cell, RefCell};
use std::io;
use std::mem;
use std::os::fd::{OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, Probe, opcode};

use super::operation::{Operation, Work};
pub(super) use answer::{Answer, readable, writable};
use slots::Slots;
pub(super) use watch::Watch;

/// Operations that the kernel works on at once, per shard.
pub(super) const IN_FLIGHT_MAX: usize = 256;

/// Waits for readiness at once, per shard: one per listening socket and per connection, and one more per
/// connection whose client is slower than its answers.
pub(super) const POLLS_MAX: usize = 1 << 17;

/// Room for completions; sockets may well have more of them at once, which the kernel then keeps.
const COMPLETIONS: u32 = 4096;

/// Completions taken in one turn, so that what the woken tasks begin enters the kernel soon.
const HARVEST_MAX: usize = 128;

/// Pause before an operation or a submission that met EAGAIN is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(1);

/// `user_data` of cancellations, whose own completion tells nothing.
const CANCELLATION: u64 = u64::MAX;

/// What one ring has done, for measurements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingCounters {
    /// Operations on files begun, and waits for one readiness.
    pub operations: u64,
    /// System calls: submissions, sleeps, or both in one.
    pub enters: u64,
    /// Those of them that slept if there was nothing yet.
    pub sleeps: u64,
}

struct State {
    /// `None` once the ring is closed.
    ring: Option<IoUring>,
    slots: Slots,
    in_flight: usize,
    counters: RingCounters,
    /// Reused by every harvest.
    woken: Vec<Waker>,
}

/// One shard's ring. Lives on its thread.
pub(super) struct Ring {
    state: RefCell<State>,
    has_truncate: bool,
    closed: Cell<bool>,
}

impl Ring {
    /// Sets the ring up.
    ///
    /// `locks` are registered with the ring, which so keeps their open file descriptions (and the
    /// flock on them) alive until its last operation has ended, even after a `kill -9`.
    pub(super) fn start(locks: &[RawFd]) -> io::Result<Rc<Self>> {
        // Completions wait for a turn of ours (DEFER_TASKRUN, Linux 6.1) instead of interrupting.
        let ring = IoUring::builder()
            .setup_cqsize(COMPLETIONS)
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .build(IN_FLIGHT_MAX as u32)?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        if !locks.is_empty() {
            ring.submitter().register_files(locks)?;
        }
        let state = State {
            ring: Some(ring),
            slots: Slots::default(),
            in_flight: 0,
            counters: RingCounters::default(),
            woken: Vec::new(),
        };
        Ok(Rc::new(Ring {
            state: RefCell::new(state),
            has_truncate: probe.is_supported(opcode::Ftruncate::CODE),
            closed: Cell::new(false),
        }))
    }

    /// Whether this kernel truncates through a ring (Linux 6.9).
    pub(super) fn has_truncate(&self) -> bool {
        self.has_truncate
    }

    pub(super) fn counters(&self) -> RingCounters {
        self.state.borrow().counters
    }

    /// Queues `work` on `file`; it enters the kernel with the next turn.
    pub(super) fn begin(self: &Rc<Self>, work: Work, file: Arc<OwnedFd>) -> io::Result<Answer> {
        let operation = Operation::new(work, file);
        let mut state = self.open_for(operation.is_poll())?;
        state.counters.operations += 1;
        let slot = state.slots.operate(operation);
        Ok(Answer::new(Rc::clone(self), slot))
    }

    /// Has `watch` told from the next turn on.
    pub(super) fn watch(&self, watch: &Rc<Watch>) -> io::Result<()> {
        self.open_for(true)?.slots.watch(watch);
        Ok(())
    }

    /// Has `watch` told no more.
    pub(super) fn unwatch(&self, watch: &Watch) {
        let Some(key) = watch.key() else { return };
        let waker = self.state.borrow_mut().slots.cancel(key);
        drop(waker);
    }

    fn open_for(&self, poll: bool) -> io::Result<std::cell::RefMut<'_, State>> {
        if self.closed.get() {
            return Err(io::Error::other("the ring of this shard is closed"));
        }
        let state = self.state.borrow_mut();
        if poll && state.slots.polls() == POLLS_MAX {
            return Err(io::Error::other("too many sockets are waited for on one shard"));
        }
        Ok(state)
    }

    /// Whether a turn would bring something: to be asked while spinning.
    pub(super) fn has_completions(&self) -> bool {
        let mut state = self.state.borrow_mut();
        state.ring.as_mut().is_some_and(|ring| {
            let waiting = ring.submission().taskrun();
            waiting || !ring.completion().is_empty()
        })
    }

    /// When the ring wants its next turn of its own accord.
    pub(super) fn resume_at(&self) -> Option<Instant> {
        self.state.borrow().slots.resume_at()
    }

    /// Submits what is queued, takes what is completed and wakes whoever awaited it. With `sleep`, waits
    /// until something is completed, for so long at most.
    pub(super) fn turn(&self, now: Instant, sleep: Option<Duration>) {
        let mut state = self.state.borrow_mut();
        state.slots.resume(now);
        if let Err(error) = state.enter(sleep) {
            // EAGAIN, EBUSY and ENOMEM pass; nothing else is documented for a sound ring.
            // The entries stay in the submission queue and their buffers in their slots.
            if !is_transient(&error) {
                tracing::error!(%error, "entering the ring; trying again");
            }
            if sleep.is_some() {
                std::thread::sleep(RETRY_PAUSE);
            }
        }
        state.harvest(now);
        let mut woken = mem::take(&mut state.woken);
        drop(state);
        // Outside the borrow: a waker may run whatever its owner likes.
        woken.drain(..).for_each(Waker::wake);
        self.state.borrow_mut().woken = woken;
    }

    /// Ends the ring: cancels polls, waits until the kernel is done with every buffer, closes.
    /// Blocks the thread; called when the shard's executor has ended.
    pub(super) fn close(&self) {
        self.closed.set(true);
        let mut state = self.state.borrow_mut();
        let cancelled = state.slots.cancel_polls();
        state.woken.extend(cancelled);
        while state.in_flight > 0 || !state.slots.is_idle() {
            let now = Instant::now();
            state.slots.resume(now + RETRY_PAUSE);
            match state.enter(Some(RETRY_PAUSE)) {
                Ok(()) => {}
                Err(error) if is_transient(&error) => std::thread::sleep(RETRY_PAUSE),
                Err(error) => {
                    // The kernel may still use this memory: it is never freed.
                    tracing::error!(%error, "the ring does not end; its buffers are kept");
                    mem::forget(mem::take(&mut state.slots));
                    break;
                }
            }
            state.harvest(now);
        }
        state.ring = None;
        let woken = mem::take(&mut state.woken);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EBUSY | libc::ENOMEM))
}

impl State {
    /// Moves what may go into the submission queue; true if there is more than it holds.
    fn fill(&mut self) -> bool {
        let Some(ring) = self.ring.as_mut() else { return false };
        let mut queue = ring.submission();
        while self.in_flight < IN_FLIGHT_MAX + self.slots.polls() {
            if queue.is_full() {
                return !self.slots.is_submitted();
            }
            let (key, entry) = if let Some(key) = self.slots.next_cancellation() {
                (CANCELLATION, opcode::AsyncCancel::new(key).build())
            } else if let Some(next) = self.slots.next_entry() {
                next
            } else {
                break;
            };
            // SAFETY: the slot owns the memory and the descriptor of its entry and keeps them,
            // untouched, until the last completion that carries its key; a cancellation refers to
            // no memory.
            let pushed = unsafe { queue.push(&entry.user_data(key)) };
            debug_assert!(pushed.is_ok(), "room was checked");
            self.in_flight += 1;
        }
        false
    }

    /// Submits all that may go; enters the kernel without need only to sleep.
    fn enter(&mut self, sleep: Option<Duration>) -> io::Result<()> {
        while self.fill() {
            self.counters.enters += 1;
            match self.ring.as_mut().map_or(Ok(0), |ring| ring.submit()) {
                Ok(0) => return Err(io::Error::from_raw_os_error(libc::EAGAIN)),
                Err(error) if error.raw_os_error() != Some(libc::EINTR) => return Err(error),
                _ => {}
            }
        }
        let Some(ring) = self.ring.as_mut() else { return Ok(()) };
        let queue = ring.submission();
        let (to_submit, has_news) = (queue.len() as u32, queue.taskrun() || queue.cq_overflow());
        drop(queue);
        let entered = if let Some(longest) = sleep.filter(|_| ring.completion().is_empty()) {
            self.counters.sleeps += 1;
            let longest = Timespec::from(longest);
            ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&longest))
        } else if to_submit > 0 || has_news {
            let flags = EnterFlags::GETEVENTS.bits();
            // SAFETY: the entries that are submitted are sound, see `fill`; there is no argument.
            unsafe { ring.submitter().enter::<libc::sigset_t>(to_submit, 0, flags, None) }
        } else {
            return Ok(());
        };
        self.counters.enters += 1;
        match entered {
            Err(error) if !matches!(error.raw_os_error(), Some(libc::EINTR | libc::ETIME)) => {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    fn harvest(&mut self, now: Instant) {
        let Some(ring) = self.ring.as_mut() else { return };
        for entry in ring.completion().take(HARVEST_MAX) {
            let more = io_uring::cqueue::more(entry.flags());
            self.in_flight -= usize::from(!more);
            if entry.user_data() != CANCELLATION {
                let index = entry.user_data() as u32;
                self.woken.extend(self.slots.completed(index, entry.result(), more, now));
            }
        }
    }
}
