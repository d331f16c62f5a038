//! One connection to one broker: requests out, answers in, in the order of the requests.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::foreign::{Foreign, SHOWN_BYTES};
use super::negotiation::{self, Verdict};
use super::{Address, ClientError, Settings};
use crate::codec::Encoder;
use crate::messages::{Api, ApiVersion, Request, Response};

/// No wait is longer without a look at whether the user wishes to stop.
const LOOK: Duration = Duration::from_millis(50);

/// Largest answer to the first question; a broker's has about 600 bytes.
const FIRST_ANSWER_BYTES_MAX: usize = 1 << 20;

/// How long to wait for the rest of a stranger's first line.
const STRANGER_WAIT: Duration = Duration::from_millis(200);

/// A connection whose broker is known to be one. After an error other than one of encoding or of
/// versions it is of no more use ([`Connection::is_broken`]).
#[derive(Debug)]
pub struct Connection {
    socket: TcpStream,
    address: Address,
    settings: Settings,
    offered: Vec<ApiVersion>,
    correlation_id: i32,
    /// Requests whose answers are due.
    asked: VecDeque<Asked>,
    is_broken: bool,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    correlation_id: i32,
    api: Api,
    version: i16,
}

impl Connection {
    /// Connects, and asks what the broker offers.
    ///
    /// # Errors
    /// Those of connecting, and [`ClientError::Foreign`], [`ClientError::Unwelcome`] or
    /// [`ClientError::Silent`] if no broker answers.
    pub fn open(address: &Address, settings: &Settings) -> Result<Connection, ClientError> {
        let mut connection = Connection {
            socket: dial(address, settings)?,
            address: address.clone(),
            settings: settings.clone(),
            offered: Vec::new(),
            correlation_id: 0,
            asked: VecDeque::new(),
            is_broken: false,
        };
        connection.greet()?;
        Ok(connection)
    }

    /// From here on, answers are waited for whatever the wish to stop.
    pub fn ignore_stop(&mut self) {
        self.settings.stop = Arc::default();
    }

    /// Where the broker is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The broker's APIs and versions, as it tells them.
    pub fn offered(&self) -> &[ApiVersion] {
        &self.offered
    }

    /// The highest version that both sides know.
    ///
    /// # Errors
    /// [`ClientError::Unsupported`].
    pub fn version(&self, api: Api) -> Result<i16, ClientError> {
        self.version_up_to(api, *api.versions().end())
    }

    /// As [`Connection::version`], of the versions up to `most`.
    ///
    /// # Errors
    /// [`ClientError::Unsupported`].
    pub fn version_up_to(&self, api: Api, most: i16) -> Result<i16, ClientError> {
        let unsupported =
            |offered| ClientError::Unsupported { address: self.address.clone(), api, offered };
        negotiation::choose(api, most, &self.offered).map_err(unsupported)
    }

    /// Requests whose answers are due.
    pub fn in_flight(&self) -> usize {
        self.asked.len()
    }

    /// True once it is of no more use.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Asks in the highest version that both sides know, and waits for the answer.
    ///
    /// # Errors
    /// Every [`ClientError`] of one connection; [`ClientError::Busy`] if answers to
    /// [`Connection::send`] are due.
    pub fn call(&mut self, request: &Request) -> Result<Response, ClientError> {
        self.call_up_to(*request.api().versions().end(), request)
    }

    /// As [`Connection::call`], in a version up to `most`: from some on, topics are known by their
    /// ids alone.
    ///
    /// # Errors
    /// As [`Connection::call`].
    pub fn call_up_to(&mut self, most: i16, request: &Request) -> Result<Response, ClientError> {
        if !self.asked.is_empty() {
            let (address, api) = (self.address.clone(), request.api());
            return Err(ClientError::Busy { address, api, due: self.asked.len() });
        }
        self.send_up_to(most, request)?;
        self.receive()
    }

    /// Asks in the highest version that both sides know; [`Connection::receive`] gets the answer.
    ///
    /// # Errors
    /// Every [`ClientError`] of one connection.
    pub fn send(&mut self, request: &Request) -> Result<(), ClientError> {
        self.send_up_to(*request.api().versions().end(), request)
    }

    fn send_up_to(&mut self, most: i16, request: &Request) -> Result<(), ClientError> {
        let version = self.version_up_to(request.api(), most)?;
        self.send_at(request, version)?;
        let asked = Asked { correlation_id: self.correlation_id, api: request.api(), version };
        self.asked.push_back(asked);
        Ok(())
    }

    /// Sends what is never answered: Produce with acks=0.
    ///
    /// # Errors
    /// Every [`ClientError`] of one connection.
    pub fn send_unanswered(&mut self, request: &Request) -> Result<(), ClientError> {
        let version = self.version(request.api())?;
        self.send_at(request, version)
    }

    /// Waits for the answer to the oldest request.
    ///
    /// # Errors
    /// Every [`ClientError`] of one connection; [`ClientError::NotAsked`] if none is due.
    pub fn receive(&mut self) -> Result<Response, ClientError> {
        let asked = self.asked.pop_front();
        let asked = asked.ok_or_else(|| ClientError::NotAsked { address: self.address.clone() })?;
        let frame = self.receive_frame(asked.api, self.settings.answer_bytes_max)?;
        let decoded = Response::decode(asked.api, asked.version, &frame);
        let (received, response) = decoded.map_err(|source| {
            self.broken(ClientError::Decode {
                address: self.address.clone(),
                api: asked.api,
                source,
            })
        })?;
        if received != asked.correlation_id {
            let address = self.address.clone();
            let expected = asked.correlation_id;
            return Err(self.broken(ClientError::OutOfOrder { address, expected, received }));
        }
        Ok(response)
    }

    fn greet(&mut self) -> Result<(), ClientError> {
        let mut version = negotiation::FIRST_VERSION;
        let request = negotiation::request().into();
        loop {
            self.send_at(&request, version)?;
            let answer = self.receive_frame(Api::ApiVersions, FIRST_ANSWER_BYTES_MAX);
            let frame = answer.map_err(|error| self.unwelcome(error))?;
            let foreign = |bytes: &[u8]| ClientError::Foreign {
                address: self.address.clone(),
                foreign: Foreign::recognise(bytes),
            };
            match negotiation::read(version, &frame) {
                Ok((received, _)) if received != self.correlation_id => {
                    return Err(foreign(&frame));
                }
                Err(_) => return Err(foreign(&frame)),
                Ok((_, Verdict::Offered(offered))) => {
                    self.offered = offered;
                    return Ok(());
                }
                Ok((_, Verdict::AskAgain(lower))) => version = lower,
                Ok((_, Verdict::Refused(code))) => {
                    let what = format!("asking {} for its API versions", self.address);
                    return Err(ClientError::refused(what, code, None));
                }
            }
        }
    }

    fn unwelcome(&self, error: ClientError) -> ClientError {
        let is_reset = |source: &io::Error| {
            matches!(source.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
        };
        match error {
            ClientError::Closed { address, .. } => ClientError::Unwelcome { address },
            ClientError::Connection { address, source, .. } if is_reset(&source) => {
                ClientError::Unwelcome { address }
            }
            // A length that no first answer has: something else than a length.
            ClientError::TooLarge { address, length, .. } => {
                let mut first = length.to_be_bytes().to_vec();
                first.extend(self.more_of_a_stranger());
                ClientError::Foreign { address, foreign: Foreign::recognise(&first) }
            }
            other => other,
        }
    }

    /// What comes soon behind an impossible length; errors do not matter any more.
    fn more_of_a_stranger(&self) -> Vec<u8> {
        let mut more = Vec::new();
        let _ = self.socket.set_read_timeout(Some(STRANGER_WAIT));
        let _ = (&self.socket).take(SHOWN_BYTES as u64).read_to_end(&mut more);
        more
    }

    fn send_at(&mut self, request: &Request, version: i16) -> Result<(), ClientError> {
        let api = request.api();
        self.correlation_id = self.correlation_id.wrapping_add(1);
        let mut out = Encoder::new();
        request
            .encode(version, self.correlation_id, Some(&self.settings.client_id), &mut out)
            .map_err(|source| ClientError::Encode { api, source })?;
        self.write(&out.take_bytes(), api).map_err(|error| self.broken(error))
    }

    fn write(&self, mut frame: &[u8], api: Api) -> Result<(), ClientError> {
        let mut progressed = Instant::now();
        while !frame.is_empty() {
            match (&self.socket).write(frame) {
                Ok(count) => {
                    frame = &frame[count..];
                    progressed = Instant::now();
                }
                Err(error) => self.pass_over(api, error)?,
            }
            if !frame.is_empty() {
                self.look(api, progressed)?;
            }
        }
        Ok(())
    }

    fn receive_frame(&mut self, api: Api, bytes_max: usize) -> Result<Bytes, ClientError> {
        self.read_frame(api, bytes_max).map_err(|error| self.broken(error))
    }

    fn read_frame(&self, api: Api, bytes_max: usize) -> Result<Bytes, ClientError> {
        // One for the whole answer: a trickle of bytes does not put it off.
        let began = Instant::now();
        let mut prefix = [0; 4];
        self.read(&mut prefix, api, began)?;
        let length = i32::from_be_bytes(prefix);
        let len =
            usize::try_from(length).ok().filter(|len| *len <= bytes_max).ok_or_else(|| {
                ClientError::TooLarge {
                    address: self.address.clone(),
                    api,
                    length,
                    max_bytes: bytes_max,
                }
            })?;
        // Grows as bytes come, not because they are claimed.
        let mut frame = Vec::new();
        while frame.len() < len {
            let start = frame.len();
            let portion = (len - start).min(start.max(64 << 10));
            frame.resize(start + portion, 0);
            self.read(&mut frame[start..], api, began)?;
        }
        Ok(frame.into())
    }

    fn read(&self, mut buffer: &mut [u8], api: Api, began: Instant) -> Result<(), ClientError> {
        while !buffer.is_empty() {
            match (&self.socket).read(buffer) {
                Ok(0) => {
                    return Err(ClientError::Closed { address: self.address.clone(), api });
                }
                Ok(count) => buffer = &mut buffer[count..],
                Err(error) => self.pass_over(api, error)?,
            }
            if !buffer.is_empty() {
                self.look(api, began)?;
            }
        }
        Ok(())
    }

    /// Passes over an error that only says that nothing has happened yet.
    fn pass_over(&self, api: Api, source: io::Error) -> Result<(), ClientError> {
        match source.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(()),
            _ => Err(ClientError::Connection { address: self.address.clone(), api, source }),
        }
    }

    /// Looks at whether the user wishes to stop, and whether it has taken too long.
    fn look(&self, api: Api, since: Instant) -> Result<(), ClientError> {
        if self.settings.is_stopped() {
            return Err(ClientError::Interrupted);
        }
        let waited = self.settings.answer_timeout;
        match since.elapsed() >= waited {
            true => Err(ClientError::Silent { address: self.address.clone(), api, waited }),
            false => Ok(()),
        }
    }

    fn broken(&mut self, error: ClientError) -> ClientError {
        self.is_broken = true;
        error
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A socket to the first of a host's addresses that accepts. Reads and writes on it return after
/// 50 ms at the latest.
///
/// # Errors
/// [`ClientError::Resolve`], [`ClientError::Connect`], [`ClientError::Interrupted`].
pub fn dial(address: &Address, settings: &Settings) -> Result<TcpStream, ClientError> {
    let host = address.host.as_str();
    let candidates = (host, address.port)
        .to_socket_addrs()
        .map_err(|source| ClientError::Resolve { host: host.to_owned(), source })?;
    let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
    for candidate in candidates {
        if settings.is_stopped() {
            return Err(ClientError::Interrupted);
        }
        match TcpStream::connect_timeout(&candidate, settings.connect_timeout).and_then(prepare) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    match settings.is_stopped() {
        true => Err(ClientError::Interrupted),
        false => Err(ClientError::Connect { address: address.clone(), source: last }),
    }
}

fn prepare(socket: TcpStream) -> io::Result<TcpStream> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(LOOK))?;
    socket.set_write_timeout(Some(LOOK))?;
    Ok(socket)
}
