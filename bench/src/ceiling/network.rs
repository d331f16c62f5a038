//! One TCP connection, one way, as fast as it goes: over the loopback, or to another host.
//!
//! The sender begins with a greeting, so that nobody's port is flooded by mistake, sends until its
//! time is over, and shuts its side down; the receiver answers with the number of bytes that came.
//! What counts is what has arrived, up to the moment when that answer is there.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{CeilingArgs, gb_per_s};
use crate::client::connect;
use crate::cores;
use crate::error::{BenchError, system};
use crate::stop::Stop;

/// Bytes of one write or read, as iperf3 has them.
const BLOCK_BYTES: usize = 128 << 10;

/// Both sides speak this protocol, in this version.
const GREETING: &[u8; 16] = b"corelane-tcp-1\r\n";

/// Most senders at once.
const SENDERS_MAX: usize = 64;

/// A peer that says nothing for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// One measurement of a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NetworkCeiling {
    /// Bytes that arrived.
    pub bytes: u64,
    /// 10^9 of them per second.
    pub gb_per_s: f64,
}

/// The loopback: the first core sends, the second receives.
pub(super) fn loopback(
    duration: Duration,
    cores: &[usize],
    stop: &Stop,
) -> Result<NetworkCeiling, BenchError> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(system("listening"))?;
    let address = listener.local_addr().map_err(system("listening"))?;
    let receiving_core = cores.get(1).or(cores.first()).copied();
    thread::scope(|scope| {
        let receiver = scope.spawn(move || -> Result<(), BenchError> {
            cores::pin(receiving_core)?;
            let (socket, _) = listener.accept().map_err(system("accepting"))?;
            receive(&socket).map_err(system("receiving"))
        });
        let sending_core = cores.first().copied();
        let sender = scope.spawn(move || {
            cores::pin(sending_core)?;
            tcp_client(&address.to_string(), duration, stop)
        });
        // A thread of ours that panics is a fault of ours, to be seen as one.
        let sent = sender.join().expect("the sender does not panic");
        if sent.is_err() {
            // The receiver may still wait for somebody.
            drop(TcpStream::connect(address));
        }
        let received = receiver.join().expect("the receiver does not panic");
        let sent = sent?;
        received.map(|()| sent)
    })
}

/// The same as [`tcp_client`], on the first core.
pub(super) fn pinned_client(
    address: &str,
    args: &CeilingArgs,
    stop: &Stop,
) -> Result<NetworkCeiling, BenchError> {
    // A thread of its own: the pinning ends with it.
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            cores::pin(args.cores.first().copied())?;
            tcp_client(address, args.duration, stop)
        });
        sender.join().expect("the sender does not panic")
    })
}

/// Sends to a [`tcp_server`] at `host:port`.
///
/// # Errors
/// [`BenchError::Connect`] and [`BenchError::Connection`] as the network fails, or if something else
/// listens there.
pub fn tcp_client(
    address: &str,
    duration: Duration,
    stop: &Stop,
) -> Result<NetworkCeiling, BenchError> {
    let mut socket = connect(address)?;
    let lost = |source| BenchError::Connection { address: address.to_owned(), source };
    let sent = send(&mut socket, duration, stop).map_err(lost)?;
    Ok(sent)
}

fn send(socket: &mut TcpStream, duration: Duration, stop: &Stop) -> io::Result<NetworkCeiling> {
    socket.write_all(GREETING)?;
    let mut greeting = [0; GREETING.len()];
    socket.read_exact(&mut greeting)?;
    if greeting != *GREETING {
        let text = "this is no `corelane bench ceiling --tcp-server`";
        return Err(io::Error::new(ErrorKind::InvalidData, text));
    }
    let block = vec![0x5a; BLOCK_BYTES];
    let began = Instant::now();
    while began.elapsed() < duration && !stop.is_set() {
        socket.write_all(&block)?;
    }
    socket.shutdown(Shutdown::Write)?;
    let mut count = [0; 8];
    socket.read_exact(&mut count)?;
    let bytes = u64::from_be_bytes(count);
    Ok(NetworkCeiling { bytes, gb_per_s: gb_per_s(bytes, began.elapsed().as_secs_f64()) })
}

fn receive(mut socket: &TcpStream) -> io::Result<()> {
    socket.set_read_timeout(Some(SILENCE_MAX))?;
    socket.set_write_timeout(Some(SILENCE_MAX))?;
    let mut greeting = [0; GREETING.len()];
    socket.read_exact(&mut greeting)?;
    if greeting != *GREETING {
        return Err(io::Error::new(ErrorKind::InvalidData, "this is no sender of ours"));
    }
    socket.write_all(GREETING)?;
    let mut block = vec![0; BLOCK_BYTES];
    let mut bytes = 0_u64;
    loop {
        match socket.read(&mut block) {
            Ok(0) => break,
            Ok(count) => bytes += count as u64,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    socket.write_all(&bytes.to_be_bytes())
}

/// Receives from any number of [`tcp_client`]s until the wish to end, a thread for each. `ready` is
/// told the address.
///
/// # Errors
/// [`BenchError::Connect`] for an address that can't be listened on.
pub fn tcp_server(
    listen: &str,
    core: Option<usize>,
    stop: &Stop,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), BenchError> {
    let refused = |source| BenchError::Listen { address: listen.to_owned(), source };
    let listener = TcpListener::bind(listen).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    cores::pin(core)?;
    ready(listener.local_addr().map_err(refused)?);
    let senders = AtomicUsize::new(0);
    thread::scope(|scope| {
        while !stop.is_set() {
            let accepted = listener.accept().and_then(|(socket, _)| {
                socket.set_nonblocking(false)?;
                Ok(socket)
            });
            match accepted {
                Ok(socket) if senders.load(Ordering::Relaxed) < SENDERS_MAX => {
                    senders.fetch_add(1, Ordering::Relaxed);
                    let senders = &senders;
                    scope.spawn(move || {
                        // What a peer does wrong ends its own connection.
                        let _ = receive(&socket);
                        senders.fetch_sub(1, Ordering::Relaxed);
                    });
                }
                // One too many is closed; a connection that can't be accepted is gone.
                _ => thread::sleep(Duration::from_millis(Stop::LOOK_MS)),
            }
        }
    });
    Ok(())
}
