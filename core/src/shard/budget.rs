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
}

impl FetchBudget {
    /// A budget of `limit_bytes`. [`FetchBudget::collect`] must run.
    pub fn new(limit_bytes: usize) -> FetchBudget {
        FetchBudget { semaphore: Semaphore::new(limit_bytes), returned: Arc::default() }
    }

    /// Waits for `bytes`, first come, first served; for all of it if it asks for more.
    pub async fn acquire(&self, bytes: usize) -> Credit {
        let bytes = self.semaphore.acquire(bytes).await.forget();
        Credit { bytes, returned: self.returned.clone() }
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
