//! One thread under load: its lanes, and its share of the schedule.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::lane::{Clock, Lane, Workload};
use super::recorder::Recorder;
use super::schedule::Schedule;
use crate::error::{BenchError, system};
use crate::poller::Poller;
use crate::stop::Stop;

/// How long answers are waited for after the end.
const DRAIN_NS: u64 = 5_000_000_000;

/// Most requests of an open loop that are under way on one connection. One that is due beyond it
/// leaves later, and its latency counts from when it was due all the same.
const OPEN_DEPTH_MAX: usize = 1 << 16;

/// Requests noticed in one go, so that sockets have their turn at whatever rate.
const RELEASES_PER_TURN: usize = 1024;

/// Refused requests after which there is no point in going on.
const REFUSALS_MAX: u64 = 100;

/// What decides when a thread's requests leave.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pacing {
    /// So many are under way on each connection.
    InFlight(usize),
    /// A schedule that does not wait for answers.
    Scheduled(Schedule),
}

/// How a thread's part of a run has ended.
#[derive(Debug)]
pub(crate) enum WorkerEnd {
    /// When it should.
    Complete,
    /// Somebody wished it.
    Interrupted,
    /// It has sent as many bytes as it may.
    ByteLimit,
    /// The broker refused again and again.
    Refused,
    /// It could not go on.
    Failed(BenchError),
}

/// What a thread has measured.
pub(crate) struct WorkerOutcome {
    pub(crate) recorder: Recorder,
    pub(crate) end: WorkerEnd,
    /// CPU time of the thread within the window, nanoseconds.
    pub(crate) cpu_ns: u64,
}

/// One thread's work.
pub(crate) struct Worker<W> {
    pub(crate) lanes: Vec<Lane<W>>,
    pub(crate) pacing: Pacing,
    pub(crate) recorder: Recorder,
    pub(crate) clock: Clock,
    /// Bytes that may still be sent.
    pub(crate) bytes_left: u64,
    /// The user's wish, or another thread's failure.
    pub(crate) stop: Stop,
    pub(crate) poller: Poller,
}

impl<W: Workload> Worker<W> {
    /// Runs to the end of the window, and until the answers have come.
    pub(crate) fn run(mut self) -> WorkerOutcome {
        let mut cpu = CpuWindow::default();
        let end = self.go(&mut cpu).unwrap_or_else(WorkerEnd::Failed);
        let now_ns = self.clock.now_ns();
        let is_early = !matches!(end, WorkerEnd::Complete);
        if is_early {
            self.stop.set();
        }
        self.recorder.cut(now_ns);
        self.release_rest(now_ns);
        cpu.see(u64::MAX, &self.recorder);
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            let intended_ns = intended(&self.pacing, index);
            lane.give_up(now_ns, is_early, intended_ns, &mut self.recorder);
        }
        WorkerOutcome { recorder: self.recorder, end, cpu_ns: cpu.used_ns() }
    }

    fn go(&mut self, cpu: &mut CpuWindow) -> Result<WorkerEnd, BenchError> {
        let end_ns = self.recorder.window().end_ns;
        let mut ready = Vec::new();
        // Lanes that may have something to send.
        let mut awake: Vec<usize> = (0..self.lanes.len()).collect();
        let mut turn = Vec::new();
        for (index, lane) in self.lanes.iter().enumerate() {
            self.poller.add(&lane.socket, index as u64).map_err(system("waiting for sockets"))?;
        }
        loop {
            let now_ns = self.clock.now_ns();
            cpu.see(now_ns, &self.recorder);
            if self.stop.is_set() {
                return Ok(WorkerEnd::Interrupted);
            }
            if self.bytes_left == 0 {
                return Ok(WorkerEnd::ByteLimit);
            }
            if self.recorder.refusals.values().sum::<u64>() >= REFUSALS_MAX {
                return Ok(WorkerEnd::Refused);
            }
            self.release(now_ns, &mut awake);
            std::mem::swap(&mut awake, &mut turn);
            for index in turn.drain(..) {
                self.pump(index)?;
                if self.goes_on_unanswered(index, now_ns) {
                    awake.push(index);
                }
            }
            let is_drained = now_ns >= end_ns && self.is_idle();
            let is_finished = self.lanes.iter().all(Lane::is_finished);
            if is_drained || is_finished || now_ns >= end_ns + DRAIN_NS {
                return Ok(WorkerEnd::Complete);
            }
            let timeout = if awake.is_empty() { self.timeout() } else { Duration::ZERO };
            self.poller.wait(timeout, &mut ready).map_err(system("waiting for sockets"))?;
            for ready in &ready {
                let index = ready.token as usize;
                self.lanes[index].receive(&self.clock, &mut self.recorder)?;
                awake.push(index);
            }
        }
    }

    fn is_idle(&self) -> bool {
        let is_released = match &self.pacing {
            Pacing::InFlight(_) => true,
            Pacing::Scheduled(schedule) => schedule.next_ns() >= self.recorder.window().end_ns,
        };
        is_released && self.lanes.iter().all(Lane::is_idle)
    }

    /// True for a lane that no answer will wake, and that may send more at once.
    fn goes_on_unanswered(&self, index: usize, now_ns: u64) -> bool {
        let lane = &self.lanes[index];
        matches!(self.pacing, Pacing::InFlight(_))
            && !lane.is_answered()
            && !lane.is_blocked()
            && now_ns < self.recorder.window().end_ns
    }

    /// Makes due what is due; wakes its lanes.
    fn release(&mut self, now_ns: u64, awake: &mut Vec<usize>) {
        let end_ns = self.recorder.window().end_ns;
        match &mut self.pacing {
            Pacing::InFlight(depth) => {
                for index in awake.iter() {
                    // More is never sent before the next look.
                    self.lanes[*index].due = if now_ns < end_ns { *depth as u64 } else { 0 };
                }
            }
            Pacing::Scheduled(schedule) => {
                for _ in 0..RELEASES_PER_TURN {
                    if schedule.next_ns() >= end_ns {
                        return;
                    }
                    let Some((index, intended_ns)) = schedule.release(now_ns) else { return };
                    self.recorder.noticed(intended_ns, now_ns);
                    self.lanes[index].due += 1;
                    awake.push(index);
                }
            }
        }
    }

    /// What was due and not even noticed is as unanswered as the rest.
    fn release_rest(&mut self, now_ns: u64) {
        let Pacing::Scheduled(schedule) = &mut self.pacing else { return };
        let end_ns = self.recorder.window().end_ns;
        while schedule.next_ns() < end_ns
            && let Some((index, intended_ns)) = schedule.release(now_ns)
        {
            self.recorder.noticed(intended_ns, now_ns);
            self.lanes[index].due += 1;
        }
    }

    fn pump(&mut self, index: usize) -> Result<(), BenchError> {
        let depth = match self.pacing {
            Pacing::InFlight(depth) => depth,
            Pacing::Scheduled(_) => OPEN_DEPTH_MAX,
        };
        let intended_ns = intended(&self.pacing, index);
        let lane = &mut self.lanes[index];
        let sent_bytes = lane.pump(depth, &self.clock, intended_ns, &mut self.recorder)?;
        self.bytes_left = self.bytes_left.saturating_sub(sent_bytes);
        if lane.is_blocked() != lane.watched_writing {
            lane.watched_writing = lane.is_blocked();
            self.poller
                .watch(&lane.socket, index as u64, true, lane.watched_writing)
                .map_err(system("waiting for sockets"))?;
        }
        Ok(())
    }

    fn timeout(&self) -> Duration {
        let look_ns = Stop::LOOK_MS * 1_000_000;
        let now_ns = self.clock.now_ns();
        let end_ns = self.recorder.window().end_ns;
        let next_ns = match &self.pacing {
            Pacing::Scheduled(schedule) if schedule.next_ns() < end_ns => schedule.next_ns(),
            _ if now_ns < end_ns => end_ns,
            _ => u64::MAX,
        };
        Duration::from_nanos(next_ns.saturating_sub(now_ns).min(look_ns))
    }
}

/// Tells when a lane's nth request is meant to leave: in a closed loop, at once.
fn intended(pacing: &Pacing, lane: usize) -> impl Fn(u64, u64) -> u64 + use<> {
    let pacing = *pacing;
    move |nth, now_ns| match pacing {
        Pacing::InFlight(_) => now_ns,
        Pacing::Scheduled(schedule) => schedule.time_of_ns(lane, nth),
    }
}

/// CPU time of the calling thread, from the first look within the window to the first after it.
#[derive(Default)]
struct CpuWindow {
    start_ns: Option<u64>,
    end_ns: Option<u64>,
}

impl CpuWindow {
    fn see(&mut self, now_ns: u64, recorder: &Recorder) {
        let window = recorder.window();
        if self.start_ns.is_none() && now_ns >= window.start_ns {
            self.start_ns = Some(thread_cpu_ns());
        }
        if self.end_ns.is_none() && now_ns >= window.end_ns {
            self.end_ns = Some(thread_cpu_ns());
        }
    }

    fn used_ns(&self) -> u64 {
        self.end_ns.unwrap_or(0).saturating_sub(self.start_ns.unwrap_or(0))
    }
}

fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + time.tv_nsec as u64
}
