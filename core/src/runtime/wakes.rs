//! Who was woken: by the shard itself, and by other threads.
//!
//! Every task of a shard has a waker of ours around the executor's. On the shard's thread it wakes the task and
//! notes that somebody is up, so that the [`super::reactor`] does not sleep. On another thread it sends
//! the executor's waker home through a queue, and rings: only a shard that sleeps, or is about to, has its
//! eventfd written to, which is a system call and the wake-up of a core.

use std::cell::Cell;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Wake, Waker};

thread_local! {
    /// Address of the `Doorbell` of the shard on this thread; 0 on other threads.
    static HOME: Cell<usize> = const { Cell::new(0) };
}

/// The side of a shard that other threads know.
pub(super) struct Doorbell {
    events: Arc<OwnedFd>,
    queue: Sender<Waker>,
    /// There is something in the queue.
    rung: AtomicBool,
    /// The shard does not look at the queue before its eventfd is written to.
    asleep: AtomicBool,
    /// Somebody was woken at home; of no concern to other threads.
    up: AtomicBool,
}

impl Doorbell {
    fn is_here(&self) -> bool {
        HOME.get() == std::ptr::from_ref(self).addr()
    }

    /// Has `waker` woken on the shard's own thread.
    fn send(&self, waker: Waker) {
        // A shard that has ended has no tasks to wake.
        let _ = self.queue.send(waker);
        // With `Wakes::lie_down`: of two that each write one flag and then read the other's, at least one
        // sees what the other wrote (both are sequentially consistent).
        self.rung.store(true, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            self.notify();
        }
    }

    fn notify(&self) {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: the descriptor is open and the eight bytes outlive the call. It fails only if
        // the counter is full, which takes 2^64 calls.
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
            self.home.up.store(true, Ordering::Relaxed);
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
    ended: Cell<bool>,
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
            Arc::new(OwnedFd::from_raw_fd(fd))
        };
        let (send, queue) = channel();
        let doorbell = Arc::new(Doorbell {
            events,
            queue: send,
            rung: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            up: AtomicBool::new(true),
        });
        HOME.set(Arc::as_ptr(&doorbell).addr());
        Ok(Rc::new(Wakes { doorbell, queue, ended: Cell::new(false) }))
    }

    /// The eventfd that wakes the shard when it is written to. Nobody reads it: each write counts.
    pub(super) fn events(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.doorbell.events)
    }

    /// A waker for the task whose waker of the executor is `waker`; works on every thread.
    pub(super) fn waker(&self, waker: &Waker) -> Waker {
        Waker::from(Arc::new(TaskWaker { home: self.doorbell.clone(), waker: waker.clone() }))
    }

    /// A task was put into the executor's queue.
    pub(super) fn spawned(&self) {
        self.doorbell.up.store(true, Ordering::Relaxed);
    }

    /// Whether anybody was woken since the round began.
    pub(super) fn is_anybody_up(&self) -> bool {
        self.doorbell.up.load(Ordering::Relaxed)
    }

    /// Whoever was woken before runs before the reactor's next turn.
    pub(super) fn round_begins(&self) {
        self.doorbell.up.store(false, Ordering::Relaxed);
    }

    /// Whether another thread wants somebody woken.
    pub(super) fn is_called(&self) -> bool {
        self.doorbell.rung.load(Ordering::Relaxed)
    }

    /// Wakes whom other threads want woken.
    pub(super) fn answer(&self) {
        // Whoever sends from here on rings again; what was sent before is in the queue.
        if !self.is_called() || !self.doorbell.rung.swap(false, Ordering::SeqCst) {
            return;
        }
        while let Ok(waker) = self.queue.try_recv() {
            self.spawned();
            waker.wake();
        }
    }

    /// The shard is about to sleep until its eventfd is written to; false if it must not.
    pub(super) fn lie_down(&self) -> bool {
        self.doorbell.asleep.store(true, Ordering::SeqCst);
        let quiet = !self.doorbell.rung.load(Ordering::SeqCst);
        if !quiet {
            self.get_up();
        }
        quiet
    }

    /// The shard looks at the queue again.
    pub(super) fn get_up(&self) {
        self.doorbell.asleep.store(false, Ordering::SeqCst);
    }

    /// The shard's tasks run no more.
    pub(super) fn end(&self) {
        self.ended.set(true);
    }

    /// Whether [`Wakes::end`] was called.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// This thread is a shard no longer.
    pub(super) fn leave() {
        HOME.set(0);
    }
}
