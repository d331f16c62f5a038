//! Errors are found wherever an answer has them.

use crate::codec::Str;
use crate::error_code::ErrorCode;
use crate::messages::{
    EncodedResponse, FetchResponse, FetchableTopicResponse, MetadataResponse,
    MetadataResponseTopic, PartitionData, Response,
};

fn errors(response: &Response) -> Vec<ErrorCode> {
    let mut found = Vec::new();
    response.errors(&mut |error| found.push(error));
    found
}

#[test]
fn errors_are_found_at_every_depth() {
    let partition = |error_code| PartitionData { error_code, ..Default::default() };
    let topic = FetchableTopicResponse {
        partitions: vec![
            partition(ErrorCode::None),
            partition(ErrorCode::OffsetOutOfRange),
            partition(ErrorCode::OffsetOutOfRange),
        ],
        ..Default::default()
    };
    let response = FetchResponse {
        error_code: ErrorCode::FetchSessionIdNotFound,
        responses: vec![topic.clone(), topic],
        ..Default::default()
    };
    let mut expected = vec![ErrorCode::FetchSessionIdNotFound];
    expected.resize(5, ErrorCode::OffsetOutOfRange);
    let mut found = errors(&response.into());
    found.sort_by_key(|error| -error.number());
    assert_eq!(found, expected);
    assert_eq!(errors(&FetchResponse::default().into()), []);
}

#[test]
fn an_encoded_answer_remembers_its_errors() {
    let topic = |error_code| MetadataResponseTopic {
        error_code,
        name: Some(Str::from("t")),
        ..Default::default()
    };
    let topics = vec![
        topic(ErrorCode::UnknownTopicOrPartition),
        topic(ErrorCode::None),
        topic(ErrorCode::InvalidTopicException),
        topic(ErrorCode::UnknownTopicOrPartition),
    ];
    let response = MetadataResponse { topics, ..Default::default() };
    let encoded = EncodedResponse::new(&response.into(), 9).unwrap();
    let expected = [(ErrorCode::UnknownTopicOrPartition, 2), (ErrorCode::InvalidTopicException, 1)];
    assert_eq!(encoded.errors(), expected);
}
