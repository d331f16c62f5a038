//! The answer to one operation, as a future.

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::super::operation::Work;
use super::Ring;

/// The answer to one operation. Dropping it does not cancel a disk operation.
pub(in super::super) struct Answer {
    ring: Rc<Ring>,
    slot: Option<u32>,
}

impl Answer {
    pub(super) fn new(ring: Rc<Ring>, slot: u32) -> Self {
        Answer { ring, slot: Some(slot) }
    }
}

impl Future for Answer {
    type Output = (Work, io::Result<()>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(slot) = self.slot else { return Poll::Pending };
        let collected = self.ring.state.borrow_mut().slots.collect(slot, cx.waker());
        match collected {
            Ok(answer) => {
                self.slot = None;
                Poll::Ready(answer)
            }
            Err(stale) => {
                drop(stale);
                Poll::Pending
            }
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let Some(slot) = self.slot else { return };
        let waker = self.ring.state.borrow_mut().slots.abandon(slot);
        drop(waker);
    }
}

/// Waits until `fd` takes bytes, or has failed.
pub(in super::super) async fn writable(ring: &Rc<Ring>, fd: &Arc<OwnedFd>) -> io::Result<()> {
    ring.begin(Work::Writable, Arc::clone(fd))?.await.1
}

/// Waits until `fd` is readable (a listening socket: has a connection to accept).
pub(in super::super) async fn readable(ring: &Rc<Ring>, fd: &Arc<OwnedFd>) -> io::Result<()> {
    ring.begin(Work::Readable, Arc::clone(fd))?.await.1
}
