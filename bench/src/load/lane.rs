//! One connection under load.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::time::Instant;

use bytes::{Buf, Bytes};
use corelane_net::error_code::ErrorCode;

use super::frame::Frame;
use super::recorder::{Asked, Recorder, Work};
use crate::error::BenchError;
use crate::wire::{Filled, FrameError, Inbox, Outbox};

/// Small requests are gathered up to this before they are written.
const STAGED_BYTES: usize = 64 << 10;

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
    /// The next request.
    fn next(&mut self) -> &Frame;

    /// Reads an answer, given without its length; the correlation id is the right one.
    fn judge(&mut self, answer: &Bytes) -> Result<Judged, BenchError>;

    /// False if there is nothing left to ask for.
    fn has_more(&self) -> bool {
        true
    }

    /// False for requests that are never answered.
    fn is_answered(&self) -> bool {
        true
    }
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    /// What was done, or why not.
    pub(crate) done: Result<Work, ErrorCode>,
    pub(crate) throttle_ms: i32,
}

/// A connection, its requests on their way, and those that are due.
pub(crate) struct Lane<W> {
    pub(crate) socket: TcpStream,
    address: String,
    inbox: Inbox,
    outbox: Outbox,
    workload: W,
    in_flight: VecDeque<Asked>,
    /// Requests whose time has come and that are not sent.
    pub(crate) due: u64,
    sent: u64,
    answered: u64,
    last_answer_ns: u64,
    /// Whether the socket is watched for room to write.
    pub(crate) watched_writing: bool,
}

impl<W: Workload> Lane<W> {
    /// A connection that is open; it becomes non-blocking.
    pub(crate) fn new(
        socket: TcpStream,
        address: String,
        workload: W,
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
            in_flight: VecDeque::new(),
            due: 0,
            sent: 0,
            answered: 0,
            last_answer_ns: 0,
            watched_writing: false,
        })
    }

    /// True while the socket has no room for what is to be written.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// False if nothing wakes this lane but room in its socket.
    pub(crate) fn is_answered(&self) -> bool {
        self.workload.is_answered()
    }

    /// True if all that there was to ask for is answered.
    pub(crate) fn is_finished(&self) -> bool {
        self.in_flight.is_empty() && !self.workload.has_more()
    }

    /// True if nothing is due, on its way or unanswered.
    pub(crate) fn is_idle(&self) -> bool {
        let has_due = self.due > 0 && self.workload.has_more();
        !has_due && self.in_flight.is_empty() && self.outbox.is_empty()
    }

    /// Sends what is due, as far as socket and `depth` let it; `intended_ns` tells the time of the
    /// lane's nth request. Returns the bytes sent.
    pub(crate) fn pump(
        &mut self,
        depth: usize,
        clock: &Clock,
        intended_ns: impl Fn(u64, u64) -> u64,
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
            if self.due == 0 || self.in_flight.len() >= depth || !self.workload.has_more() {
                return Ok(sent_bytes);
            }
            let now_ns = clock.now_ns();
            while self.due > 0
                && self.in_flight.len() < depth
                && self.workload.has_more()
                && self.outbox.fresh_bytes() < STAGED_BYTES
            {
                let asked = Asked { intended_ns: intended_ns(self.sent, now_ns), sent_ns: now_ns };
                sent_bytes += self.stage(asked, recorder);
            }
        }
    }

    fn stage(&mut self, asked: Asked, recorder: &mut Recorder) -> u64 {
        let is_answered = self.workload.is_answered();
        let frame = self.workload.next();
        frame.put(self.sent as i32, self.outbox.encoder());
        self.sent += 1;
        self.due -= 1;
        if is_answered {
            self.in_flight.push_back(asked);
        } else {
            recorder.sent_unanswerable(asked.sent_ns, frame.work());
        }
        frame.len_bytes() as u64
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
        let Some(asked) = self.in_flight.pop_front().filter(|_| received == expected) else {
            return Err(BenchError::OutOfOrder { expected, received });
        };
        self.answered += 1;
        let judged = self.workload.judge(frame)?;
        recorder.throttled(judged.throttle_ms);
        match judged.done {
            Ok(work) => recorder.answered(asked, self.last_answer_ns, now_ns, work),
            Err(code) => recorder.refused(code),
        }
        self.last_answer_ns = now_ns;
        Ok(())
    }

    /// The run is over: tells the recorder what was never answered. `is_early` if it was ended
    /// before its time.
    pub(crate) fn give_up(
        &mut self,
        now_ns: u64,
        is_early: bool,
        intended_ns: impl Fn(u64, u64) -> u64,
        recorder: &mut Recorder,
    ) {
        let due = (self.sent..self.sent + self.due).map(|nth| intended_ns(nth, now_ns));
        for intended_ns in self.in_flight.drain(..).map(|asked| asked.intended_ns).chain(due) {
            if is_early {
                recorder.abandoned(intended_ns);
            } else {
                recorder.never_answered(intended_ns, now_ns);
            }
        }
        self.due = 0;
    }

    fn broken(&self, source: std::io::Error) -> BenchError {
        BenchError::Connection { address: self.address.clone(), source }
    }

    fn nonsense(&self, source: FrameError) -> BenchError {
        BenchError::Frame { address: self.address.clone(), source }
    }
}
