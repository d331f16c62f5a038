//! Bad frames, bad requests and bad manners on a socket: each costs its own connection at most, gets Kafka's error code
//! where one exists, and leaves memory within bounds. What the codes are was asked of Apache Kafka 4.3.

mod harness;

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use harness::batch::Batch;
use harness::broker::Broker;
use harness::options::Options;
use harness::process::{raise_open_file_limit, resident_bytes};
use harness::rdkafka_client::fresh_topic;
use harness::requests::{
    self, FetchLimits, create_ready_topic, created, error, fetch, fetched, metadata,
    metadata_topics, produce_one,
};
use harness::wire::{Connection, Decoder, Encoder, Request};

const MEBIBYTE: u64 = 1 << 20;

/// A broker, and a topic that must go on working.
struct Victim {
    broker: Broker,
    topic: String,
    next_offset: i64,
}

impl Victim {
    fn start() -> Victim {
        let broker = Broker::any(Options::default());
        let topic = fresh_topic("victim");
        create_ready_topic(&mut broker.connect(), &topic, 1);
        Victim { broker, topic, next_offset: 0 }
    }

    /// The broker lives, and a new client produces and fetches.
    fn assert_serves(&mut self, after: &str) {
        self.broker.assert_serves();
        let mut client = self.broker.connect();
        let batch = Batch::of(&[after.as_bytes()]).encode();
        let offset = produce_one(&mut client, &self.topic, 0, &batch);
        assert_eq!(offset, self.next_offset, "after {after}");
        self.next_offset += 1;
        let limits = FetchLimits { max_wait_ms: 0, min_bytes: 0, max_bytes: 1 << 20 };
        let answer = client.call(&fetch(&self.topic, &[(0, offset)], limits)).expect("an answer");
        let fetched = fetched(&answer).expect("Fetch v4").remove(0);
        assert!(fetched.records[16..] == batch[16..], "after {after}: {fetched:?}");
    }

    /// Sends these bytes on a connection of their own, which must be closed without an answer.
    fn assert_closes(&mut self, what: &str, bytes: &[u8]) {
        let mut connection = self.broker.connect();
        // The other side may close while we still write.
        let _ = connection.send_raw(bytes);
        assert!(connection.is_closed_by_peer(), "{what}: the connection is not closed");
        self.assert_serves(what);
    }

    fn resident_bytes(&self) -> Option<u64> {
        self.broker.pid().map(resident_bytes)
    }

    /// Memory may have grown by so much since `before`; said of every broker, demanded of Corelane.
    fn assert_grew_at_most(&self, before: Option<u64>, limit_bytes: u64, what: &str) {
        let (Some(before), Some(now)) = (before, self.resident_bytes()) else { return };
        let grown = now.saturating_sub(before);
        println!("{what}: {} MiB resident, {} MiB more", now / MEBIBYTE, grown / MEBIBYTE);
        if self.broker.is_corelane() {
            assert!(grown <= limit_bytes, "{what}: memory grew by {grown} bytes");
        }
    }
}

fn frame(api_key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    Request { api_key, version, body: body.to_vec() }.frame(7)
}

#[test]
fn frame_lengths_that_cannot_be() {
    let mut victim = Victim::start();
    let before = victim.resident_bytes();
    for (what, length) in [
        ("a negative length", -1),
        ("the most negative length", i32::MIN),
        ("2 GiB", i32::MAX),
        ("just above the limit", (victim.broker.options.max_request_bytes + 1) as i32),
    ] {
        // The broker of CORELANE_TEST_BOOTSTRAP has limits of its own.
        if what == "just above the limit" && victim.broker.pid().is_none() {
            continue;
        }
        victim.assert_closes(what, &length.to_be_bytes());
    }
    victim.assert_closes("zero length", &[0; 4]);
    for len in 1..8u8 {
        let mut bytes = vec![0, 0, 0, len];
        bytes.extend(vec![0; len as usize]);
        victim.assert_closes("a frame shorter than its header", &bytes);
    }
    victim.assert_closes("an HTTP request", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    victim.assert_closes("a TLS hello", &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0, 0, 0]);
    victim.assert_grew_at_most(before, 16 * MEBIBYTE, "impossible lengths");
}

#[test]
fn frames_that_are_cut_short() {
    let mut victim = Victim::start();
    let whole =
        requests::produce(-1, &victim.topic, &[(0, &Batch::of(&[b"cut"]).encode())]).frame(1);
    for len in 0..whole.len() {
        let mut connection = victim.broker.connect();
        connection.send_raw(&whole[..len]).expect("sent");
        drop(connection);
    }
    victim.assert_serves("frames cut at every byte");
}

#[test]
fn array_lengths_that_cannot_be() {
    let mut victim = Victim::start();
    let before = victim.resident_bytes();
    let claim = |len: i32| Encoder::new().i32(len).0;
    let longest = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let endless = [0xff; 12];
    let compact = |claim: &[u8]| {
        // Header of version 2: an empty set of tagged fields goes before the body.
        Encoder::new().i8(0).raw(claim).0
    };
    for (what, bytes) in [
        ("Metadata of 2^31-1 topics", frame(3, 1, &claim(i32::MAX))),
        ("CreateTopics of -2 topics", frame(19, 2, &claim(-2))),
        ("Metadata v9 of 2^32-2 topics", frame(3, 9, &compact(&longest))),
        ("Metadata v9, an endless varint", frame(3, 9, &compact(&endless))),
        ("2^32-1 tagged fields", frame(3, 9, &longest)),
        ("a topic name of 32,767 bytes", frame(3, 1, &Encoder::new().i32(1).i16(i16::MAX).0)),
        ("a topic name of -5 bytes", frame(3, 1, &Encoder::new().i32(1).i16(-5).0)),
        (
            "a name that is not UTF-8, cut",
            frame(3, 1, &Encoder::new().i32(2).i16(1).raw(&[0xff]).0),
        ),
        ("Fetch of 2^31-1 topics", {
            let body = Encoder::new().i32(-1).i32(0).i32(0).i32(1).i8(0).i32(i32::MAX).0;
            frame(1, 4, &body)
        }),
        ("Produce with 2^31-1 topics", {
            let body = Encoder::new().null_string().i16(1).i32(1).i32(i32::MAX).0;
            frame(0, 3, &body)
        }),
        ("Produce with records of 2 GiB", {
            let body = Encoder::new().null_string().i16(1).i32(1).i32(1).string("t").i32(1).i32(0);
            frame(0, 3, &body.i32(i32::MAX).0)
        }),
        ("CreateTopics of 2^31-1 topics", frame(19, 2, &claim(i32::MAX))),
        ("an empty body where one is due", frame(0, 3, &[])),
    ] {
        victim.assert_closes(what, &bytes);
    }
    victim.assert_grew_at_most(before, 16 * MEBIBYTE, "impossible arrays");
}

#[test]
fn unknown_apis_and_versions() {
    let mut victim = Victim::start();
    for (what, api_key, version) in [
        ("API 999", 999, 0),
        ("API -1", -1, 0),
        ("an API of the cluster's inside (StopReplica)", 5, 0),
        ("Produce v99", 0, 99),
        ("Produce v2, which is advertised but not served", 0, 2),
        ("Metadata v-1", 3, -1),
        ("Fetch v3", 1, 3),
    ] {
        victim.assert_closes(what, &frame(api_key, version, &[0; 16]));
    }
    // ApiVersions alone answers to a version that it does not know: in v0, with the range that it does (KIP-511).
    for version in [6, 99, i16::MAX] {
        let mut connection = victim.broker.connect();
        let request = Request { api_key: 18, version, body: vec![0, 1, 1, 0] };
        let body = connection.call(&request).expect("an answer");
        let mut decoder = Decoder(&body);
        assert_eq!(decoder.i16().expect("v0"), error::UNSUPPORTED_VERSION, "v{version}");
        let ranges = decoder.list(|d| Ok((d.i16()?, d.i16()?, d.i16()?))).expect("v0");
        decoder.finish().expect("v0");
        assert!(ranges.iter().any(|(key, min, max)| *key == 18 && *min == 0 && *max >= 3));
        // And the client may go on with what it learnt.
        connection.api_versions_v0().expect("the connection lives");
    }
    victim.assert_serves("unknown versions");
}

#[test]
fn topic_names() {
    let mut victim = Victim::start();
    let mut client = victim.broker.connect();
    let longest = fresh_topic(&"n".repeat(210)) + &"n".repeat(249);
    let (longest, too_long) = (&longest[..249], &longest[..250]);
    for name in ["", ".", "..", "a b", "a/b", "../../etc/passwd", "a\0b", "snow\u{2603}", too_long]
    {
        let answer = client.call(&requests::create_topic(name, 1, 1)).expect("an answer");
        assert_eq!(created(&answer).expect("CreateTopics v2"), error::INVALID_TOPIC, "{name:?}");
        let answer = client.call(&metadata(&[name])).expect("an answer");
        let topics = metadata_topics(&answer).expect("Metadata v1");
        assert_eq!(topics[0].0, error::INVALID_TOPIC, "Metadata of {name:?}");
    }
    create_ready_topic(&mut client, longest, 1);
    produce_one(&mut client, longest, 0, &Batch::of(&[b"long name"]).encode());
    // '.' and '_' are one character in metric names, so names that differ only there collide.
    let stem = fresh_topic("collide");
    create_ready_topic(&mut client, &format!("{stem}.a_b"), 1);
    let request = requests::create_topic(&format!("{stem}_a.b"), 1, 1);
    let answer = client.call(&request).expect("an answer");
    assert_eq!(created(&answer).expect("CreateTopics v2"), error::INVALID_TOPIC, "a collision");
    victim.assert_serves("topic names");
}

#[test]
fn topics_with_impossible_counts() {
    let mut victim = Victim::start();
    let mut client = victim.broker.connect();
    for (partitions, replication, expected) in [
        (0, 1, error::INVALID_PARTITIONS),
        (-2, 1, error::INVALID_PARTITIONS),
        (1, 0, error::INVALID_REPLICATION_FACTOR),
        (1, 3, error::INVALID_REPLICATION_FACTOR),
    ] {
        let request = requests::create_topic(&fresh_topic("counts"), partitions, replication);
        let answer = client.call(&request).expect("an answer");
        let answered = created(&answer).expect("CreateTopics v2");
        assert_eq!(answered, expected, "{partitions} partitions, {replication} replicas");
    }
    if victim.broker.is_corelane() {
        let before = victim.resident_bytes();
        let request = requests::create_topic(&fresh_topic("counts"), i32::MAX, 1);
        let answer = client.call(&request).expect("an answer");
        assert_ne!(created(&answer).expect("CreateTopics v2"), error::NONE, "2^31-1 partitions");
        victim.assert_grew_at_most(before, 64 * MEBIBYTE, "2^31-1 partitions");
    }
    victim.assert_serves("impossible counts");
}

#[test]
fn ten_thousand_connections_that_send_nothing() {
    let limit = raise_open_file_limit();
    let mut victim = Victim::start();
    // Half of them in this process, half in the broker, each under the same limit.
    let count = 10_000.min(limit.saturating_sub(500));
    let before = victim.resident_bytes();
    let idle: Vec<Connection> = (0..count)
        .map(|number| {
            Connection::open(victim.broker.address())
                .unwrap_or_else(|error| panic!("connection {number} of {count}: {error}"))
        })
        .collect();
    victim.assert_serves("10,000 idle connections");
    // 16 KiB for each: what a connection costs before its first byte.
    let what = format!("{count} idle connections");
    victim.assert_grew_at_most(before, count * 16 * 1024, &what);
    drop(idle);
    victim.assert_serves("10,000 connections closed at once");
}

#[test]
fn clients_that_ask_for_much_and_never_read() {
    let mut victim = Victim::start();
    let topic = fresh_topic("unread");
    let mut client = victim.broker.connect();
    create_ready_topic(&mut client, &topic, 4);
    let batch = Batch::of(&[&[b'z'; 500_000]]).encode();
    for number in 0..128 {
        produce_one(&mut client, &topic, number % 4, &batch);
    }
    victim.assert_serves("64 MiB");
    let before = victim.resident_bytes();
    let limits = FetchLimits { max_wait_ms: 0, min_bytes: 0, max_bytes: 16 << 20 };
    let asked = fetch(&topic, &[(0, 0), (1, 0), (2, 0), (3, 0)], limits);
    let silent: Vec<Connection> = (0..32)
        .map(|_| {
            let mut connection = victim.broker.connect();
            (0..50).for_each(|_| assert!(connection.send(&asked).is_ok()));
            connection
        })
        .collect();
    // One that asks without end: sooner or later the broker must stop reading from it.
    let mut endless = victim.broker.connect();
    endless.stream.set_write_timeout(Some(Duration::from_secs(1))).expect("set");
    let burst = frame(18, 0, &[]).repeat(1_000);
    let refused = (0..20_000).find_map(|_| endless.stream.write_all(&burst).err());
    let refused = refused.expect("the broker reads on, though nobody takes its answers");
    assert!(matches!(refused.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionReset));
    for round in 0..20 {
        victim.assert_serves(&format!("unread answers, round {round}"));
    }
    victim.assert_grew_at_most(before, 128 * MEBIBYTE, "33 clients that never read");
    drop((silent, endless));
    victim.assert_serves("the silent ones are gone");
}

/// Each search takes a second or more, and nobody waits for what it finds.
#[test]
fn clients_that_ask_for_long_searches_and_leave() {
    const SHARDS: usize = 2;
    let mut victim = Victim::start();
    if !victim.broker.is_corelane() {
        return println!("passed over: Apache Kafka searches to the end for those who have left");
    }
    let topic = fresh_topic("searched");
    let mut client = victim.broker.connect();
    create_ready_topic(&mut client, &topic, 4);
    let [begin_ms, end_ms] = [1_700_000_000_000, 1_700_000_001_000];
    let batch = Batch::slow_to_search([begin_ms, end_ms]).encode();
    let mut body = Encoder::new().i32(-1).i8(0).i32(1).string(&topic).i32(4);
    for partition in 0..4 {
        // The first version with zstd.
        let slow = Request { version: 7, ..requests::produce(-1, &topic, &[(partition, &batch)]) };
        client.call(&slow).expect("an answer");
        body = body.i32(partition).i64(end_ms);
    }
    let search = Request { api_key: 2, version: 2, body: body.0 };
    let mut others: Vec<Connection> = (0..2 * SHARDS).map(|_| victim.broker.connect()).collect();
    // More calls than one shard may have under way to another (1,024), from each shard.
    for _ in 0..1_100 * SHARDS {
        victim.broker.connect().send(&search).expect("sent");
    }
    // Connections are accepted in order: all of them are in.
    victim.broker.connect().api_versions_v0().expect("an answer");
    let since = Instant::now();
    for other in &mut others {
        for partition in 0..4 {
            let offset = produce_one(other, &topic, partition, &Batch::of(&[b"served"]).encode());
            assert!(offset >= 2, "behind the two records to be searched");
        }
    }
    println!("served within {:?}", since.elapsed());
    assert!(since.elapsed() < Duration::from_secs(8), "served after {:?}", since.elapsed());
    victim.assert_serves("searches that nobody waits for");
}

#[test]
fn producers_that_send_a_byte_now_and_then() {
    let mut victim = Victim::start();
    let before = victim.resident_bytes();
    let mut slow: Vec<Connection> = (0..200).map(|_| victim.broker.connect()).collect();
    let claim = (1i32 << 20).to_be_bytes();
    slow.iter_mut().for_each(|connection| connection.send_raw(&claim).expect("sent"));
    let until = Instant::now() + Duration::from_secs(3);
    let mut rounds = 0;
    while Instant::now() < until {
        slow.iter_mut().for_each(|connection| connection.send_raw(&[0]).expect("sent"));
        victim.assert_serves("slow producers");
        rounds += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("200 slow producers of 1 MiB, {rounds} requests served meanwhile");
    victim.assert_grew_at_most(before, 64 * MEBIBYTE, "200 slow producers of 1 MiB");
}

/// What strangers only claim may not keep others from being served, nor cost memory.
#[test]
fn frames_that_claim_the_limit_and_never_come() {
    let mut victim = Victim::start();
    if !victim.broker.is_corelane() {
        return println!("passed over: Apache Kafka allocates what a frame claims");
    }
    let before = victim.resident_bytes();
    let claim = (victim.broker.options.max_request_bytes as i32).to_be_bytes();
    let claims: Vec<Connection> = (0..256)
        .map(|_| {
            let mut connection = victim.broker.connect();
            connection.send_raw(&claim).expect("sent");
            connection
        })
        .collect();
    victim.assert_serves("256 claims of the largest frame");
    victim.assert_grew_at_most(before, 64 * MEBIBYTE, "256 claims of the largest frame");
    drop(claims);
    victim.assert_serves("the claims are gone");
}
