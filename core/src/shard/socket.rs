//! What `net` needs of a socket and a clock, over this shard's runtime.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use corelane_net::stream::{Stream, Timer};
use corelane_storage::runtime::Runtime;

use crate::runtime::{ShardRuntime, TcpStream};

/// Most parts of one write.
const WRITE_PARTS_MAX: usize = 256;

/// A connection.
pub struct Socket {
    stream: TcpStream,
    peer: SocketAddr,
}

impl Socket {
    /// Over a connected stream.
    pub fn new(stream: TcpStream, peer: SocketAddr) -> Socket {
        Socket { stream, peer }
    }
}

impl Stream for Socket {
    async fn read(&self, buf: &mut BytesMut, max_bytes: usize) -> io::Result<usize> {
        self.stream.read_buf(buf, max_bytes).await
    }

    async fn write(&self, parts: &[Bytes]) -> io::Result<usize> {
        let pieces: Vec<IoSlice<'_>> =
            parts.iter().take(WRITE_PARTS_MAX).map(|part| IoSlice::new(part)).collect();
        self.stream.write_vectored(&pieces).await
    }

    fn shutdown(&self) {
        if let Err(error) = self.stream.shutdown(Shutdown::Both) {
            tracing::debug!(%error, "shutting down a socket");
        }
    }

    fn peer(&self) -> SocketAddr {
        self.peer
    }
}

/// The shard's clock.
pub struct Clock(pub ShardRuntime);

impl Timer for Clock {
    fn now(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> {
        self.0.sleep(duration)
    }
}
