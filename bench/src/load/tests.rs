//! Runs against a null broker: what they measure, how they end, and what they leave behind.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use corelane_net::client::ClientError;

use super::{LoadArgs, Pace};
use crate::client::{Control, Topic};
use crate::consume::{self, Beginning, ConsumeArgs, ConsumeSettings};
use crate::error::BenchError;
use crate::load_report::LoadReport;
use crate::null_broker::tests::Running;
use crate::ping_pong::{self, PingPongArgs, PingPongSettings};
use crate::produce::{self, ProduceArgs, ProducePace, ProduceSettings};
use crate::stop::Stop;

fn load(duration_ms: u64) -> LoadArgs {
    LoadArgs {
        duration: Duration::from_millis(duration_ms),
        warmup: Duration::from_millis(20),
        cores: vec![],
        bytes_max: u64::MAX,
        broker_pid: None,
    }
}

fn produce(broker: SocketAddr, duration_ms: u64) -> ProduceArgs {
    ProduceArgs {
        bootstrap: broker.to_string(),
        pace: ProducePace::InFlight(3),
        settings: ProduceSettings {
            topic: None,
            partitions: 4,
            record_bytes: 100,
            batch_bytes: 16 << 10,
            connections: 2,
            acks: -1,
            in_flight: Some(3),
            records_per_s: None,
        },
        is_confirmed: false,
        load: load(duration_ms),
    }
}

fn run(args: &ProduceArgs) -> LoadReport<ProduceSettings> {
    produce::run(args, &Stop::new()).unwrap()
}

/// Passes bytes on, but for the first `stall` of every `period`.
fn stalling_proxy(broker: SocketAddr, stall: Duration, period: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let began = Instant::now();
    let pass = move |mut from: TcpStream, mut to: TcpStream| {
        let mut buf = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buf) {
            let into_period = began.elapsed().as_nanos() % period.as_nanos();
            let left = stall.as_nanos().saturating_sub(into_period);
            thread::sleep(Duration::from_nanos(left as u64));
            if to.write_all(&buf[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    };
    thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            let Ok(broker) = TcpStream::connect(broker) else { return };
            for socket in [&client, &broker] {
                socket.set_nodelay(true).unwrap();
            }
            let (back, forth) = (client.try_clone().unwrap(), broker.try_clone().unwrap());
            thread::spawn(move || pass(client, forth));
            thread::spawn(move || pass(broker, back));
        }
    });
    address
}

#[test]
fn a_stall_counts_for_every_request_it_holds_up_and_the_naive_figure_misses_it() {
    let broker = Running::start(None);
    let (stall, second) = (Duration::from_millis(100), Duration::from_secs(1));
    let proxy = stalling_proxy(broker.address, stall, second);
    let rate = 500.0;
    let args = PingPongArgs {
        bootstrap: proxy.to_string(),
        pace: Pace::RequestsPerSecond(rate),
        settings: PingPongSettings { connections: 1, in_flight: None, requests_per_s: Some(rate) },
        load: load(2000),
    };
    let report = ping_pong::run(&args, &Stop::new()).unwrap();
    let result = &report.result;
    let (honest, naive) = (result.latency.unwrap(), result.naive_latency.unwrap());
    assert!(report.complete && honest.samples == 1000, "{report}");
    // A tenth of all requests meets a stall, and waits for half of it on average: so the slowest
    // hundredth waits for nine tenths of it at least.
    assert!(honest.p99_us >= 85_000.0, "{report}");
    assert!(honest.p99_9_us >= 95_000.0, "{report}");
    // A client that waits would have seen two slow ones of a thousand.
    assert!(naive.p99_us < honest.p99_us / 2.0, "{report}");
    assert!(naive.max_us >= 85_000.0, "{report}");
    broker.end();
}

#[test]
fn all_that_was_asked_is_answered_and_counted() {
    let broker = Running::start(None);
    for acks in [-1, 1] {
        let mut args = produce(broker.address, 150);
        args.settings.acks = acks;
        let report = run(&args);
        let result = &report.result;
        assert!(report.complete && !result.has_failures(), "{report}");
        assert!(result.requests > 10 && result.latency.unwrap().samples > 10, "{report}");
        // 16 KiB hold 61 bytes of header and records of 109 and 110 bytes.
        assert_eq!(result.records, result.requests * 148, "{report}");
        assert_eq!(result.bytes, result.records * 100);
        assert!(result.schedule_lateness.is_none() && report.left_behind.is_none());
    }
    let mut args = produce(broker.address, 100);
    args.settings.acks = 0;
    let report = run(&args);
    assert!(report.complete && report.result.requests > 10, "{report}");
    assert_eq!(report.result.latency, None, "nobody answers");
    let of_broker = broker.end();
    assert_eq!(of_broker.faults, 0, "{of_broker}");
}

#[test]
fn an_open_loop_sends_what_its_schedule_says() {
    let broker = Running::start(None);
    let mut args = produce(broker.address, 300);
    // Batches of 148 records: 200 a second.
    args.pace = ProducePace::RecordsPerSecond(29_600.0);
    let report = run(&args);
    let latency = report.result.latency.unwrap();
    assert!(report.complete, "{report}");
    assert_eq!(latency.samples, 60, "{report}");
    assert_eq!(report.result.schedule_lateness.unwrap().samples, 60, "{report}");
    broker.end();
}

#[test]
fn a_broker_that_dies_leaves_partial_results_that_say_so() {
    let broker = Running::start(None);
    let args = produce(broker.address, 30_000);
    let running = thread::spawn(move || run(&args));
    thread::sleep(Duration::from_millis(300));
    broker.end();
    let report = running.join().unwrap();
    assert!(!report.complete && report.result.requests > 10, "{report}");
    assert!(report.ended_by.is_some() && report.result.seconds < 20.0, "{report}");
    // The topic went with the broker, but the run cannot know.
    assert!(report.left_behind.unwrap().contains("corelane-bench-"));
    let refused = produce::run(&produce(SocketAddr::from(([127, 0, 0, 1], 1)), 10), &Stop::new());
    assert!(matches!(refused, Err(BenchError::Client(ClientError::Connect { .. }))));
}

#[test]
fn a_wish_to_end_keeps_what_was_measured_and_deletes_the_own_topic() {
    let broker = Running::start(None);
    let (args, stop) = (produce(broker.address, 30_000), Stop::new());
    let its_stop = stop.clone();
    let running = thread::spawn(move || produce::run(&args, &its_stop).unwrap());
    thread::sleep(Duration::from_millis(200));
    stop.set();
    let report = running.join().unwrap();
    assert_eq!(report.ended_by.as_deref(), Some("interrupted"));
    assert!(!report.complete && report.result.requests > 10, "{report}");
    assert_eq!(report.left_behind, None);
    broker.end();
}

#[test]
fn only_the_own_topic_is_ever_deleted() {
    let broker = Running::start(None);
    let mut control = Control::connect(&broker.address.to_string()).unwrap();
    let topic = Topic::create(&mut control, 2, &Stop::new()).unwrap();
    let mut args = produce(broker.address, 30);
    args.settings.topic = Some(topic.name.to_string());
    assert!(run(&args).complete);
    let mut found = Topic::find(&mut control, &topic.name).unwrap();
    found.delete_if_own(&mut control).unwrap();
    found = Topic::find(&mut control, &topic.name).unwrap();
    assert_eq!(found.partitions.len(), 2);
    args.settings.topic = Some("absent".to_owned());
    let error = produce::run(&args, &Stop::new()).unwrap_err();
    assert!(matches!(error, BenchError::NoSuchTopic(_)), "{error}");
    assert!(matches!(Topic::find(&mut control, "absent"), Err(BenchError::NoSuchTopic(_))));
    broker.end();
}

#[test]
fn much_is_not_written_without_being_confirmed() {
    let broker = Running::start(None);
    let mut args = produce(broker.address, 20_000);
    args.pace = ProducePace::RecordsPerSecond(10e6);
    let error = produce::run(&args, &Stop::new()).unwrap_err();
    assert!(error.to_string().contains("--yes"), "{error}");

    let mut args = produce(broker.address, 20_000);
    args.load.bytes_max = 100_000;
    args.load.warmup = Duration::ZERO;
    let report = run(&args);
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
        |args| args.settings.record_bytes = usize::MAX,
        |args| args.load.duration = Duration::ZERO,
        |args| args.load.cores = vec![1_000_000],
        |args| args.bootstrap = String::new(),
    ] {
        let mut args = produce(broker.address, 10);
        args.is_confirmed = true;
        change(&mut args);
        let error = produce::run(&args, &Stop::new()).unwrap_err();
        assert!(matches!(error, BenchError::Argument(_)), "{args:?}: {error}");
    }
    broker.end();
}

#[test]
fn the_report_is_json_with_its_version_and_surroundings() {
    let broker = Running::start(None);
    let mut args = produce(broker.address, 50);
    args.load.broker_pid = Some(std::process::id());
    let report = run(&args);
    let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
    assert_eq!(json["schema_version"], 1);
    assert_eq!((&json["workload"], &json["complete"]), (&"produce".into(), &true.into()));
    assert_eq!(json["settings"]["batch_bytes"], 16 << 10);
    assert!(json["environment"]["kernel"].as_str().unwrap().starts_with("Linux"));
    assert!(json["result"]["latency"]["p99_us"].as_f64().unwrap() > 0.0);
    assert!(json["result"]["usage"]["broker"]["resident_bytes"].as_u64().unwrap() > 1 << 20);
    assert!(json["result"]["broker_cpu_s_per_gb"].is_number());
    let text = report.to_string();
    for told in ["produce, 0.05 s", "latency", "naive", "MB/s", "broker", "generator"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    broker.end();
}

#[test]
fn a_backlog_is_consumed_to_its_end_and_the_tail_as_it_comes() {
    let broker = Running::start(None);
    let mut control = Control::connect(&broker.address.to_string()).unwrap();
    let topic = Topic::create(&mut control, 3, &Stop::new()).unwrap();
    let mut produced = produce(broker.address, 10_000);
    produced.settings.topic = Some(topic.name.to_string());
    produced.load.bytes_max = 5_000_000;
    produced.load.warmup = Duration::ZERO;
    run(&produced);
    let consume = |from, duration_ms| ConsumeArgs {
        bootstrap: broker.address.to_string(),
        settings: ConsumeSettings {
            topic: topic.name.to_string(),
            from,
            connections: 2,
            fetch_bytes: 100_000,
            max_wait_ms: 20,
        },
        load: LoadArgs { warmup: Duration::ZERO, ..load(duration_ms) },
    };
    let report = consume::run(&consume(Beginning::Earliest, 30_000), &Stop::new()).unwrap();
    let result = &report.result;
    assert!(report.complete && !result.has_failures() && result.seconds < 20.0, "{report}");
    // Whole batches of 148 records, some below 5 MB and at most what was under way above it.
    assert!(result.records.is_multiple_of(148) && result.bytes > 4_900_000, "{report}");
    assert_eq!(result.bytes / (result.records / 148), 16_277, "{report}");

    let tail = consume(Beginning::Latest, 300);
    let consuming = thread::spawn(move || consume::run(&tail, &Stop::new()).unwrap());
    thread::sleep(Duration::from_millis(100));
    produced.load.bytes_max = 1_000_000;
    run(&produced);
    let report = consuming.join().unwrap();
    assert!(report.complete && report.result.bytes > 900_000, "{report}");
    broker.end();
}
