//! A broker that does only what physics demands, on one core. It is the limit that every broker's
//! figures are divided by, measured in the same run.
//!
//! What it does: receives requests, reads them with the broker's own codec, checks each batch's
//! CRC-32C, copies it once, and answers; with `--write` the copy goes into blocks that are written
//! past the page cache, and the answer waits for that. What it does not do, so that nobody takes it
//! for a broker: nothing is read back from the disk, nothing survives its end, fetches are served
//! from the last batches in memory (with `--write` there are none), times are not looked up,
//! sequences of idempotent producers are not checked, and there are no groups and no transactions.
//!
//! One thread serves all connections, for the limit is meant per core.
//!
//! - [`answers`]: requests in, answers out; [`records`]: Produce and Fetch
//! - [`topics`]: topics, and the last batches
//! - [`write_through`]: batches to the disk
//! - [`connection`]: one client

mod answers;
mod connection;
mod records;
#[cfg(test)]
pub(crate) mod tests;
mod topics;
mod write_through;

use std::collections::HashMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use corelane_net::codec::Str;

use crate::cores;
use crate::error::{BenchError, system};
use crate::poller::{Poller, Ready};
use crate::stop::Stop;
use answers::State;
use connection::Connection;
use topics::Topics;
use write_through::{Ticket, WriteThrough};

const LISTENER: u64 = 0;
const DISK: u64 = 1;
const FIRST_CLIENT: u64 = 2;

/// Most clients at once; more are closed as they come.
const CONNECTIONS_MAX: usize = 1024;

/// Accepting rests for so long when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What to serve.
#[derive(Clone, Debug)]
pub struct NullBrokerArgs {
    /// Address and port; port 0 lets the system choose.
    pub listen: String,
    /// Write what is produced to a file below this directory.
    pub write_dir: Option<PathBuf>,
    /// Bytes of the last batches to keep for fetches; with `write_dir` nothing is kept.
    pub kept_bytes: u64,
    /// End after this long.
    pub duration: Option<Duration>,
    /// The core to run on.
    pub core: Option<usize>,
}

/// What was served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NullBrokerReport {
    /// Connections accepted.
    pub connections: u64,
    /// Connections that ended because of what they sent.
    pub faults: u64,
    /// The first of those faults.
    pub first_fault: Option<String>,
    /// Requests of any kind.
    pub requests: u64,
    /// Bytes of Produce requests.
    pub produced_bytes: u64,
    /// False if `--write` went through the page cache, because the filesystem refuses O_DIRECT.
    pub is_direct: bool,
}

impl fmt::Display for NullBrokerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NullBrokerReport { connections, faults, requests, produced_bytes, .. } = self;
        write!(
            f,
            "{connections} connections, {requests} requests, {produced_bytes} bytes produced"
        )?;
        if let Some(fault) = &self.first_fault {
            write!(f, "; {faults} connections were closed, the first because of: {fault}")?;
        }
        if !self.is_direct {
            write!(f, "; the filesystem refuses O_DIRECT: writes went through the page cache")?;
        }
        Ok(())
    }
}

/// Serves until `stop` is set or the duration is over. `ready` is told the address once clients
/// can connect.
///
/// # Errors
/// An address that can't be listened on, a directory that can't be written to, a disk that fails.
pub fn run(
    args: &NullBrokerArgs,
    stop: &Stop,
    ready: impl FnOnce(SocketAddr),
) -> Result<NullBrokerReport, BenchError> {
    let listener = TcpListener::bind(&args.listen)
        .map_err(|source| BenchError::Listen { address: args.listen.clone(), source })?;
    listener.set_nonblocking(true).map_err(system("listening"))?;
    let address = listener.local_addr().map_err(system("listening"))?;
    let disk = args.write_dir.as_deref().map(WriteThrough::open).transpose()?;
    // Only now: the disk's threads are not to share the one core.
    cores::pin(args.core)?;
    let mut server = NullBroker::new(args, listener, address, disk)?;
    ready(address);
    server.serve(stop, args.duration.map(|duration| Instant::now() + duration))?;
    Ok(server.report)
}

struct NullBroker {
    listener: TcpListener,
    poller: Poller,
    connections: HashMap<u64, Connection>,
    next_token: u64,
    state: State,
    written: Ticket,
    accept_again: Option<Instant>,
    report: NullBrokerReport,
}

impl NullBroker {
    fn new(
        args: &NullBrokerArgs,
        listener: TcpListener,
        address: SocketAddr,
        disk: Option<WriteThrough>,
    ) -> Result<NullBroker, BenchError> {
        let poller = Poller::new().map_err(system("waiting for sockets"))?;
        poller.add(&listener, LISTENER).map_err(system("waiting for sockets"))?;
        if let Some(disk) = &disk {
            poller.add(disk, DISK).map_err(system("waiting for the disk"))?;
        }
        let kept_bytes = if disk.is_some() { 0 } else { args.kept_bytes };
        let is_direct = disk.as_ref().is_none_or(WriteThrough::is_direct);
        let host = if address.ip().is_unspecified() {
            "127.0.0.1".to_owned()
        } else {
            address.ip().to_string()
        };
        Ok(NullBroker {
            listener,
            poller,
            connections: HashMap::new(),
            next_token: FIRST_CLIENT,
            state: State {
                topics: Topics::new(usize::try_from(kept_bytes).unwrap_or(usize::MAX)),
                disk,
                host: Str::from(host),
                port: address.port(),
                next_producer_id: 0,
            },
            written: 0,
            accept_again: None,
            report: NullBrokerReport { is_direct, ..NullBrokerReport::default() },
        })
    }

    fn serve(&mut self, stop: &Stop, end: Option<Instant>) -> Result<(), BenchError> {
        let mut ready = Vec::new();
        loop {
            let now = Instant::now();
            if stop.is_set() || end.is_some_and(|end| now >= end) {
                return Ok(());
            }
            let timeout = self.timeout(now, end);
            self.poller.wait(timeout, &mut ready).map_err(system("waiting for sockets"))?;
            self.round(&ready).map_err(system("serving"))?;
        }
    }

    fn timeout(&self, now: Instant, end: Option<Instant>) -> Duration {
        let parked = self.connections.values().filter_map(Connection::deadline);
        let first = parked.chain(end).chain(self.accept_again).min();
        let limit = Duration::from_millis(Stop::LOOK_MS);
        first.map_or(limit, |first| first.saturating_duration_since(now).min(limit))
    }

    fn round(&mut self, ready: &[Ready]) -> io::Result<()> {
        for ready in ready {
            match ready.token {
                LISTENER => self.accept()?,
                DISK => self.collect()?,
                // One that waits does not read, and would not find the end.
                token if ready.hung_up && !self.is_read(token) => self.close(token, None)?,
                token => self.advance(token)?,
            }
        }
        let now = Instant::now();
        if self.accept_again.is_some_and(|again| now >= again) {
            self.accept_again = None;
            self.poller.watch(&self.listener, LISTENER, true, false)?;
        }
        self.retry_fetches(now)?;
        match &mut self.state.disk {
            Some(disk) => disk.end_round(),
            None => Ok(()),
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((socket, _)) if self.connections.len() < CONNECTIONS_MAX => {
                    socket.set_nonblocking(true)?;
                    socket.set_nodelay(true)?;
                    let token = self.next_token;
                    self.next_token += 1;
                    self.poller.add(&socket, token)?;
                    self.connections.insert(token, Connection::new(socket));
                    self.report.connections += 1;
                }
                Ok((socket, _)) => drop(socket),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(_) => {
                    // Out of descriptors or memory: those who wait stay in the kernel's queue.
                    self.poller.watch(&self.listener, LISTENER, false, false)?;
                    self.accept_again = Some(Instant::now() + ACCEPT_PAUSE);
                    return Ok(());
                }
            }
        }
    }

    /// Sends the answers whose batches are on the disk.
    fn collect(&mut self) -> io::Result<()> {
        if let Some(disk) = &mut self.state.disk {
            self.written = disk.written()?;
        }
        let holding = self.connections.iter().filter(|(_, connection)| connection.is_holding());
        let tokens: Vec<_> = holding.map(|(token, _)| *token).collect();
        tokens.into_iter().try_for_each(|token| self.advance(token))
    }

    fn retry_fetches(&mut self, now: Instant) -> io::Result<()> {
        let parked = self.connections.iter().filter(|(_, c)| c.deadline().is_some());
        let tokens: Vec<_> = parked.map(|(token, _)| *token).collect();
        for token in tokens {
            let Some(connection) = self.connections.get_mut(&token) else { continue };
            match connection.retry(&self.state, now) {
                Ok(false) => {}
                Ok(true) => self.advance(token)?,
                Err(closed) => self.close(token, Some(closed.to_string()))?,
            }
        }
        Ok(())
    }

    fn is_read(&self, token: u64) -> bool {
        self.connections.get(&token).is_some_and(|connection| connection.watched.0)
    }

    fn advance(&mut self, token: u64) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(&token) else { return Ok(()) };
        match connection.advance(&mut self.state, self.written, &mut self.report) {
            Ok(true) => {}
            Ok(false) => return self.close(token, None),
            Err(closed) => return self.close(token, Some(closed.to_string())),
        }
        let (reading, writing) = connection.interest();
        if connection.watched != (reading, writing) {
            self.poller.watch(&connection.socket, token, reading, writing)?;
            connection.watched = (reading, writing);
        }
        Ok(())
    }

    fn close(&mut self, token: u64, fault: Option<String>) -> io::Result<()> {
        if let Some(fault) = fault {
            self.report.faults += 1;
            self.report.first_fault.get_or_insert(fault);
        }
        match self.connections.remove(&token) {
            Some(connection) => self.poller.remove(&connection.socket),
            None => Ok(()),
        }
    }
}
