//! One client of the null broker.

use std::collections::VecDeque;
use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use corelane_net::codec::{DecodeError, Decoder, EncodeError, RequestHeader};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{Api, FetchRequest, Request, Response, is_flexible};

use super::NullBrokerReport;
use super::answers::{Outcome, State, answer, api_versions, versions};
use super::records;
use super::write_through::Ticket;
use crate::wire::{Filled, FrameError, Inbox, Outbox};

/// Largest request, as Kafka's `socket.request.max.bytes`.
const REQUEST_BYTES_MAX: usize = 100 << 20;

/// Answers that wait for the disk; with more nothing is read.
const HELD_MAX: usize = 1024;

/// Reads of one connection before the others have their turn.
const READS_PER_TURN: usize = 4;

/// Answers are gathered up to this before they are written.
const ANSWER_BYTES: usize = 64 << 10;

/// No fetch waits longer.
const FETCH_WAIT_MAX: Duration = Duration::from_secs(60);

/// Why a connection ended, other than by its client's wish.
#[derive(Debug, thiserror::Error)]
pub(super) enum Closed {
    /// The socket failed, or the disk.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Not Kafka's protocol.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A request that can't be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// An answer that can't be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// An API or version that was not offered.
    #[error("API {0} version {1} is not served")]
    Unknown(i16, i16),
}

/// An answer, where it belongs.
struct Held {
    ticket: Ticket,
    version: i16,
    correlation_id: i32,
    response: Response,
}

/// A fetch that waits for records.
struct Parked {
    request: FetchRequest,
    version: i16,
    correlation_id: i32,
    until: Instant,
}

/// A client's socket, what it sent, and what it waits for. One request at a time, in order.
pub(super) struct Connection {
    pub(super) socket: TcpStream,
    inbox: Inbox,
    outbox: Outbox,
    held: VecDeque<Held>,
    parked: Option<Parked>,
    /// What the socket is watched for: reading, writing.
    pub(super) watched: (bool, bool),
}

impl Connection {
    /// A client that has just connected, on a non-blocking socket that is watched for reading.
    pub(super) fn new(socket: TcpStream) -> Connection {
        Connection {
            socket,
            inbox: Inbox::new(REQUEST_BYTES_MAX),
            outbox: Outbox::default(),
            held: VecDeque::new(),
            parked: None,
            watched: (true, false),
        }
    }

    /// What the socket should be watched for: reading, writing.
    pub(super) fn interest(&self) -> (bool, bool) {
        let blocked = !self.outbox.is_empty();
        (!blocked && self.may_begin(), blocked)
    }

    /// When a fetch has waited enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.parked.as_ref().map(|parked| parked.until)
    }

    /// True while an answer waits for the disk.
    pub(super) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    fn may_begin(&self) -> bool {
        self.parked.is_none() && self.held.len() < HELD_MAX
    }

    /// Goes as far as socket and disk let it; false when the client has left.
    pub(super) fn advance(
        &mut self,
        state: &mut State,
        written: Ticket,
        report: &mut NullBrokerReport,
    ) -> Result<bool, Closed> {
        let mut reads_left = READS_PER_TURN;
        loop {
            // Each time: nothing may wake an answer whose batches were written before it was given.
            self.release(written)?;
            let frame = if self.may_begin() { self.inbox.next_frame()? } else { None };
            if frame.is_none() || self.outbox.fresh_bytes() >= ANSWER_BYTES {
                let is_written = self.outbox.flush(&self.socket)?;
                if !is_written && frame.is_none() {
                    return Ok(true);
                }
            }
            match frame {
                Some(frame) => self.begin(&frame, state, report)?,
                None if !self.may_begin() || reads_left == 0 => return Ok(true),
                None => match self.inbox.fill(&self.socket)? {
                    Filled::Bytes(_) => reads_left -= 1,
                    Filled::WouldBlock => return Ok(true),
                    Filled::End => return Ok(false),
                },
            }
        }
    }

    fn begin(
        &mut self,
        frame: &Bytes,
        state: &mut State,
        report: &mut NullBrokerReport,
    ) -> Result<(), Closed> {
        let mut input = Decoder::new(frame);
        let header = RequestHeader::decode(&mut input, is_flexible)?;
        let (key, version, correlation_id) =
            (header.api_key, header.api_version, header.correlation_id);
        let unknown = Closed::Unknown(key, version);
        let Some(api) = Api::from_key(key) else { return Err(unknown) };
        report.requests += 1;
        match versions(api) {
            Some(served) if served.contains(&version) => {}
            Some(_) if api == Api::ApiVersions => {
                let response = api_versions(ErrorCode::UnsupportedVersion).into();
                return self.hold(Held { ticket: 0, version: 0, correlation_id, response });
            }
            _ => return Err(unknown),
        }
        let request = Request::decode_body(api, version, input)?;
        if let Request::Produce(_) = request {
            report.produced_bytes += frame.len() as u64;
        }
        match answer(&request, version, state)? {
            Outcome::Silent => Ok(()),
            Outcome::Unknown => Err(unknown),
            Outcome::Answer(response) => {
                let ticket = state.disk.as_ref().map_or(0, |disk| disk.ticket());
                self.hold(Held { ticket, version, correlation_id, response })
            }
            Outcome::Fetched(fetched) => {
                let Request::Fetch(request) = request else { return Err(unknown) };
                self.answer_or_park(request, fetched, version, correlation_id)
            }
        }
    }

    fn answer_or_park(
        &mut self,
        request: FetchRequest,
        fetched: records::Fetched,
        version: i16,
        correlation_id: i32,
    ) -> Result<(), Closed> {
        let wait_ms = u64::try_from(request.max_wait_ms).unwrap_or(0);
        let wait = Duration::from_millis(wait_ms).min(FETCH_WAIT_MAX);
        if fetched.is_enough || wait.is_zero() {
            let response = fetched.response.into();
            return self.hold(Held { ticket: 0, version, correlation_id, response });
        }
        let until = Instant::now() + wait;
        self.parked = Some(Parked { request, version, correlation_id, until });
        Ok(())
    }

    /// Answers the fetch that waits, if it has waited enough or has enough.
    pub(super) fn retry(&mut self, state: &State, now: Instant) -> Result<bool, Closed> {
        let Some(parked) = &self.parked else { return Ok(false) };
        let fetched = records::fetch(&parked.request, &state.topics);
        if !fetched.is_enough && now < parked.until {
            return Ok(false);
        }
        let (version, correlation_id) = (parked.version, parked.correlation_id);
        self.parked = None;
        self.hold(Held { ticket: 0, version, correlation_id, response: fetched.response.into() })?;
        Ok(true)
    }

    /// Encodes the answer now, or when the disk has what it acknowledges.
    fn hold(&mut self, held: Held) -> Result<(), Closed> {
        if held.ticket > 0 || !self.held.is_empty() {
            self.held.push_back(held);
            return Ok(());
        }
        Ok(held.response.encode(held.version, held.correlation_id, self.outbox.encoder())?)
    }

    fn release(&mut self, written: Ticket) -> Result<(), Closed> {
        while self.held.front().is_some_and(|held| held.ticket <= written)
            && let Some(held) = self.held.pop_front()
        {
            held.response.encode(held.version, held.correlation_id, self.outbox.encoder())?;
        }
        Ok(())
    }
}
