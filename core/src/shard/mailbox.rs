//! Calls from shard to shard.
//!
//! Each shard has one bounded channel for requests and one for replies. A caller reserves a reply
//! slot before it sends: at most [`CALLS_MAX`] calls from one shard to another are under way. Both
//! channels of a shard have room for as many as its peers together may have under way, so neither a
//! request with a slot nor a reply ever waits, and the consumers wait for nothing but their
//! channel. Two shards that have all their slots with each other therefore always make progress,
//! and a shard that is stuck holds up only the calls to itself.
//!
//! Requests of one caller start at the callee in the order in which they were sent: the first half
//! of a job (everything up to its future) runs in the consumer, one job after another.
//!
//! Nesting: a job may itself call other shards only if it runs on shard 0 (the controller), and
//! those calls must be leaves. So no cycle of callers can hold each other's slots.

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use corelane_storage::meters::Count;
use futures_util::FutureExt;

use super::semaphore::{Permit, Semaphore};

/// Calls that one shard may have under way to one other.
pub const CALLS_MAX: usize = 1024;

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The job panicked; the panic is in the log.
    #[error("a job panicked on another shard")]
    Panicked,
    /// The other shard has stopped.
    #[error("the other shard has stopped")]
    Stopped,
}

type Payload = Box<dyn Any + Send>;
type Outcome = Result<Payload, CallError>;
type Job<C> = Box<dyn FnOnce(&C) -> Work + Send>;

enum Work {
    Done(Payload),
    Later(Pin<Box<dyn Future<Output = Payload>>>),
}

struct Request<C> {
    from: usize,
    slot: usize,
    job: Job<C>,
}

struct Reply {
    slot: usize,
    outcome: Outcome,
}

struct Peer<C> {
    requests: flume::Sender<Request<C>>,
    replies: flume::Sender<Reply>,
}

impl<C> Clone for Peer<C> {
    fn clone(&self) -> Self {
        Peer { requests: self.requests.clone(), replies: self.replies.clone() }
    }
}

/// The receiving end of one shard and the way to the others; moved into the shard when it starts.
pub struct Inbox<C> {
    shard: usize,
    calls_max: usize,
    requests: flume::Receiver<Request<C>>,
    replies: flume::Receiver<Reply>,
    peers: Vec<Peer<C>>,
}

/// Makes the inboxes of `shards` shards with at most `calls_max` calls from one to another.
pub fn inboxes<C>(shards: usize, calls_max: usize) -> Vec<Inbox<C>> {
    let (mut peers, mut receivers) = (Vec::new(), Vec::new());
    let room = calls_max * shards.saturating_sub(1).max(1);
    for _ in 0..shards {
        let (requests, request_rx) = flume::bounded(room);
        let (replies, reply_rx) = flume::bounded(room);
        peers.push(Peer { requests, replies });
        receivers.push((request_rx, reply_rx));
    }
    let mut inboxes = Vec::new();
    for (shard, (requests, replies)) in receivers.into_iter().enumerate() {
        inboxes.push(Inbox { shard, calls_max, requests, replies, peers: peers.clone() });
    }
    inboxes
}

impl<C: 'static> Inbox<C> {
    /// The calling side, for this shard.
    pub fn mailbox(&self) -> Mailbox<C> {
        Mailbox {
            shard: self.shard,
            lanes: self.peers.iter().map(|_| Semaphore::new(self.calls_max)).collect(),
            peers: self.peers.clone(),
            slots: Rc::default(),
            calls: Count::default(),
        }
    }

    /// Runs the jobs of other shards on `context`, for as long as the future is polled. `spawn`
    /// runs the second half of a job as a task of its own.
    pub async fn run_jobs(&self, context: &C, spawn: impl Fn(Pin<Box<dyn Future<Output = ()>>>)) {
        while let Ok(Request { from, slot, job }) = self.requests.recv_async().await {
            let replies = self.peers[from].replies.clone();
            match catch_unwind(AssertUnwindSafe(|| job(context))) {
                Ok(Work::Done(payload)) => post(&replies, slot, Ok(payload)),
                Ok(Work::Later(rest)) => {
                    let mut rest = Box::pin(AssertUnwindSafe(rest).catch_unwind());
                    // What needs not wait needs no task.
                    match rest.as_mut().now_or_never() {
                        Some(outcome) => post(&replies, slot, caught(outcome)),
                        None => spawn(Box::pin(async move {
                            post(&replies, slot, caught(rest.await));
                        })),
                    }
                }
                Err(_) => post(&replies, slot, Err(CallError::Panicked)),
            }
        }
    }

    /// Hands replies to those who wait for them, for as long as the future is polled.
    pub async fn run_replies(&self, mailbox: &Mailbox<C>) {
        while let Ok(Reply { slot, outcome }) = self.replies.recv_async().await {
            mailbox.slots.complete(slot, outcome);
        }
    }
}

fn caught(outcome: Result<Payload, Box<dyn Any + Send>>) -> Outcome {
    outcome.map_err(|_| CallError::Panicked)
}

fn post(replies: &flume::Sender<Reply>, slot: usize, outcome: Outcome) {
    // Disconnected only if the caller's shard has ended: nobody waits.
    let posted = replies.try_send(Reply { slot, outcome });
    assert!(!matches!(posted, Err(flume::TrySendError::Full(_))), "a reply without its slot");
}

/// The calling side of one shard.
pub struct Mailbox<C> {
    shard: usize,
    /// One per peer: the calls that may still be made to it.
    lanes: Vec<Semaphore>,
    peers: Vec<Peer<C>>,
    slots: Rc<Slots>,
    calls: Count,
}

impl<C: 'static> Mailbox<C> {
    /// Sends `job` to another shard as soon as there is a free slot. When this resolves the request
    /// has its place in the callee's order; await the [`Answer`] for what `job` returned.
    ///
    /// # Panics
    /// If `to` is not a shard, or is this one.
    pub async fn send<T: Send + 'static>(
        &self,
        to: usize,
        job: impl FnOnce(&C) -> T + Send + 'static,
    ) -> Result<Answer<T>, CallError> {
        self.post(to, Box::new(move |context| Work::Done(Box::new(job(context))))).await
    }

    /// As [`Mailbox::send`], for a job with a second half: the closure runs in order, the future
    /// that it returns runs beside others.
    pub async fn send_async<T: Send + 'static, F: Future<Output = T> + 'static>(
        &self,
        to: usize,
        job: impl FnOnce(&C) -> F + Send + 'static,
    ) -> Result<Answer<T>, CallError> {
        let job = move |context: &C| {
            let rest = job(context);
            Work::Later(Box::pin(async move { Box::new(rest.await) as Payload }))
        };
        self.post(to, Box::new(job)).await
    }

    /// Calls of other shards that this one has not begun.
    pub fn depth(&self) -> usize {
        self.peers[self.shard].requests.len()
    }

    /// Calls that this shard has made to others.
    pub fn calls(&self) -> u64 {
        self.calls.get()
    }

    async fn post<T>(&self, to: usize, job: Job<C>) -> Result<Answer<T>, CallError> {
        assert_ne!(to, self.shard, "a shard does not call itself");
        let permit = self.lanes[to].acquire(1).await;
        let slot = self.slots.reserve(permit);
        self.calls.add(1);
        match self.peers[to].requests.try_send(Request { from: self.shard, slot, job }) {
            Ok(()) => Ok(Answer { slots: self.slots.clone(), slot, value: PhantomData }),
            Err(flume::TrySendError::Disconnected(_)) => {
                self.slots.release(slot);
                Err(CallError::Stopped)
            }
            Err(flume::TrySendError::Full(_)) => unreachable!("there is room for every slot"),
        }
    }
}

/// Where replies are awaited; grows to the most calls that were under way at once.
#[derive(Default)]
struct Slots {
    table: RefCell<Vec<Slot>>,
    free: RefCell<Vec<usize>>,
}

#[derive(Default)]
enum Slot {
    #[default]
    Free,
    Waiting(Permit, Option<Waker>),
    /// The caller went away; the slot stays taken until its reply has come.
    Abandoned(#[expect(dead_code, reason = "held")] Permit),
    Done(Permit, Outcome),
}

impl Slots {
    fn reserve(&self, permit: Permit) -> usize {
        let mut table = self.table.borrow_mut();
        let slot = self.free.borrow_mut().pop().unwrap_or_else(|| {
            table.push(Slot::Free);
            table.len() - 1
        });
        table[slot] = Slot::Waiting(permit, None);
        slot
    }

    fn complete(&self, slot: usize, outcome: Outcome) {
        let state = std::mem::take(&mut self.table.borrow_mut()[slot]);
        match state {
            Slot::Waiting(permit, waker) => {
                self.table.borrow_mut()[slot] = Slot::Done(permit, outcome);
                waker.into_iter().for_each(Waker::wake);
            }
            Slot::Abandoned(_) => self.release(slot),
            Slot::Free | Slot::Done(..) => unreachable!("a reply that nobody asked for"),
        }
    }

    fn release(&self, slot: usize) {
        // Bound to a name: the permit must not be dropped, and so wake others, under the borrow.
        let _state = std::mem::take(&mut self.table.borrow_mut()[slot]);
        self.free.borrow_mut().push(slot);
    }

    fn poll(&self, slot: usize, waker: &Waker) -> Poll<Outcome> {
        let mut table = self.table.borrow_mut();
        match std::mem::take(&mut table[slot]) {
            Slot::Done(permit, outcome) => {
                table[slot] = Slot::Done(permit, Err(CallError::Stopped));
                Poll::Ready(outcome)
            }
            Slot::Waiting(permit, _) => {
                table[slot] = Slot::Waiting(permit, Some(waker.clone()));
                Poll::Pending
            }
            Slot::Free | Slot::Abandoned(_) => unreachable!("polled without its slot"),
        }
    }

    fn abandon(&self, slot: usize) {
        let mut table = self.table.borrow_mut();
        match std::mem::take(&mut table[slot]) {
            Slot::Waiting(permit, _) => table[slot] = Slot::Abandoned(permit),
            done => {
                drop(table);
                drop(done);
                self.free.borrow_mut().push(slot);
            }
        }
    }
}

/// What a job will return; holds the reply slot.
#[must_use]
pub struct Answer<T> {
    slots: Rc<Slots>,
    slot: usize,
    value: PhantomData<fn() -> T>,
}

impl<T: 'static> Future for Answer<T> {
    type Output = Result<T, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.slots.poll(self.slot, cx.waker()).map(|outcome| {
            let payload = outcome?.downcast::<T>().unwrap_or_else(|_| {
                unreachable!("a slot is answered by the job that was sent with it")
            });
            Ok(*payload)
        })
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        self.slots.abandon(self.slot);
    }
}
