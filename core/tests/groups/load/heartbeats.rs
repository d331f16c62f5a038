//! Members of very many groups that only live.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::*;

use super::floor::Floor;
use super::{broker_with_delay, cpu_s, quantiles, sync_all};
use crate::group::{Group, receive_join};
use crate::harness::broker::Broker;
use crate::harness::typed::{frame, send};
use crate::harness::wire::Connection;

/// Joins `count` members to a group, on a connection each; they are left in a stable generation.
fn stable_members(broker: &Broker, group: &Group, count: usize) -> Vec<(Connection, String, i32)> {
    let mut connections: Vec<Connection> = (0..count).map(|_| broker.connect()).collect();
    let join = JoinGroupRequest { session_timeout_ms: 45_000, ..group.join("") };
    connections.iter_mut().for_each(|one| send(one, 3, join.clone()));
    let joined: Vec<JoinGroupResponse> =
        connections.iter_mut().map(|one| receive_join(one, 3)).collect();
    let mut members: Vec<_> = connections
        .into_iter()
        .zip(&joined)
        .map(|(connection, joined)| {
            assert_eq!(joined.error_code, ErrorCode::None);
            (connection, joined.member_id.to_string(), joined.generation_id)
        })
        .collect();
    // A broker may have seen another one first.
    let leads = |one: &JoinGroupResponse| one.leader == one.member_id;
    members.swap(0, joined.iter().position(leads).expect("one of them leads"));
    sync_all(group, &mut members);
    members
}

#[test]
#[ignore = "a measurement"]
fn heartbeats() {
    const GROUPS: usize = 1_000;
    const MEMBERS: usize = 5;
    const ROUNDS: u32 = 8;
    // All members of a group come to its first rebalance, however slow the broker is.
    let broker = broker_with_delay(2_000, &[]);
    let first = Group::new(&mut broker.connect(), "load-0");
    first.wait_until_loaded(&mut broker.connect());
    let mut members = Vec::new();
    let groups: Vec<Group> = (0..GROUPS).map(|n| Group { id: format!("load-{n}") }).collect();
    // Their first members have to wait together for the initial delay, or it takes very long.
    for some in groups.chunks(100) {
        thread::scope(|scope| {
            let broker = &broker;
            let join = |group| scope.spawn(move || stable_members(broker, group, MEMBERS));
            let joins: Vec<_> = some.iter().map(join).collect();
            for (group, joined) in some.iter().zip(joins) {
                for (connection, id, generation) in joined.join().expect("they join") {
                    let beat = HeartbeatRequest {
                        group_id: (*group.id).into(),
                        generation_id: generation,
                        member_id: (*id).into(),
                        group_instance_id: None,
                    };
                    members.push((connection, frame(3, beat)));
                }
            }
        });
    }
    let idle = cpu_s(&broker);
    thread::sleep(Duration::from_secs(4));
    let idle = (cpu_s(&broker) - idle) / 4.0;
    let name = format!("heartbeats: {GROUPS} groups x {MEMBERS}");
    beat_all(&name, &mut members, ROUNDS, || cpu_s(&broker));
    println!("    without them {:.2} % of a core", idle * 100.0);
    drop(broker);
    let floor = Floor::start(&[0; 6]);
    let over = |(_, beat)| {
        let stream = TcpStream::connect(floor.address).expect("the floor takes it");
        (Connection::over(stream), beat)
    };
    let mut members: Vec<_> = members.into_iter().map(over).collect();
    beat_all("    the floor", &mut members, ROUNDS, || floor.cpu_s());
}

/// Every member beats every 3 s, evenly spread.
fn beat_all(name: &str, members: &mut [(Connection, Bytes)], rounds: u32, cpu_s: impl Fn() -> f64) {
    let mut times = Vec::new();
    let (before, began) = (cpu_s(), Instant::now());
    let count = members.len() as u32;
    let interval = Duration::from_secs(3) / count;
    for round in 0..rounds {
        for (number, (connection, beat)) in (0..).zip(&mut *members) {
            let due = began + interval * (round * count + number);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let sent = Instant::now();
            connection.send_raw(beat).expect("sent");
            let (_, body) = connection.receive().expect("an answer");
            assert_eq!(&body[4..6], [0, 0], "no error");
            times.push(sent.elapsed());
        }
    }
    let took = began.elapsed().as_secs_f64();
    let share = (cpu_s() - before) / took * 100.0;
    let rate = times.len() as f64 / took;
    println!("{name}, {rate:.0}/s: {share:.2} % of a core, {}", quantiles(times));
}
