//! Members that are real clients.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::harness::broker::Broker;
use crate::harness::rdkafka_client::{self, PATIENCE, Record, TestProducer, fresh_topic};
use crate::harness::requests::create_ready_topic;
use crate::start;

fn member(broker: &Broker, group: &str, settings: &[(&str, &str)]) -> BaseConsumer {
    let defaults = [
        ("group.id", group),
        ("auto.offset.reset", "earliest"),
        ("session.timeout.ms", "6000"),
        ("heartbeat.interval.ms", "300"),
    ];
    let all: Vec<_> = defaults.iter().chain(settings).copied().collect();
    rdkafka_client::consumer(broker, &all)
}

fn fill(broker: &Broker, topic: &str, partitions: i32, per_partition: usize) {
    let producer = TestProducer::new(broker, &[]);
    let mut number = 0;
    for index in 0..per_partition {
        for partition in 0..partitions {
            let value = Some(format!("{partition}/{index}").into_bytes());
            let record = Record { value, timestamp_ms: 1, ..Record::default() };
            producer.send(topic, Some(partition), &record, number);
            number += 1;
        }
    }
    producer.delivered(number);
}

/// Polls until `done`; what it yields is what was read: partition and offset.
fn read(
    members: &[&BaseConsumer],
    mut seen: impl FnMut(usize, i32, i64),
    mut done: impl FnMut() -> bool,
) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "not done within {PATIENCE:?}");
        for (number, member) in members.iter().enumerate() {
            match member.poll(Duration::from_millis(20)) {
                Some(Ok(message)) => seen(number, message.partition(), message.offset()),
                None | Some(Err(KafkaError::MessageConsumption(_))) => {}
                Some(Err(error)) => panic!("member {number}: {error}"),
            }
        }
    }
}

fn assigned(member: &BaseConsumer) -> Vec<i32> {
    let list = member.assignment().expect("an assignment");
    let mut partitions: Vec<i32> = list.elements().iter().map(|one| one.partition()).collect();
    partitions.sort_unstable();
    partitions
}

fn committed(broker: &Broker, group: &str, topic: &str, partitions: i32) -> Vec<i64> {
    let asker = rdkafka_client::consumer(broker, &[("group.id", group)]);
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition(topic, partition);
    }
    let found = asker.committed_offsets(list, PATIENCE).expect("committed offsets");
    let offset =
        |one: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match one.offset() {
            Offset::Offset(offset) => offset,
            _ => -1,
        };
    found.elements().iter().map(offset).collect()
}

#[test]
fn members_share_partitions_and_take_over_from_those_that_leave() {
    for strategy in ["range", "cooperative-sticky"] {
        let Some(broker) = start("members_share_partitions") else { return };
        let topic = fresh_topic("shared");
        create_ready_topic(&mut broker.connect(), &topic, 4);
        fill(&broker, &topic, 4, 50);
        let settings = [("partition.assignment.strategy", strategy)];
        let first = member(&broker, "sharing", &settings);
        first.subscribe(&[&topic]).expect("subscribe");
        let mut count = 0;
        read(&[&first], |_, _, _| count += 1, || assigned(&first).len() == 4);
        let second = member(&broker, "sharing", &settings);
        second.subscribe(&[&topic]).expect("subscribe");
        read(
            &[&first, &second],
            |_, _, _| {},
            || assigned(&first).len() == 2 && assigned(&second).len() == 2,
        );
        let both = [assigned(&first), assigned(&second)].concat();
        let mut both: Vec<i32> = both.into_iter().collect();
        both.sort_unstable();
        assert_eq!(both, [0, 1, 2, 3], "{strategy}");
        drop(second);
        read(&[&first], |_, _, _| {}, || assigned(&first).len() == 4);
    }
}

#[test]
fn commits_outlive_kills_and_never_go_back() {
    let Some(mut broker) = start("commits_outlive_kills") else { return };
    let topic = fresh_topic("committed");
    create_ready_topic(&mut broker.connect(), &topic, 3);
    fill(&broker, &topic, 3, 400);
    let mut read_so_far: BTreeMap<i32, i64> = BTreeMap::new();
    let mut before = vec![-1; 3];
    for (round, shards) in [(0, 1), (1, 2), (2, 3), (3, 2)] {
        let consumer = member(&broker, "kept", &[]);
        consumer.subscribe(&[&topic]).expect("subscribe");
        let mut count = 0;
        let mut next = Vec::new();
        let counted = std::cell::Cell::new(0);
        read(
            &[&consumer],
            |_, partition, offset| {
                next.push((partition, offset));
                count += 1;
                counted.set(count);
            },
            || counted.get() >= 150,
        );
        for (partition, offset) in next {
            let expected = read_so_far.entry(partition).or_insert(0);
            assert_eq!(offset, *expected, "round {round}: partition {partition} in its order");
            *expected += 1;
        }
        consumer.commit_consumer_state(CommitMode::Sync).expect("committed");
        broker.kill();
        broker.options.shards = shards;
        broker.start_again();
        let kept = committed(&broker, "kept", &topic, 3);
        for (partition, (kept, before)) in kept.iter().zip(&before).enumerate() {
            let read = read_so_far.get(&(partition as i32)).copied().unwrap_or(-1);
            assert!(kept >= before, "round {round}: {partition} went back to {kept}");
            assert_eq!(*kept, read, "round {round}: partition {partition}");
        }
        before = kept;
        drop(consumer);
    }
}
