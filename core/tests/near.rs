//! Requests are served where their partitions are: connections that move to the shard which owns what they ask for,
//! and shards that have ports of their own.

mod harness;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::*;

use harness::batch::Batch;
use harness::broker::Broker;
use harness::http::Samples;
use harness::options::Options;
use harness::rdkafka_client::{PATIENCE, Record, TestProducer, fresh_topic, read_all};
use harness::requests::{create_ready_topic, error, produce, produce_one, produced};
use harness::typed::typed;
use harness::wire::Connection;

const MOVED: &str = "corelane_connections_moved_total";
const CALLS: &str = "corelane_shard_calls_total";

fn options(settings: &[&str]) -> Options {
    let more = settings.iter().flat_map(|setting| ["--set".to_string(), setting.to_string()]);
    Options { http_listen: Some("127.0.0.1:0"), more: more.collect(), ..Options::default() }
}

fn moved(broker: &Broker) -> f64 {
    Samples::of(broker).sum(MOVED)
}

/// Waits until so many connections have moved.
fn wait_for_moves(broker: &Broker, count: f64) {
    let deadline = Instant::now() + PATIENCE;
    while moved(broker) < count {
        assert!(Instant::now() < deadline, "{} of {count} have moved", moved(broker));
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The partition of a topic of two, each of which another shard owns, that client `number` uses. New connections go
/// to the two shards in turn, so that two of four clients have to move.
fn partition_of(number: usize) -> i32 {
    (number as i32 / 2) % 2
}

/// A record that a client has sent.
fn value_of(client: usize, number: usize) -> Vec<u8> {
    format!("{client} {number} {}", "x".repeat(number % 300)).into_bytes()
}

/// Sends up to 16 requests ahead of their answers, until told to stop or cut off; the offsets of what
/// was acknowledged, in order.
fn send_ahead(
    mut connection: Connection,
    topic: &str,
    client: usize,
    stop: &AtomicBool,
) -> Vec<i64> {
    let partition = partition_of(client);
    let (mut offsets, mut sent, mut expected) = (Vec::new(), 0, VecDeque::new());
    loop {
        while expected.len() < 16 && !stop.load(Ordering::Relaxed) {
            let batch = Batch::of(&[&value_of(client, sent)]).encode();
            match connection.send(&produce(-1, topic, &[(partition, &batch)])) {
                Ok(id) => expected.push_back(id),
                Err(_) => return offsets,
            }
            sent += 1;
        }
        // A shard that has no time for anything else takes no connections.
        std::thread::sleep(Duration::from_millis(2));
        let Some(id) = expected.pop_front() else { return offsets };
        let Ok((answered, body)) = connection.receive() else { return offsets };
        assert_eq!(answered, id, "answers are in the order of the requests");
        let answer = produced(&body).expect("Produce v3");
        assert_eq!(answer[0].error, error::NONE);
        offsets.push(answer[0].base_offset);
    }
}

/// Holds the log against what each client was told.
fn check(broker: &Broker, topic: &str, acknowledged: &[Vec<i64>]) {
    let log = read_all(broker, topic, 2);
    let mut found = vec![Vec::new(); acknowledged.len()];
    for (partition, records) in log.iter().enumerate() {
        for (offset, record) in records {
            let value = String::from_utf8(record.value.clone().expect("a value")).expect("text");
            let mut words = value.split(' ').map_while(|word| word.parse::<usize>().ok());
            let (client, number) =
                (words.next().expect("a client"), words.next().expect("a number"));
            assert_eq!(partition as i32, partition_of(client));
            assert_eq!(value.as_bytes(), value_of(client, number));
            assert_eq!(number, found[client].len(), "client {client}: lost, repeated or reordered");
            found[client].push(*offset);
        }
    }
    for (client, offsets) in acknowledged.iter().enumerate() {
        assert!(!offsets.is_empty(), "client {client} was never served");
        assert_eq!(offsets[..], found[client][..offsets.len()], "client {client}");
    }
}

/// Pipelining producers, of which half are moved under load; then kill -9.
#[test]
fn producers_are_moved_and_lose_repeat_and_reorder_nothing() {
    if Broker::must_skip("producers_are_moved_and_lose_repeat_and_reorder_nothing") {
        return;
    }
    const CLIENTS: usize = 4;
    let mut broker = Broker::start(options(&[]));
    for round in 0..2 {
        let stop = AtomicBool::new(false);
        let topic = fresh_topic("moved");
        create_ready_topic(&mut broker.connect(), &topic, 2);
        let acknowledged: Vec<Vec<i64>> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS).map(|_| broker.connect()).collect();
            let clients = clients.into_iter().enumerate().map(|(number, connection)| {
                let (topic, stop) = (&topic, &stop);
                scope.spawn(move || send_ahead(connection, topic, number, stop))
            });
            let clients: Vec<_> = clients.collect();
            // Whatever connected before, some came to the wrong one of the two shards.
            wait_for_moves(&broker, 1.0);
            std::thread::sleep(Duration::from_millis(300));
            if round == 0 {
                stop.store(true, Ordering::Relaxed);
            } else {
                broker.kill();
            }
            clients.into_iter().map(|client| client.join().expect("a client")).collect()
        });
        if round == 1 {
            broker.start_again();
        }
        check(&broker, &topic, &acknowledged);
        if round == 0 {
            broker.terminate();
            broker.start_again();
        }
    }
}

/// A fetch session goes along: its client is told what is new, and nothing else.
#[test]
fn a_fetch_session_moves_with_its_connection() {
    if Broker::must_skip("a_fetch_session_moves_with_its_connection") {
        return;
    }
    let broker = Broker::start(options(&[]));
    let topic = fresh_topic("session");
    let mut producer = broker.connect();
    create_ready_topic(&mut producer, &topic, 2);
    // One of them has come to the wrong shard.
    let mut readers = [broker.connect(), broker.connect()].map(|connection| (connection, 0, 0));
    let deadline = Instant::now() + PATIENCE;
    let (mut last_offset, mut rounds_after) = (-1, 0);
    while rounds_after < 20 {
        assert!(Instant::now() < deadline, "neither has moved");
        let batch = Batch::of(&[b"a record"]).encode();
        let offset = produce_one(&mut producer, &topic, 0, &batch);
        assert_eq!(offset, last_offset + 1);
        for (connection, id, epoch) in &mut readers {
            let all = vec![FetchTopic {
                topic: Str::from(&*topic),
                partitions: vec![FetchPartition {
                    partition: 0,
                    fetch_offset: offset,
                    partition_max_bytes: 1 << 20,
                    ..Default::default()
                }],
                ..Default::default()
            }];
            let request = FetchRequest {
                max_wait_ms: 1_000,
                min_bytes: 1,
                max_bytes: 1 << 20,
                session_id: *id,
                session_epoch: *epoch,
                topics: all,
                ..Default::default()
            };
            let answer = typed!(connection, 12, Fetch, request);
            assert_eq!(answer.error_code, ErrorCode::None, "epoch {epoch}");
            assert!(*epoch == 0 || answer.session_id == *id, "the session goes on");
            assert!(answer.session_id > 0);
            assert_eq!(answer.responses[0].partitions[0].high_watermark, offset + 1);
            (*id, *epoch) = (answer.session_id, *epoch + 1);
        }
        last_offset = offset;
        rounds_after += usize::from(moved(&broker) >= 1.0);
    }
    let samples = Samples::of(&broker);
    assert_eq!(samples.sum("corelane_fetch_sessions"), 2.0);
    assert_eq!(
        samples.value("corelane_fetch_sessions{shard=\"0\"}") as i64 % 2,
        0,
        "both at the owner"
    );
}

/// Heartbeats of a group go where its coordinator is; with the setting off, nobody moves.
#[test]
fn members_move_to_their_coordinator_unless_that_is_switched_off() {
    if Broker::must_skip("members_move_to_their_coordinator_unless_that_is_switched_off") {
        return;
    }
    for (settings, moves) in [(&[][..], true), (&["corelane.connections.move=false"][..], false)] {
        let broker = Broker::start(options(settings));
        let mut members = [broker.connect(), broker.connect()];
        let find =
            FindCoordinatorRequest { coordinator_keys: vec!["group".into()], ..Default::default() };
        let found = typed!(&mut members[0], 4, FindCoordinator, find);
        assert_eq!(found.coordinators[0].error_code, ErrorCode::None);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(3) {
            for member in &mut members {
                let beat = HeartbeatRequest {
                    group_id: "group".into(),
                    generation_id: 1,
                    member_id: "nobody".into(),
                    group_instance_id: None,
                };
                // Its coordinator says so, once it has loaded its groups.
                let answer = typed!(member, 3, Heartbeat, beat);
                let expected = [ErrorCode::UnknownMemberId, ErrorCode::None];
                assert!(expected.contains(&answer.error_code), "{answer:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if !moves {
            assert_eq!(moved(&broker), 0.0);
            continue;
        }
        wait_for_moves(&broker, 1.0);
        assert_eq!(moved(&broker), 1.0, "the other is where it should be");
        let samples = Samples::of(&broker);
        let open =
            ["0", "1"].map(|s| samples.value(&format!("corelane_connections{{shard=\"{s}\"}}")));
        assert!(
            open == [2.0, 0.0] || open == [0.0, 2.0],
            "they are counted where they are: {open:?}"
        );
        drop(members);
        let deadline = Instant::now() + PATIENCE;
        while Samples::of(&broker).sum("corelane_connections") > 0.0 {
            assert!(Instant::now() < deadline, "whoever has moved is counted out");
        }
    }
}

/// A broker as clients are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    id: i32,
    port: i32,
}

/// The brokers, the controller and the leaders of a topic's partitions.
fn told(connection: &mut Connection, topic: &str) -> (Vec<Told>, i32, Vec<i32>) {
    let asked = MetadataRequestTopic { name: Some(topic.into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![asked]), ..Default::default() };
    let answer = typed!(connection, 9, Metadata, request);
    let brokers = answer.brokers.iter().map(|one| Told { id: one.node_id, port: one.port });
    let leaders = answer.topics[0].partitions.iter().map(|one| {
        assert_eq!(
            (&one.replica_nodes, &one.isr_nodes),
            (&vec![one.leader_id], &vec![one.leader_id])
        );
        one.leader_id
    });
    (brokers.collect(), answer.controller_id, leaders.collect())
}

#[test]
fn each_shard_is_a_broker_of_its_own_if_it_is_told_so() {
    if Broker::must_skip("each_shard_is_a_broker_of_its_own_if_it_is_told_so") {
        return;
    }
    let mut broker = Broker::start(options(&["corelane.port.per.shard=true"]));
    let first_port = i32::from(broker.address().port());
    let address = |port: i32| SocketAddr::new(broker.address().ip(), port as u16);
    let topic = fresh_topic("ports");
    let mut any = broker.connect();
    create_ready_topic(&mut any, &topic, 4);
    let (brokers, controller, leaders) = told(&mut any, &topic);
    let [first, second] =
        [(1024, first_port), (1025, first_port + 1)].map(|(id, port)| Told { id, port });
    assert_eq!(brokers, [first, second]);
    assert_eq!(controller, 1024);
    assert_eq!([leaders[0], leaders[1]], [leaders[2], leaders[3]]);
    assert_ne!(leaders[0], leaders[1], "both shards lead");

    // Whoever asks the leader asks its shard; whoever asks the other one is answered, too.
    let mut connections =
        [0, 1].map(|shard| Connection::open(address(first_port + shard)).unwrap());
    let calls = |connection: &mut Connection, partition: i32| {
        let before = Samples::of(&broker).sum(CALLS);
        for _ in 0..100 {
            produce_one(connection, &topic, partition, &Batch::of(&[b"a record"]).encode());
        }
        Samples::of(&broker).sum(CALLS) - before
    };
    for (partition, leader) in leaders.iter().enumerate() {
        let leads = (*leader - 1024) as usize;
        let straight = calls(&mut connections[leads], partition as i32);
        let crossing = calls(&mut connections[1 - leads], partition as i32);
        assert!(straight < 20.0, "{straight} calls between shards, to the leader");
        assert!(crossing >= 100.0, "{crossing} calls between shards, to the other");
    }

    // All that names a broker says the same.
    let described = typed!(
        &mut any,
        1,
        DescribeCluster,
        DescribeClusterRequest { endpoint_type: 1, ..Default::default() }
    );
    let nodes: Vec<_> =
        described.brokers.iter().map(|one| Told { id: one.broker_id, port: one.port }).collect();
    assert_eq!((nodes, described.controller_id), (brokers.clone(), controller));
    let pages = typed!(
        &mut any,
        0,
        DescribeTopicPartitions,
        DescribeTopicPartitionsRequest {
            topics: vec![DescribeTopicPartitionsTopic { name: Str::from(&*topic) }],
            response_partition_limit: 100,
            cursor: None,
        }
    );
    let again: Vec<i32> = pages.topics[0].partitions.iter().map(|one| one.leader_id).collect();
    assert_eq!(again, leaders);
    let groups: Vec<Str> = (0..20).map(|number| format!("group-{number}").into()).collect();
    let find = FindCoordinatorRequest { coordinator_keys: groups, ..Default::default() };
    let found = typed!(&mut any, 4, FindCoordinator, find);
    for one in &found.coordinators {
        assert!(brokers.contains(&Told { id: one.node_id, port: one.port }), "{one:?}");
    }
    assert!(brokers.iter().all(|one| found.coordinators.iter().any(|it| it.node_id == one.id)));
    for (name, port) in [("1024", first_port), ("1025", first_port + 1)] {
        let resource = DescribeConfigsResource {
            resource_type: 4,
            resource_name: name.into(),
            configuration_keys: None,
        };
        let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
        let answer = typed!(&mut any, 4, DescribeConfigs, request);
        assert_eq!(answer.results[0].error_code, ErrorCode::None);
        let value = |key: &str| {
            let config = answer.results[0].configs.iter().find(|config| *config.name == *key);
            config.and_then(|config| config.value.as_deref()).unwrap_or_default().to_string()
        };
        assert_eq!(value("node.id"), name);
        assert!(value("listeners").ends_with(&format!(":{port}")), "{}", value("listeners"));
        assert!(value("advertised.listeners").ends_with(&format!(":{port}")));
    }

    // A client of its own kind finds its way, and finds it again when there are other shards.
    for (shards, from) in [(3, 0), (1, 100)] {
        broker.terminate();
        broker.options.shards = shards;
        broker.start_again();
        let (brokers, _, leaders) = told(&mut broker.connect(), &topic);
        assert_eq!(brokers.len(), shards);
        assert!(leaders.iter().all(|leader| brokers.iter().any(|one| one.id == *leader)));
        let producer = TestProducer::new(&broker, &[("acks", "all")]);
        for number in from..from + 100 {
            let record = Record { value: Some(value_of(0, number)), ..Record::default() };
            producer.send(&topic, Some(number as i32 % 4), &record, number);
        }
        producer.flush();
        assert!(producer.deliveries.take().iter().all(|(_, delivered)| delivered.is_ok()));
    }
    let records: usize = read_all(&broker, &topic, 4).iter().map(Vec::len).sum();
    assert_eq!(records, 4 * 200 + 200);
}

/// Seconds of processor time that the broker has taken so far.
fn cpu_s(broker: &Broker) -> f64 {
    let pid = broker.pid().expect("our own");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    let ticks = |place: usize| fields[place].parse::<f64>().expect("ticks");
    // SAFETY: sysconf(3) touches no memory.
    (ticks(11) + ticks(12)) / unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64
}

/// Connections to where a client of `partition` goes that asks who leads it.
fn to_leader(broker: &Broker, topic: &str, partition: usize) -> Connection {
    let (brokers, _, leaders) = told(&mut broker.connect(), topic);
    let leader = brokers.iter().find(|one| one.id == leaders[partition]).expect("a leader");
    Connection::open(SocketAddr::new(broker.address().ip(), leader.port as u16))
        .expect("it accepts")
}

/// The only member of a group, connected to where its coordinator is said to be, and its heartbeat.
fn member(broker: &Broker, group: &str) -> (Connection, Vec<u8>) {
    let find =
        FindCoordinatorRequest { coordinator_keys: vec![group.into()], ..Default::default() };
    let found = typed!(&mut broker.connect(), 4, FindCoordinator, find);
    let port = found.coordinators[0].port as u16;
    let address = SocketAddr::new(broker.address().ip(), port);
    let mut connection = Connection::open(address).expect("it accepts");
    let join = JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 45_000,
        rebalance_timeout_ms: 45_000,
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol { name: "range".into(), ..Default::default() }],
        ..Default::default()
    };
    let deadline = Instant::now() + PATIENCE;
    let joined = loop {
        let joined = typed!(&mut connection, 3, JoinGroup, join.clone());
        if joined.error_code == ErrorCode::None {
            break joined;
        }
        assert!(Instant::now() < deadline, "{joined:?}");
        std::thread::sleep(Duration::from_millis(20));
    };
    let sync = SyncGroupRequest {
        group_id: group.into(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        ..Default::default()
    };
    assert_eq!(typed!(&mut connection, 3, SyncGroup, sync).error_code, ErrorCode::None);
    let beat = HeartbeatRequest {
        group_id: group.into(),
        generation_id: joined.generation_id,
        member_id: joined.member_id,
        group_instance_id: None,
    };
    (connection, harness::typed::frame(3, beat).to_vec())
}

/// Sends each client's request `ahead` times, then reads the answers, one client after the other, for `time`; how many.
fn rounds(clients: &mut [(Connection, Vec<u8>)], ahead: usize, time: Duration) -> usize {
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < time {
        for (connection, request) in &mut *clients {
            connection.send_raw(&request.repeat(ahead)).expect("sent");
            for _ in 0..ahead {
                connection.receive().expect("an answer");
            }
            count += ahead;
        }
    }
    count
}

/// Processor time of the broker per request of clients that use one shard each: where they came by chance, where they
/// were moved, and at ports of shards. docs/measuring.md says how to run it.
#[test]
#[ignore = "a measurement"]
fn processor_time_by_place() {
    const CLIENTS: usize = 16;
    let places = [
        ("stay", "corelane.connections.move=false"),
        ("move", "corelane.connections.move=true"),
        ("ports", "corelane.port.per.shard=true"),
    ];
    for (place, setting) in places {
        let mut options = options(&[setting]);
        options.group_delay_ms = Some(0);
        let broker = Broker::start(options);
        let topic = fresh_topic("place");
        create_ready_topic(&mut broker.connect(), &topic, 2);
        let batch = Batch::of(&[&[b'x'; 100]]).encode();
        let producer = |number: usize| {
            let partition = partition_of(number);
            let request = produce(-1, &topic, &[(partition, &batch)]).frame(1);
            (to_leader(&broker, &topic, partition as usize), request)
        };
        let mut producers: Vec<_> = (0..CLIENTS).map(producer).collect();
        let group = |number: usize| member(&broker, &format!("group-{number}"));
        let mut members: Vec<_> = (0..CLIENTS).map(group).collect();
        let kinds = [(&mut producers, 1, "produces"), (&mut members, 1, "heartbeats")];
        let measure = |clients: &mut Vec<_>, ahead, what: &str| {
            rounds(clients, ahead, Duration::from_secs(3));
            let (before, calls) = (cpu_s(&broker), Samples::of(&broker).sum(CALLS));
            let began = Instant::now();
            let count = rounds(clients, ahead, Duration::from_secs(4)) as f64;
            let rate = count / began.elapsed().as_secs_f64();
            let cpu_us = (cpu_s(&broker) - before) * 1e6 / count;
            let calls = (Samples::of(&broker).sum(CALLS) - calls) / count;
            println!(
                "{place:5} {what:10} {ahead:2} ahead: {cpu_us:6.1} us each at {rate:6.0}/s, {calls:.2} calls between shards"
            );
        };
        for (clients, ahead, what) in kinds {
            measure(clients, ahead, what);
        }
        measure(&mut producers, 16, "produces");
        println!("{place:5} {} connections moved", moved(&broker));
    }
}
