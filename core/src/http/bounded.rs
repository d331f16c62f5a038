//! Connections that are limited in number and in time: whoever is slow or silent, by malice or not,
//! has a place for a moment only, and a shorter one where it is wanted (`places.rs`).

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::places::{Doing, Place, Places};

/// Connections at once; further ones wait in the kernel's queue, but for the one that is next.
pub const CONNECTIONS_MAX: usize = 64;

/// The head of a connection's request must be there within this.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The whole of a connection. Each has one request: answers say `Connection: close`.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);

/// Pause when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listening socket whose connections are bounded.
pub struct BoundedListener {
    listener: TcpListener,
    places: Arc<Places>,
}

impl BoundedListener {
    /// Over a socket that listens.
    pub fn new(listener: TcpListener, places: Arc<Places>) -> BoundedListener {
        BoundedListener { listener, places }
    }
}

impl Listener for BoundedListener {
    type Io = Bounded;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Bounded, SocketAddr) {
        loop {
            // First somebody who wants a place: without one, nobody has to give one up.
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    return (Bounded::new(stream, self.places.take().await), peer);
                }
                Err(error) => {
                    tracing::debug!(%error, "accepting an HTTP connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection with a deadline.
pub struct Bounded {
    stream: TcpStream,
    began: Instant,
    deadline: Pin<Box<Sleep>>,
    head: Head,
    place: Place,
}

impl Bounded {
    fn new(stream: TcpStream, place: Place) -> Bounded {
        let began = Instant::now();
        let deadline = Box::pin(sleep_until(began + REQUEST_TIMEOUT));
        Bounded { stream, began, deadline, head: Head::default(), place }
    }

    fn check(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.place.is_wanted(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        ready!(self.deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// These came. Once a head is whole, it may be answered, and the answer be taken, for longer.
    fn came(&mut self, bytes: &[u8]) {
        if !self.head.is_whole && self.head.take(bytes) {
            self.deadline.as_mut().reset(self.began + CONNECTION_TIMEOUT);
            self.place.note(Doing::Waiting);
        }
    }
}

/// How far a request's head has come: it ends with an empty line.
#[derive(Debug, Default)]
struct Head {
    has_text: bool,
    line_is_empty: bool,
    is_whole: bool,
}

impl Head {
    /// True as soon as it is whole.
    fn take(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            match byte {
                b'\r' => {}
                b'\n' => {
                    self.is_whole |= self.has_text && self.line_is_empty;
                    self.line_is_empty = true;
                }
                _ => (self.has_text, self.line_is_empty) = (true, false),
            }
        }
        self.is_whole
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let done = match Pin::new(&mut self.stream).poll_read(context, buf) {
            Poll::Pending => return self.check(context),
            done => done,
        };
        self.came(&buf.filled()[before..]);
        // Who sends without end is looked at too.
        match self.check(context) {
            Poll::Pending => done,
            late => late,
        }
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.place.note(Doing::Taking);
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Pending => self.check(context).map_ok(|()| 0),
            done => done,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.place.note(Doing::Taking);
        match Pin::new(&mut self.stream).poll_write_vectored(context, bytes) {
            Poll::Pending => self.check(context).map_ok(|()| 0),
            done => done,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_an_empty_line() {
        for whole in
            ["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\nA: b\n\n", "\r\n\r\nGET /\r\n\r\nrest"]
        {
            assert!(Head::default().take(whole.as_bytes()), "{whole:?}");
            // However it is cut.
            let mut head = Head::default();
            assert!(whole.bytes().any(|byte| head.take(&[byte])), "{whole:?}");
        }
        for part in ["", "\r\n\r\n\n", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nA: b\r\n"] {
            assert!(!Head::default().take(part.as_bytes()), "{part:?}");
        }
    }
}
