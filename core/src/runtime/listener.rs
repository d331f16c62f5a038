//! Listening sockets: bind, accept, and hand the accepted ones over as plain descriptors.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use corelane_storage::runtime::Runtime;
use socket2::{Domain, Protocol, Socket, Type};

use super::ring::readable;
use super::shard_runtime::ShardRuntime;

/// Connections that the kernel completes before they are accepted (capped by
/// `net.core.somaxconn`, 4096 by default).
const BACKLOG: i32 = 4096;

/// First and longest pause of [`TcpListener::accept`] when descriptors or memory have run out.
const BACK_OFF_MIN: Duration = Duration::from_millis(10);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// Binds and listens on `address`. On any thread; the result may then move to a shard.
///
/// SO_REUSEADDR lets a restart bind while connections of the previous process linger in
/// TIME_WAIT; a second live listener still gets EADDRINUSE, since SO_REUSEPORT is not set. An
/// IPv6 address serves IPv6 only, so that `0.0.0.0` and `[::]` may both be given.
pub fn bind(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A listening socket on one shard. Dropping it closes the socket.
pub struct TcpListener {
    shard: ShardRuntime,
    socket: Arc<OwnedFd>,
}

impl TcpListener {
    /// Takes over what [`bind`] made.
    pub fn new(shard: &ShardRuntime, socket: OwnedFd) -> Self {
        TcpListener { shard: shard.clone(), socket: Arc::new(socket) }
    }

    /// The address that it listens on; with the port that the system chose, if 0 was asked.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = socket2::SockRef::from(&*self.socket).local_addr()?;
        address.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
    }

    /// The next connection and its peer, for [`super::TcpStream::adopt`] on whichever shard. Safe
    /// to drop: no connection is lost.
    ///
    /// Connections that fail before they are accepted are skipped. While the process or the system
    /// lacks descriptors or memory, accepting pauses and goes on: the kernel keeps the backlog.
    ///
    /// # Errors
    /// Only such as no retry mends: the socket itself is unusable.
    pub async fn accept(&self) -> io::Result<(OwnedFd, SocketAddr)> {
        let mut back_off = BACK_OFF_MIN;
        loop {
            match self.try_accept() {
                Ok(accepted) => return Ok(accepted),
                Err(cause) => match verdict(&cause) {
                    Verdict::Wait => readable(self.shard.ring(), &self.socket).await?,
                    Verdict::Skip => {}
                    Verdict::BackOff => {
                        tracing::warn!(%cause, pause = ?back_off, "accepting pauses");
                        self.shard.sleep(back_off).await;
                        back_off = (back_off * 2).min(BACK_OFF_MAX);
                    }
                    Verdict::Fail => return Err(cause),
                },
            }
        }
    }

    fn try_accept(&self) -> io::Result<(OwnedFd, SocketAddr)> {
        let accept = |address: *mut libc::sockaddr_storage, len: *mut libc::socklen_t| {
            let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
            // SAFETY: `try_init` passes an address buffer of `*len` bytes, valid for this call.
            let fd = unsafe { libc::accept4(self.socket.as_raw_fd(), address.cast(), len, flags) };
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: accept4 returned a new descriptor, which nothing else owns.
            Ok(unsafe { OwnedFd::from_raw_fd(fd) })
        };
        // SAFETY: accept4 fills the address and its length when it succeeds.
        let (connection, peer) =
            unsafe { socket2::SockAddr::try_init(|address, len| accept(address.cast(), len))? };
        let peer = peer.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok((connection, peer))
    }
}

enum Verdict {
    Wait,
    Skip,
    BackOff,
    Fail,
}

/// What an accept(2) error means; the errors of the network are those that the page says to treat
/// as EAGAIN.
fn verdict(cause: &io::Error) -> Verdict {
    match cause.raw_os_error() {
        Some(libc::EAGAIN) => Verdict::Wait,
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => Verdict::BackOff,
        Some(
            libc::EINTR
            | libc::ECONNABORTED
            | libc::EPERM
            | libc::EPROTO
            | libc::ENETDOWN
            | libc::ENOPROTOOPT
            | libc::EHOSTDOWN
            | libc::ENONET
            | libc::EHOSTUNREACH
            | libc::EOPNOTSUPP
            | libc::ENETUNREACH,
        ) => Verdict::Skip,
        // An address of a family that TCP does not have: nothing of ours.
        None => Verdict::Skip,
        Some(_) => Verdict::Fail,
    }
}
