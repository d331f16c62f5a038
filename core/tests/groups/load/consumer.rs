//! The consumer protocol under load, in figures.

use std::time::Instant;

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::*;

use super::{broker, cpu_s, quantiles};
use crate::group::Group;
use crate::harness::broker::Broker;
use crate::harness::requests::create_ready_topic;
use crate::harness::typed::{receive, send};
use crate::harness::wire::Connection;

const MEMBERS: usize = 200;
const PARTITIONS: usize = 1_000;

/// A member that does at once what it is told.
struct Member {
    connection: Connection,
    id: String,
    epoch: i32,
    owned: Vec<ConsumerTopicPartitions>,
}

impl Member {
    fn new(broker: &Broker, number: usize) -> Member {
        let id = format!("member-{number:04}");
        Member { connection: broker.connect(), id, epoch: 0, owned: Vec::new() }
    }

    fn beat(&mut self, group: &str, epoch: i32) {
        let is_join = epoch == 0;
        let request = ConsumerGroupHeartbeatRequest {
            group_id: group.into(),
            member_id: (*self.id).into(),
            member_epoch: epoch,
            rebalance_timeout_ms: if is_join { 60_000 } else { -1 },
            subscribed_topic_names: is_join.then(|| vec!["load".into()]),
            topic_partitions: (epoch >= 0).then(|| self.owned.clone()),
            ..Default::default()
        };
        send(&mut self.connection, 1, request);
    }

    /// Whether it has anything new to do.
    fn hear(&mut self) -> bool {
        let answer = match receive(&mut self.connection, Api::ConsumerGroupHeartbeat, 1) {
            Response::ConsumerGroupHeartbeat(answer) => answer,
            other => panic!("an answer of another API: {other:?}"),
        };
        assert_eq!(answer.error_code, ErrorCode::None, "{answer:?}");
        let is_news = answer.member_epoch != self.epoch || answer.assignment.is_some();
        self.epoch = answer.member_epoch;
        self.owned = answer.assignment.map_or_else(
            || std::mem::take(&mut self.owned),
            |assignment| assignment.topic_partitions,
        );
        is_news
    }

    fn share(&self) -> usize {
        self.owned.iter().map(|topic| topic.partitions.len()).sum()
    }
}

/// All beat again and again, each as soon as all have been answered, until everybody has its share; how often.
fn settle(group: &str, members: &mut [Member]) -> usize {
    for round in 1.. {
        members.iter_mut().for_each(|member| member.beat(group, member.epoch));
        let mut is_news = false;
        for member in &mut *members {
            is_news |= member.hear();
        }
        let share = members.iter().map(Member::share).sum::<usize>();
        let are_one = members.iter().all(|member| member.epoch == members[0].epoch);
        if !is_news && are_one && share == PARTITIONS {
            return round;
        }
        assert!(round < 10_000, "they do not come to rest: {share} partitions are shared out");
    }
    unreachable!()
}

#[test]
#[ignore = "a measurement"]
fn rebalances() {
    const ROUNDS: usize = 20;
    let broker = broker(&[]);
    let mut connection = broker.connect();
    create_ready_topic(&mut connection, "load", PARTITIONS as i32);
    let group = Group::new(&mut connection, "load");
    group.wait_until_loaded(&mut connection);
    let mut members: Vec<Member> = (0..MEMBERS).map(|n| Member::new(&broker, n)).collect();
    let (mut joins, mut leaves, mut beats) = (Vec::new(), Vec::new(), 0);
    let mut cpu = 0.0;
    for round in 0..=ROUNDS {
        if round == 1 {
            cpu = cpu_s(&broker);
            (joins, leaves, beats) = (Vec::new(), Vec::new(), 0);
        }
        // All come to an empty group.
        let began = Instant::now();
        beats += settle(&group.id, &mut members);
        joins.push(began.elapsed());
        // One goes; its share is for the others.
        let mut last = members.pop().expect("a member");
        let began = Instant::now();
        last.beat(&group.id, -1);
        last.hear();
        beats += settle(&group.id, &mut members);
        leaves.push(began.elapsed());
        members.push(last);
        for member in &mut members[..MEMBERS - 1] {
            member.beat(&group.id, -1);
            member.hear();
        }
        for member in &mut members {
            (member.epoch, member.owned) = (0, Vec::new());
        }
    }
    println!(
        "rebalances of the consumer protocol: {MEMBERS} members, {PARTITIONS} partitions, all join: {}; \
         one leaves: {}; {} heartbeats of each member, {:.2} s of processor time, a round",
        quantiles(joins),
        quantiles(leaves),
        beats / ROUNDS,
        (cpu_s(&broker) - cpu) / ROUNDS as f64
    );
}
