//! A task of a shard: its panic ends only itself, and other threads may wake it.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::wakes::Wakes;

/// Polls `future`, with a waker that works on every thread, and turns its panic into an error
/// that carries the panic's message.
///
/// A task's panic would otherwise unwind through the executor and kill every task of its shard.
pub(super) struct ShardTask<F> {
    future: Pin<Box<F>>,
    wakes: Rc<Wakes>,
    waker: Option<Waker>,
}

impl<F> ShardTask<F> {
    pub(super) fn new(future: F, wakes: Rc<Wakes>) -> Self {
        ShardTask { future: Box::pin(future), wakes, waker: None }
    }
}

impl<F: Future> Future for ShardTask<F> {
    type Output = Result<F::Output, String>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let task = &mut *self;
        if task.wakes.has_ended() {
            return Poll::Pending;
        }
        // A task keeps its waker of the executor for life.
        let waker = task.waker.get_or_insert_with(|| task.wakes.waker(cx.waker()));
        let mut cx = Context::from_waker(waker);
        // A panicked future is never polled again; what it shared with others (a partition) is
        // the concern of whoever awaits it, by design.
        match catch_unwind(AssertUnwindSafe(|| task.future.as_mut().poll(&mut cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic_message(&*panic))),
        }
    }
}

/// What the panic said.
pub(super) fn panic_message(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "panic without a message".to_owned()
    }
}
