//! Bytes that Apache Kafka's own client writes (4.3.1; ApiVersions 5 and DeleteGroups 3: 4.4.0), in the versions that no
//! oracle knows.

use bytes::Bytes;

use super::round_trip::{request_frame, response_frame};
use crate::codec::{Str, Uuid};
use crate::error_code::ErrorCode;
use crate::messages::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

/// The body behind the header: key, version, correlation id, client id `client`, no tags.
fn assert_request(request: impl Into<Request>, version: i16, body: &str) {
    let request = request.into();
    let frame = request_frame(&request, version);
    let (header, ours) = frame.split_at(17);
    assert_eq!(ours, bytes(body), "{request:?}");
    let theirs = Bytes::from([header, &bytes(body)].concat());
    assert_eq!(Request::decode(&theirs).unwrap().1, request);
}

/// The body behind the header: correlation id, no tags.
fn assert_response(response: impl Into<Response>, version: i16, body: &str) {
    let response = response.into();
    let frame = response_frame(&response, version);
    assert_eq!(&frame[5..], bytes(body), "{response:?}");
    let theirs = Bytes::from([&frame[..5], &bytes(body)].concat());
    let decoded = Response::decode(response.api(), version, &theirs).unwrap();
    assert_eq!(decoded, (7, response));
}

#[test]
fn api_versions_5() {
    let request = ApiVersionsRequest {
        client_software_name: "apache-kafka-java".into(),
        client_software_version: "4.4.0".into(),
        cluster_id: Some("abc".into()),
        node_id: 258,
    };
    let body = "126170616368652d6b61666b612d6a61766106342e342e30046162630000010200";
    assert_request(request, 5, body);
}

#[test]
fn list_offsets_11() {
    let partition = ListOffsetsPartition {
        partition_index: 7,
        current_leader_epoch: 9,
        timestamp: EARLIEST_PENDING_UPLOAD_TIMESTAMP,
    };
    let request = ListOffsetsRequest {
        replica_id: -1,
        isolation_level: 1,
        topics: vec![ListOffsetsTopic { name: "logs".into(), partitions: vec![partition] }],
        timeout_ms: 3_000,
    };
    let body = "ffffffff0102056c6f6773020000000700000009fffffffffffffffa000000000bb800";
    assert_request(request, 11, body);
    let partition = ListOffsetsPartitionResponse {
        partition_index: 7,
        error_code: ErrorCode::None,
        timestamp: 1_234,
        offset: 42,
        leader_epoch: 9,
    };
    let response = ListOffsetsResponse {
        throttle_time_ms: 5,
        topics: vec![ListOffsetsTopicResponse { name: "logs".into(), partitions: vec![partition] }],
    };
    let body = "0000000502056c6f67730200000007000000000000000004d2\
                000000000000002a00000009000000";
    assert_response(response, 11, body);
}

#[test]
fn describe_log_dirs_5() {
    assert_request(DescribeLogDirsRequest { topics: None }, 5, "0000");
    let partition = DescribeLogDirsPartition {
        partition_index: 3,
        partition_size: 77,
        offset_lag: 2,
        is_future_key: false,
    };
    let directory = DescribeLogDirsResult {
        log_dir: "/d".into(),
        topics: vec![DescribeLogDirsTopic { name: "t".into(), partitions: vec![partition] }],
        total_bytes: 1_000,
        usable_bytes: 10,
        is_cordoned: true,
        ..Default::default()
    };
    let response = DescribeLogDirsResponse {
        throttle_time_ms: 1,
        results: vec![directory],
        ..Default::default()
    };
    let body = "000000010000020000032f640202740200000003000000000000004d0000000000000002\
                00000000000000000003e8000000000000000a010000";
    assert_response(response, 5, body);
}

#[test]
fn init_producer_id_6() {
    let request = InitProducerIdRequest {
        transactional_id: Some(Str::from("tx")),
        transaction_timeout_ms: 60_000,
        producer_id: 4,
        producer_epoch: 2,
        enable_2_pc: true,
        keep_prepared_txn: false,
    };
    assert_request(request, 6, "0374780000ea6000000000000000040002010000");
}

/// A topic's id, as Java's `new Uuid(1, 2)`.
const TOPIC_ID: Uuid = Uuid([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);

#[test]
fn offset_commit_10() {
    let partition = OffsetCommitRequestPartition {
        partition_index: 4,
        committed_offset: 5,
        committed_leader_epoch: 6,
        committed_metadata: Some("x".into()),
    };
    let partitions = vec![partition];
    let request = OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: 3,
        member_id: "m".into(),
        group_instance_id: Some("i".into()),
        topics: vec![OffsetCommitRequestTopic {
            topic_id: TOPIC_ID,
            partitions,
            ..Default::default()
        }],
        ..Default::default()
    };
    let body = "026700000003026d0269020000000000000001000000000000000202000000040000000000000005\
                000000060278000000";
    assert_request(request, 10, body);
    let error_code = ErrorCode::UnknownTopicId;
    let partitions = vec![OffsetCommitResponsePartition { partition_index: 4, error_code }];
    let response = OffsetCommitResponse {
        throttle_time_ms: 7,
        topics: vec![OffsetCommitResponseTopic {
            topic_id: TOPIC_ID,
            partitions,
            ..Default::default()
        }],
    };
    assert_response(response, 10, "00000007020000000000000001000000000000000202000000040064000000");
}

#[test]
fn offset_fetch_10() {
    let topic = OffsetFetchRequestTopics {
        topic_id: TOPIC_ID,
        partition_indexes: vec![4],
        ..Default::default()
    };
    let group = OffsetFetchRequestGroup {
        group_id: "g".into(),
        topics: Some(vec![topic]),
        ..Default::default()
    };
    let request =
        OffsetFetchRequest { groups: vec![group], require_stable: true, ..Default::default() };
    let body = "02026700ffffffff0200000000000000010000000000000002020000000400000100";
    assert_request(request, 10, body);
    let partition = OffsetFetchResponsePartitions {
        partition_index: 4,
        committed_offset: 5,
        committed_leader_epoch: 6,
        metadata: Some("x".into()),
        ..Default::default()
    };
    let topic = OffsetFetchResponseTopics {
        topic_id: TOPIC_ID,
        partitions: vec![partition],
        ..Default::default()
    };
    let group = OffsetFetchResponseGroup {
        group_id: "g".into(),
        topics: vec![topic],
        ..Default::default()
    };
    let response = OffsetFetchResponse { groups: vec![group], ..Default::default() };
    let body = "00000000020267020000000000000001000000000000000202000000040000000000000005\
                0000000602780000000000000000";
    assert_response(response, 10, body);
}

#[test]
fn delete_groups_3() {
    let result = DeletableGroupResult {
        group_id: "g".into(),
        error_code: ErrorCode::GroupIdNotFound,
        error_message: Some("no".into()),
    };
    let response = DeleteGroupsResponse { results: vec![result], ..Default::default() };
    assert_response(response, 3, "000000000202670045036e6f0000");
}
