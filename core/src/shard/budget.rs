//! Bytes that fetch answers of one shard may hold.
//!
//! What was acquired travels with the answer's slices, whose owners must be `Send`; so a credit
//! comes back through an atomic counter, which a task of the shard collects.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use atomic_waker::AtomicWaker;

use super::semaphore::Semaphore;
use super::turns::Turn;

/// An answer may take one of so many parts of what is free.
const SHARES: usize = 8;
/// Or this, if that is more.
const SHARE_BYTES_MIN: usize = 64 << 10;

/// The budget; clones are handles to the same one.
#[derive(Clone)]
pub struct FetchBudget {
    semaphore: Semaphore,
    returned: Arc<Returned>,
}

#[derive(Default)]
struct Returned {
    bytes: AtomicUsize,
    waker: AtomicWaker,
}

/// Bytes that an answer may hold; given back when dropped, on whatever thread.
pub struct Credit {
    bytes: usize,
    returned: Arc<Returned>,
    /// Dropped with it.
    _turn: Turn,
}

impl FetchBudget {
    /// A budget of `limit_bytes`. [`FetchBudget::collect`] must run.
    pub fn new(limit_bytes: usize) -> FetchBudget {
        FetchBudget { semaphore: Semaphore::new(limit_bytes), returned: Arc::default() }
    }

    /// Bytes that answers hold now.
    pub fn used_bytes(&self) -> usize {
        self.semaphore.capacity() - self.semaphore.available()
    }

    /// Bytes that they may hold.
    pub fn limit_bytes(&self) -> usize {
        self.semaphore.capacity()
    }

    /// Bytes that one answer should take at most now: a part of what is free, so that a few clients
    /// that never read can't keep the others from being served, but never less than is worth it.
    pub fn share_bytes(&self) -> usize {
        (self.semaphore.available() / SHARES).max(SHARE_BYTES_MIN)
    }

    /// Waits for `bytes`, first come, first served; for all of it if it asks for more. The turn
    /// ends when the credit is given back.
    pub async fn acquire(&self, bytes: usize, turn: Turn) -> Credit {
        let bytes = self.semaphore.acquire(bytes).await.forget();
        Credit { bytes, returned: self.returned.clone(), _turn: turn }
    }

    /// Takes returned credits back, for as long as it is polled.
    pub async fn collect(&self) {
        loop {
            let bytes = poll_fn(|cx| {
                self.returned.waker.register(cx.waker());
                match self.returned.bytes.swap(0, Ordering::AcqRel) {
                    0 => Poll::Pending,
                    bytes => Poll::Ready(bytes),
                }
            });
            self.semaphore.give_back(bytes.await);
        }
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        self.returned.bytes.fetch_add(self.bytes, Ordering::AcqRel);
        self.returned.waker.wake();
    }
}
