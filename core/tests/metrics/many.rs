//! 10,000 partitions, and many scrapers at once.

use std::thread;
use std::time::Instant;

use crate::groups::commit;
use crate::harness::broker::Broker;
use crate::harness::http::{Samples, address, get};
use crate::harness::topics;
use crate::harness::typed;
use crate::watched;

const PARTITIONS: usize = 10_000;
/// No slice holds a shard for longer, in processor time. It should be 0.2 ms; all of a shard's
/// partitions at once would be three times this bound, where nothing is optimized.
const HOLD_SECONDS_MAX: f64 = 0.005;
/// Series of each partition.
const SERIES: usize = 11;
/// Groups that have committed offsets of all partitions, each one with two series of each.
const GROUPS: usize = 2;

#[test]
fn ten_thousand_partitions_are_told_whole() {
    if Broker::must_skip("metrics") {
        return;
    }
    let broker = Broker::start(watched());
    let connection = &mut broker.connect();
    let (request, version) = topics::creation("many", PARTITIONS as i32, &[]);
    typed::call(connection, version, request);
    let offsets: Vec<(i32, i64)> = (0..PARTITIONS as i32).map(|index| (index, 0)).collect();
    for group in 0..GROUPS {
        commit(connection, &format!("g{group}"), "many", &offsets);
    }
    let place = address(&broker);
    let mut before: Option<[f64; 2]> = None;
    for scrape in 0..4 {
        let began = Instant::now();
        let page = get(place, "/metrics").body;
        let took = began.elapsed();
        let samples = Samples::parse(&page);
        let told = samples.0.keys().filter(|series| series.contains(r#"topic="many""#)).count();
        assert_eq!(told, PARTITIONS * (SERIES + 2 * GROUPS));
        assert_eq!(samples.sum("corelane_shard_up"), 2.0);
        let of = |name: &str, shard: usize, more: &str| {
            samples.value(&format!(r#"corelane_shard_{name}{{shard="{shard}"{more}}}"#))
        };
        let spent = |shard| {
            of("cpu_seconds_total", shard, r#",mode="user""#)
                + of("cpu_seconds_total", shard, r#",mode="system""#)
        };
        let held = [0, 1].map(|shard| of("scrape_hold_seconds", shard, ""));
        // No test fails on a time that a busy machine makes longer: `--nocapture` shows this one.
        println!(
            "scrape {scrape}: {} bytes in {took:?}; longest holds {:.0} us and {:.0} us",
            page.len(),
            held[0] * 1e6,
            held[1] * 1e6,
        );
        let now = [spent(0), spent(1)];
        if let Some(before) = before {
            // What the shards did meanwhile is the scrape before: it came in many slices.
            for shard in 0..2 {
                let whole = now[shard] - before[shard];
                println!("  shard {shard}: {:.1} ms in all", whole * 1e3);
                assert!(held[shard] < HOLD_SECONDS_MAX, "held for {held:?}");
                assert!(held[shard] < whole / 2.0, "held for {held:?} of {whole}");
            }
        }
        before = Some(now);
    }
}

#[test]
fn many_scrapers_get_whole_pages() {
    if Broker::must_skip("metrics") {
        return;
    }
    let broker = Broker::start(watched());
    let connection = &mut broker.connect();
    let (request, version) = topics::creation("t", 500, &[]);
    typed::call(connection, version, request);
    let place = address(&broker);
    let scrapers: Vec<_> = (0..60).map(|_| thread::spawn(move || get(place, "/metrics"))).collect();
    for scraper in scrapers {
        let answer = scraper.join().expect("no panic");
        assert_eq!(answer.status, 200);
        let samples = Samples::parse(&answer.body);
        let told = samples.0.keys().filter(|series| series.contains(r#"topic="t""#)).count();
        assert_eq!(told, 500 * SERIES);
    }
}
