//! The budget's queue, its limit and its allowance.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use proptest::prelude::*;

use super::{ByteBudget, Reservation};

const ALLOWANCE: usize = 80;

fn budget() -> ByteBudget {
    ByteBudget::new("test", 100, ALLOWANCE)
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A frame of `frame_bytes` with the first `bytes` reserved.
fn begun(budget: &ByteBudget, frame_bytes: usize, bytes: usize) -> Reservation {
    let mut frame = budget.begin(frame_bytes);
    assert!(frame.try_grow_to(bytes), "{bytes} of {frame_bytes} must wait");
    frame
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_frame_begun_holds_nothing_before_it_grows() {
    let budget = budget();
    let claims: Vec<_> = (0..1000).map(|_| budget.begin(ALLOWANCE)).collect();
    assert_eq!((budget.used_bytes(), budget.waiting()), (0, 0));
    drop(begun(&budget, 60, 60));
    drop(claims);
}

#[test]
fn a_small_frame_does_not_overtake_a_large_one() {
    let budget = budget();
    let first = begun(&budget, 60, 60);
    let mut second = begun(&budget, 80, 40);
    let (mut large, mut small) = (budget.begin(60), budget.begin(30));
    // The allowance is the second's, which began before.
    assert!(second.try_grow_to(41));
    {
        let (mut large, mut small) = (pin!(large.grow_to(60)), pin!(small.grow_to(30)));
        assert!(poll(large.as_mut()).is_pending());
        assert!(poll(small.as_mut()).is_pending());
        drop(first);
        assert_eq!(budget.used_bytes(), 41);
        assert!(poll(small.as_mut()).is_pending(), "59 bytes are free, but it began later");
        drop(second);
        assert!(poll(large).is_ready());
        assert!(poll(small).is_ready());
    }
    assert_eq!((large.bytes(), small.bytes(), budget.used_bytes()), (60, 30, 90));
}

#[test]
fn frames_wait_in_the_order_in_which_they_began_not_in_that_of_their_steps() {
    let budget = budget();
    let mut holds_the_promise = begun(&budget, 80, 10);
    let (mut older, mut younger) = (begun(&budget, 50, 10), begun(&budget, 50, 10));
    let rest = begun(&budget, 70, 70);
    assert!(holds_the_promise.try_grow_to(11));
    let (mut younger, mut older) = (pin!(younger.grow_to(20)), pin!(older.grow_to(20)));
    assert!(poll(younger.as_mut()).is_pending());
    assert!(poll(older.as_mut()).is_pending());
    drop(rest);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    assert!(younger.as_mut().poll(&mut Context::from_waker(&waker)).is_pending(), "older waits");
    assert!(poll(older).is_ready());
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1, "the next in the queue is woken");
    assert!(poll(younger).is_ready());
}

#[test]
fn half_received_frames_that_hold_all_of_it_complete_one_after_the_other() {
    let budget = budget();
    let mut frames: Vec<_> = (0..10).map(|_| begun(&budget, 40, 10)).collect();
    assert_eq!(budget.used_bytes(), 100);
    // The oldest goes on over the limit, step by step, and nobody else does.
    let mut oldest = frames.remove(0);
    assert!(oldest.try_grow_to(20));
    for frame in &mut frames {
        assert!(poll(pin!(frame.grow_to(20))).is_pending());
    }
    assert!(oldest.try_grow_to(40));
    assert_eq!((oldest.bytes(), budget.used_bytes()), (40, 130));
    for mut frame in frames {
        assert!(poll(pin!(frame.grow_to(20))).is_ready(), "the one before is complete");
        assert!(poll(pin!(frame.grow_to(40))).is_ready());
        assert!(budget.used_bytes() <= 100 + ALLOWANCE);
    }
    drop(oldest);
    assert_eq!((budget.used_bytes(), budget.waiting()), (0, 0));
}

#[test]
fn the_allowance_is_for_one_incomplete_frame_and_what_is_over_is_repaid_before_the_next() {
    let budget = budget();
    let (mut first, mut second) = (begun(&budget, 80, 50), begun(&budget, 80, 50));
    let (mut third, mut small) = (budget.begin(80), budget.begin(15));
    assert!(first.try_grow_to(80));
    assert_eq!(budget.used_bytes(), 130);
    // 30 bytes more and no others: that fits the allowance, 80 do not.
    assert!(second.try_grow_to(60));
    assert!(!third.try_grow_to(20));
    assert!(second.try_grow_to(80));
    assert!(!third.try_grow_to(20), "80 would be 240 of 180");
    assert!(small.try_grow_to(15), "175 of 180, at once");
    drop(first);
    assert!(third.try_grow_to(20), "175 of 180, when all of it has come");
    assert_eq!(budget.used_bytes(), 115);
    drop((second, small));
    assert!(third.try_grow_to(80));
    assert_eq!(budget.used_bytes(), 80);
}

#[test]
fn one_that_gives_up_lets_the_next_in() {
    let budget = budget();
    let full = begun(&budget, 80, 80);
    let mut promised = begun(&budget, 80, 30);
    let (mut large, mut small) = (budget.begin(60), budget.begin(5));
    let mut small = pin!(small.grow_to(5));
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    {
        let mut large = pin!(large.grow_to(60));
        assert!(poll(large.as_mut()).is_pending());
        assert!(small.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(full);
        assert!(poll(large.as_mut()).is_ready());
    }
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    assert!(poll(small.as_mut()).is_ready());
    assert!(promised.try_grow_to(80));
    assert_eq!(budget.used_bytes(), 145);
}

#[test]
fn a_waiter_that_is_dropped_leaves_nothing_behind() {
    let budget = budget();
    let full = begun(&budget, 80, 80);
    let promised = begun(&budget, 80, 30);
    let (mut large, mut small) = (budget.begin(60), budget.begin(5));
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut small = pin!(small.grow_to(5));
    {
        let mut large = pin!(large.grow_to(60));
        assert!(poll(large.as_mut()).is_pending());
        assert!(small.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(budget.waiting(), 2);
    }
    assert_eq!((large.bytes(), budget.waiting()), (0, 1));
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1, "it is the first now");
    drop(promised);
    assert_eq!(wakes.0.load(Ordering::Relaxed), 2);
    assert!(poll(small).is_ready());
    drop((full, large));
    assert_eq!((budget.used_bytes(), budget.waiting()), (5, 0));
}

#[test]
fn one_that_was_promised_the_rest_and_goes_lets_the_next_over_the_limit() {
    let budget = budget();
    let (mut first, mut second) = (begun(&budget, 80, 50), begun(&budget, 80, 50));
    assert!(first.try_grow_to(70));
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut rest = pin!(second.grow_to(80));
    assert!(rest.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(first);
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    assert!(poll(rest).is_ready());
    assert_eq!(budget.used_bytes(), 80);
}

#[test]
fn a_frame_above_the_allowance_is_counted_as_the_allowance() {
    let budget = ByteBudget::new("test", 10, 20);
    let mut huge = budget.begin(1000);
    assert!(huge.try_grow_to(500));
    assert!(huge.try_grow_to(1000));
    assert_eq!((huge.bytes(), budget.used_bytes()), (20, 20));
}

#[derive(Debug, Clone)]
enum Step {
    Begin { frame_bytes: usize },
    Grow { which: usize, bytes: usize },
    Drop { which: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1..=ALLOWANCE).prop_map(|frame_bytes| Step::Begin { frame_bytes }),
        6 => (0..64usize, 1..40usize).prop_map(|(which, bytes)| Step::Grow { which, bytes }),
        1 => (0..64usize).prop_map(|which| Step::Drop { which }),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// Whatever frames do: never more than limit and allowance. And when all that are complete have
    /// been answered, the others get through, though the youngest always asks first.
    #[test]
    fn bounded_and_never_stuck(steps in steps()) {
        let budget = budget();
        let mut frames: Vec<Reservation> = Vec::new();
        for step in steps {
            match step {
                Step::Begin { frame_bytes } => frames.push(budget.begin(frame_bytes)),
                Step::Grow { .. } | Step::Drop { .. } if frames.is_empty() => {}
                Step::Grow { which, bytes } => {
                    let which = which % frames.len();
                    let wanted_bytes = frames[which].bytes() + bytes;
                    frames[which].try_grow_to(wanted_bytes);
                }
                Step::Drop { which } => drop(frames.remove(which % frames.len())),
            }
            prop_assert!(budget.used_bytes() <= 100 + ALLOWANCE);
            let sum: usize = frames.iter().map(Reservation::bytes).sum();
            prop_assert_eq!(sum, budget.used_bytes());
        }
        frames.retain(|frame| frame.bytes() < frame.frame_bytes);
        while !frames.is_empty() {
            let before = frames.len();
            for frame in frames.iter_mut().rev() {
                let _ = frame.try_grow_to(usize::MAX);
            }
            frames.retain(|frame| frame.bytes() < frame.frame_bytes);
            prop_assert!(frames.len() < before, "{} frames are stuck", before);
        }
        prop_assert_eq!((budget.used_bytes(), budget.waiting()), (0, 0));
    }
}
