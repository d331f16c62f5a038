//! What describes the cluster: DescribeCluster, DescribeTopicPartitions, DescribeLogDirs, DescribeProducers.

use corelane_net::messages::{
    DescribableLogDirTopic, DescribeClusterRequest, DescribeLogDirsRequest,
    DescribeProducersRequest, DescribeProducersTopic, DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsTopic, Request, TopicPartitionCursor,
};

use super::produce;
use crate::harness::batch::Batch;
use crate::harness::requests::produce_one;
use crate::stage::Stage;

pub fn cluster(stage: &mut Stage<'_>) {
    let of_type = |endpoint_type| DescribeClusterRequest {
        endpoint_type,
        ..DescribeClusterRequest::default()
    };
    stage.ask_at(&[0, 1, 2], "the cluster", of_type(1));
    let asked =
        DescribeClusterRequest { include_cluster_authorized_operations: true, ..of_type(1) };
    stage.ask_at(&[0, 1, 2], "with the operations allowed", asked);
    let fenced = DescribeClusterRequest { include_fenced_brokers: true, ..of_type(1) };
    stage.ask("v2: with fenced brokers", 2, fenced);
    for endpoint_type in [0, 2, 3, -1] {
        let step = format!("endpoints of type {endpoint_type}");
        stage.ask_at(&[1, 2], &step, of_type(endpoint_type));
    }
}

pub fn topic_partitions(stage: &mut Stage<'_>) {
    for (name, partitions) in [("paged-a", 3), ("paged-b", 1), ("paged-c", 2)] {
        stage.create_topic(name, partitions, &[]);
    }
    let asking = |names: &[&str], limit, cursor: Option<(&str, i32)>| {
        let topic = |name: &&str| DescribeTopicPartitionsTopic { name: (*name).into() };
        DescribeTopicPartitionsRequest {
            topics: names.iter().map(topic).collect(),
            response_partition_limit: limit,
            cursor: cursor.map(|(topic_name, partition_index)| TopicPartitionCursor {
                topic_name: topic_name.into(),
                partition_index,
            }),
        }
    };
    let all: &[&str] = &["paged-c", "paged-a", "paged-b"];
    for (step, names, limit, cursor) in [
        ("three topics", all, 2_000, None),
        ("two partitions", all, 2, None),
        ("the next two", all, 2, Some(("paged-a", 2))),
        ("the rest", all, 2_000, Some(("paged-b", 0))),
        ("a limit of 3", all, 3, None),
        ("a limit of 0", all, 0, None),
        ("a limit of -1", all, -1, None),
        ("from behind the end", all, 5, Some(("paged-c", 2))),
        ("from far behind the end", all, 5, Some(("paged-c", 99))),
        ("from partition -1", all, 5, Some(("paged-b", -1))),
        ("from an unknown topic", all, 5, Some(("paged-bb", 0))),
        ("from a topic after all", all, 5, Some(("zzz", 0))),
        ("unknown topics", &["nowhere", "paged-b", "a/b"], 5, None),
        ("a topic twice", &["paged-b", "paged-b"], 5, None),
        ("from a topic not asked for", &["paged-c"], 5, Some(("paged-a", 1))),
    ] {
        stage.ask(&format!("v0: {step}"), 0, asking(names, limit, cursor));
    }
}

pub fn log_dirs(stage: &mut Stage<'_>) {
    stage.create_topic("sized", 2, &[]);
    let mut connection = stage.connect();
    produce_one(&mut connection, "sized", 1, &Batch::of(&[b"one", b"two"]).encode());
    let asking = |topics: &[(&str, &[i32])]| {
        let topic = |(topic, partitions): &(&str, &[i32])| DescribableLogDirTopic {
            topic: (*topic).into(),
            partitions: partitions.to_vec(),
        };
        DescribeLogDirsRequest { topics: Some(topics.iter().map(topic).collect()) }
    };
    stage.ask_at(&[1, 2, 3, 4, 5], "a topic", asking(&[("sized", &[0, 1])]));
    stage.ask_at(&[1, 4], "a partition", asking(&[("sized", &[1])]));
    stage.ask_at(&[1, 4], "no partition", asking(&[("sized", &[])]));
    stage.ask_at(&[1, 4], "unknown ones", asking(&[("sized", &[2, -1]), ("nowhere", &[0])]));
    stage.ask_at(&[1, 4], "a topic twice", asking(&[("sized", &[0]), ("sized", &[0])]));
    stage.ask_at(&[1, 4, 5], "no topic", asking(&[]));
}

pub fn producers(stage: &mut Stage<'_>) {
    stage.create_topic("written", 2, &[]);
    let producer_id = stage.producer_id();
    let producer_epoch = 0;
    let batch = Batch {
        producer_id,
        producer_epoch,
        base_sequence: 0,
        timestamps_ms: vec![produce::now_ms()],
        ..Batch::of(&[b"one"])
    };
    let produce = produce::request("written", &[(0, &batch.encode())]);
    assert!(stage.call(9, &Request::from(produce)).is_some());
    let asking = |name: &str, partition_indexes: &[i32]| DescribeProducersRequest {
        topics: vec![DescribeProducersTopic {
            name: name.into(),
            partition_indexes: partition_indexes.to_vec(),
        }],
    };
    stage.ask("v0: both partitions", 0, asking("written", &[0, 1]));
    stage.ask("v0: an unknown partition", 0, asking("written", &[2]));
    stage.ask("v0: an unknown topic", 0, asking("nowhere", &[0]));
    stage.ask("v0: an illegal name", 0, asking("a/b", &[0]));
}
