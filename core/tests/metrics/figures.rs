//! What is counted, exactly.

use corelane_net::error_code::ErrorCode;

use crate::harness::batch::Batch;
use crate::harness::broker::Broker;
use crate::harness::http::Samples;
use crate::harness::requests::{
    self, FetchLimits, create_ready_topic, fetch, fetched, init_producer_id, produce, produced,
};
use crate::harness::topics;
use crate::harness::typed::{self, create_topic_with};
use crate::harness::wire::{Connection, Request};
use crate::watched;

const LIMITS: FetchLimits = FetchLimits { max_wait_ms: 0, min_bytes: 1, max_bytes: 1 << 20 };

/// Sends, and says how long both frames were.
fn call(connection: &mut Connection, request: &Request) -> (Vec<u8>, f64, f64) {
    let asked_bytes = request.frame(0).len() as f64;
    let body = connection.call(request).expect("an answer");
    // Length and correlation id come before the body.
    let answered_bytes = (8 + body.len()) as f64;
    (body, asked_bytes, answered_bytes)
}

#[test]
fn what_is_produced_and_fetched_is_counted() {
    if Broker::must_skip("metrics") {
        return;
    }
    let broker = Broker::start(watched());
    let connection = &mut broker.connect();
    create_ready_topic(connection, "t", 3);
    let before = Samples::of(&broker);

    let small = Batch::of(&[b"a"]).encode();
    let large = Batch::of(&[b"a".as_slice(); 10]).encode();
    let request = produce(-1, "t", &[(0, &small), (2, &large)]);
    let (body, asked_bytes, answered_bytes) = call(connection, &request);
    assert!(produced(&body).unwrap().iter().all(|one| one.error == 0));
    call(connection, &produce(-1, "t", &[(0, &small)]));
    let (body, fetch_asked, fetch_answered) =
        call(connection, &fetch("t", &[(0, 1), (1, 0), (2, 0)], LIMITS));
    let got: Vec<_> = fetched(&body).unwrap().iter().map(|one| one.records.len()).collect();
    assert_eq!(got, [small.len(), 0, large.len()]);

    let after = Samples::of(&broker);
    let of = |name: &str, partition: usize| {
        after.since(
            &before,
            &format!(r#"corelane_partition_{name}{{topic="t",partition="{partition}"}}"#),
        )
    };
    let (small, large) = (small.len() as f64, large.len() as f64);
    for (name, expected) in [
        ("received_bytes_total", [2.0 * small, 0.0, large]),
        ("received_records_total", [2.0, 0.0, 10.0]),
        ("received_batches_total", [2.0, 0.0, 1.0]),
        ("sent_bytes_total", [small, 0.0, large]),
        ("sent_records_total", [1.0, 0.0, 10.0]),
        ("log_start_offset", [0.0; 3]),
        ("high_watermark", [2.0, 0.0, 10.0]),
        ("log_end_offset", [2.0, 0.0, 10.0]),
        ("size_bytes", [2.0 * small, 0.0, large]),
        ("offline", [0.0; 3]),
    ] {
        assert_eq!([of(name, 0), of(name, 1), of(name, 2)], expected, "{name}");
    }
    let api =
        |name: &str, api: &str| after.since(&before, &format!(r#"corelane_{name}{{api="{api}"}}"#));
    assert_eq!(api("requests_total", "Produce"), 2.0);
    assert_eq!(api("request_duration_seconds_count", "Produce"), 2.0);
    assert_eq!(api("requests_total", "Fetch"), 1.0);
    assert_eq!(api("request_bytes_total", "Fetch"), fetch_asked);
    assert_eq!(api("response_bytes_total", "Fetch"), fetch_answered);
    // The second request is one partition shorter: its index, the length of its batch, the batch.
    assert_eq!(api("request_bytes_total", "Produce"), 2.0 * asked_bytes - 4.0 - 4.0 - large);
    assert!(api("response_bytes_total", "Produce") > answered_bytes);
    assert!(api("response_bytes_total", "Produce") < 2.0 * answered_bytes);
    let reads = |source: &str| {
        let series =
            |shard| format!(r#"corelane_reads_total{{shard="{shard}",source="{source}"}}"#);
        after.since(&before, &series(0)) + after.since(&before, &series(1))
    };
    assert_eq!((reads("memory"), reads("disk")), (2.0, 0.0));
    assert!(after.sum("corelane_journal_write_duration_seconds_count") >= 1.0);
    assert!(after.sum("corelane_journal_written_bytes_total") >= 4096.0);
    assert_eq!(after.value("corelane_topics"), 1.0);
    assert_eq!(after.value("corelane_partitions"), 3.0);
    assert_eq!(after.sum("corelane_shard_up"), 2.0);
    assert_eq!(after.sum("corelane_connections"), 1.0);
}

#[test]
fn what_was_flushed_and_read_from_disk_is_counted() {
    if Broker::must_skip("metrics") {
        return;
    }
    let mut broker = Broker::start(watched());
    {
        let connection = &mut broker.connect();
        create_topic_with(connection, "t", 1, &[("flush.messages", "1")]);
        let before = Samples::of(&broker);
        let batch = Batch::of(&[&[b'x'; 200_000]]).encode();
        call(connection, &produce(-1, "t", &[(0, &batch)]));
        let after = Samples::of(&broker);
        let syncs = "corelane_fsync_duration_seconds_count";
        assert!(after.sum(syncs) > before.sum(syncs), "acknowledged means flushed");
        assert!(after.sum("corelane_segment_write_duration_seconds_count") >= 1.0);
        let written = after.sum("corelane_segment_written_bytes_total");
        assert!((196_608.0..=204_800.0).contains(&written), "full blocks: {written}");
        assert_eq!(after.sum("corelane_flush_lag_seconds"), 0.0);
    }
    // After a restart memory holds only the last partial block.
    broker.terminate();
    broker.start_again();
    let connection = &mut broker.connect();
    let (body, ..) = call(connection, &fetch("t", &[(0, 0)], LIMITS));
    let got = fetched(&body).unwrap()[0].records.len() as f64;
    assert!(got > 200_000.0);
    let samples = Samples::of(&broker);
    let of = |name: &str| {
        samples.value(&format!(r#"corelane_partition_{name}{{topic="t",partition="0"}}"#))
    };
    assert_eq!((of("sent_bytes_total"), of("sent_records_total")), (got, 1.0));
    assert_eq!(of("received_bytes_total"), 0.0, "counted from the start of the process");
    assert_eq!(of("log_end_offset"), 1.0);
    let disk: f64 = [0, 1]
        .map(|shard| format!(r#"corelane_read_bytes_total{{shard="{shard}",source="disk"}}"#))
        .iter()
        .map(|series| samples.value(series))
        .sum();
    assert_eq!(disk, got);
}

#[test]
fn errors_are_counted_by_api_and_name() {
    if Broker::must_skip("metrics") {
        return;
    }
    let broker = Broker::start(watched());
    let connection = &mut broker.connect();
    create_topic_with(connection, "t", 2, &[("max.message.bytes", "200")]);
    let large = Batch::of(&[&[b'x'; 500]]).encode();
    let broken = Batch { crc_damage: 1, ..Batch::of(&[b"a"]) }.encode();
    call(connection, &produce(-1, "t", &[(0, &large), (1, &large)]));
    call(connection, &produce(-1, "t", &[(0, &broken)]));
    call(connection, &fetch("t", &[(0, 99)], LIMITS));
    typed::call(connection, topics::growth("absent", 3).1, topics::growth("absent", 3).0);
    let samples = Samples::of(&broker);
    let errors = |api: &str, error: ErrorCode| {
        let error = error.name();
        let series = format!(r#"corelane_request_errors_total{{api="{api}",error="{error}"}}"#);
        samples.value(&series)
    };
    assert_eq!(errors("Produce", ErrorCode::MessageTooLarge), 2.0, "one answer, two errors");
    assert_eq!(errors("Produce", ErrorCode::CorruptMessage), 1.0);
    assert_eq!(errors("Fetch", ErrorCode::OffsetOutOfRange), 1.0);
    assert_eq!(errors("CreatePartitions", ErrorCode::UnknownTopicOrPartition), 1.0);
    assert_eq!(
        samples.value(r#"corelane_partition_received_batches_total{topic="t",partition="0"}"#),
        0.0
    );
}

#[test]
fn what_is_sent_again_or_deleted_does_not_count() {
    if Broker::must_skip("metrics") {
        return;
    }
    let broker = Broker::start(watched());
    let connection = &mut broker.connect();
    let received = r#"corelane_partition_received_batches_total{topic="t",partition="0"}"#;
    let sent = r#"corelane_partition_sent_bytes_total{topic="t",partition="0"}"#;
    for round in 0..2 {
        create_ready_topic(connection, "t", 1);
        let (_, producer_id, producer_epoch) = init_producer_id(connection).unwrap();
        let first = Batch { producer_id, producer_epoch, base_sequence: 0, ..Batch::of(&[b"a"]) };
        let first = first.encode();
        for _ in 0..2 {
            let (body, ..) = call(connection, &produce(-1, "t", &[(0, &first)]));
            assert_eq!(produced(&body).unwrap()[0].base_offset, 0, "a repetition");
        }
        call(connection, &fetch("t", &[(0, 0)], LIMITS));
        let samples = Samples::of(&broker);
        assert_eq!(samples.value(received), 1.0, "round {round}");
        assert_eq!(samples.value(sent), first.len() as f64, "round {round}");
        let (request, version) = topics::deletion("t");
        typed::call(connection, version, request);
        let samples = Samples::of(&broker);
        assert!(!samples.0.keys().any(|series| series.contains(r#"topic="t""#)));
    }
}

#[test]
fn connections_are_counted_by_how_they_end() {
    if Broker::must_skip("metrics") {
        return;
    }
    let broker = Broker::start(watched());
    let before = Samples::of(&broker);
    drop(broker.connect());
    let mut rude = broker.connect();
    rude.send_raw(&[0xff; 100]).unwrap();
    assert!(rude.is_closed_by_peer());
    let mut open = broker.connect();
    open.call(&requests::metadata(&[])).unwrap();
    let closed = |samples: &Samples, reason: &str| -> f64 {
        [0, 1]
            .map(|shard| {
                let series = format!(
                    r#"corelane_connections_closed_total{{shard="{shard}",reason="{reason}"}}"#
                );
                samples.since(&before, &series)
            })
            .iter()
            .sum()
    };
    // The broker sees an end a moment after its client.
    let after = (0..500).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        Some(Samples::of(&broker)).filter(|samples| closed(samples, "client") >= 1.0)
    });
    let after = after.expect("the end of a connection is seen");
    assert_eq!((closed(&after, "client"), closed(&after, "protocol")), (1.0, 1.0));
    let accepted = r#"corelane_connections_accepted_total{listener="PLAINTEXT"}"#;
    assert_eq!(after.since(&before, accepted), 3.0);
    assert_eq!(after.sum("corelane_connections"), 1.0);
}
