//! What `net` needs of a socket and a clock, over this shard's runtime.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use corelane_net::extent::Part;
use corelane_net::stream::{Stream, Timer};
use corelane_storage::log::FileLease;
use corelane_storage::runtime::Runtime;

use super::budget::Credit;
use crate::runtime::{DiskFile, SendableFile, ShardRuntime, TcpStream};

/// Most parts of one write.
const WRITE_PARTS_MAX: usize = 256;

/// So many parts are listed without memory for their list: nearly all writes have no more.
const FEW_PARTS: usize = 8;

/// Most bytes of one write: copying them is one step of the shard, of a quarter of a millisecond. An answer
/// of 1 MiB fits: in four pieces, between those of other readers, it costs twice the processor time.
const WRITE_BYTES_MAX: usize = 1280 << 10;

/// A range of a file that an answer is sent from.
pub struct LeasedFile {
    /// The file.
    pub file: SendableFile,
    /// Where in it the range begins.
    pub from: u64,
    /// What keeps the range as it is.
    pub lease: FileLease<DiskFile>,
    /// The answer counts until it is sent.
    pub credit: Option<Arc<Credit>>,
}

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

    /// The descriptor, which then belongs to no shard.
    ///
    /// # Errors
    /// Without a descriptor for it; the connection is then closed.
    pub fn release(self) -> io::Result<OwnedFd> {
        self.stream.release()
    }
}

impl Stream for Socket {
    async fn read(&self, buf: &mut BytesMut, max_bytes: usize) -> io::Result<usize> {
        self.stream.read_buf(buf, max_bytes).await
    }

    async fn write(&self, parts: &[Part]) -> io::Result<usize> {
        if let Some(Part::Extent(extent)) = parts.first() {
            let range = extent.source::<LeasedFile>().ok_or(io::ErrorKind::Unsupported)?;
            let more = parts.len() > 1;
            return self
                .stream
                .send_file(&range.file, extent.from(), extent.len_bytes(), more)
                .await;
        }
        let (mut few, mut many) = ([IoSlice::new(&[]); FEW_PARTS], Vec::new());
        let room = match parts.len() {
            0..=FEW_PARTS => &mut few[..],
            parts => {
                many.resize(parts.min(WRITE_PARTS_MAX), IoSlice::new(&[]));
                &mut many[..]
            }
        };
        let (mut room_bytes, mut count) = (WRITE_BYTES_MAX, 0);
        for (piece, bytes) in room.iter_mut().zip(parts.iter().map_while(Part::bytes)) {
            let bytes = &bytes[..bytes.len().min(room_bytes)];
            *piece = IoSlice::new(bytes);
            count += 1;
            room_bytes -= bytes.len();
            if room_bytes == 0 {
                break;
            }
        }
        let pieces = &room[..count];
        if count < parts.len() {
            return self.stream.write_vectored_more(pieces).await;
        }
        self.stream.write_vectored(pieces).await
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

    fn yield_now(&self) -> impl Future<Output = ()> {
        self.0.yield_now()
    }
}
