//! The budget's queue.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use super::{ByteBudget, Reservation};

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn ready(poll: Poll<Reservation>) -> Reservation {
    match poll {
        Poll::Ready(reservation) => reservation,
        Poll::Pending => panic!("still waiting"),
    }
}

#[test]
fn a_small_reservation_does_not_overtake_a_large_one() {
    let budget = ByteBudget::new("test", 100);
    let first = ready(poll(pin!(budget.reserve(60))));
    let mut large = pin!(budget.reserve(60));
    let mut small = pin!(budget.reserve(30));
    assert!(poll(large.as_mut()).is_pending());
    assert!(poll(small.as_mut()).is_pending(), "40 bytes are free, but it came later");
    drop(first);
    let large = ready(poll(large));
    let small = ready(poll(small));
    assert_eq!((large.bytes(), small.bytes(), budget.used_bytes()), (60, 30, 90));
}

#[test]
fn one_that_gives_up_lets_the_next_in() {
    let budget = ByteBudget::new("test", 100);
    let first = ready(poll(pin!(budget.reserve(60))));
    let mut small = pin!(budget.reserve(30));
    {
        let mut large = pin!(budget.reserve(60));
        assert!(poll(large.as_mut()).is_pending());
        assert!(poll(small.as_mut()).is_pending());
    }
    assert_eq!(ready(poll(small)).bytes(), 30);
    drop(first);
    assert_eq!((budget.used_bytes(), budget.waiting()), (0, 0));
}

#[test]
fn one_that_was_granted_and_gives_up_returns_its_bytes() {
    let budget = ByteBudget::new("test", 100);
    let first = ready(poll(pin!(budget.reserve(100))));
    {
        let mut granted = pin!(budget.reserve(70));
        assert!(poll(granted.as_mut()).is_pending());
        drop(first);
        assert_eq!(budget.used_bytes(), 70);
    }
    assert_eq!(budget.used_bytes(), 0);
}

#[test]
fn more_than_all_is_all() {
    let budget = ByteBudget::new("test", 100);
    let all = ready(poll(pin!(budget.reserve(1000))));
    assert_eq!((all.bytes(), budget.used_bytes()), (100, 100));
}
