//! Several listeners: what each tells its clients, and how many it lets in.

mod harness;

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::config_resource_type::BROKER;
use corelane_net::messages::{
    DescribeClusterRequest, FetchPartition, FetchRequest, FetchTopic, MetadataRequest,
};
use harness::broker::{Broker, free_address};
use harness::options::Options;
use harness::requests::{create_ready_topic, wait_until_ready};
use harness::topics::described;
use harness::typed::typed;
use harness::wire::Connection;

/// The most that a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

fn options(more: &[&str]) -> Options {
    let more = more.iter().map(|word| (*word).to_owned()).collect();
    Options { more, ..Options::default() }
}

/// A free port that `[::1]` and `127.0.0.1` both have.
fn free_port() -> u16 {
    let both = |port: &u16| TcpListener::bind(("::1", *port)).is_ok();
    let found = std::iter::repeat_with(|| free_address().port()).take(100).find(both);
    found.expect("a port that is free on ::1 too: these tests need IPv6 on the loopback")
}

/// How Metadata, DescribeCluster and a fetch's hint at the leader name the broker.
fn told(connection: &mut Connection, topic: &str) -> [(String, i32); 3] {
    let metadata = typed!(connection, 12, Metadata, MetadataRequest::default());
    let cluster = DescribeClusterRequest { endpoint_type: 1, ..Default::default() };
    let cluster = typed!(connection, 1, DescribeCluster, cluster);
    let name = Str::from(topic);
    let topic = metadata.topics.iter().find(|one| one.name.as_ref() == Some(&name)).expect(topic);
    let partition = FetchPartition {
        // Of an earlier start: the answer names the leader that there is.
        current_leader_epoch: topic.partitions[0].leader_epoch - 1,
        partition_max_bytes: 1,
        ..Default::default()
    };
    let (topic_id, partitions) = (topic.topic_id, vec![partition]);
    let topics = vec![FetchTopic { topic_id, partitions, ..Default::default() }];
    let fetch = FetchRequest { max_bytes: 1, topics, ..Default::default() };
    let fetched = typed!(connection, 16, Fetch, fetch);
    assert_eq!(fetched.responses[0].partitions[0].error_code, ErrorCode::FencedLeaderEpoch);
    let (metadata, cluster) = (&metadata.brokers[0], &cluster.brokers[0]);
    let hint = &fetched.node_endpoints[0];
    [
        (metadata.host.to_string(), metadata.port),
        (cluster.host.to_string(), cluster.port),
        (hint.host.to_string(), hint.port),
    ]
}

#[test]
fn each_listener_tells_its_own_address() {
    let (inside, outside) = (free_port(), free_port());
    let mut broker = Broker::start(Options {
        // One shard, and so one cache of answers.
        shards: 1,
        ..options(&[
            "--listen",
            &format!("inside://[::1]:{inside}"),
            "--listen",
            &format!(":{outside}"),
            "--advertise",
            "LISTENER_3://kafka.example.org:19092",
        ])
    });
    // The second start has an epoch before its own.
    create_ready_topic(&mut broker.connect(), "t", 1);
    broker.terminate();
    broker.start_again();
    let address = broker.address();
    wait_until_ready(&mut broker.connect(), "t", 1);
    let inside_address: SocketAddr = ([0, 0, 0, 0, 0, 0, 0, 1], inside).into();
    for _ in 0..3 {
        for (connect_to, host, port) in [
            (address, "127.0.0.1", address.port()),
            (inside_address, "::1", inside),
            (([127, 0, 0, 1], outside).into(), "kafka.example.org", 19092),
            (([0, 0, 0, 0, 0, 0, 0, 1], outside).into(), "kafka.example.org", 19092),
        ] {
            let mut connection = Connection::open(connect_to).expect("it listens there");
            let expected = (host.to_owned(), i32::from(port));
            let expected = [expected.clone(), expected.clone(), expected];
            assert_eq!(told(&mut connection, "t"), expected, "by {connect_to}");
        }
    }
    let connection = &mut broker.connect();
    let listeners = described(connection, BROKER, "1", "listeners");
    let place = |name: &str, host: &str, port| format!("{name}://{host}:{port}");
    let first = place("PLAINTEXT", "127.0.0.1", address.port());
    let second = place("INSIDE", "[::1]", inside);
    let third = place("LISTENER_3", "", outside);
    assert_eq!(listeners, (format!("{first},{second},{third}"), 4));
    let advertised = described(connection, BROKER, "1", "advertised.listeners");
    let third = "LISTENER_3://kafka.example.org:19092";
    assert_eq!(advertised, (format!("{first},{second},{third}"), 4));
    let output = broker.output();
    assert!(output.contains(&format!("INSIDE [::1]:{inside} (advertised as [::1]:{inside})")));
}

#[test]
fn a_name_has_one_port_on_all_its_addresses() {
    let mut broker = Broker::start(options(&["--listen", "ANY://:0", "--advertise", "ANY://me"]));
    let output = broker.output();
    let (_, rest) = output.split_once("ANY 0.0.0.0:").expect("every IPv4 address");
    let (port, _) = rest.split_once([',', ' ']).expect("more follows");
    let port: u16 = port.parse().expect("the port that the system chose");
    assert!(rest.contains(&format!("[::]:{port} (advertised as me:{port})")), "{rest}");
    for address in [([127, 0, 0, 1], port).into(), ([0, 0, 0, 0, 0, 0, 0, 1], port).into()] {
        Connection::open(address).expect("it listens").api_versions_v0().expect("it answers");
    }
    broker.terminate();
}

/// A connection that is served, if the broker lets it in.
fn admitted(address: SocketAddr) -> Option<Connection> {
    let mut connection = Connection::open(address).expect("the socket is always accepted");
    connection.api_versions_v0().ok().map(|_| connection)
}

/// Connections until one is refused.
fn fill(address: SocketAddr) -> Vec<Connection> {
    let open: Vec<_> = std::iter::from_fn(|| admitted(address)).take(1_000).collect();
    assert!(open.len() < 1_000, "there is no limit");
    open
}

/// Waits until the broker has seen that connections were closed: exactly `limit` fit in again.
fn wait_until_room_for(limit: usize, address: SocketAddr) -> Vec<Connection> {
    let began = Instant::now();
    loop {
        let open = fill(address);
        assert!(open.len() <= limit, "{} open, {limit} allowed", open.len());
        if open.len() == limit {
            return open;
        }
        assert!(began.elapsed() < PATIENCE, "{} of {limit}", open.len());
        drop(open);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn every_limit_holds_across_shards_and_is_given_back() {
    let small = free_port();
    let broker = Broker::start(options(&[
        "--listen",
        &format!("SMALL://:{small}"),
        "--advertise",
        "SMALL://localhost",
        "--set",
        "listener.name.small.max.connections=5",
        "--set",
        "max.connections=12",
        "--set",
        "max.connections.per.ip=9",
        "--set",
        "max.connections.per.ip.overrides=[::1]:4",
    ]));
    let v4: SocketAddr = ([127, 0, 0, 1], small).into();
    let v6: SocketAddr = ([0, 0, 0, 0, 0, 0, 0, 1], small).into();
    let on_v6 = wait_until_room_for(4, v6);
    let on_small = wait_until_room_for(1, v4);
    let on_large = wait_until_room_for(7, broker.address());
    // 12 are open: whichever limit is asked, it is reached.
    assert!(admitted(v4).is_none() && admitted(v6).is_none());
    drop((on_v6, on_small, on_large));
    let on_large = wait_until_room_for(9, broker.address());
    assert!(broker.output().matches("connections were closed at once").count() > 2);
    for limit in ["max.connections\"", "max.connections.per.ip\"", "<name>.max.connections\""] {
        assert!(broker.output().contains(limit), "{limit} is named: {}", broker.output());
    }
    drop(on_large);
}

#[test]
fn ten_thousand_connections_leave_nothing_behind() {
    let mut broker = Broker::start(options(&["--set", "max.connections.per.ip=8"]));
    for number in 0..10_000 {
        let connection = Connection::open(broker.address()).expect("the socket is always accepted");
        // Some are closed while they are on their way to their shard, some are served before.
        if number % 16 == 0 {
            let mut connection = connection;
            let _ = connection.api_versions_v0();
        }
    }
    let open = wait_until_room_for(8, broker.address());
    let warnings = broker.output().matches("connections were closed at once").count();
    assert!((1..=10).contains(&warnings), "{warnings} warnings: not one for each connection");
    drop(open);
    broker.terminate();
}

#[test]
fn idle_connections_are_closed_when_they_should_be() {
    let broker = Broker::start(options(&["--set", "connections.max.idle.ms=1000"]));
    let mut connection = broker.connect();
    connection.api_versions_v0().expect("it answers");
    assert!(connection.is_closed_by_peer(), "within the patience of the harness");
}
