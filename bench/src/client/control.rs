//! A connection that asks and waits.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use bytes::Bytes;
use corelane_net::codec::Encoder;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{Api, ApiVersionsRequest, ApiVersionsResponse, Request, Response};

use crate::error::BenchError;
use crate::wire::FrameError;

/// Who we say we are.
pub(crate) const CLIENT_ID: &str = "corelane-bench";

/// How long connecting and each answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Largest answer; that of Metadata has some 50 bytes a partition.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A connection for one request at a time, and what its broker offers.
pub(crate) struct Control {
    socket: TcpStream,
    address: String,
    offered: ApiVersionsResponse,
    correlation_id: i32,
}

impl Control {
    /// Connects to the first address that accepts of a comma-separated list, and asks what the
    /// broker offers.
    pub(crate) fn connect(bootstrap: &str) -> Result<Control, BenchError> {
        let mut refused = None;
        for address in bootstrap.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            match connect(address) {
                Ok(socket) => return Control::greet(socket, address),
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| {
            BenchError::Argument("expected a broker's address, as 127.0.0.1:9092".to_owned())
        }))
    }

    fn greet(socket: TcpStream, address: &str) -> Result<Control, BenchError> {
        let offered = ApiVersionsResponse::default();
        let mut control =
            Control { socket, address: address.to_owned(), offered, correlation_id: 0 };
        match control.ask(&ApiVersionsRequest::default().into(), 0)? {
            Response::ApiVersions(offered) if offered.error_code.is_none() => {
                control.offered = offered;
            }
            Response::ApiVersions(offered) => {
                return Err(refused("asking for its API versions", offered.error_code, None));
            }
            _ => return Err(BenchError::Unsupported(Api::ApiVersions)),
        }
        Ok(control)
    }

    /// The `host:port` that accepted.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The highest version that both sides know.
    pub(crate) fn version(&self, api: Api) -> Result<i16, BenchError> {
        let theirs = self.offered.api_keys.iter().find(|offered| offered.api_key == api.key());
        let ours = api.versions();
        theirs
            .map(|theirs| {
                (theirs.min_version.max(*ours.start()), theirs.max_version.min(*ours.end()))
            })
            .filter(|(lowest, highest)| lowest <= highest)
            .map(|(_, highest)| highest)
            .ok_or(BenchError::Unsupported(api))
    }

    /// Asks in the highest version that both sides know.
    pub(crate) fn call(&mut self, request: &Request) -> Result<Response, BenchError> {
        let version = self.version(request.api())?;
        self.ask(request, version)
    }

    fn ask(&mut self, request: &Request, version: i16) -> Result<Response, BenchError> {
        self.correlation_id += 1;
        let mut out = Encoder::new();
        request.encode(version, self.correlation_id, Some(CLIENT_ID), &mut out)?;
        let connection = |source| BenchError::Connection { address: self.address.clone(), source };
        (&self.socket).write_all(&out.take_bytes()).map_err(connection)?;
        let frame = self.receive()?;
        let api = request.api();
        let (received, response) = Response::decode(api, version, &frame)
            .map_err(|source| BenchError::Decode { api, source })?;
        if received != self.correlation_id {
            return Err(BenchError::OutOfOrder { expected: self.correlation_id, received });
        }
        Ok(response)
    }

    fn receive(&self) -> Result<Bytes, BenchError> {
        let connection = |source| BenchError::Connection { address: self.address.clone(), source };
        let mut prefix = [0; 4];
        (&self.socket).read_exact(&mut prefix).map_err(connection)?;
        let length = i32::from_be_bytes(prefix);
        let len = usize::try_from(length).ok().filter(|len| *len <= ANSWER_BYTES_MAX).ok_or_else(
            || BenchError::Frame {
                address: self.address.clone(),
                source: FrameError::Length { length, max_bytes: ANSWER_BYTES_MAX },
            },
        )?;
        let mut frame = Vec::new();
        // Grows as bytes come, not because they are claimed.
        (&self.socket).take(len as u64).read_to_end(&mut frame).map_err(connection)?;
        if frame.len() < len {
            return Err(BenchError::Closed { address: self.address.clone() });
        }
        Ok(frame.into())
    }
}

/// A connection to a `host:port`, whose waits are bounded.
pub(crate) fn connect(address: &str) -> Result<TcpStream, BenchError> {
    let failed = |source| BenchError::Connect { address: address.to_owned(), source };
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for candidate in address.to_socket_addrs().map_err(failed)? {
        match open(&candidate) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn open(address: &SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(address, TIMEOUT)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.set_write_timeout(Some(TIMEOUT))?;
    Ok(socket)
}

/// The broker's refusal as an error.
pub(super) fn refused(what: &str, code: ErrorCode, message: Option<&str>) -> BenchError {
    BenchError::Refused { what: what.to_owned(), code, message: message.map(str::to_owned) }
}
