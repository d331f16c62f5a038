//! What lagging readers share.

use std::cell::Cell;
use std::pin::pin;

use futures_util::future::{Either, join, join_all, select};

use super::*;
use crate::batch::BatchBuilder;
use crate::log::Lease;
use crate::sim::FaultRates;

/// One segment of which memory has given up all but the end: 40 batches of 50 kB.
async fn lagging(sim: &Simulation) -> Broker {
    lagging_within(sim, StoreLimits::default()).await
}

async fn lagging_within(sim: &Simulation, limits: StoreLimits) -> Broker {
    let limits = StoreLimits { cache_bytes: 0, ..limits };
    let config = LogConfig { retention_ms: -1, ..LogConfig::default() };
    let broker = Broker::start_within(sim, config, limits).await;
    for number in 0..40 {
        broker.append(&BatchBuilder::new().value(0, vec![number; 50_000]).build()).await;
    }
    broker.sleep_s(1).await;
    broker
}

async fn lease(broker: &Broker, offset: i64) -> Lease<crate::sim::SimFile> {
    let lease = broker.log.read(offset, 300_000).await.unwrap().leases.remove(0);
    assert!(matches!(lease, Lease::File(_)), "the cache has given it up");
    lease
}

/// What is read from `offset` on, by the way that readers share.
async fn shared(broker: &Broker, offset: i64) -> Vec<u8> {
    let lease = lease(broker, offset).await;
    broker.store.load(lease).await.unwrap().iter().flat_map(|slice| slice.to_vec()).collect()
}

async fn direct(broker: &Broker, offset: i64) -> Vec<u8> {
    let slices = lease(broker, offset).await.load().await.unwrap();
    slices.iter().flat_map(|slice| slice.to_vec()).collect()
}

fn reads(sim: &Simulation) -> u64 {
    sim.disk().counters().reads
}

#[test]
fn readers_at_one_place_read_the_disk_once() {
    let sim = Simulation::new(1);
    sim.run_until(async {
        let broker = lagging(&sim).await;
        let expected = direct(&broker, 0).await;
        let before = reads(&sim);
        let all = join_all((0..50).map(|_| shared(&broker, 0))).await;
        assert!(all.iter().all(|bytes| *bytes == expected));
        assert_eq!(reads(&sim) - before, 1);
    });
}

#[test]
fn who_reads_on_finds_the_next_bytes_there() {
    let sim = Simulation::new(2);
    sim.run_until(async {
        let broker = lagging(&sim).await;
        assert_eq!(shared(&broker, 0).await, direct(&broker, 0).await);
        assert_eq!(shared(&broker, 5).await, direct(&broker, 5).await);
        broker.sleep_s(1).await;
        let expected = direct(&broker, 10).await;
        let before = reads(&sim);
        assert_eq!(shared(&broker, 10).await, expected);
        assert_eq!(reads(&sim), before, "it was read ahead");
    });
}

#[test]
fn any_place_reads_the_same_both_ways() {
    let sim = Simulation::new(3);
    sim.run_until(async {
        let broker = lagging(&sim).await;
        for offset in [7, 3, 30, 12, 29, 0, 8, 35, 1, 34] {
            let (one, other) = join(shared(&broker, offset), shared(&broker, 1)).await;
            assert_eq!(one, direct(&broker, offset).await, "{offset}");
            assert_eq!(other, direct(&broker, 1).await);
        }
    });
}

#[test]
fn a_reader_that_goes_leaves_nobody_waiting() {
    let sim = Simulation::new(4);
    sim.run_until(async {
        let broker = lagging(&sim).await;
        let expected = direct(&broker, 0).await;
        let mut stays = Box::pin(shared(&broker, 0));
        {
            let gone = pin!(shared(&broker, 0));
            let turn = pin!(broker.runtime.yield_now());
            assert!(matches!(select(gone, turn).await, Either::Right(_)), "read within a turn");
            let turn = pin!(broker.runtime.yield_now());
            assert!(matches!(select(&mut stays, turn).await, Either::Right(_)));
        }
        assert_eq!(stays.await, expected);
    });
}

/// His client takes nothing, say.
#[test]
fn a_reader_that_is_held_up_holds_up_nobody() {
    let sim = Simulation::new(8);
    sim.run_until(async {
        let broker = lagging(&sim).await;
        let expected = direct(&broker, 0).await;
        let held_up = pin!(shared(&broker, 0));
        let turn = pin!(broker.runtime.yield_now());
        let Either::Right(((), held_up)) = select(held_up, turn).await else {
            panic!("read within a turn");
        };
        assert_eq!(shared(&broker, 0).await, expected);
        assert_eq!(held_up.await, expected);
    });
}

#[test]
fn a_small_piece_does_not_hold_all_that_was_read() {
    let sim = Simulation::new(9);
    sim.run_until(async {
        let broker = lagging(&sim).await;
        shared(&broker, 0).await;
        let lease = broker.log.read(2, 1).await.unwrap().leases.remove(0);
        let slices = broker.store.load(lease).await.unwrap();
        let bytes: usize = slices.iter().map(|slice| slice.len()).sum();
        let held: usize = slices.iter().map(|slice| slice.held_bytes()).sum();
        assert!((50_000..60_000).contains(&bytes) && held < 4 * bytes, "{held} held for {bytes}");
    });
}

#[test]
fn a_read_that_fails_is_not_kept() {
    let sim = Simulation::new(5);
    sim.run_until(async {
        let broker = lagging(&sim).await;
        let (one, other) = (lease(&broker, 0).await, lease(&broker, 0).await);
        sim.disk().set_fault_rates(FaultRates { read_eio: 1_000_000, ..FaultRates::default() });
        let (one, other) = join(broker.store.load(one), broker.store.load(other)).await;
        assert!(one.is_err() && other.is_err());
        sim.disk().set_fault_rates(FaultRates::default());
        assert_eq!(shared(&broker, 0).await, direct(&broker, 0).await);
    });
}

#[test]
fn what_nobody_asks_for_is_given_back() {
    let sim = Simulation::new(6);
    sim.run_until(async {
        let broker = lagging(&sim).await;
        shared(&broker, 0).await;
        assert!(broker.store.gauges().read_back_bytes >= 300_000);
        broker.sleep_s(5).await;
        assert_eq!(broker.store.gauges().read_back_bytes, 0);
    });
}

#[test]
fn more_is_kept_for_those_who_follow() {
    let sim = Simulation::new(10);
    sim.run_until(async {
        let limits = StoreLimits { read_back_bytes: 8 << 20, ..StoreLimits::default() };
        let broker = lagging_within(&sim, limits).await;
        let most_bytes = Cell::new(0);
        let read_all = async || {
            for offset in (0..35).step_by(5) {
                shared(&broker, offset).await;
                most_bytes.set(most_bytes.get().max(broker.store.gauges().read_back_bytes));
            }
        };
        read_all().await;
        let alone = most_bytes.replace(0);
        join_all((0..3).map(|_| read_all())).await;
        let together = most_bytes.get();
        assert!(alone <= 1 << 20 && together > 1 << 20, "{alone} and {together} bytes");
    });
}

#[test]
fn no_more_is_kept_than_may_be() {
    let sim = Simulation::new(7);
    sim.run_until(async {
        for limit in [0, 300 << 10, 600 << 10, 1400 << 10] {
            let limits = StoreLimits { read_back_bytes: limit, ..StoreLimits::default() };
            let broker = lagging_within(&sim, limits).await;
            let mut most = 0;
            for offset in (0..35).chain([3, 20, 7]) {
                assert_eq!(shared(&broker, offset).await, direct(&broker, offset).await);
                most = most.max(broker.store.gauges().read_back_bytes);
            }
            assert!(most <= limit, "{most} bytes of {limit}");
            assert_eq!(most > 0, limit >= 512 << 10, "{limit}");
            broker.stop().await;
        }
    });
}
