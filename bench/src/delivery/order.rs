//! Whether one reader gets each of a partition's batches once, in their order.

use std::collections::BTreeMap;

/// Most gaps that are remembered. Beyond them a batch that fills one counts as a duplicate, and the
/// gap stays: what is reported is wrong by its kind only, never faultless.
const GAPS_MAX: usize = 100_000;

/// What a batch is to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It comes for the first time.
    First,
    /// It came before.
    Again,
}

/// What has come of batches that are numbered from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Order {
    /// One beyond the highest number that has come.
    next: u64,
    /// Numbers below it that have not come: their begin and end.
    gaps: BTreeMap<u64, u64>,
    pub(crate) duplicated: u64,
    /// Came after a later one.
    pub(crate) reordered: u64,
}

impl Order {
    /// Takes note of the batch of this number.
    pub(crate) fn take(&mut self, number: u64) -> Arrival {
        if number >= self.next {
            if number > self.next && self.gaps.len() < GAPS_MAX {
                self.gaps.insert(self.next, number);
            } else if let Some(mut last) = self.gaps.last_entry().filter(|_| number > self.next) {
                // Grows to hold what there is no room for: it is missing all the same.
                *last.get_mut() = number;
            }
            self.next = number + 1;
            return Arrival::First;
        }
        let gap = self.gaps.range(..=number).next_back().map(|(begin, end)| (*begin, *end));
        let Some((begin, end)) = gap.filter(|(_, end)| number < *end) else {
            self.duplicated += 1;
            return Arrival::Again;
        };
        self.gaps.remove(&begin);
        for (begin, end) in [(begin, number), (number + 1, end)] {
            if begin < end {
                self.gaps.insert(begin, end);
            }
        }
        self.reordered += 1;
        Arrival::First
    }

    /// One beyond the highest number that has come.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// How many of the numbers below `end` that `is_expected` are missing: those that later ones have
    /// overtaken, and those of the end, which may be on their way.
    pub(crate) fn missing(&self, end: u64, is_expected: impl Fn(u64) -> bool) -> Missing {
        let count = |begin: u64, until: u64| {
            (begin..until.min(end)).filter(|number| is_expected(*number)).count() as u64
        };
        Missing {
            overtaken: self.gaps.iter().map(|(begin, end)| count(*begin, *end)).sum(),
            last: count(self.next, end),
        }
    }
}

/// Batches that have not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) overtaken: u64,
    pub(crate) last: u64,
}

#[cfg(test)]
mod tests {
    use super::{Arrival, GAPS_MAX, Missing, Order};

    fn after(numbers: &[u64]) -> Order {
        let mut order = Order::default();
        numbers.iter().for_each(|number| {
            order.take(*number);
        });
        order
    }

    fn told(numbers: &[u64], end: u64) -> (u64, u64, u64, u64) {
        let order = after(numbers);
        let Missing { overtaken, last } = order.missing(end, |_| true);
        (overtaken, last, order.duplicated, order.reordered)
    }

    #[test]
    fn losses_duplicates_and_disorder_are_told_apart() {
        // Lost, not come yet, duplicated, reordered.
        assert_eq!(told(&[0, 1, 2, 3], 4), (0, 0, 0, 0));
        assert_eq!(told(&[], 3), (0, 3, 0, 0));
        assert_eq!(told(&[0, 1], 4), (0, 2, 0, 0));
        assert_eq!(told(&[0, 3, 4], 5), (2, 0, 0, 0));
        assert_eq!(told(&[0, 1, 1, 0, 2], 3), (0, 0, 2, 0));
        assert_eq!(told(&[0, 2, 1, 3], 4), (0, 0, 0, 1));
        // One of three in a gap comes late, and then again.
        assert_eq!(told(&[0, 4, 2, 2, 5], 6), (2, 0, 1, 1));
        // The first is lost.
        assert_eq!(told(&[1, 2], 3), (1, 0, 0, 0));
    }

    #[test]
    fn what_the_broker_refused_is_not_missed() {
        let order = after(&[0, 3]);
        let missing = order.missing(6, |number| number != 1 && number != 5);
        assert_eq!(missing, Missing { overtaken: 1, last: 1 });
    }

    #[test]
    fn every_arrival_is_told_as_it_comes() {
        let mut order = Order::default();
        let arrivals = [0, 2, 1, 1, 3].map(|number| order.take(number));
        use Arrival::{Again, First};
        assert_eq!(arrivals, [First, First, First, Again, First]);
        assert_eq!(order.next(), 4);
    }

    /// Against a plain list of all that came.
    #[test]
    fn any_sequence_is_judged_as_a_list_would() {
        let mut seed = 1u64;
        for _ in 0..500 {
            let mut random = |limit: u64| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 33) % limit
            };
            let numbers: Vec<u64> = (0..random(40)).map(|_| random(30)).collect();
            let (mut seen, mut duplicated, mut reordered) = (vec![false; 30], 0, 0);
            let mut next = 0;
            for number in &numbers {
                match std::mem::replace(&mut seen[*number as usize], true) {
                    true => duplicated += 1,
                    false if *number < next => reordered += 1,
                    false => {}
                }
                next = next.max(number + 1);
            }
            let missing = |range: std::ops::Range<u64>| {
                range.filter(|number| !seen[*number as usize]).count() as u64
            };
            let expected = (missing(0..next), missing(next..30), duplicated, reordered);
            assert_eq!(told(&numbers, 30), expected, "{numbers:?}");
        }
    }

    #[test]
    fn gaps_without_end_take_bounded_memory_and_stay_missing() {
        let mut order = Order::default();
        let end = 2 * GAPS_MAX as u64 + 1000;
        (1..end).step_by(2).for_each(|number| {
            order.take(number);
        });
        assert_eq!(order.gaps.len(), GAPS_MAX);
        assert!(order.missing(end, |_| true).overtaken >= end / 2);
    }
}
