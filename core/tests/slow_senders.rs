//! Clients that announce much, send a part of it and stop: those who send all of theirs are served meanwhile.

mod harness;

use std::time::{Duration, Instant};

use harness::batch::Batch;
use harness::broker::Broker;
use harness::http::Samples;
use harness::options::Options;
use harness::process::raise_open_file_limit;
use harness::rdkafka_client::fresh_topic;
use harness::requests::{create_ready_topic, produce, produce_one};
use harness::wire::Connection;

const MEBIBYTE: usize = 1 << 20;

/// More than the budget of one shard (256 MiB) has room for.
const STALLED: usize = 420;
const SENT_BYTES: usize = 600 << 10;

const SLOW: &str = r#"corelane_connections_closed_total{shard="0",reason="slow"}"#;
const USED: &str = r#"corelane_memory_used_bytes{shard="0",pool="requests"}"#;
const LIMIT: &str = r#"corelane_memory_limit_bytes{shard="0",pool="requests"}"#;

#[test]
fn those_who_stop_in_the_middle_hold_nobody_up() {
    if Broker::must_skip("those_who_stop_in_the_middle_hold_nobody_up") {
        return;
    }
    raise_open_file_limit();
    let http_listen = Some("127.0.0.1:0");
    let mut broker = Broker::start(Options { shards: 1, http_listen, ..Options::default() });
    let topic = fresh_topic("slow");
    let mut client = broker.connect();
    create_ready_topic(&mut client, &topic, 1);
    let large = Batch::of(&[&vec![7; MEBIBYTE - 1000]]).encode();
    let frame = produce(1, &topic, &[(0, &large)]).frame(1);
    let stalled: Vec<Connection> = (0..STALLED)
        .map(|_| {
            let mut connection = broker.connect();
            connection
                .send_raw(&frame[..SENT_BYTES])
                .expect("what the broker does not read, the kernel takes");
            connection
        })
        .collect();
    wait_until("the budget is used up", || {
        let samples = Samples::of(&broker);
        samples.value(USED) > 0.8 * samples.value(LIMIT)
    });
    // Many small requests, each with an answer of its own.
    let small = Batch::of(&[b"small"]).encode();
    for offset in 0..200 {
        assert_eq!(produce_one(&mut client, &topic, 0, &small), offset);
    }
    // A large one waits until as many are ended as hold what it lacks.
    assert_eq!(produce_one(&mut client, &topic, 0, &large), 200);
    let samples = Samples::of(&broker);
    println!("{} ended for being slow", samples.value(SLOW));
    assert!(samples.value(SLOW) >= 10.0, "those that hold the budget");
    assert!(samples.value(USED) <= samples.value(LIMIT) + (16 * MEBIBYTE) as f64);
    let log = broker.output();
    assert!(log.contains("came too slowly while others waited"), "{log}");
    assert!(!log.contains("was not completed in time"), "only their own timeout ended them: {log}");
    drop(stalled);
    broker.assert_serves();
    wait_until("all is given back", || Samples::of(&broker).value(USED) == 0.0);
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(120), "not within two minutes: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
