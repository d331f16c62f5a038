//! Topics for life: configs stored and obeyed while the broker runs, partitions added, topics deleted and made again,
//! and none of it lost by a kill.

mod harness;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::config_resource_type::{BROKER, TOPIC};
use corelane_net::messages::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, Response,
};
use harness::batch::Batch;
use harness::broker::Broker;
use harness::options::Options;
use harness::random::Random;
use harness::rdkafka_client::{PATIENCE, Record, TestProducer, fresh_topic, read_all};
use harness::requests::{error, produce, produced};
use harness::topics::{
    alter, alteration, create, creation, delete, deletion, describe, described, error_of, grow,
    growth, topic, try_call,
};
use harness::typed::call;
use harness::wire::Connection;

fn start(test: &str) -> Option<Broker> {
    (!Broker::must_skip(test)).then(|| Broker::start(Options::default()))
}

/// The error of one batch with acks=all.
fn produce_bytes(connection: &mut Connection, topic: &str, value_bytes: usize) -> i16 {
    let batch = Batch::of(&[&vec![b'x'; value_bytes]]).encode();
    let answer = connection.call(&produce(-1, topic, &[(0, &batch)])).expect("an answer");
    produced(&answer).expect("Produce v3")[0].error
}

/// Kafka's own brokers hear of a change a moment after it is answered.
fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not so: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn configs_survive_a_kill() {
    let Some(mut broker) = start("configs_survive_a_kill") else { return };
    let mut connection = broker.connect();
    let made = create(&mut connection, "t", 3, &[("retention.ms", "1000000")]);
    assert_eq!(made.error_code, ErrorCode::None, "{:?}", made.error_message);
    let told = made.configs.expect("configs").iter().filter(|c| c.config_source == 1).count();
    assert_eq!(told, 1, "only one was set");
    let changed = [("segment.ms", Some("5000")), ("cleanup.policy", Some("compact,delete"))];
    let altered = alter(&mut connection, TOPIC, "t", &changed);
    assert_eq!(altered.error_code, ErrorCode::None, "{:?}", altered.error_message);
    let altered = alter(&mut connection, BROKER, "", &[("message.max.bytes", Some("2000000"))]);
    assert_eq!(altered.error_code, ErrorCode::None, "{:?}", altered.error_message);
    assert_eq!(grow(&mut connection, "t", 5), ErrorCode::None);
    soon("all brokers know", || {
        described(&mut connection, TOPIC, "t", "max.message.bytes") == ("2000000".to_owned(), 3)
    });
    let before = (describe(&mut connection, TOPIC, "t"), describe(&mut connection, BROKER, "1"));

    broker.kill();
    broker.start_again();
    let mut connection = broker.connect();
    let after = (describe(&mut connection, TOPIC, "t"), describe(&mut connection, BROKER, "1"));
    assert_eq!(after, before);
    assert_eq!(described(&mut connection, TOPIC, "t", "segment.ms"), ("5000".to_owned(), 1));
    assert_eq!(topic(&mut connection, "t").map(|(_, partitions)| partitions), Some(5));
}

#[test]
fn long_values_asked_for_again_and_again_make_no_answer_of_any_size() {
    let Some(broker) = start("long_values_asked_for_again_and_again") else { return };
    let mut connection = broker.connect();
    let replicas: Vec<_> = (10_000..14_000).map(|number| format!("{number}:1")).collect();
    let (key, replicas) = ("leader.replication.throttled.replicas", replicas.join(","));
    let made = create(&mut connection, "t", 1, &[(key, &replicas)]);
    assert_eq!(made.error_code, ErrorCode::None, "{:?}", made.error_message);
    let resource = DescribeConfigsResource {
        resource_type: TOPIC,
        resource_name: "t".into(),
        configuration_keys: Some(vec![key.into()]),
    };
    let resources = vec![resource; 4_000];
    let request = DescribeConfigsRequest { resources, ..Default::default() };
    let Response::DescribeConfigs(response) = call(&mut connection, 4, request) else {
        unreachable!()
    };
    let bytes: usize =
        response.results.iter().flat_map(|result| &result.configs).map(value_bytes).sum();
    assert!((60 << 20..68 << 20).contains(&bytes), "{bytes} bytes of values");
    assert_eq!(response.results.len(), 4_000, "each is answered");
    assert_eq!(response.results[0].error_code, ErrorCode::None);
    assert_eq!(response.results[3_999].error_code, ErrorCode::PolicyViolation);
}

fn value_bytes(config: &DescribeConfigsResourceResult) -> usize {
    config.value.as_ref().map_or(0, |value| value.len())
}

#[test]
fn a_refused_change_changes_nothing() {
    let Some(broker) = start("a_refused_change_changes_nothing") else { return };
    let mut connection = broker.connect();
    assert_eq!(create(&mut connection, "t", 2, &[]).error_code, ErrorCode::None);
    let before = describe(&mut connection, TOPIC, "t");
    let half = [("segment.ms", Some("5000")), ("retention.ms", Some("abc"))];
    let refused = alter(&mut connection, TOPIC, "t", &half);
    assert_eq!(refused.error_code, ErrorCode::InvalidConfig);
    let expected = "Invalid value abc for configuration retention.ms: Not a number of type LONG";
    assert_eq!(refused.error_message.as_deref(), Some(expected));
    let fixed = alter(&mut connection, BROKER, "1", &[("num.partitions", Some("5"))]);
    assert_eq!(fixed.error_code, ErrorCode::InvalidRequest);
    for count in [2, 1, 0, -1] {
        assert_eq!(grow(&mut connection, "t", count), ErrorCode::InvalidPartitions, "{count}");
    }
    assert_eq!(grow(&mut connection, "gone", 9), ErrorCode::UnknownTopicOrPartition);
    let refused = create(&mut connection, "u", 1, &[("no.such", "1")]);
    assert_eq!(refused.error_code, ErrorCode::InvalidConfig);
    assert_eq!(topic(&mut connection, "u"), None);
    assert_eq!(describe(&mut connection, TOPIC, "t"), before);
}

#[test]
fn limits_are_obeyed_as_they_change() {
    let Some(broker) = start("limits_are_obeyed_as_they_change") else { return };
    let mut connection = broker.connect();
    assert_eq!(create(&mut connection, "t", 1, &[]).error_code, ErrorCode::None);
    soon("it serves", || produce_bytes(&mut connection, "t", 50_000) == error::NONE);

    let key = "max.message.bytes";
    alter(&mut connection, TOPIC, "t", &[(key, Some("20000"))]);
    soon("the topic's limit", || {
        produce_bytes(&mut connection, "t", 50_000) == error::MESSAGE_TOO_LARGE
    });
    assert_eq!(produce_bytes(&mut connection, "t", 10_000), error::NONE);

    // Without a limit of its own it has all brokers', then this broker's.
    alter(&mut connection, TOPIC, "t", &[(key, None)]);
    alter(&mut connection, BROKER, "", &[("message.max.bytes", Some("5000"))]);
    soon("all brokers' limit", || {
        produce_bytes(&mut connection, "t", 10_000) == error::MESSAGE_TOO_LARGE
    });
    alter(&mut connection, BROKER, "1", &[("message.max.bytes", Some("40000"))]);
    soon("this broker's limit", || produce_bytes(&mut connection, "t", 10_000) == error::NONE);
    assert_eq!(described(&mut connection, TOPIC, "t", key), ("40000".to_owned(), 2));
    alter(&mut connection, BROKER, "1", &[("message.max.bytes", None)]);
    alter(&mut connection, BROKER, "", &[("message.max.bytes", None)]);
    soon("the default", || produce_bytes(&mut connection, "t", 50_000) == error::NONE);
}

#[test]
fn segments_get_the_size_that_is_asked_for() {
    let Some(broker) = start("segments_get_the_size_that_is_asked_for") else { return };
    if !broker.is_corelane() {
        return;
    }
    let mut connection = broker.connect();
    assert_eq!(create(&mut connection, "t", 1, &[]).error_code, ErrorCode::None);
    let fill = |connection: &mut Connection| {
        for _ in 0..10 {
            assert_eq!(produce_bytes(connection, "t", 50_000), error::NONE);
        }
    };
    fill(&mut connection);
    assert!(segments(&broker) <= 1, "half a megabyte, of segments of a gigabyte");
    alter(&mut connection, TOPIC, "t", &[("internal.segment.bytes", Some("65536"))]);
    fill(&mut connection);
    soon("a segment per batch", || segments(&broker) >= 8);
}

/// Segment files of all topics.
fn segments(broker: &Broker) -> usize {
    let mut dirs = vec![broker.data_dir().join("topics")];
    let mut found = 0;
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => dirs.push(path),
                false => found += usize::from(path.extension().is_some_and(|e| e == "log")),
            }
        }
    }
    found
}

#[test]
fn partitions_added_under_load_get_records() {
    let Some(broker) = start("partitions_added_under_load_get_records") else { return };
    let name = fresh_topic("grows");
    let mut connection = broker.connect();
    assert_eq!(create(&mut connection, &name, 2, &[]).error_code, ErrorCode::None);
    let settings = [("topic.metadata.refresh.interval.ms", "100"), ("linger.ms", "1")];
    let producer = TestProducer::new(&broker, &settings);
    let (mut sent, mut delivered) = (0, Vec::new());
    // Sends until records were delivered to each of so many partitions.
    let mut send_to_all = |partitions: i32| {
        let deadline = Instant::now() + PATIENCE;
        while !(0..partitions).all(|p| delivered.iter().any(|(at, _): &(i32, i64)| *at == p)) {
            assert!(Instant::now() < deadline, "the new partitions get no records");
            let value = Some(sent.to_string().into_bytes());
            let record = Record { value, timestamp_ms: 1_700_000_000_000, ..Record::default() };
            producer.send(&name, None, &record, sent);
            sent += 1;
            let reports = producer.deliveries.take().into_iter();
            delivered.extend(reports.map(|(_, place)| place.expect("delivered")));
            std::thread::sleep(Duration::from_micros(200));
        }
    };
    send_to_all(2);
    assert_eq!(grow(&mut connection, &name, 7), ErrorCode::None);
    assert_eq!(topic(&mut connection, &name).map(|(_, partitions)| partitions), Some(7));
    send_to_all(7);
    producer.flush();
    let read: usize = read_all(&broker, &name, 7).iter().map(Vec::len).sum();
    assert_eq!(read, sent, "all that was sent is there, in old partitions and new ones");
}

#[test]
fn a_topic_made_again_is_a_new_one() {
    let Some(broker) = start("a_topic_made_again_is_a_new_one") else { return };
    let mut connection = broker.connect();
    let name = fresh_topic("again");
    let stop = Arc::new(AtomicBool::new(false));
    assert_eq!(create(&mut connection, &name, 1, &[]).error_code, ErrorCode::None);
    let (producing, to, stopped) = (broker.address(), name.clone(), stop.clone());
    let load = std::thread::spawn(move || {
        let mut connection = Connection::open(producing).expect("the broker accepts");
        let mut seen = BTreeMap::new();
        while !stopped.load(Ordering::Relaxed) {
            *seen.entry(produce_bytes(&mut connection, &to, 100)).or_insert(0) += 1;
        }
        seen
    });
    let mut ids = vec![topic(&mut connection, &name).expect("it is there").0];
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(delete(&mut connection, &name), ErrorCode::None);
        std::thread::sleep(Duration::from_millis(5));
        let made = create(&mut connection, &name, 1, &[]);
        assert_eq!(made.error_code, ErrorCode::None, "{:?}", made.error_message);
        assert!(!ids.contains(&made.topic_id), "an id is never given twice");
        ids.push(made.topic_id);
    }
    stop.store(true, Ordering::Relaxed);
    let seen = load.join().expect("the producer's thread");
    let expected = [error::NONE, error::UNKNOWN_TOPIC_OR_PARTITION];
    assert!(seen.keys().all(|code| expected.contains(code)), "{seen:?}");
    assert_eq!(seen.len(), 2, "it was produced to before and between: {seen:?}");

    assert_eq!(delete(&mut connection, &name), ErrorCode::None);
    assert_eq!(create(&mut connection, &name, 1, &[]).error_code, ErrorCode::None);
    soon("it serves", || produce_bytes(&mut connection, &name, 1) == error::NONE);
    let records: usize = read_all(&broker, &name, 1).iter().map(Vec::len).sum();
    assert!(records >= 1 && read_all(&broker, &name, 1)[0][0].0 == 0, "it begins anew");
}

/// What a topic was acknowledged to be: partitions and retention.ms.
type Known = BTreeMap<String, Option<(usize, String)>>;

/// Makes changes until the connection breaks. `known` has what was acknowledged; the change that was under way when it
/// broke may have happened or not: the topic it was about, and what it would be.
fn change_until_killed(
    connection: &mut Connection,
    known: &mut Known,
    random: &mut Random,
) -> (String, Option<(usize, String)>) {
    loop {
        let name = format!("t{}", random.below(12));
        let next = match known.get(&name).cloned().flatten() {
            None => Some((1 + random.below(5) as usize, random.below(1 << 20).to_string())),
            Some(_) if random.below(6) == 0 => None,
            Some((partitions, ms)) if random.below(2) == 0 => Some((partitions + 1, ms)),
            Some((partitions, _)) => Some((partitions, random.below(1 << 20).to_string())),
        };
        let question = match (known.get(&name).cloned().flatten(), &next) {
            (None, Some((partitions, ms))) => {
                creation(&name, *partitions as i32, &[("retention.ms", ms)])
            }
            (_, None) => deletion(&name),
            (Some((before, _)), Some((partitions, _))) if before < *partitions => {
                growth(&name, *partitions as i32)
            }
            (_, Some((_, ms))) => alteration(TOPIC, &name, &[("retention.ms", Some(ms))]),
        };
        let Ok(answer) = try_call(connection, question) else { return (name, next) };
        assert_eq!(error_of(&answer), ErrorCode::None, "{name}: {next:?}");
        known.insert(name, next);
    }
}

#[test]
fn acknowledged_changes_survive_kills() {
    let Some(mut broker) = start("acknowledged_changes_survive_kills") else { return };
    let mut random = Random::from_environment(21);
    let mut known = Known::new();
    for kill in 0..6 {
        let mut connection = broker.connect();
        let after = Duration::from_millis(30 + random.below(250));
        let mut changes = Random::new(random.next());
        let load = std::thread::spawn(move || {
            let doubtful = change_until_killed(&mut connection, &mut known, &mut changes);
            (known, doubtful)
        });
        std::thread::sleep(after);
        broker.kill();
        let doubtful;
        (known, doubtful) = load.join().expect("the changing thread");
        broker.options.shards = 1 + kill % 3;
        broker.start_again();
        let mut connection = broker.connect();
        let is = |connection: &mut Connection, name: &str| {
            let (_, partitions) = topic(connection, name)?;
            Some((partitions, described(connection, TOPIC, name, "retention.ms").0))
        };
        let found = is(&mut connection, &doubtful.0);
        if found == doubtful.1 {
            known.insert(doubtful.0, doubtful.1);
        }
        for (name, expected) in &known {
            assert_eq!(&is(&mut connection, name), expected, "{name} after kill {kill}");
        }
        println!("kill {kill}: {} topics as acknowledged", known.len());
    }
    assert!(known.len() > 5, "there was something to lose");
}

/// The files of a deleted topic go behind the answer; a stop that comes before is a clean one.
#[test]
fn a_stop_right_after_a_deletion_is_clean() {
    let Some(mut broker) = start("a_stop_right_after_a_deletion_is_clean") else { return };
    for _ in 0..3 {
        let mut connection = broker.connect();
        let name = fresh_topic("short-lived");
        assert_eq!(create(&mut connection, &name, 50, &[]).error_code, ErrorCode::None);
        let batch = Batch::of(&[&[7; 20_000]]).encode();
        let batches: Vec<(i32, &[u8])> = (0..50).map(|index| (index, &*batch)).collect();
        connection.call(&produce(-1, &name, &batches)).expect("an answer");
        assert_eq!(delete(&mut connection, &name), ErrorCode::None);
        broker.terminate();
        broker.start_again();
    }
}
