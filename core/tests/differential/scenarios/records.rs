//! DeleteRecords, OffsetForLeaderEpoch and InitProducerId.

use corelane_net::messages::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic, InitProducerIdRequest,
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic, OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};

use super::fetch;
use crate::harness::batch::Batch;
use crate::harness::requests::produce_one;
use crate::stage::Stage;

fn deletion(topic: &str, partitions: &[(i32, i64)]) -> DeleteRecordsRequest {
    let partition = |(partition_index, offset): &(i32, i64)| DeleteRecordsPartition {
        partition_index: *partition_index,
        offset: *offset,
    };
    let partitions = partitions.iter().map(partition).collect();
    let topics = vec![DeleteRecordsTopic { name: topic.into(), partitions }];
    DeleteRecordsRequest { topics, timeout_ms: 30_000 }
}

fn fill(stage: &mut Stage<'_>, topic: &str, batches: usize) {
    let mut connection = stage.connect();
    let batch = Batch::of(&[b"one", b"two"]).encode();
    (0..batches).for_each(|_| assert!(produce_one(&mut connection, topic, 0, &batch) >= 0));
}

pub fn delete_records(stage: &mut Stage<'_>) {
    let id = stage.create_topic("shortened", 2, &[]);
    fill(stage, "shortened", 4);
    stage.ask_at(&[0, 1, 2], "to offset 0", deletion("shortened", &[(0, 0)]));
    stage.ask("v0: to offset 1", 0, deletion("shortened", &[(0, 1)]));
    stage.ask("v1: to offset 3, in a batch", 1, deletion("shortened", &[(0, 3)]));
    stage.ask("v2: back to offset 2", 2, deletion("shortened", &[(0, 2)]));
    stage.ask_at(&[0, 2], "beyond the end", deletion("shortened", &[(0, 9)]));
    stage.ask_at(&[0, 2], "to offset -2", deletion("shortened", &[(0, -2)]));
    stage.ask_at(&[0, 2], "an empty partition", deletion("shortened", &[(1, -1)]));
    stage.ask_at(&[0, 2], "unknown partitions", deletion("shortened", &[(2, 0), (-1, 0), (0, 0)]));
    stage.ask_at(&[0, 2], "an unknown topic", deletion("nowhere", &[(0, 0)]));
    stage.ask_at(&[0, 2], "an illegal name", deletion("a/b", &[(0, 0)]));
    stage.ask_at(&[0, 2], "a partition twice", deletion("shortened", &[(0, 4), (0, 5)]));
    let none = DeleteRecordsRequest { topics: Vec::new(), timeout_ms: 0 };
    stage.ask_at(&[0, 2], "no topic", none);
    // What others see of it.
    for offset in [0, 4, 5] {
        let topic = fetch::topic("shortened", id, vec![fetch::partition(0, offset)]);
        let step = format!("fetched from offset {offset}");
        stage.ask_at(&[4, 12, 18], &step, fetch::request(vec![topic]));
    }
    for timestamp in [-2, -1, -4, 0] {
        let partition = ListOffsetsPartition { timestamp, ..ListOffsetsPartition::default() };
        let topic = ListOffsetsTopic { name: "shortened".into(), partitions: vec![partition] };
        let asked = ListOffsetsRequest { topics: vec![topic], ..ListOffsetsRequest::default() };
        stage.ask_at(&[8], &format!("the offset at {timestamp}"), asked);
    }
    stage.ask("v2: to the high watermark", 2, deletion("shortened", &[(0, -1)]));
    stage.ask("v2: once more", 2, deletion("shortened", &[(0, -1)]));
    for (topic, policy) in [("only-compacted", "compact"), ("also-deleted", "compact,delete")] {
        stage.create_topic(topic, 1, &[("cleanup.policy", policy)]);
        stage.ask_at(&[0, 2], topic, deletion(topic, &[(0, 0)]));
    }
}

pub fn offset_for_leader_epoch(stage: &mut Stage<'_>) {
    stage.create_topic("epochs", 2, &[]);
    fill(stage, "epochs", 2);
    let now = stage.leader_epoch();
    let asking = |topic: &str, partition, current_leader_epoch, leader_epoch| {
        let partition = OffsetForLeaderPartition { partition, current_leader_epoch, leader_epoch };
        let topic = OffsetForLeaderTopic { topic: topic.into(), partitions: vec![partition] };
        OffsetForLeaderEpochRequest { replica_id: -1, topics: vec![topic] }
    };
    let versions = &[2, 3, 4];
    for (step, partition, current, asked) in [
        ("the leader's epoch", 0, -1, now),
        ("the leader's epoch, known", 0, now, now),
        ("a later epoch", 0, -1, now + 1),
        ("an epoch of -1", 0, -1, -1),
        ("an epoch of -2", 0, -1, -2),
        ("fenced", 0, -2, now),
        ("ahead of the leader", 0, now + 1, now),
        ("an empty partition", 1, -1, now),
        ("an unknown partition", 2, -1, now),
    ] {
        stage.ask_at(versions, step, asking("epochs", partition, current, asked));
    }
    stage.ask_at(versions, "an unknown topic", asking("nowhere", 0, -1, now));
    for replica_id in [-2, 0] {
        let asked = OffsetForLeaderEpochRequest { replica_id, ..asking("epochs", 0, -1, now) };
        stage.ask_at(&[3, 4], &format!("replica {replica_id}"), asked);
    }
    stage.ask_at(versions, "no topic", OffsetForLeaderEpochRequest::default());
}

pub fn init_producer_id(stage: &mut Stage<'_>) {
    stage.producer_id();
    let asking = |transactional_id: Option<&str>| InitProducerIdRequest {
        transactional_id: transactional_id.map(Into::into),
        transaction_timeout_ms: 60_000,
        ..InitProducerIdRequest::default()
    };
    let versions = &[0, 1, 2, 3, 4, 5];
    stage.ask_at(versions, "an idempotent producer", asking(None));
    stage.ask_at(versions, "an empty transactional id", asking(Some("")));
    let without_time = InitProducerIdRequest { transaction_timeout_ms: -1, ..asking(None) };
    stage.ask_at(&[0, 5], "a negative time-out", without_time);
    for (producer_id, producer_epoch) in [(5, 0), (5, -1), (-1, 3), (0, i16::MAX)] {
        let asked = InitProducerIdRequest { producer_id, producer_epoch, ..asking(None) };
        let step = format!("as producer {producer_id} of epoch {producer_epoch}");
        stage.ask_at(&[3, 5], &step, asked);
    }
}
