//! Wake-ups from other threads, and regular passes of the executor's reactor.
//!
//! glommio 0.9 may lose wake-ups. Its run loop looks at its latency ring before it runs the first
//! task of a pass; if an entry came in just then (the preemption timer, or the eventfd by which
//! another thread announces a wake-up), it runs nothing, finds no new event either and sleeps on
//! a queue of runnable tasks. With a preemption timer of 500 us a ping-pong between two shards
//! hangs within seconds; with its default of 100 ms the same needs more bad luck. So neither is
//! used: the preemption timer is set beyond reach, and our tasks' wakers carry a wake-up from
//! another thread through a queue and an eventfd of the shard's own, which a task reads through
//! the main ring. Without the timer, busy tasks would keep the reactor from ever looking at
//! sockets and timers; so every [`POLLS_PER_PASS`] polls, and after [`PASS_MAX`] where a task yields,
//! all runnable tasks wait until the reactor has brought the shard's own eventfd.
//!
//! Two ways into that trap remain that are not ours to close: more completions in one pass than a
//! ring has entries, and a timer that ends while it is cancelled. [`beat`] bounds their harm.

use std::cell::{Cell, RefCell};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

/// Polls of tasks after which the reactor has its turn: at 2 to 5 us a poll about 0.5 ms.
const POLLS_PER_PASS: u32 = 128;

/// A task that yields has worked for longer than others do: so long after its last turn the reactor
/// has the next one, however few polls there were.
const PASS_MAX: Duration = Duration::from_micros(200);

/// How long tasks can be left lying by the executor, at most.
const BEAT_INTERVAL: Duration = Duration::from_millis(100);

/// Wakes the executor regularly, for about 0.1% of a core. Not in this crate's tests, which are to
/// hang if wake-ups are lost, rather than pass slowly.
pub(super) async fn beat() {
    while !cfg!(test) {
        glommio::timer::sleep(BEAT_INTERVAL).await;
    }
}

thread_local! {
    /// Address of the `Doorbell` of the shard on this thread; 0 on other threads.
    static HOME: Cell<usize> = const { Cell::new(0) };
}

/// The side of a shard that other threads know.
pub(super) struct Doorbell {
    events: OwnedFd,
    rung: AtomicBool,
    queue: Sender<Waker>,
}

impl Doorbell {
    fn is_here(&self) -> bool {
        HOME.get() == std::ptr::from_ref(self).addr()
    }

    /// Has `waker` woken on the shard's own thread.
    fn send(&self, waker: Waker) {
        // A shard that has ended has no tasks to wake.
        let _ = self.queue.send(waker);
        self.ring();
    }

    /// Makes the eventfd readable, once until the shard answers.
    fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            self.notify();
        }
    }

    fn notify(&self) {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: the descriptor is open and the eight bytes outlive the call. It fails only if
        // the counter is full, and then it is readable already.
        unsafe { libc::write(self.events.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }
}

/// A task's waker: at home the executor's own, elsewhere by way of the doorbell.
struct TaskWaker {
    home: Arc<Doorbell>,
    waker: Waker,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.home.is_here() {
            self.waker.wake_by_ref();
        } else {
            self.home.send(self.waker.clone());
        }
    }
}

impl Drop for TaskWaker {
    fn drop(&mut self) {
        // The executor's waker, dropped elsewhere, may use the executor's eventfd: send it home.
        if !self.home.is_here() {
            let waker = mem::replace(&mut self.waker, Waker::noop().clone());
            self.home.send(waker);
        }
    }
}

/// The side of the doorbell on the shard's thread.
pub(super) struct Wakes {
    doorbell: Arc<Doorbell>,
    queue: Receiver<Waker>,
    polls: Cell<u32>,
    /// When the reactor has last had its turn.
    passed: Cell<Instant>,
    deferred: RefCell<Vec<Waker>>,
}

impl Wakes {
    /// Makes this thread the home of a new doorbell.
    pub(super) fn start() -> io::Result<Rc<Self>> {
        // SAFETY: eventfd takes no pointers; a non-negative result is a descriptor of ours alone.
        let events = unsafe {
            let fd = libc::eventfd(0, libc::EFD_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        let (send, queue) = channel();
        let doorbell = Arc::new(Doorbell { events, rung: AtomicBool::new(false), queue: send });
        HOME.set(Arc::as_ptr(&doorbell).addr());
        Ok(Rc::new(Wakes {
            doorbell,
            queue,
            polls: Cell::new(0),
            passed: Cell::new(Instant::now()),
            deferred: RefCell::new(Vec::new()),
        }))
    }

    /// The eventfd; whoever reads it calls [`Wakes::answer`].
    pub(super) fn events(&self) -> &OwnedFd {
        &self.doorbell.events
    }

    /// A waker for the task whose waker of the executor is `waker`; works on every thread.
    pub(super) fn waker(&self, waker: &Waker) -> Waker {
        Waker::from(Arc::new(TaskWaker { home: self.doorbell.clone(), waker: waker.clone() }))
    }

    /// Whether a task may be polled now. If not, `waker` is woken when the reactor had its turn.
    pub(super) fn may_poll(&self, waker: &Waker) -> bool {
        let polls = self.polls.get() + 1;
        if polls <= POLLS_PER_PASS {
            self.polls.set(polls);
            return true;
        }
        let mut deferred = self.deferred.borrow_mut();
        deferred.push(waker.clone());
        if deferred.len() == 1 {
            self.doorbell.notify();
        }
        false
    }

    /// A task yields: whatever is runnable waits for the reactor if that had no turn for long.
    pub(super) fn yielded(&self) {
        if self.passed.get().elapsed() >= PASS_MAX {
            self.polls.set(POLLS_PER_PASS);
        }
    }

    /// Wakes what others asked to wake, and what waited for this pass of the reactor.
    pub(super) fn answer(&self) {
        self.polls.set(0);
        self.passed.set(Instant::now());
        let mut deferred = mem::take(&mut *self.deferred.borrow_mut());
        deferred.drain(..).for_each(Waker::wake);
        *self.deferred.borrow_mut() = deferred;
        // Whoever sends from here on rings again; what was sent before is in the queue.
        self.doorbell.rung.swap(false, Ordering::SeqCst);
        while let Ok(waker) = self.queue.try_recv() {
            waker.wake();
        }
    }

    /// This thread is a shard no longer.
    pub(super) fn leave() {
        HOME.set(0);
    }
}
