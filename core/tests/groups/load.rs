//! Groups under load, in figures: no tests but measurements, ignored unless asked for. docs/measuring.md says
//! how to run them, against Corelane and against Kafka.
//!
//! Requests are made before the clock starts and answers hardly looked at, so that the program that measures
//! takes little of what is measured.
//!
//! - `load/heartbeats.rs`: members of very many groups that only live
//! - `load/floor.rs`: the least that such a load costs
//! - `load/consumer.rs`: the consumer protocol

mod consumer;
mod floor;
mod heartbeats;

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::*;

use crate::group::{Group, receive_join};
use crate::harness::batch::Batch;
use crate::harness::broker::Broker;
use crate::harness::options::Options;
use crate::harness::process::raise_open_file_limit;
use crate::harness::rdkafka_client::PATIENCE;
use crate::harness::requests::{create_ready_topic, produce};
use crate::harness::typed::{frame, send, typed};
use crate::harness::wire::Connection;

fn broker(more: &[&str]) -> Broker {
    broker_with_delay(300, more)
}

fn broker_with_delay(group_delay_ms: u32, more: &[&str]) -> Broker {
    raise_open_file_limit();
    let settings = more.iter().flat_map(|setting| ["--set".to_string(), setting.to_string()]);
    Broker::start(Options {
        group_delay_ms: Some(group_delay_ms),
        more: settings.collect(),
        cache_bytes: 256 << 20,
        ..Options::default()
    })
}

/// Seconds of processor time that the broker has taken so far.
fn cpu_s(broker: &Broker) -> f64 {
    cpu_s_in(&format!("/proc/{}/stat", broker.pid().expect("our own")))
}

fn cpu_s_in(path: &str) -> f64 {
    let stat = std::fs::read_to_string(path).expect("it runs");
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    let ticks = |place: usize| fields[place].parse::<f64>().expect("ticks");
    // SAFETY: sysconf(3) touches no memory.
    (ticks(11) + ticks(12)) / unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64
}

fn quantiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let [p50, p99, max] = [at(0.5), at(0.99), at(1.0)];
    format!("p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms")
}

fn sync_all(group: &Group, members: &mut [(Connection, String, i32)]) {
    // A consumer's share: one topic and five partitions of it.
    let assignment = Bytes::from_static(&[
        0, 0, 0, 0, 0, 1, 0, 4, b'l', b'o', b'a', b'd', 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0,
        0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 255, 255, 255, 255,
    ]);
    let one = |(_, id, _): &(Connection, String, i32)| SyncGroupRequestAssignment {
        member_id: (**id).into(),
        assignment: assignment.clone(),
    };
    // All bring all shares: the leader's count, and the others' are not looked at.
    let assignments: Vec<_> = members.iter().map(one).collect();
    for (number, (connection, id, generation)) in members.iter_mut().enumerate() {
        // The first to join leads; that of a later generation is told by the caller's order.
        let shares = if number == 0 { assignments.clone() } else { Vec::new() };
        let request = SyncGroupRequest { assignments: shares, ..group.sync(id, *generation, "") };
        send(connection, 3, request);
    }
    for (connection, _, _) in members {
        let (_, body) = connection.receive().expect("an answer");
        assert_eq!(&body[4..6], [0, 0], "no error");
    }
}

fn commit_frame(group: &str, partitions: i32, offset: i64) -> Bytes {
    let partition = |partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: offset,
        ..Default::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: "load".into(),
        partitions: (0..partitions).map(partition).collect(),
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: group.into(),
        generation_id_or_member_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    frame(7, request)
}

fn commit(connection: &mut Connection, frame: &Bytes) {
    connection.send_raw(frame).expect("sent");
    let (_, body) = connection.receive().expect("an answer");
    assert_eq!(body[body.len() - 2..], [0, 0], "no error");
}

#[test]
#[ignore = "a measurement"]
fn commits_beside_produce() {
    const THREADS: u32 = 16;
    const COMMITS: u32 = 10_000;
    const WARM: Duration = Duration::from_secs(8);
    const MEASURED: Duration = Duration::from_secs(20);
    let broker = broker(&[]);
    let mut connection = broker.connect();
    create_ready_topic(&mut connection, "load", 4);
    create_ready_topic(&mut connection, "beside", 4);
    Group::new(&mut connection, "load-0").wait_until_loaded(&mut connection);
    let (stop, produced) = (AtomicBool::new(false), AtomicU64::new(0));
    let record = vec![b'x'; 1_000];
    let batch = Batch::of(&vec![&record[..]; 256]).encode();
    let began = Instant::now();
    let (cpu, bytes, times) = thread::scope(|scope| {
        for partition in 0..4_u32 {
            let frame = produce(1, "beside", &[(partition as i32, &batch)]).frame(1);
            let (broker, stop, produced) = (&broker, &stop, &produced);
            scope.spawn(move || {
                let mut connection = broker.connect();
                let interval = Duration::from_secs(4) * frame.len() as u32 / 100_000_000;
                for number in 0.. {
                    let due = began + interval * number + interval / 4 * partition;
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    connection.send_raw(&frame).expect("sent");
                    connection.receive().expect("an answer");
                    produced.fetch_add(frame.len() as u64, Ordering::Relaxed);
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        let commits: Vec<_> = (0..THREADS)
            .map(|thread| {
                let broker = &broker;
                scope.spawn(move || {
                    let group = |n| commit_frame(&format!("load-{}", thread * 8 + n), 1, 7);
                    let frames: Vec<Bytes> = (0..8).map(group).collect();
                    let mut connection = broker.connect();
                    let interval = Duration::from_secs(1) * THREADS / COMMITS;
                    let mut times = Vec::new();
                    for number in 0.. {
                        let due = began + interval * number + interval / THREADS * thread;
                        if due > began + WARM + MEASURED {
                            break;
                        }
                        thread::sleep(due.saturating_duration_since(Instant::now()));
                        commit(&mut connection, &frames[number as usize % 8]);
                        if due > began + WARM {
                            times.push(due.elapsed());
                        }
                    }
                    times
                })
            })
            .collect();
        thread::sleep(WARM.saturating_sub(began.elapsed()));
        let (cpu, bytes) = (cpu_s(&broker), produced.load(Ordering::Relaxed));
        let times: Vec<_> = commits.into_iter().flat_map(|t| t.join().expect("done")).collect();
        stop.store(true, Ordering::Relaxed);
        (cpu_s(&broker) - cpu, produced.load(Ordering::Relaxed) - bytes, times)
    });
    let took = (began.elapsed() - WARM).as_secs_f64();
    println!(
        "commits: {:.0}/s beside {:.0} MB/s: {}, counted from when each was due; {:.0} % of a core",
        times.len() as f64 / took,
        bytes as f64 / 1e6 / took,
        quantiles(times),
        cpu / took * 100.0
    );
}

#[test]
#[ignore = "a measurement"]
fn loading() {
    const GROUPS: usize = 100;
    const PARTITIONS: i32 = 1_000;
    let mut broker = broker(&[]);
    let mut connection = broker.connect();
    create_ready_topic(&mut connection, "load", PARTITIONS);
    Group::new(&mut connection, "load-0").wait_until_loaded(&mut connection);
    let ids: Vec<String> = (0..GROUPS).map(|number| format!("load-{number}")).collect();
    for id in &ids {
        commit(&mut connection, &commit_frame(id, PARTITIONS, 7));
    }
    for _ in 0..3 {
        broker.kill();
        let began = Instant::now();
        broker.start_again();
        let ready = began.elapsed();
        let mut connection = broker.connect();
        let mut loaded = 0;
        while loaded < GROUPS {
            let groups = ids.iter().map(|id| id.as_str().into()).collect();
            let request = DescribeGroupsRequest { groups, ..Default::default() };
            let described = typed!(&mut connection, 5, DescribeGroups, request);
            loaded = described.groups.iter().filter(|one| one.error_code.is_none()).count();
            assert!(began.elapsed() < PATIENCE);
        }
        println!(
            "loading: {} offsets of {GROUPS} groups {:.0} ms after the broker answers, which it \
             does {:.0} ms after its start",
            GROUPS as i32 * PARTITIONS,
            (began.elapsed() - ready).as_secs_f64() * 1e3,
            ready.as_secs_f64() * 1e3
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn rebalances() {
    const MEMBERS: usize = 200;
    const ROUNDS: usize = 30;
    let broker = broker(&[]);
    let mut connection = broker.connect();
    create_ready_topic(&mut connection, "load", 1_000);
    let group = Group::new(&mut connection, "load");
    group.wait_until_loaded(&mut connection);
    let mut connections: Vec<Connection> = (0..MEMBERS).map(|_| broker.connect()).collect();
    let mut ids = vec![String::new(); MEMBERS];
    let (mut leader, mut generation) = (0, 0);
    let mut times = Vec::new();
    for round in 0..=ROUNDS {
        let frames: Vec<Bytes> = ids
            .iter()
            .map(|id| {
                let join = JoinGroupRequest { session_timeout_ms: 45_000, ..group.join(id) };
                frame(3, join)
            })
            .collect();
        let began = Instant::now();
        // The leader first: that begins the rebalance. Who comes before is told the old generation.
        connections[leader].send_raw(&frames[leader]).expect("sent");
        while round > 0
            && group.beat(
                &mut connections[(leader + 1) % MEMBERS],
                &ids[(leader + 1) % MEMBERS],
                generation,
            ) != ErrorCode::RebalanceInProgress
        {}
        for (number, frame) in frames.iter().enumerate().filter(|(n, _)| *n != leader) {
            connections[number].send_raw(frame).expect("sent");
        }
        for (number, connection) in connections.iter_mut().enumerate() {
            let joined = receive_join(connection, 3);
            assert_eq!(joined.error_code, ErrorCode::None);
            generation = joined.generation_id;
            if joined.leader == joined.member_id {
                leader = number;
            }
            ids[number] = joined.member_id.to_string();
        }
        let mut order: Vec<usize> = (0..MEMBERS).collect();
        order.swap(0, leader);
        let mut members: Vec<_> = order
            .iter()
            .map(|n| {
                let stream = connections[*n].stream.try_clone().expect("the same socket");
                (Connection::over(stream), ids[*n].clone(), generation)
            })
            .collect();
        sync_all(&group, &mut members);
        if round > 0 {
            times.push(began.elapsed());
        }
    }
    println!("rebalances: {MEMBERS} members: {}", quantiles(times));
}

fn disk_bytes(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    let one = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        // A segment that compaction has just removed.
        Err(_) => 0,
    };
    entries.flatten().map(one).sum()
}

#[test]
#[ignore = "a measurement"]
fn an_hour_of_commits() {
    const PARTITIONS: i32 = 250;
    const COMMITS: usize = 40_000;
    let mut broker = broker(&["log.cleaner.backoff.ms=1000"]);
    let mut connection = broker.connect();
    create_ready_topic(&mut connection, "load", PARTITIONS);
    Group::new(&mut connection, "load").wait_until_loaded(&mut connection);
    let began = Instant::now();
    let mut most = 0;
    for number in 0..COMMITS {
        // One commit for all, as of one who has read on in every partition.
        let offset = number as i64;
        commit(&mut connection, &commit_frame("load", PARTITIONS, offset));
        if number % 500 == 0 {
            most = most.max(disk_bytes(&broker.data_dir()));
        }
    }
    let took = began.elapsed().as_secs_f64();
    thread::sleep(Duration::from_secs(8));
    let then = disk_bytes(&broker.data_dir());
    broker.kill();
    broker.start_again();
    let began = Instant::now();
    let mut connection = broker.connect();
    let group = Group { id: "load".into() };
    group.wait_until_loaded(&mut connection);
    println!(
        "an hour of commits: {} offsets committed in {took:.1} s; the data directory had at most \
         {:.0} MB, at the end {:.0} MB; read back in {:.0} ms",
        COMMITS as i64 * i64::from(PARTITIONS),
        most as f64 / 1e6,
        then as f64 / 1e6,
        began.elapsed().as_secs_f64() * 1e3
    );
}
