//! What a connection needs from the world: a socket and a clock.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;

use crate::extent::Part;

/// A connected byte stream. The broker implements it over TCP, the tests in memory.
///
/// One read and one write may be under way at the same time, on one thread. A future of this trait
/// may be dropped before it ends, but then only [`Stream::shutdown`] is called afterwards.
pub trait Stream {
    /// Appends at least one and at most `max_bytes` bytes to `buf` and returns their number; 0 is
    /// the end of the stream. `buf` may come without capacity: reserve it when bytes have arrived
    /// rather than before, so that an idle connection holds no buffer.
    fn read(&self, buf: &mut BytesMut, max_bytes: usize)
    -> impl Future<Output = io::Result<usize>>;

    /// Writes at least one byte of `parts`, in order, and returns how many bytes it wrote. Parts
    /// are cheap to clone, for an implementation that must hold them until the kernel has let go.
    /// An extent that can't be sent to its end is an error: what was promised is under way.
    fn write(&self, parts: &[Part]) -> impl Future<Output = io::Result<usize>>;

    /// Ends both directions, at once; reads and writes under way fail or end.
    fn shutdown(&self);

    /// The other end's address.
    fn peer(&self) -> SocketAddr;
}

/// A source of time.
pub trait Timer {
    /// Time since some moment in the past; never goes back.
    fn now(&self) -> Duration;

    /// Ends after `duration`, at the earliest.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()>;

    /// Ends a turn of long work: when the others of this thread that can go on had theirs.
    fn yield_now(&self) -> impl Future<Output = ()>;
}
