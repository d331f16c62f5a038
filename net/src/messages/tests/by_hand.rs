//! Bytes written by hand from the protocol guide, for what no oracle knows.

use bytes::Bytes;

use super::round_trip::{request_frame, response_frame};
use crate::codec::{DecodeErrorKind, Encoder, Uuid};
use crate::error_code::ErrorCode;
use crate::messages::*;

/// A request's frame up to its body: key, version, correlation id 7, client id, no tags.
fn flexible_header(key: u8, version: u8) -> Vec<u8> {
    [&[0, key, 0, version, 0, 0, 0, 7, 0, 6][..], b"client", &[0]].concat()
}

fn assert_request(request: impl Into<Request>, version: i16, header: Vec<u8>, body: &[u8]) {
    let request = request.into();
    let expected = [&header[..], body].concat();
    assert_eq!(&request_frame(&request, version)[..], &expected[..]);
    assert_eq!(Request::decode(&Bytes::from(expected)).unwrap().1, request);
}

#[test]
fn api_versions_5_names_cluster_and_node() {
    let request = ApiVersionsRequest {
        client_software_name: "kc".into(),
        client_software_version: "1".into(),
        cluster_id: Some("abc".into()),
        node_id: 258,
    };
    let body = [3, b'k', b'c', 2, b'1', 4, b'a', b'b', b'c', 0, 0, 1, 2, 0];
    assert_request(request, 5, flexible_header(18, 5), &body);
    let unknown = ApiVersionsRequest { node_id: -1, ..Default::default() };
    assert_request(unknown, 5, flexible_header(18, 5), &[1, 1, 0, 255, 255, 255, 255, 0]);
}

#[test]
fn api_versions_response_has_the_old_header_and_tagged_features() {
    let response = ApiVersionsResponse {
        api_keys: vec![ApiVersion { api_key: 18, min_version: 0, max_version: 5 }],
        finalized_features_epoch: 1,
        ..Default::default()
    };
    let expected = [
        &[0, 0, 0, 7][..],                  // correlation id, and no tags: the header is v0
        &[0, 0],                            // no error
        &[2, 0, 18, 0, 0, 0, 5, 0],         // one key
        &[0, 0, 0, 0],                      // not throttled
        &[1, 1, 8, 0, 0, 0, 0, 0, 0, 0, 1], // one tag: number 1, 8 bytes
    ]
    .concat();
    assert_eq!(response_frame(&response.into(), 5), expected);
}

#[test]
fn init_producer_id_6_asks_for_two_phase_commit() {
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: 1,
        enable_2_pc: true,
        ..Default::default()
    };
    let body = [&[0, 0, 0, 0, 1][..], &[255; 8], &[255; 2], &[1, 0, 0]].concat();
    assert_request(request, 6, flexible_header(22, 6), &body);
}

#[test]
fn list_offsets_11_is_list_offsets_10() {
    let request = ListOffsetsRequest {
        topics: vec![ListOffsetsTopic {
            name: "t".into(),
            partitions: vec![ListOffsetsPartition {
                timestamp: EARLIEST_PENDING_UPLOAD_TIMESTAMP,
                ..Default::default()
            }],
        }],
        timeout_ms: 9,
        ..Default::default()
    };
    let (ten, eleven) =
        (request_frame(&request.clone().into(), 10), request_frame(&request.into(), 11));
    assert_eq!((ten[3], eleven[3]), (10, 11));
    assert_eq!(ten[4..], eleven[4..]);
}

#[test]
fn describe_log_dirs_5_tells_whether_a_directory_is_cordoned() {
    let response = DescribeLogDirsResponse {
        results: vec![DescribeLogDirsResult {
            log_dir: "/d".into(),
            topics: vec![DescribeLogDirsTopic {
                name: "t".into(),
                partitions: vec![DescribeLogDirsPartition {
                    partition_index: 1,
                    partition_size: 513,
                    ..Default::default()
                }],
            }],
            usable_bytes: 7,
            is_cordoned: true,
            ..Default::default()
        }],
        ..Default::default()
    };
    let expected = [
        &[0, 0, 0, 7, 0][..],         // correlation id, no tags in the header
        &[0, 0, 0, 0, 0, 0],          // not throttled, no error
        &[2, 0, 0, 3, b'/', b'd'],    // one directory without error
        &[2, 2, b't', 2],             // one topic of one partition
        &[0, 0, 0, 1],                // its index
        &[0, 0, 0, 0, 0, 0, 2, 1],    // its size
        &[0, 0, 0, 0, 0, 0, 0, 0, 0], // no lag, no copy
        &[0, 0],                      // no tags of partition and topic
        &[255; 8],                    // total bytes unknown
        &[0, 0, 0, 0, 0, 0, 0, 7, 1], // usable bytes, cordoned
        &[0, 0],                      // no tags of directory and response
    ]
    .concat();
    let frame = response_frame(&response.clone().into(), 5);
    assert_eq!(frame, expected);
    let decoded = Response::decode(Api::DescribeLogDirs, 5, &frame).unwrap();
    assert_eq!(decoded, (7, response.into()));
}

/// Tags from the future are skipped, in the header, in the body and in the structs of it.
#[test]
fn unknown_tagged_fields_are_skipped() {
    let frame = [
        &[0, 3, 0, 12, 0, 0, 0, 7, 255, 255, 1, 9, 2, 1, 2][..], // header: tag 9, 2 bytes
        &[2],                                                    // one topic
        &[5; 16],
        &[2, b't', 1, 100, 0], // its name, and tag 100 without bytes
        &[1, 0, 0],            // flags, no tags
    ]
    .concat();
    let (_, request) = Request::decode(&Bytes::from(frame)).unwrap();
    let topic = MetadataRequestTopic { topic_id: Uuid([5; 16]), name: Some("t".into()) };
    assert_eq!(request, MetadataRequest { topics: Some(vec![topic]), ..Default::default() }.into());
}

#[test]
fn hostile_lengths_are_errors_before_anything_is_allocated() {
    let metadata = |version: u8, body: &[u8]| {
        let header = [0, 3, 0, version, 0, 0, 0, 7, 255, 255];
        Request::decode(&Bytes::from([&header[..], body].concat())).unwrap_err()
    };
    let claims_too_much = metadata(1, &[0x7f, 255, 255, 255]);
    let kind = DecodeErrorKind::ArrayTooLong { count: i32::MAX as usize, left: 0 };
    assert_eq!((claims_too_much.kind(), claims_too_much.field()), (kind, Some("topics")));
    assert_eq!(metadata(1, &[255, 255, 255, 254]).kind(), DecodeErrorKind::NegativeLength(-2));
    assert_eq!(metadata(0, &[255, 255, 255, 255]).kind(), DecodeErrorKind::UnexpectedNull);
    let short = metadata(1, &[0, 0, 0, 1, 0, 9, b't']);
    assert_eq!(short.kind(), DecodeErrorKind::UnexpectedEnd { wanted: 9, left: 1 });
    assert_eq!((short.position(), short.field()), (16, Some("name")));
    assert_eq!(metadata(1, &[0, 0, 0, 1, 0, 1, 0xff]).kind(), DecodeErrorKind::NotUtf8);
    // A tag count of 2^32 - 1, then nothing.
    let tags = metadata(9, &[0, 1, 0, 0, 0, 255, 255, 255, 255, 15]);
    assert!(matches!(tags.kind(), DecodeErrorKind::UnexpectedEnd { .. }), "{tags}");
    assert_eq!(metadata(9, &[0, 255, 255, 255, 255, 255]).kind(), DecodeErrorKind::VarintTooLong);
}

#[test]
fn many_tiny_elements_are_refused() {
    let count = 1_000_000u32;
    let mut frame = vec![0, 3, 0, 1, 0, 0, 0, 7, 255, 255];
    frame.extend_from_slice(&count.to_be_bytes());
    frame.resize(frame.len() + 2 * count as usize, 0); // each topic an empty name
    let error = Request::decode(&Bytes::from(frame)).unwrap_err();
    assert_eq!(error.kind(), DecodeErrorKind::AllowanceExceeded);
}

/// Arrays in arrays, each of which alone would pass, with elements that are not there.
#[test]
fn nested_claims_are_charged_to_one_allowance() {
    let head = [0, 0, 0, 9, 0, 0, 0, 7, 255, 255, 0, 0, 0, 1, 0, 0, 0, 0];
    let topics = [0x80 | 17, 3]; // 400 topics
    let first = [2, b't', 0x80 | 113, 3]; // with 496 partitions
    let mut frame = [&head[..], &topics, &first].concat();
    frame.resize(3000, 0);
    let error = Request::decode(&Bytes::from(frame)).unwrap_err();
    assert_eq!(error.kind(), DecodeErrorKind::AllowanceExceeded);
    assert_eq!(error.field(), Some("partition_data"));
}

#[test]
fn null_where_a_version_has_none_is_not_written() {
    let mut out = Encoder::new();
    let request = Request::from(MetadataRequest { topics: None, ..Default::default() });
    let client = Some("client");
    assert!(request.encode(0, 7, client, &mut out).is_err());
    assert!(request.encode(14, 7, client, &mut out).is_err());
    assert!(out.is_empty());
    request.encode(1, 7, client, &mut out).unwrap();
}

#[test]
fn error_codes_have_their_numbers_and_names() {
    for (position, code) in ErrorCode::ALL.iter().enumerate().skip(2) {
        assert_eq!(code.number() as usize, position - 1);
    }
    for &code in ErrorCode::ALL {
        assert_eq!(ErrorCode::from_number(code.number()), code);
    }
    assert_eq!(ErrorCode::UnknownServerError.number(), -1);
    assert_eq!(ErrorCode::default().number(), 0);
    assert_eq!(ErrorCode::from_number(87).name(), "INVALID_RECORD");
    assert_eq!(ErrorCode::from_number(999), ErrorCode::Other(999));
    assert_eq!(ErrorCode::NotLeaderOrFollower.to_string(), "NOT_LEADER_OR_FOLLOWER (6)");
}
