//! Runs against a null broker: what they measure, how they end, and what they leave behind.

mod odd_brokers;

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use corelane_net::client::ClientError;

use super::{Allowance, LoadArgs, Pace};
use crate::client::{Control, Topic};
use crate::consume::{Beginning, ConsumeArgs, ConsumeSettings, FetchSettings, Source};
use crate::error::BenchError;
use crate::load_report::LoadReport;
use crate::mixed::{MixedArgs, MixedSettings};
use crate::null_broker::tests::Running;
use crate::ping_pong::{PingApi, PingPongArgs, PingPongSettings};
use crate::plan::{Plan, Target};
use crate::produce::{ProduceArgs, ProducePace, ProduceSettings};
use crate::records::RecordSettings;
use crate::stop::Stop;

fn load(duration_ms: u64) -> LoadArgs {
    LoadArgs {
        duration: Duration::from_millis(duration_ms),
        warmup: Duration::from_millis(20),
        cores: vec![],
        bytes_max: u64::MAX,
        spin: false,
        allowance: Allowance::default(),
    }
}

fn at(broker: SocketAddr) -> Target {
    Target { bootstrap: broker.to_string(), broker_pid: None }
}

fn produce(duration_ms: u64) -> ProduceArgs {
    ProduceArgs {
        pace: ProducePace::InFlight(3),
        settings: ProduceSettings {
            topic: None,
            partitions: 4,
            records: RecordSettings {
                batch_bytes: 16 << 10,
                pool_bytes: 1 << 20,
                ..RecordSettings::default()
            },
            partitions_per_request: 1,
            connections: 2,
            acks: -1,
            in_flight: Some(3),
            records_per_s: None,
        },
        is_confirmed: false,
        load: load(duration_ms),
    }
}

fn ping_settings(requests_per_s: Option<f64>) -> PingPongSettings {
    let (api, in_flight) = (PingApi::ApiVersions, requests_per_s.is_none().then_some(1));
    PingPongSettings { api, connections: 1, acks: -1, in_flight, requests_per_s }
}

fn run(args: &ProduceArgs, broker: SocketAddr) -> LoadReport {
    args.run(&at(broker), &Stop::new()).unwrap()
}

#[test]
fn all_that_was_asked_is_answered_and_counted() {
    let broker = Running::start(None);
    for acks in [-1, 1] {
        let mut args = produce(1000);
        args.settings.acks = acks;
        let report = run(&args, broker.address);
        let result = &report.result;
        assert!(report.complete && !result.has_failures(), "{report}");
        assert!(result.requests > 0 && result.latency.unwrap().samples > 0, "{report}");
        // 16 KiB hold 61 bytes of header and records of 109 and 110 bytes.
        assert_eq!(result.records, result.requests * 148, "{report}");
        assert_eq!(result.bytes, result.records * 100);
        assert!(result.schedule_lateness.is_none() && report.left_behind.is_none());
    }
    let mut args = produce(1000);
    args.settings.acks = 0;
    let report = run(&args, broker.address);
    assert!(report.complete && report.result.requests > 0, "{report}");
    assert_eq!(report.result.latency, None, "nobody answers");
    let of_broker = broker.end();
    assert_eq!(of_broker.faults, 0, "{of_broker}");
}

#[test]
fn an_open_loop_sends_what_its_schedule_says() {
    let broker = Running::start(None);
    let mut args = produce(300);
    // Batches of 148 records: 200 a second.
    args.pace = ProducePace::RecordsPerSecond(29_600.0);
    let report = run(&args, broker.address);
    let latency = report.result.latency.unwrap();
    assert!(report.complete, "{report}");
    assert_eq!(latency.samples, 60, "{report}");
    assert_eq!(report.result.schedule_lateness.unwrap().samples, 60, "{report}");
    broker.end();
}

#[test]
fn a_broker_that_dies_leaves_partial_results_that_say_so() {
    let broker = Running::start(None);
    let args = produce(30_000);
    let address = broker.address;
    let running = thread::spawn(move || run(&args, address));
    thread::sleep(Duration::from_millis(300));
    broker.end();
    let report = running.join().unwrap();
    assert!(!report.complete && report.result.requests > 0, "{report}");
    assert!(report.ended_by.is_some() && report.result.seconds < 20.0, "{report}");
    // The topic went with the broker, but the run cannot know.
    assert!(report.left_behind.unwrap().contains("corelane-bench-"));
    let refused = produce(10).run(&at(SocketAddr::from(([127, 0, 0, 1], 1))), &Stop::new());
    assert!(matches!(refused, Err(BenchError::Client(ClientError::Connect { .. }))));
}

#[test]
fn a_wish_to_end_keeps_what_was_measured_and_deletes_the_own_topic() {
    let broker = Running::start(None);
    let (args, stop, target) = (produce(30_000), Stop::new(), at(broker.address));
    let its_stop = stop.clone();
    let running = thread::spawn(move || args.run(&target, &its_stop).unwrap());
    thread::sleep(Duration::from_secs(2));
    stop.set();
    let report = running.join().unwrap();
    assert_eq!(report.ended_by.as_deref(), Some("interrupted"));
    assert!(!report.complete && report.result.requests > 0, "{report}");
    assert_eq!(report.left_behind, None);
    broker.end();
}

#[test]
fn only_the_own_topic_is_ever_deleted() {
    let broker = Running::start(None);
    let mut control = Control::connect(&broker.address.to_string()).unwrap();
    let topic = Topic::create(&mut control, 2, &Stop::new()).unwrap();
    let mut args = produce(30);
    args.settings.topic = Some(topic.name.to_string());
    assert!(run(&args, broker.address).complete);
    let mut found = Topic::find(&mut control, &topic.name).unwrap();
    found.delete_if_own(&mut control).unwrap();
    found = Topic::find(&mut control, &topic.name).unwrap();
    assert_eq!(found.partitions.len(), 2);
    args.settings.topic = Some("absent".to_owned());
    let error = args.run(&at(broker.address), &Stop::new()).unwrap_err();
    assert!(matches!(error, BenchError::NoSuchTopic(_)), "{error}");
    assert!(matches!(Topic::find(&mut control, "absent"), Err(BenchError::NoSuchTopic(_))));
    broker.end();
}

#[test]
fn much_is_not_written_without_being_confirmed() {
    let broker = Running::start(None);
    let mut args = produce(20_000);
    args.pace = ProducePace::RecordsPerSecond(10e6);
    let error = args.run(&at(broker.address), &Stop::new()).unwrap_err();
    assert!(error.to_string().contains("--yes"), "{error}");

    let mut args = produce(20_000);
    args.load.bytes_max = 100_000;
    args.load.warmup = Duration::ZERO;
    let report = run(&args, broker.address);
    assert!(report.ended_by.is_some_and(|reason| reason.contains("--yes")));
    // What was under way when the limit was met still went out.
    assert!(broker.end().produced_bytes < 300_000);
}

#[test]
fn what_makes_no_sense_is_refused_before_it_begins() {
    let broker = Running::start(None);
    for change in [
        (|args| args.pace = ProducePace::InFlight(0)) as fn(&mut ProduceArgs),
        |args| args.pace = ProducePace::RecordsPerSecond(f64::NAN),
        |args| args.pace = ProducePace::RecordsPerSecond(-1.0),
        |args| args.pace = ProducePace::RecordsPerSecond(1e300),
        |args| args.settings.acks = 2,
        |args| args.settings.connections = 0,
        |args| args.settings.records.record_bytes = usize::MAX,
        |args| args.load.duration = Duration::ZERO,
        |args| args.load.cores = vec![1_000_000],
    ] {
        let mut args = produce(10);
        args.is_confirmed = true;
        change(&mut args);
        let error = args.run(&at(broker.address), &Stop::new()).unwrap_err();
        assert!(matches!(error, BenchError::Argument(_)), "{args:?}: {error}");
    }
    let nowhere = Target { bootstrap: String::new(), broker_pid: None };
    let error = produce(10).run(&nowhere, &Stop::new()).unwrap_err();
    assert!(matches!(error, BenchError::Argument(_)), "{error}");
    broker.end();
}

#[test]
fn the_report_is_json_with_its_version_and_surroundings() {
    let broker = Running::start(None);
    let target = Target { broker_pid: Some(std::process::id()), ..at(broker.address) };
    let report = produce(500).run(&target, &Stop::new()).unwrap();
    let json = serde_json::to_value(&report).unwrap();
    let read: LoadReport = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(read, report);
    assert_eq!(json["schema_version"], 1);
    assert_eq!((&json["workload"], &json["complete"]), (&"produce".into(), &true.into()));
    assert_eq!(json["settings"]["batch_bytes"], 16 << 10);
    assert!(json["environment"]["kernel"].as_str().unwrap().starts_with("Linux"));
    assert!(json["result"]["latency"]["p99_us"].as_f64().unwrap() > 0.0);
    assert!(json["result"]["usage"]["broker"]["resident_bytes"].as_u64().unwrap() > 1 << 20);
    assert!(json["result"]["broker_cpu_s_per_gb"].is_number());
    let text = report.to_string();
    for told in ["produce, 0.50 s", "latency", "naive", "MB/s", "broker", "generator"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    broker.end();
}

#[test]
fn a_backlog_is_consumed_to_its_end_and_the_tail_as_it_comes() {
    let broker = Running::start(None);
    let mut control = Control::connect(&broker.address.to_string()).unwrap();
    let topic = Topic::create(&mut control, 3, &Stop::new()).unwrap();
    let mut produced = produce(10_000);
    produced.settings.topic = Some(topic.name.to_string());
    produced.load.bytes_max = 5_000_000;
    produced.load.warmup = Duration::ZERO;
    run(&produced, broker.address);
    let consume = |from, duration_ms| ConsumeArgs {
        settings: ConsumeSettings {
            source: Source::Topic { topic: topic.name.to_string() },
            from,
            connections: 2,
            readers: 1,
            fetch: FetchSettings { fetch_bytes: 100_000, max_wait_ms: 20 },
        },
        is_confirmed: false,
        load: LoadArgs { warmup: Duration::ZERO, ..load(duration_ms) },
    };
    let report =
        consume(Beginning::Earliest, 30_000).run(&at(broker.address), &Stop::new()).unwrap();
    let result = &report.result;
    assert!(report.complete && !result.has_failures() && result.seconds < 20.0, "{report}");
    // Whole batches of 148 records, some below 5 MB and at most what was under way above it.
    assert!(result.records.is_multiple_of(148) && result.bytes > 4_900_000, "{report}");
    assert_eq!(result.bytes / (result.records / 148), 16_277, "{report}");
    let all = result.records;

    // Ten records into the last batch but one of each partition: it comes whole, and is not counted whole.
    let mut behind = consume(Beginning::Behind(158), 30_000);
    behind.settings.readers = 3;
    let report = behind.run(&at(broker.address), &Stop::new()).unwrap();
    assert!(report.complete && !report.result.has_failures(), "{report}");
    assert_eq!(report.result.records, 3 * 3 * 158, "{report}");
    let report =
        consume(Beginning::Behind(u64::MAX), 30_000).run(&at(broker.address), &Stop::new());
    assert_eq!(report.unwrap().result.records, all);

    let (tail, stop) = (consume(Beginning::Latest, 60_000), Stop::new());
    let (target, its_stop) = (at(broker.address), stop.clone());
    let consuming = thread::spawn(move || tail.run(&target, &its_stop).unwrap());
    // It must know where the topic ends before more is there, and read that before it is stopped.
    thread::sleep(Duration::from_millis(500));
    produced.load.bytes_max = 1_000_000;
    run(&produced, broker.address);
    thread::sleep(Duration::from_millis(500));
    stop.set();
    let report = consuming.join().unwrap();
    // What was asked when it was stopped may be unanswered.
    assert!(report.result.bytes > 900_000 && report.result.refusals.is_empty(), "{report}");
    broker.end();
}

#[test]
fn a_topic_is_filled_consumed_and_gone() {
    let broker = Running::start(None);
    let records = RecordSettings {
        compression: "lz4".parse().unwrap(),
        compressibility: 0.8,
        pool_bytes: 1 << 20,
        ..RecordSettings::default()
    };
    let args = ConsumeArgs {
        settings: ConsumeSettings {
            source: Source::Prepared { prepare_bytes: 3_000_000, partitions: 3, records },
            from: Beginning::Earliest,
            connections: 2,
            readers: 1,
            fetch: FetchSettings { fetch_bytes: 1 << 20, max_wait_ms: 20 },
        },
        is_confirmed: false,
        load: LoadArgs { warmup: Duration::ZERO, ..load(30_000) },
    };
    let report = args.run(&at(broker.address), &Stop::new()).unwrap();
    assert!(report.is_whole(), "{report}");
    assert!((2_900_000..5_000_000).contains(&report.result.bytes), "{report}");
    let ratio = report.result.pool.unwrap().compression_ratio();
    assert!((0.1..0.5).contains(&ratio), "{ratio}: {report}");
    let huge = Source::Prepared {
        prepare_bytes: 11_000_000_000,
        partitions: 1,
        records: RecordSettings::default(),
    };
    let huge = ConsumeArgs { settings: ConsumeSettings { source: huge, ..args.settings }, ..args };
    let error = huge.run(&at(broker.address), &Stop::new()).unwrap_err();
    assert!(error.to_string().contains("--yes"), "{error}");
    broker.end();
}

#[test]
fn keyed_records_in_several_partitions_of_a_request_are_all_taken() {
    let broker = Running::start(None);
    let mut args = produce(400);
    args.settings.partitions = 8;
    args.settings.partitions_per_request = 4;
    args.settings.records.keys = "zipf:1000".parse().unwrap();
    args.settings.records.batch_bytes = 2_000;
    let report = run(&args, broker.address);
    assert!(report.is_whole() && report.result.requests > 0, "{report}");
    let batches = report.result.records as f64 / report.result.requests as f64;
    // 15 records of 100 B and a key fit a batch, and a request has up to four.
    assert!((16.0..=64.0).contains(&batches), "{batches} records a request: {report}");
    assert_eq!(broker.end().faults, 0);
}

#[test]
fn a_mix_has_its_kinds_told_apart() {
    let broker = Running::start(None);
    let args = MixedArgs {
        pace: Pace::RequestsPerSecond(1000.0),
        settings: MixedSettings {
            mix: "produce=5,fetch=3,metadata=2".parse().unwrap(),
            produce: ProduceSettings { in_flight: None, ..produce(1).settings },
            requests_per_s: Some(1000.0),
            fetch_bytes: 1 << 20,
        },
        is_confirmed: false,
        load: load(300),
    };
    let report = args.run(&at(broker.address), &Stop::new()).unwrap();
    assert!(report.is_whole(), "{report}");
    let parts = &report.result.parts;
    let requests = |kind: &str| parts[kind].requests as f64 / report.result.requests as f64;
    for (kind, share) in [("produce", 0.5), ("fetch", 0.3), ("metadata", 0.2)] {
        assert!((requests(kind) - share).abs() < 0.05, "{kind}: {report}");
        assert!(parts[kind].latency.is_some(), "{report}");
    }
    assert_eq!(report.result.latency.unwrap().samples, 300, "{report}");
    assert!(parts["fetch"].records > 0 && parts["metadata"].records == 0, "{report}");
    broker.end();
}

#[test]
fn the_smallest_requests_of_every_api_are_answered() {
    let broker = Running::start(None);
    for api in [PingApi::ApiVersions, PingApi::Metadata, PingApi::Produce] {
        let settings = PingPongSettings { api, ..ping_settings(None) };
        let args = PingPongArgs { pace: Pace::InFlight(1), settings, load: load(300) };
        let report = args.run(&at(broker.address), &Stop::new()).unwrap();
        assert!(report.is_whole() && report.result.requests > 0, "{api:?}: {report}");
        let expected = if api == PingApi::Produce { report.result.requests } else { 0 };
        assert_eq!(report.result.bytes, expected, "{api:?}: {report}");
    }
    broker.end();
}

#[test]
fn a_spinning_generator_is_no_bottleneck_for_being_busy() {
    let broker = Running::start(None);
    let mut args = PingPongArgs {
        pace: Pace::RequestsPerSecond(200.0),
        settings: ping_settings(Some(200.0)),
        load: load(200),
    };
    args.load.spin = true;
    let report = args.run(&at(broker.address), &Stop::new()).unwrap();
    assert!(report.is_whole() && report.result.latency.unwrap().samples == 40, "{report}");
    let lateness = report.result.schedule_lateness.unwrap();
    // A machine that is full may be late all the same; being busy alone is not it.
    assert!(!report.result.generator_was_bottleneck || lateness.p99_us > 100.0, "{report}");
    broker.end();
}

#[test]
fn the_wait_for_the_last_answers_ends_when_it_is_wished() {
    let silent = odd_brokers::broker_that(|nth, _, _| (nth == 0).then(odd_brokers::offered));
    let settings = ping_settings(Some(1000.0));
    let args = PingPongArgs { pace: Pace::RequestsPerSecond(1000.0), settings, load: load(50) };
    let stop = Stop::new();
    let wish = stop.clone();
    let running = thread::spawn(move || args.run(&at(silent), &stop).unwrap());
    thread::sleep(Duration::from_secs(2));
    wish.set();
    let report = running.join().unwrap();
    assert_eq!(report.ended_by.as_deref(), Some("interrupted"), "{report}");
    assert!(report.result.unanswered > 0, "{report}");
}
