//! One connection under load.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::time::Instant;

use bytes::{Buf, Bytes};
use corelane_net::codec::Encoder;
use corelane_net::error_code::ErrorCode;

use super::recorder::{Asked, Recorder, Work};
use super::schedule::Schedule;
use crate::error::BenchError;
use crate::wire::{Filled, FrameError, Inbox, Outbox};

/// Small requests are gathered up to this before they are written.
const STAGED_BYTES: usize = 64 << 10;

/// Most requests of an open loop that are under way on one connection. One that is due beyond it
/// leaves later, and its latency counts from when it was due all the same.
const OPEN_DEPTH_MAX: usize = 1 << 16;

/// Nanoseconds since the run's start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(pub(crate) Instant);

impl Clock {
    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// What a lane sends, and what it makes of the answers.
pub(crate) trait Workload: Send {
    /// Writes the next request.
    fn put(&mut self, turn: Turn, out: &mut Encoder) -> Result<Put, BenchError>;

    /// Reads an answer; the correlation id is the right one.
    fn judge(&mut self, answer: Answer<'_>, recorder: &mut Recorder) -> Result<Judged, BenchError>;

    /// What its requests are to the run.
    fn role(&self) -> Role {
        Role::Measured
    }

    /// False if there is nothing left to ask for.
    fn has_more(&self) -> bool {
        true
    }

    /// True if it must go on although the time is over.
    fn is_awaited(&self) -> bool {
        false
    }

    /// False for requests that are never answered.
    fn is_answered(&self) -> bool {
        true
    }
}

/// What a lane's requests are to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// They leave at the run's pace, and their latency is the run's.
    Measured,
    /// They leave at the run's pace, and are told of by this name beside what is measured.
    Aside(&'static str),
    /// One is always under way, whatever the pace; what counts it tells the recorder itself.
    Reader,
}

/// A request's turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) correlation_id: i32,
    pub(crate) asked: Asked,
}

/// A request that was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Put {
    /// On the wire.
    pub(crate) bytes: u64,
    /// What it carries.
    pub(crate) work: Work,
}

/// An answer, and what it answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    /// Without its length.
    pub(crate) frame: &'a Bytes,
    /// What the request carried.
    pub(crate) work: Work,
    pub(crate) now_ns: u64,
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    /// What was done, or why not.
    pub(crate) done: Result<Work, ErrorCode>,
    pub(crate) throttle_ms: i32,
    /// The kind of request, where a lane has several: they are told of apart as well.
    pub(crate) part: Option<&'static str>,
}

impl Judged {
    pub(crate) fn new(done: Result<Work, ErrorCode>, throttle_ms: i32) -> Judged {
        Judged { done, throttle_ms, part: None }
    }
}

/// When a lane's requests leave.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rhythm {
    /// So many are under way.
    InFlight(usize),
    /// As the schedule says, in which this is the thread's lane of this number.
    Scheduled(Schedule, usize),
}

impl Rhythm {
    /// When the nth request is meant to leave: in a closed loop, at once.
    fn intended_ns(&self, nth: u64, now_ns: u64) -> u64 {
        match self {
            Rhythm::InFlight(_) => now_ns,
            Rhythm::Scheduled(schedule, lane) => schedule.time_of_ns(*lane, nth),
        }
    }
}

struct InFlight {
    asked: Asked,
    work: Work,
}

/// A connection, its requests on their way, and those that are due.
pub(crate) struct Lane<W> {
    pub(crate) socket: TcpStream,
    address: String,
    inbox: Inbox,
    outbox: Outbox,
    pub(crate) workload: W,
    rhythm: Rhythm,
    in_flight: VecDeque<InFlight>,
    /// Requests whose time has come and that are not sent.
    pub(crate) due: u64,
    sent: u64,
    answered: u64,
    last_answer_ns: u64,
    /// Nothing is sent before, because the broker has said so (KIP-219).
    pub(crate) held_until_ns: u64,
    /// Whether the socket is watched for room to write.
    pub(crate) watched_writing: bool,
}

impl<W: Workload> Lane<W> {
    /// A connection that is open; it becomes non-blocking.
    pub(crate) fn new(
        socket: TcpStream,
        address: String,
        workload: W,
        rhythm: Rhythm,
        answer_bytes_max: usize,
    ) -> Result<Lane<W>, BenchError> {
        socket
            .set_nonblocking(true)
            .map_err(|source| BenchError::Connection { address: address.clone(), source })?;
        Ok(Lane {
            socket,
            address,
            inbox: Inbox::new(answer_bytes_max),
            outbox: Outbox::default(),
            workload,
            rhythm,
            in_flight: VecDeque::new(),
            due: 0,
            sent: 0,
            answered: 0,
            last_answer_ns: 0,
            held_until_ns: 0,
            watched_writing: false,
        })
    }

    /// True while the socket has no room for what is to be written.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// True if all that there was to ask for is answered.
    pub(crate) fn is_finished(&self) -> bool {
        self.in_flight.is_empty() && !self.workload.has_more()
    }

    /// True if nothing is due, on its way, unanswered or awaited.
    pub(crate) fn is_idle(&self) -> bool {
        let has_due = match self.rhythm {
            Rhythm::InFlight(_) => self.workload.is_awaited(),
            Rhythm::Scheduled(..) => self.due > 0 && self.workload.has_more(),
        };
        !has_due && self.in_flight.is_empty() && self.outbox.is_empty()
    }

    /// True if it rests although more of it is awaited.
    pub(crate) fn is_wanted(&self) -> bool {
        self.in_flight.is_empty() && self.workload.is_awaited()
    }

    /// In a closed loop, lets it send as much as may be under way; once the time is over, only what
    /// is awaited.
    pub(crate) fn open(&mut self, is_over: bool) {
        if let Rhythm::InFlight(depth) = self.rhythm {
            // More is never sent before the next look.
            self.due = if is_over && !self.workload.is_awaited() { 0 } else { depth as u64 };
        }
    }

    /// True if it may be sent another request at once without an answer to any.
    pub(crate) fn goes_on_unanswered(&self) -> bool {
        matches!(self.rhythm, Rhythm::InFlight(_))
            && !self.workload.is_answered()
            && self.outbox.is_empty()
    }

    fn may_stage(&self) -> bool {
        let depth = match self.rhythm {
            Rhythm::InFlight(depth) => depth,
            Rhythm::Scheduled(..) => OPEN_DEPTH_MAX,
        };
        self.due > 0 && self.in_flight.len() < depth && self.workload.has_more()
    }

    /// Sends what is due, as far as the socket, the depth and the broker's wish let it. Returns the
    /// bytes sent.
    pub(crate) fn pump(
        &mut self,
        clock: &Clock,
        recorder: &mut Recorder,
    ) -> Result<u64, BenchError> {
        let mut sent_bytes = 0;
        loop {
            if !self.outbox.is_empty() {
                let flushed = self.outbox.flush(&self.socket);
                if !flushed.map_err(|source| self.broken(source))? {
                    return Ok(sent_bytes);
                }
            }
            if !self.may_stage() {
                return Ok(sent_bytes);
            }
            let now_ns = clock.now_ns();
            if now_ns < self.held_until_ns {
                return Ok(sent_bytes);
            }
            while self.may_stage() && self.outbox.fresh_bytes() < STAGED_BYTES {
                let intended_ns = self.rhythm.intended_ns(self.sent, now_ns);
                sent_bytes += self.stage(Asked { intended_ns, sent_ns: now_ns }, recorder)?;
            }
        }
    }

    fn stage(&mut self, asked: Asked, recorder: &mut Recorder) -> Result<u64, BenchError> {
        let turn = Turn { correlation_id: self.sent as i32, asked };
        let put = self.workload.put(turn, self.outbox.encoder())?;
        self.sent += 1;
        self.due -= 1;
        if self.workload.is_answered() {
            self.in_flight.push_back(InFlight { asked, work: put.work });
        } else {
            match self.workload.role() {
                Role::Measured => recorder.sent_unanswerable(asked.sent_ns, put.work),
                Role::Aside(part) => recorder.sent_part(part, asked.sent_ns, put.work),
                Role::Reader => {}
            }
        }
        Ok(put.bytes)
    }

    /// Reads once and takes the answers that are complete.
    pub(crate) fn receive(
        &mut self,
        clock: &Clock,
        recorder: &mut Recorder,
    ) -> Result<(), BenchError> {
        match self.inbox.fill(&self.socket).map_err(|source| self.broken(source))? {
            Filled::Bytes(_) => {}
            Filled::WouldBlock => return Ok(()),
            Filled::End => return Err(BenchError::Closed { address: self.address.clone() }),
        }
        let now_ns = clock.now_ns();
        while let Some(frame) = self.inbox.next_frame().map_err(|source| self.nonsense(source))? {
            self.take(&frame, now_ns, recorder)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        frame: &Bytes,
        now_ns: u64,
        recorder: &mut Recorder,
    ) -> Result<(), BenchError> {
        let received = (&frame[..])
            .try_get_i32()
            .map_err(|_| self.nonsense(FrameError::Short { length: frame.len() }))?;
        let expected = self.answered as i32;
        let Some(sent) = self.in_flight.pop_front().filter(|_| received == expected) else {
            return Err(BenchError::OutOfOrder { expected, received });
        };
        self.answered += 1;
        let answer = Answer { frame, work: sent.work, now_ns };
        let judged = self.workload.judge(answer, recorder)?;
        if let Ok(throttle_ms @ 1..) = u64::try_from(judged.throttle_ms) {
            recorder.throttled(throttle_ms);
            self.held_until_ns = self.held_until_ns.max(now_ns + throttle_ms * 1_000_000);
        }
        let (asked, before_ns) = (sent.asked, self.last_answer_ns);
        match (judged.done, self.workload.role()) {
            (Err(code), _) => recorder.refused(code),
            (Ok(work), Role::Measured) => {
                recorder.answered(asked, before_ns, now_ns, work);
                if let Some(part) = judged.part {
                    recorder.answered_part(part, asked, now_ns, work);
                }
            }
            (Ok(work), Role::Aside(part)) => recorder.answered_part(part, asked, now_ns, work),
            (Ok(_), Role::Reader) => {}
        }
        self.last_answer_ns = now_ns;
        Ok(())
    }

    /// The run is over: tells the recorder what was never answered. `is_early` if it was ended
    /// before its time.
    pub(crate) fn give_up(&mut self, now_ns: u64, is_early: bool, recorder: &mut Recorder) {
        let due = std::mem::take(&mut self.due);
        let due = match self.rhythm {
            Rhythm::InFlight(_) => 0,
            Rhythm::Scheduled(..) => due,
        };
        let due = (self.sent..self.sent + due).map(|nth| self.rhythm.intended_ns(nth, now_ns));
        for intended_ns in self.in_flight.drain(..).map(|sent| sent.asked.intended_ns).chain(due) {
            match self.workload.role() {
                Role::Measured if !is_early => recorder.never_answered(intended_ns, now_ns),
                Role::Measured | Role::Aside(_) => recorder.abandoned(intended_ns),
                Role::Reader => {}
            }
        }
    }

    fn broken(&self, source: std::io::Error) -> BenchError {
        BenchError::Connection { address: self.address.clone(), source }
    }

    fn nonsense(&self, source: FrameError) -> BenchError {
        BenchError::Frame { address: self.address.clone(), source }
    }
}
