//! One thread under load: its lanes, and its share of the schedule.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::cpu::{CpuTime, CpuWindow};
use super::lane::{Clock, Lane, Workload};
use super::recorder::Recorder;
use super::schedule::Schedule;
use crate::error::{BenchError, system};
use crate::poller::Poller;
use crate::stop::Stop;

/// How long answers are waited for after the end.
const DRAIN_NS: u64 = 5_000_000_000;

/// Requests noticed in one go, so that sockets have their turn at whatever rate.
const RELEASES_PER_TURN: usize = 1024;

/// Refused requests after which there is no point in going on.
const REFUSALS_MAX: u64 = 100;

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
pub(crate) struct WorkerOutcome<W> {
    pub(crate) recorder: Recorder,
    pub(crate) end: WorkerEnd,
    /// CPU time of the thread within the window.
    pub(crate) cpu: CpuTime,
    /// Bytes handed to sockets.
    pub(crate) sent_bytes: u64,
    /// When the thread had ended.
    pub(crate) ended_ns: u64,
    /// What its lanes have come to know.
    pub(crate) workloads: Vec<W>,
}

/// One thread's work.
pub(crate) struct Worker<W> {
    /// Those on the schedule first.
    pub(crate) lanes: Vec<Lane<W>>,
    /// In an open loop, the thread's part of it.
    pub(crate) schedule: Option<Schedule>,
    pub(crate) recorder: Recorder,
    pub(crate) clock: Clock,
    /// Bytes that may still be sent.
    pub(crate) bytes_left: u64,
    /// Bytes sent.
    pub(crate) sent_bytes: u64,
    /// Looks at the clock until the next request is due, instead of sleeping.
    pub(crate) spin: bool,
    /// The user's wish, or another thread's failure.
    pub(crate) stop: Stop,
    pub(crate) poller: Poller,
    /// Lanes that the broker has told to hold back, and until when.
    pub(crate) held: BinaryHeap<Reverse<(u64, usize)>>,
}

impl<W: Workload> Worker<W> {
    /// Runs to the end of the window, and until the answers have come.
    pub(crate) fn run(mut self) -> WorkerOutcome<W> {
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
        for lane in &mut self.lanes {
            lane.give_up(now_ns, is_early, &mut self.recorder);
        }
        let workloads = self.lanes.into_iter().map(|lane| lane.workload).collect();
        let (recorder, cpu, sent_bytes) = (self.recorder, cpu.used(), self.sent_bytes);
        WorkerOutcome { recorder, end, cpu, sent_bytes, ended_ns: now_ns, workloads }
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
                if now_ns < end_ns && self.lanes[index].goes_on_unanswered() {
                    awake.push(index);
                }
            }
            let is_drained = now_ns >= end_ns && self.is_idle();
            let is_finished = self.lanes.iter().all(Lane::is_finished);
            if is_drained || is_finished || now_ns >= end_ns + DRAIN_NS {
                return Ok(WorkerEnd::Complete);
            }
            let is_spinning = self.spin && now_ns < end_ns;
            let timeout = match awake.is_empty() && !is_spinning {
                true => self.timeout(),
                false => Duration::ZERO,
            };
            self.poller.wait(timeout, &mut ready).map_err(system("waiting for sockets"))?;
            for ready in &ready {
                let index = ready.token as usize;
                self.receive(index)?;
                awake.push(index);
            }
        }
    }

    fn receive(&mut self, index: usize) -> Result<(), BenchError> {
        let lane = &mut self.lanes[index];
        let before_ns = lane.held_until_ns;
        lane.receive(&self.clock, &mut self.recorder)?;
        if lane.held_until_ns > before_ns {
            self.held.push(Reverse((lane.held_until_ns, index)));
        }
        Ok(())
    }

    fn is_idle(&self) -> bool {
        let end_ns = self.recorder.window().end_ns;
        let is_released = self.schedule.is_none_or(|schedule| schedule.next_ns() >= end_ns);
        is_released && self.lanes.iter().all(Lane::is_idle)
    }

    /// Makes due what is due; wakes its lanes.
    fn release(&mut self, now_ns: u64, awake: &mut Vec<usize>) {
        let end_ns = self.recorder.window().end_ns;
        let is_over = now_ns >= end_ns;
        while let Some(Reverse((until_ns, index))) = self.held.peek().copied()
            && until_ns <= now_ns
        {
            self.held.pop();
            awake.push(index);
        }
        if is_over {
            // What others have sent meanwhile may be awaited again.
            let lanes = self.lanes.iter().enumerate();
            awake.extend(lanes.filter(|(_, lane)| lane.is_wanted()).map(|(index, _)| index));
        }
        for index in awake.iter() {
            self.lanes[*index].open(is_over);
        }
        for _ in 0..RELEASES_PER_TURN {
            let Some(schedule) = self.schedule.as_mut().filter(|s| s.next_ns() < end_ns) else {
                return;
            };
            let Some((index, intended_ns)) = schedule.release(now_ns) else { return };
            self.recorder.noticed(intended_ns, now_ns);
            self.lanes[index].due += 1;
            awake.push(index);
        }
    }

    /// What was due and not even noticed is as unanswered as the rest.
    fn release_rest(&mut self, now_ns: u64) {
        let end_ns = self.recorder.window().end_ns;
        let Some(schedule) = &mut self.schedule else { return };
        while schedule.next_ns() < end_ns
            && let Some((index, intended_ns)) = schedule.release(now_ns)
        {
            self.recorder.noticed(intended_ns, now_ns);
            self.lanes[index].due += 1;
        }
    }

    fn pump(&mut self, index: usize) -> Result<(), BenchError> {
        let lane = &mut self.lanes[index];
        let sent_bytes = lane.pump(&self.clock, &mut self.recorder)?;
        self.bytes_left = self.bytes_left.saturating_sub(sent_bytes);
        self.sent_bytes = self.sent_bytes.saturating_add(sent_bytes);
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
        let next_ns = match &self.schedule {
            Some(schedule) if schedule.next_ns() < end_ns => schedule.next_ns(),
            _ if now_ns < end_ns => end_ns,
            _ => u64::MAX,
        };
        let held_ns = self.held.peek().map_or(u64::MAX, |Reverse((until_ns, _))| *until_ns);
        Duration::from_nanos(next_ns.min(held_ns).saturating_sub(now_ns).min(look_ns))
    }
}
