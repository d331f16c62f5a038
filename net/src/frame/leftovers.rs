//! Memory of very long frames that nobody needs any more: it goes back to the kernel piece by piece. To give
//! back tens of MiB at once takes milliseconds, in which the thread serves nobody.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};

use bytes::BytesMut;

use crate::stream::Timer;

/// Given back in one step: some 100 us.
const STEP_BYTES: usize = 1 << 20;

/// More than this is not left, but freed at once: it would come faster than it goes.
const LEFT_BYTES_MAX: usize = 64 << 20;

thread_local! {
    static LEFT: RefCell<Left> = RefCell::default();
}

#[derive(Default)]
struct Left {
    buffers: VecDeque<Vec<u8>>,
    /// Theirs.
    bytes: usize,
    /// Somebody gives them back.
    is_attended: bool,
    waiting: Option<Waker>,
}

/// Leaves a buffer, which nothing shares, to [`give_back`]; on a thread where that does not run it is freed
/// here and now.
pub(super) fn leave(mut buf: BytesMut) {
    buf.clear();
    // Not copied: the buffer is not shared, and empty.
    let buffer = Vec::from(buf);
    let waker = LEFT.try_with(|left| {
        let left = &mut *left.borrow_mut();
        if !left.is_attended || left.bytes + buffer.capacity() > LEFT_BYTES_MAX {
            return None;
        }
        left.bytes += buffer.capacity();
        left.buffers.push_back(buffer);
        left.waiting.take()
    });
    if let Some(waker) = waker.ok().flatten() {
        waker.wake();
    }
}

/// Gives back what this thread leaves of frames too long to be kept, for as long as it is polled. Once on
/// each thread that reads frames.
pub async fn give_back<T: Timer>(timer: &T) {
    let _attendance = Attendance::begin();
    loop {
        let mut buffer = poll_fn(|context| {
            LEFT.with_borrow_mut(|left| match left.buffers.pop_front() {
                Some(buffer) => {
                    left.bytes -= buffer.capacity();
                    Poll::Ready(buffer)
                }
                None => {
                    left.waiting = Some(context.waker().clone());
                    Poll::Pending
                }
            })
        })
        .await;
        while buffer.capacity() > STEP_BYTES {
            timer.yield_now().await;
            // The C library shortens a mapping where it lies.
            buffer.shrink_to(buffer.capacity() - STEP_BYTES);
        }
    }
}

/// While it lives, buffers are left rather than freed.
struct Attendance;

impl Attendance {
    fn begin() -> Attendance {
        LEFT.with_borrow_mut(|left| left.is_attended = true);
        Attendance
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        // The thread may be ending.
        let left = LEFT.try_with(|left| std::mem::take(&mut *left.borrow_mut()));
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::Future;
    use std::pin::pin;
    use std::task::Context;
    use std::time::Duration;

    use super::*;

    /// Counts the turns that are given up.
    #[derive(Default)]
    struct Turns(Cell<usize>);

    impl Timer for Turns {
        fn now(&self) -> Duration {
            Duration::ZERO
        }

        async fn sleep(&self, _: Duration) {}

        fn yield_now(&self) -> impl Future<Output = ()> {
            self.0.set(self.0.get() + 1);
            let mut is_over = false;
            poll_fn(move |_| match std::mem::replace(&mut is_over, true) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
        }
    }

    fn left_bytes() -> usize {
        LEFT.with_borrow(|left| left.buffers.iter().map(Vec::capacity).sum())
    }

    #[test]
    fn a_very_long_frame_is_given_back_step_by_step() {
        let turns = Turns::default();
        let mut at_work = pin!(give_back(&turns));
        let context = &mut Context::from_waker(Waker::noop());
        assert!(at_work.as_mut().poll(context).is_pending());
        for round in 1..=2 {
            leave(BytesMut::with_capacity(8 * STEP_BYTES));
            assert_eq!((left_bytes(), turns.0.get()), (8 * STEP_BYTES, 7 * (round - 1)));
            for step in 1..=9 {
                assert!(at_work.as_mut().poll(context).is_pending());
                assert_eq!(turns.0.get(), 7 * (round - 1) + step.min(7), "one step a turn");
            }
            assert_eq!(left_bytes(), 0);
        }
    }

    #[test]
    fn where_nobody_gives_back_nothing_is_left() {
        leave(BytesMut::with_capacity(8 * STEP_BYTES));
        assert_eq!(left_bytes(), 0);
        let turns = Turns::default();
        {
            let mut at_work = pin!(give_back(&turns));
            assert!(at_work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            leave(BytesMut::with_capacity(8 * STEP_BYTES));
            assert_eq!(left_bytes(), 8 * STEP_BYTES);
        }
        assert_eq!(left_bytes(), 0, "the thread that ends takes it along");
        leave(BytesMut::with_capacity(8 * STEP_BYTES));
        assert_eq!(left_bytes(), 0);
    }
}
