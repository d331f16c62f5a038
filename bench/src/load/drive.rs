//! Threads and their merged outcome.

use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use super::connections::Connections;
use super::lane::{Clock, Lane, Rhythm, Role, Workload};
use super::recorder::{Recorder, Window};
use super::schedule::Schedule;
use super::volume::Allowance;
use super::worker::{Worker, WorkerEnd, WorkerOutcome};
use crate::cores;
use crate::error::{BenchError, system};
use crate::poller::Poller;
use crate::stop::Stop;
use crate::usage::{Observer, Usage};

/// Most requests per second of a schedule.
const REQUESTS_PER_S_MAX: f64 = 1e7;

/// How often the user's wish is looked for while the last answers are waited for.
const DRAIN_LOOK: Duration = Duration::from_millis(2);

/// What decides when requests leave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many are under way on each connection: a closed loop.
    InFlight(usize),
    /// So many requests a second of all connections together, whatever the answers do: an open loop.
    RequestsPerSecond(f64),
}

/// How to load a broker, whatever with.
#[derive(Clone, Debug)]
pub struct LoadArgs {
    /// Time that counts.
    pub duration: Duration,
    /// Time before it, which does not.
    pub warmup: Duration,
    /// Cores to run on, one thread each; empty: one thread, anywhere.
    pub cores: Vec<usize>,
    /// Bytes to send at most; then the run ends, and is marked.
    pub bytes_max: u64,
    /// Each thread looks at the clock until the next request is due, instead of sleeping: it takes
    /// a whole core, and is punctual to the microsecond.
    pub spin: bool,
    /// What may be written without being confirmed, by this run and its next ones.
    pub allowance: Allowance,
}

impl LoadArgs {
    fn check(&self, pace: Pace) -> Result<(), BenchError> {
        let wrong = |text: String| Err(BenchError::Argument(text));
        match pace {
            Pace::InFlight(0) => return wrong("nothing in flight is no load".to_owned()),
            Pace::RequestsPerSecond(rate) if !(rate > 0.0 && rate <= REQUESTS_PER_S_MAX) => {
                return wrong(format!(
                    "{rate} requests per second: expected more than 0, at most {REQUESTS_PER_S_MAX}"
                ));
            }
            _ => {}
        }
        if self.duration.is_zero() {
            return wrong("a duration of 0 measures nothing".to_owned());
        }
        Ok(())
    }
}

/// How a run has ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Complete,
    Interrupted,
    ByteLimit,
    Refused,
    Failed(BenchError),
}

/// What all threads have measured.
pub(crate) struct LoadOutcome {
    pub(crate) recorder: Recorder,
    pub(crate) ended: Ended,
    /// When the last thread had ended, nanoseconds since the run's start.
    pub(crate) ended_ns: u64,
    /// Seconds that counted.
    pub(crate) seconds: f64,
    /// The busiest thread's share of its core within them.
    pub(crate) busiest_thread: f64,
    /// The largest share of the window that a thread was ready to run and got no core.
    pub(crate) longest_wait: f64,
    /// The largest share that a thread ran, or was ready to.
    pub(crate) most_wanted: f64,
    /// Bytes handed to sockets that count towards [`LoadArgs::bytes_max`], the warm-up's included.
    pub(crate) sent_bytes: u64,
    /// Threads were busy because they were told to be.
    pub(crate) spin: bool,
    /// What the machine, this program and the broker used meanwhile.
    pub(crate) usage: Usage,
}

/// Connects each of `lanes` to its `host:port`, loads, and measures; watches the broker's process if
/// it is known. Returns the lanes' workloads as well, in no order.
///
/// # Errors
/// [`BenchError::Argument`] for a pace or a time that can't be; all others as well come only before anything is measured; later failures are the outcome's end.
pub(crate) fn drive<W: Workload>(
    lanes: Vec<(String, W)>,
    pace: Pace,
    args: &LoadArgs,
    broker_pid: Option<u32>,
    answer_bytes_max: usize,
    stop: &Stop,
) -> Result<(LoadOutcome, Vec<W>), BenchError> {
    args.check(pace)?;
    let threads = args.cores.len().clamp(1, lanes.len().max(1));
    let is_reader = |lane: &(String, W)| lane.1.role() == Role::Reader;
    let (readers, paced): (Vec<_>, Vec<_>) = lanes.into_iter().partition(is_reader);
    let start = Start::new(args, pace, threads, paced.len());
    let mut connections = Connections::open(paced.len() + readers.len())?;
    let mut shares: Vec<Vec<Lane<W>>> = (0..threads).map(|_| Vec::new()).collect();
    // Those of the schedule first, as it counts them.
    for (index, (address, workload)) in paced.into_iter().chain(readers).enumerate() {
        let (thread, place) = (index % threads, index / threads);
        let rhythm = match workload.role() {
            Role::Reader => Rhythm::InFlight(1),
            Role::Measured | Role::Aside(_) => start.rhythm(thread, place),
        };
        let socket = connections.connect(&address, stop)?;
        shares[thread].push(Lane::new(socket, address, workload, rhythm, answer_bytes_max)?);
    }
    let mut observer = Observer::new(broker_pid)?;
    let ending = Stop::new();
    let outcomes = thread::scope(|scope| {
        let spawned: Vec<_> = shares
            .into_iter()
            .enumerate()
            .map(|(thread, lanes)| {
                let (start, ending) = (&start, ending.clone());
                scope.spawn(move || start.run(thread, lanes, ending))
            })
            .collect();
        start.barrier.wait();
        start.watch(&mut observer, stop, &ending);
        // A thread of ours that panics is a fault of ours, to be seen as one.
        spawned.into_iter().map(|thread| thread.join().expect("no worker panics")).collect()
    });
    let outcomes = Result::<Vec<_>, _>::from_iter::<Vec<_>>(outcomes)?;
    Ok(merge(outcomes, args.spin, observer.usage()?))
}

/// What all threads of a run begin with.
struct Start<'a> {
    args: &'a LoadArgs,
    pace: Pace,
    threads: usize,
    /// Lanes that share the schedule.
    paced: usize,
    window: Window,
    barrier: Barrier,
    clock: OnceLock<Instant>,
    running: AtomicUsize,
}

impl<'a> Start<'a> {
    fn new(args: &'a LoadArgs, pace: Pace, threads: usize, paced: usize) -> Start<'a> {
        let ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4);
        let start_ns = ns(args.warmup);
        Start {
            args,
            pace,
            threads,
            paced,
            window: Window { start_ns, end_ns: start_ns.saturating_add(ns(args.duration)) },
            // And the thread that watches.
            barrier: Barrier::new(threads + 1),
            clock: OnceLock::new(),
            running: AtomicUsize::new(threads),
        }
    }

    fn clock(&self) -> Clock {
        Clock(*self.clock.get_or_init(Instant::now))
    }

    fn schedule(&self, thread: usize) -> Option<Schedule> {
        match self.pace {
            Pace::InFlight(_) => None,
            Pace::RequestsPerSecond(rate) => Schedule::new(rate, thread, self.threads, self.paced),
        }
    }

    /// When the requests of the thread's lane of this number leave.
    fn rhythm(&self, thread: usize, place: usize) -> Rhythm {
        match (self.pace, self.schedule(thread)) {
            (Pace::InFlight(depth), _) => Rhythm::InFlight(depth),
            (_, Some(schedule)) => Rhythm::Scheduled(schedule, place),
            (_, None) => unreachable!("a thread with a paced lane has a schedule"),
        }
    }

    fn run<W: Workload>(
        &self,
        thread: usize,
        lanes: Vec<Lane<W>>,
        ending: Stop,
    ) -> Result<WorkerOutcome<W>, BenchError> {
        let ready = cores::pin(self.args.cores.get(thread).copied())
            .and_then(|()| Poller::new().map_err(system("waiting for sockets")));
        // Whatever came of it: the others wait here.
        self.barrier.wait();
        let outcome = ready.map(|poller| {
            let worker = Worker {
                lanes,
                schedule: self.schedule(thread),
                recorder: Recorder::new(self.window),
                clock: self.clock(),
                bytes_left: self.args.bytes_max / self.threads as u64,
                sent_bytes: 0,
                spin: self.args.spin,
                stop: ending.clone(),
                poller,
                held: BinaryHeap::new(),
            };
            worker.run()
        });
        if outcome.is_err() {
            ending.set();
        }
        self.running.fetch_sub(1, Ordering::Relaxed);
        outcome
    }

    /// Looks at the machine at both ends of the window, and passes the user's wish on.
    fn watch(&self, observer: &mut Observer, stop: &Stop, ending: &Stop) {
        let clock = self.clock();
        let mut has_begun = false;
        loop {
            let now_ns = clock.now_ns();
            if !has_begun && now_ns >= self.window.start_ns {
                observer.begin();
                has_begun = true;
            }
            let is_over = now_ns >= self.window.end_ns || self.running.load(Ordering::Relaxed) == 0;
            if stop.is_set() {
                ending.set();
            }
            if is_over || stop.is_set() {
                observer.end();
                break;
            }
            let next_ns =
                if has_begun { self.window.end_ns } else { self.window.start_ns } - now_ns;
            observer.sample();
            thread::sleep(Duration::from_nanos(next_ns.min(Stop::LOOK_MS * 1_000_000)));
        }
        // The last answers may be long in coming: longer than the user has patience.
        while self.running.load(Ordering::Relaxed) > 0 {
            if stop.is_set() {
                ending.set();
            }
            thread::sleep(DRAIN_LOOK);
        }
    }
}

fn merge<W>(outcomes: Vec<WorkerOutcome<W>>, spin: bool, usage: Usage) -> (LoadOutcome, Vec<W>) {
    let mut merged: Option<Recorder> = None;
    let (mut ended, mut sent_bytes) = (Ended::Complete, 0u64);
    let (mut busiest_ns, mut waited_ns, mut wanted_ns) = (0, 0, 0);
    let (mut workloads, mut ended_ns) = (Vec::new(), 0);
    for outcome in outcomes {
        ended_ns = ended_ns.max(outcome.ended_ns);
        match &mut merged {
            None => merged = Some(outcome.recorder),
            Some(merged) => merged.merge(&outcome.recorder),
        }
        sent_bytes = sent_bytes.saturating_add(outcome.sent_bytes);
        busiest_ns = busiest_ns.max(outcome.cpu.ran_ns);
        waited_ns = waited_ns.max(outcome.cpu.waited_ns);
        wanted_ns = wanted_ns.max(outcome.cpu.ran_ns + outcome.cpu.waited_ns);
        workloads.extend(outcome.workloads);
        ended = match (ended, outcome.end) {
            // One that failed has stopped the others: it is the reason.
            (Ended::Failed(first), _) => Ended::Failed(first),
            (_, WorkerEnd::Failed(error)) => Ended::Failed(error),
            (Ended::Refused, _) | (_, WorkerEnd::Refused) => Ended::Refused,
            (Ended::ByteLimit, _) | (_, WorkerEnd::ByteLimit) => Ended::ByteLimit,
            (Ended::Interrupted, _) | (_, WorkerEnd::Interrupted) => Ended::Interrupted,
            (Ended::Complete, WorkerEnd::Complete) => Ended::Complete,
        };
    }
    let recorder = merged.unwrap_or_else(|| Recorder::new(Window { start_ns: 0, end_ns: 0 }));
    let window = recorder.window();
    let seconds = window.end_ns.saturating_sub(window.start_ns) as f64 / 1e9;
    let share = |ns: u64| if seconds > 0.0 { ns as f64 / 1e9 / seconds } else { 0.0 };
    let outcome = LoadOutcome {
        recorder,
        ended,
        ended_ns,
        seconds,
        busiest_thread: share(busiest_ns),
        longest_wait: share(waited_ns),
        most_wanted: share(wanted_ns),
        sent_bytes,
        spin,
        usage,
    };
    (outcome, workloads)
}
