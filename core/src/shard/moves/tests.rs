//! The rule, under clients of every kind.

use std::time::Duration;

use super::loads::target;
use super::{Affinity, Loads, Wish};
use crate::seeded::Rng;

/// Lets a client ask for `seconds`, so many times a second, and tells when it wishes what, first.
fn first_wish(
    affinity: &mut Affinity,
    per_second: u32,
    seconds: u32,
    mut ask: impl FnMut(u32) -> (usize, usize),
) -> Option<(Duration, Wish)> {
    (0..per_second * seconds).find_map(|number| {
        let now = Duration::from_secs(1) * number / per_second;
        let (shard, bytes) = ask(number);
        affinity.asks(shard, bytes, || now).map(|wish| (now, wish))
    })
}

fn newcomer(shards: usize) -> Affinity {
    Affinity::new(0, shards, 0, Duration::ZERO)
}

#[test]
fn a_client_of_one_shard_is_sent_there_soon_and_not_at_once() {
    for per_second in [1, 10, 1_000, 100_000] {
        let (when, wish) = first_wish(&mut newcomer(2), per_second, 60, |_| (1, 100)).unwrap();
        assert_eq!(wish, Wish::At(1));
        assert!(when >= Duration::from_secs(1), "{per_second}/s: {when:?}");
        assert!(when <= Duration::from_secs(30), "{per_second}/s: {when:?}");
    }
}

#[test]
fn a_client_of_its_own_shard_stays() {
    assert_eq!(first_wish(&mut newcomer(2), 1_000, 20, |_| (0, 1 << 20)), None);
}

#[test]
fn a_client_of_all_shards_stays() {
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let shards = 2 + rng.below(63) as usize;
        let per_second = [5, 50, 2_000][seed as usize % 3];
        let wish = first_wish(&mut newcomer(shards), per_second, 20, |_| {
            (rng.below(shards as u64) as usize, rng.below(200_000) as usize)
        });
        assert_eq!(wish, None, "seed {seed}, {shards} shards");
    }
}

/// A producer fills a batch for one partition, then one for another.
#[test]
fn a_client_of_one_shard_after_the_other_stays() {
    for in_a_row in [10, 100, 900] {
        let turns = |number: u32| ((number / in_a_row) as usize % 2, 16 << 10);
        assert_eq!(first_wish(&mut newcomer(2), 1_000, 60, turns), None, "{in_a_row} in a row");
    }
}

#[test]
fn bytes_count_where_they_are_many_and_requests_where_they_are_not() {
    // A consumer of two partitions, of which one is busy.
    let busy_elsewhere = |number: u32| if number.is_multiple_of(2) { (0, 0) } else { (1, 1 << 20) };
    let (_, wish) = first_wish(&mut newcomer(2), 100, 20, busy_elsewhere).unwrap();
    assert_eq!(wish, Wish::At(1));
    let both_quiet = |number: u32| (number as usize % 2, 200);
    assert_eq!(first_wish(&mut newcomer(2), 100, 20, both_quiet), None);
}

#[test]
fn whoever_has_moved_rests_ever_longer() {
    let mut last = Duration::ZERO;
    for moves in 1..12 {
        let mut affinity = Affinity::new(1, 2, moves, Duration::ZERO);
        let (when, wish) = first_wish(&mut affinity, 10, 1_000, |_| (0, 100)).unwrap();
        assert_eq!(wish, Wish::At(0));
        assert!(when >= Duration::from_secs(10) && when >= last, "{moves} moves: {when:?}");
        assert!(when <= Duration::from_secs(660), "{moves} moves: {when:?}");
        last = when;
    }
    assert!(last > Duration::from_secs(600));
}

#[test]
fn a_shard_that_is_asked_for_and_does_not_exist_is_nobodys_wish() {
    assert_eq!(first_wish(&mut newcomer(2), 100, 20, |_| (7, 100)), None);
}

#[test]
fn a_busy_shard_takes_nobody_from_an_idle_one() {
    assert_eq!(target(Wish::At(1), 0, &[0, 0]), Some(1));
    assert_eq!(target(Wish::At(1), 0, &[100, 700]), Some(1));
    assert_eq!(target(Wish::At(1), 0, &[100, 800]), None);
    assert_eq!(target(Wish::At(1), 0, &[1_000, 1_000]), Some(1), "both are");
    assert_eq!(target(Wish::At(1), 0, &[950, 1_000]), Some(1), "hardly busier");
    assert_eq!(target(Wish::At(1), 0, &[949, 1_000]), None);
    assert_eq!(target(Wish::At(9), 0, &[0, 0]), None);
}

#[test]
fn a_full_shard_sends_those_away_that_have_come_and_they_do_not_come_back() {
    assert_eq!(target(Wish::Here, 1, &[600, 950, 200]), Some(2));
    assert_eq!(target(Wish::Here, 1, &[600, 850, 200]), None);
    assert_eq!(target(Wish::Here, 1, &[600, 950, 600]), None);
    for full in 900..=1_000 {
        for idle in 0..=500 {
            let to = target(Wish::Here, 0, &[full, idle]).unwrap();
            assert_eq!(target(Wish::At(0), to, &[full, idle]), None);
        }
    }
}

#[test]
fn those_that_were_there_first_are_not_sent_away() {
    assert_eq!(first_wish(&mut newcomer(2), 1_000, 20, |_| (0, 100)), None);
    let mut moved = Affinity::new(0, 2, 1, Duration::ZERO);
    let (_, wish) = first_wish(&mut moved, 1_000, 20, |_| (0, 100)).unwrap();
    assert_eq!(wish, Wish::Here);
}

#[test]
fn only_so_many_come_before_it_is_seen_what_they_bring() {
    let loads = Loads::new(2);
    assert_eq!(loads.admit(Wish::At(1), 0), None, "nothing is known yet");
    for (connections, come) in [(0, 16), (1_000, 62)] {
        loads.measured(1, 10, connections);
        let admitted = (0..1_000).filter(|_| loads.admit(Wish::At(1), 0).is_some()).count();
        assert_eq!(admitted, come);
    }
}

/// One heartbeat every three seconds.
#[test]
fn a_member_is_sent_to_its_coordinator_after_a_few_heartbeats() {
    let mut member = newcomer(2);
    let wish = (0..20).find_map(|number| {
        let now = Duration::from_secs(3) * number;
        member.asks_as_member(1, || now).map(|wish| (now, wish))
    });
    assert_eq!(wish, Some((Duration::from_secs(15), Wish::At(1))));
}
