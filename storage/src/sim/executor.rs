//! Tasks and time.
//!
//! One thread. Of all tasks that can run, a random one is polled; a poll takes up to two
//! microseconds of virtual time. When none can run, the clock jumps to the next timer. A crash
//! drops every task and timer where it stands.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::rng::Rng;

/// Wall clock at virtual time 0: 2026-01-01.
const EPOCH_MS: i64 = 1_767_225_600_000;

/// A run that takes longer hangs.
const RUN_TIME_MAX: Duration = Duration::from_secs(600);

type BoxedTask = Pin<Box<dyn Future<Output = ()>>>;
type TimerKey = (Duration, u64);

struct Task {
    future: BoxedTask,
    waker: Arc<TaskWaker>,
}

/// Ids of tasks that can run. Wakers may be sent to other threads, hence the mutex.
type Ready = Arc<Mutex<Vec<u64>>>;

struct TaskWaker {
    id: u64,
    queued: AtomicBool,
    ready: Ready,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.ready.lock().unwrap().push(self.id);
        }
    }
}

pub(crate) struct Executor {
    rng: Rng,
    ready: Ready,
    tasks: RefCell<BTreeMap<u64, Task>>,
    timers: RefCell<BTreeMap<TimerKey, Box<dyn FnOnce()>>>,
    next_id: Cell<u64>,
    clock: Cell<Duration>,
    wall_shift_ms: Cell<i64>,
    /// Number of crashes so far: which process is running.
    process: Cell<u64>,
    crash_requested: Cell<bool>,
    crashing: Cell<bool>,
}

impl Executor {
    pub(super) fn new(rng: Rng) -> Rc<Self> {
        Rc::new(Executor {
            rng,
            ready: Ready::default(),
            tasks: RefCell::default(),
            timers: RefCell::default(),
            next_id: Cell::new(0),
            clock: Cell::new(Duration::ZERO),
            wall_shift_ms: Cell::new(0),
            process: Cell::new(0),
            crash_requested: Cell::new(false),
            crashing: Cell::new(false),
        })
    }

    pub(super) fn rng(&self) -> &Rng {
        &self.rng
    }

    pub(super) fn process(&self) -> u64 {
        self.process.get()
    }

    pub(super) fn now(&self) -> Duration {
        self.clock.get()
    }

    pub(super) fn wall_ms(&self) -> i64 {
        EPOCH_MS + self.wall_shift_ms.get() + self.clock.get().as_millis() as i64
    }

    pub(super) fn shift_wall_clock(&self, by: Duration, back: bool) {
        let by = by.as_millis() as i64;
        self.wall_shift_ms.set(self.wall_shift_ms.get() + if back { -by } else { by });
    }

    fn fresh_id(&self) -> u64 {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        id
    }

    fn waker(&self, id: u64) -> Arc<TaskWaker> {
        let waker = TaskWaker { id, queued: AtomicBool::new(false), ready: self.ready.clone() };
        let waker = Arc::new(waker);
        waker.clone().wake();
        waker
    }

    /// Adds a task; it first runs when the present poll is over.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        if self.crashing.get() {
            return; // a destructor tried; the process is dying
        }
        let id = self.fresh_id();
        let task = Task { future: Box::pin(future), waker: self.waker(id) };
        self.tasks.borrow_mut().insert(id, task);
    }

    /// Calls `action` when `delay` has passed.
    pub(super) fn after(&self, delay: Duration, action: Box<dyn FnOnce()>) -> TimerKey {
        let key = (self.clock.get() + delay, self.fresh_id());
        self.timers.borrow_mut().insert(key, action);
        key
    }

    pub(super) fn cancel(&self, key: TimerKey) {
        let action = self.timers.borrow_mut().remove(&key);
        drop(action);
    }

    /// Makes the present run end with `None`.
    pub(super) fn request_crash(&self) {
        self.crash_requested.set(true);
    }

    pub(super) fn run<F: Future>(&self, main: F) -> Option<F::Output> {
        let mut main = pin!(main);
        let main_id = self.fresh_id();
        let main_waker = self.waker(main_id);
        let deadline = self.clock.get() + RUN_TIME_MAX;
        loop {
            if self.crash_requested.get() {
                return None;
            }
            assert!(self.clock.get() < deadline, "hangs: {RUN_TIME_MAX:?} have passed");
            self.fire_due_timers();
            let Some(id) = self.pick_ready() else {
                self.jump_to_next_timer();
                continue;
            };
            self.clock.set(self.clock.get() + Duration::from_nanos(self.rng.within(0..2_000)));
            if id == main_id {
                main_waker.queued.store(false, Ordering::Relaxed);
                let waker = Waker::from(main_waker.clone());
                if let Poll::Ready(out) = main.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return Some(out);
                }
            } else {
                self.poll_task(id);
            }
        }
    }

    fn pick_ready(&self) -> Option<u64> {
        let mut ready = self.ready.lock().unwrap();
        if ready.is_empty() {
            return None;
        }
        let at = self.rng.within(0..ready.len() as u64) as usize;
        Some(ready.swap_remove(at))
    }

    fn poll_task(&self, id: u64) {
        // Out of the map while it is polled: it may spawn. Gone, if it was woken after its end.
        let Some(mut task) = self.tasks.borrow_mut().remove(&id) else { return };
        task.waker.queued.store(false, Ordering::Relaxed);
        let waker = Waker::from(task.waker.clone());
        if task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            self.tasks.borrow_mut().insert(id, task);
        }
    }

    fn fire_due_timers(&self) {
        while !self.crash_requested.get() {
            let mut timers = self.timers.borrow_mut();
            match timers.first_key_value() {
                Some((&(time, _), _)) if time <= self.clock.get() => {}
                _ => return,
            }
            let (_, action) = timers.pop_first().expect("just seen");
            drop(timers);
            action();
        }
    }

    fn jump_to_next_timer(&self) {
        let next = self.timers.borrow().first_key_value().map(|(&(time, _), _)| time);
        let next = next.expect("deadlock: no task can run and no timer will fire");
        self.clock.set(next.max(self.clock.get()));
    }

    pub(super) fn crash(&self) {
        self.crashing.set(true);
        // Dropping a task may wake or cancel others: never while a collection is borrowed.
        let tasks = std::mem::take(&mut *self.tasks.borrow_mut());
        drop(tasks);
        let timers = std::mem::take(&mut *self.timers.borrow_mut());
        drop(timers);
        self.ready.lock().unwrap().clear();
        self.crashing.set(false);
        self.crash_requested.set(false);
        self.process.set(self.process.get() + 1);
    }
}

/// Resolves when its time has come; taking it away cancels the timer.
pub(super) struct Sleep {
    executor: Rc<Executor>,
    duration: Duration,
    state: Rc<RefCell<SleepState>>,
}

#[derive(Default)]
struct SleepState {
    timer: Option<TimerKey>,
    fired: bool,
    waker: Option<Waker>,
}

impl Sleep {
    pub(super) fn new(executor: Rc<Executor>, duration: Duration) -> Self {
        Sleep { executor, duration, state: Rc::default() }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        if state.fired {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        if state.timer.is_none() {
            let shared = self.state.clone();
            let fire = move || {
                let mut state = shared.borrow_mut();
                state.fired = true;
                if let Some(waker) = state.waker.take() {
                    waker.wake();
                }
            };
            state.timer = Some(self.executor.after(self.duration, Box::new(fire)));
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.state.borrow().timer {
            self.executor.cancel(timer);
        }
    }
}
