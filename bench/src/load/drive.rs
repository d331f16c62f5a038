//! Threads and their merged outcome.

use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use super::lane::{Clock, Lane, Workload};
use super::recorder::{Recorder, Window};
use super::schedule::Schedule;
use super::worker::{Pacing, Worker, WorkerEnd, WorkerOutcome};
use crate::client::connect;
use crate::cores;
use crate::error::{BenchError, system};
use crate::poller::Poller;
use crate::stop::Stop;
use crate::usage::{Observer, Usage};

/// Most requests per second of a schedule.
const REQUESTS_PER_S_MAX: f64 = 1e7;

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
    /// Seconds that counted.
    pub(crate) seconds: f64,
    /// The busiest thread's share of its core within them.
    pub(crate) busiest_thread: f64,
    /// What the machine, this program and the broker used meanwhile.
    pub(crate) usage: Usage,
}

/// Connects each of `lanes` to its `host:port`, loads, and measures; watches the broker's process if
/// it is known.
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
) -> Result<LoadOutcome, BenchError> {
    args.check(pace)?;
    let threads = args.cores.len().clamp(1, lanes.len().max(1));
    let mut shares: Vec<Vec<Lane<W>>> = (0..threads).map(|_| Vec::new()).collect();
    for (index, (address, workload)) in lanes.into_iter().enumerate() {
        let socket: TcpStream = connect(&address)?;
        shares[index % threads].push(Lane::new(socket, address, workload, answer_bytes_max)?);
    }
    let mut observer = Observer::new(broker_pid)?;
    let start = Start::new(args, pace, threads);
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
    Ok(merge(outcomes, observer.usage()?))
}

/// What all threads of a run begin with.
struct Start<'a> {
    args: &'a LoadArgs,
    pace: Pace,
    threads: usize,
    window: Window,
    barrier: Barrier,
    clock: OnceLock<Instant>,
    running: AtomicUsize,
}

impl<'a> Start<'a> {
    fn new(args: &'a LoadArgs, pace: Pace, threads: usize) -> Start<'a> {
        let ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4);
        let start_ns = ns(args.warmup);
        Start {
            args,
            pace,
            threads,
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

    fn run<W: Workload>(
        &self,
        thread: usize,
        lanes: Vec<Lane<W>>,
        ending: Stop,
    ) -> Result<WorkerOutcome, BenchError> {
        let ready = cores::pin(self.args.cores.get(thread).copied())
            .and_then(|()| Poller::new().map_err(system("waiting for sockets")));
        // Whatever came of it: the others wait here.
        self.barrier.wait();
        let outcome = ready.map(|poller| {
            let pacing = match self.pace {
                Pace::InFlight(depth) => Pacing::InFlight(depth),
                Pace::RequestsPerSecond(rate) => {
                    Pacing::Scheduled(Schedule::new(rate, thread, self.threads, lanes.len()))
                }
            };
            let bytes_left = self.args.bytes_max / self.threads as u64;
            let recorder = Recorder::new(self.window);
            let clock = self.clock();
            Worker { lanes, pacing, recorder, clock, bytes_left, stop: ending.clone(), poller }
                .run()
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
                return observer.end();
            }
            let next_ns =
                if has_begun { self.window.end_ns } else { self.window.start_ns } - now_ns;
            observer.sample();
            thread::sleep(Duration::from_nanos(next_ns.min(Stop::LOOK_MS * 1_000_000)));
        }
    }
}

fn merge(outcomes: Vec<WorkerOutcome>, usage: Usage) -> LoadOutcome {
    let mut merged: Option<Recorder> = None;
    let (mut ended, mut busiest_ns) = (Ended::Complete, 0);
    for outcome in outcomes {
        match &mut merged {
            None => merged = Some(outcome.recorder),
            Some(merged) => merged.merge(&outcome.recorder),
        }
        busiest_ns = busiest_ns.max(outcome.cpu_ns);
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
    let busiest_thread = if seconds > 0.0 { busiest_ns as f64 / 1e9 / seconds } else { 0.0 };
    LoadOutcome { recorder, ended, seconds, busiest_thread, usage }
}
