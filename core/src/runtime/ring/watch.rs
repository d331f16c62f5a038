//! Whether a descriptor may have something to read, as the kernel tells it for as long as it is open.
//!
//! One multishot poll (`IORING_POLL_ADD_MULTI`, Linux 5.13) tells of each arrival, so that waiting for the next
//! request costs no system call. It tells of arrivals only: whoever reads less than there is must come
//! again by itself, and what is told late (the bytes were read already) costs one read in vain.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use io_uring::squeue::Entry;
use io_uring::{opcode, types};

use super::Ring;

/// Told besides arrivals: the peer has ended, or the socket has failed. No arrival follows.
const ENDED: i32 = (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) as i32;

/// The reading side of one descriptor. One task at a time waits for it.
pub(in super::super) struct Watch {
    fd: Arc<OwnedFd>,
    /// A read may find something.
    readable: Cell<bool>,
    /// Every read finds something: bytes, the end, or an error.
    ended: Cell<bool>,
    /// Its slot in the ring, while that tells.
    key: Cell<Option<u64>>,
    /// The kernel does not watch this descriptor.
    refused: Cell<Option<i32>>,
    waiter: Cell<Option<Waker>>,
}

impl Watch {
    /// Not watched yet: the first read is tried at once.
    pub(in super::super) fn new(fd: Arc<OwnedFd>) -> Rc<Self> {
        Rc::new(Watch {
            fd,
            readable: Cell::new(true),
            ended: Cell::new(false),
            key: Cell::new(None),
            refused: Cell::new(None),
            waiter: Cell::new(None),
        })
    }

    /// The descriptor.
    pub(in super::super) fn fd(&self) -> &Arc<OwnedFd> {
        &self.fd
    }

    /// A read returned fewer bytes than it had room for: what comes now is told, except for an end that
    /// came along with them.
    pub(in super::super) fn read_short(&self) {
        self.readable.set(self.ended.get());
    }

    /// A read found nothing (EAGAIN).
    pub(in super::super) fn read_nothing(&self) {
        self.readable.set(false);
        self.ended.set(false);
    }

    /// Ready when a read may find something.
    pub(in super::super) fn poll_readable(
        self: &Rc<Self>,
        ring: &Ring,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.readable.get() {
            return Poll::Ready(Ok(()));
        }
        if let Some(errno) = self.refused.get() {
            return Poll::Ready(Err(io::Error::from_raw_os_error(errno)));
        }
        let waiter = self.waiter.take().filter(|waiter| waiter.will_wake(cx.waker()));
        self.waiter.set(Some(waiter.unwrap_or_else(|| cx.waker().clone())));
        if self.key.get().is_none() {
            ring.watch(self)?;
        }
        Poll::Pending
    }

    /// Its slot in the ring; `None` if nothing is told.
    pub(in super::super) fn key(&self) -> Option<u64> {
        self.key.get()
    }

    pub(super) fn watched(&self, key: u64) {
        self.key.set(Some(key));
    }

    pub(super) fn entry(&self) -> Entry {
        let events = (libc::POLLIN | libc::POLLRDHUP) as u32;
        opcode::PollAdd::new(types::Fd(self.fd.as_raw_fd()), events).multi(true).build()
    }

    /// The kernel's answer: events or a negated errno; `more` follow. The waker of who waits.
    pub(in super::super) fn happened(&self, result: i32, more: bool) -> Option<Waker> {
        if !more {
            self.key.set(None);
        }
        match result {
            0.. => {
                self.readable.set(true);
                self.ended.set(self.ended.get() || result & ENDED != 0);
            }
            errno if errno == -libc::ECANCELED => {}
            errno => self.refused.set(Some(-errno)),
        }
        self.waiter.take()
    }
}
