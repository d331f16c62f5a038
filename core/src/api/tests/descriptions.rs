//! Answers made from the catalog alone.

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    AlterPartitionReassignmentsRequest, DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponseTopic, DescribeTopicPartitionsTopic, ReassignablePartition,
    ReassignableTopic, TopicPartitionCursor,
};
use corelane_storage::ids::TopicId;
use corelane_storage::log::Durability;

use crate::api::alter_partition_reassignments;
use crate::api::describe_topic_partitions::{Asked, page};
use crate::catalog::config::Settings;
use crate::catalog::{Catalog, Command, Topic};
use crate::shard::Broker;
use crate::shard::nodes::Nodes;

fn broker() -> Broker {
    Broker {
        nodes: Nodes::one(1),
        cluster_id: "cluster".to_owned(),
        listeners: Vec::new(),
        data_dir: "/data".into(),
        leader_epoch: 3,
        default_partitions: 1,
        auto_create_topics: false,
        settings: Settings::new(Durability::Written),
        node_settings: Vec::new(),
    }
}

fn catalog_of(topics: &[(&str, u32)]) -> Catalog {
    let mut catalog = Catalog::default();
    for (number, (name, partitions)) in topics.iter().enumerate() {
        let topic = Topic {
            name: (*name).into(),
            id: TopicId([number as u8 + 1; 16]),
            partitions: *partitions,
            configs: Default::default(),
        };
        catalog.apply(&Command::CreateTopic(topic.into()));
    }
    catalog
}

/// Follows the cursor to the end: the pages as (topic, partitions).
fn pages(catalog: &Catalog, names: &[&str], limit: i32) -> Vec<Vec<(String, Vec<i32>)>> {
    let name = |name: &&str| DescribeTopicPartitionsTopic { name: Str::from(*name) };
    let (mut pages, mut cursor) = (Vec::new(), None);
    loop {
        let request = DescribeTopicPartitionsRequest {
            topics: names.iter().map(name).collect(),
            response_partition_limit: limit,
            cursor,
        };
        let response = page(catalog, &broker(), &Asked::of(request));
        let topic = |topic: &DescribeTopicPartitionsResponseTopic| {
            let indexes = topic.partitions.iter().map(|partition| partition.partition_index);
            (topic.name.as_ref().unwrap().to_string(), indexes.collect())
        };
        pages.push(response.topics.iter().map(topic).collect());
        cursor = response.next_cursor;
        if cursor.is_none() {
            return pages;
        }
    }
}

#[test]
fn topics_are_described_in_pages() {
    let catalog = catalog_of(&[("b", 3), ("a", 2), ("c", 1)]);
    let entry = |name: &str, indexes: &[i32]| (name.to_owned(), indexes.to_vec());
    let whole = vec![entry("a", &[0, 1]), entry("b", &[0, 1, 2]), entry("c", &[0])];
    assert_eq!(pages(&catalog, &[], 2_000), [whole]);
    let by_two = [
        vec![entry("a", &[0, 1])],
        vec![entry("b", &[0, 1])],
        vec![entry("b", &[2]), entry("c", &[0])],
    ];
    assert_eq!(pages(&catalog, &[], 2), by_two);
    // A limit that makes no sense still gets on.
    assert_eq!(pages(&catalog, &["c", "a", "c"], -5).len(), 3);
    let named = [vec![entry("a", &[0, 1]), entry("no", &[])]];
    assert_eq!(pages(&catalog, &["no", "a"], 10), named);
}

#[test]
fn a_page_is_bounded_and_a_cursor_checked() {
    let catalog = catalog_of(&[("large", 5_000)]);
    let sizes: Vec<_> = pages(&catalog, &[], i32::MAX).iter().map(|p| p[0].1.len()).collect();
    assert_eq!(sizes, [2_000, 2_000, 1_000]);
    let cursor = |partition_index| DescribeTopicPartitionsRequest {
        cursor: Some(TopicPartitionCursor { topic_name: "large".into(), partition_index }),
        ..Default::default()
    };
    let refused = page(&catalog, &broker(), &Asked::of(cursor(-1)));
    assert!(refused.topics.is_empty() && refused.next_cursor.is_none());
    let behind = page(&catalog, &broker(), &Asked::of(cursor(i32::MAX)));
    assert!(behind.topics[0].partitions.is_empty() && behind.next_cursor.is_none());
    let named = DescribeTopicPartitionsTopic { name: "other".into() };
    let elsewhere = DescribeTopicPartitionsRequest { topics: vec![named], ..cursor(0) };
    let refused = page(&catalog, &broker(), &Asked::of(elsewhere));
    assert_eq!(refused.topics[0].error_code, ErrorCode::InvalidRequest);
}

#[test]
fn any_number_of_names_is_told_of_in_pages_of_a_bounded_size() {
    let catalog = catalog_of(&[("n3", 2)]);
    // In descending order, and each twice.
    let names: Vec<String> = (0..5_000).rev().map(|n| format!("n{n}")).collect();
    let mut asked: Vec<&str> = names.iter().map(String::as_str).collect();
    asked.extend_from_within(..);
    let pages = pages(&catalog, &asked, i32::MAX);
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2_000, 2_000, 1_000]);
    let mut sorted = names.clone();
    sorted.sort();
    let told: Vec<_> = pages.concat().into_iter().map(|(name, _)| name).collect();
    assert_eq!(told, sorted);
    let known: Vec<_> = pages.concat().into_iter().filter(|(_, all)| !all.is_empty()).collect();
    assert_eq!(known, [("n3".to_owned(), vec![0, 1])]);
}

#[test]
fn a_partition_stays_where_it_is() {
    let catalog = catalog_of(&[("t", 1)]);
    let code = |name: &str, partition_index, replicas: Option<Vec<i32>>| {
        let partitions = vec![ReassignablePartition { partition_index, replicas }];
        let topics = vec![ReassignableTopic { name: name.into(), partitions }];
        let request = AlterPartitionReassignmentsRequest { topics, ..Default::default() };
        let response = alter_partition_reassignments::answer(&catalog, Nodes::one(1), request);
        response.responses[0].partitions[0].error_code
    };
    assert_eq!(code("t", 0, Some(vec![1])), ErrorCode::None);
    assert_eq!(code("t", 0, None), ErrorCode::NoReassignmentInProgress);
    for wrong in [vec![], vec![2], vec![1, 2], vec![1, 1], vec![-1]] {
        assert_eq!(code("t", 0, Some(wrong)), ErrorCode::InvalidReplicaAssignment);
    }
    assert_eq!(code("t", 1, Some(vec![1])), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(code("u", 0, Some(vec![1])), ErrorCode::UnknownTopicOrPartition);
}
