//! Requests and answers of any version, by the broker's own codec: for tests of what is said, not of how its bytes lie.

use bytes::Bytes;
use corelane_net::codec::{Encoder, Str};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    Api, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, FetchResponse, Request,
    Response,
};

use super::requests;
use super::wire::Connection;

/// Sends `request` in `version`.
pub fn send(connection: &mut Connection, version: i16, request: impl Into<Request>) {
    connection.send_raw(&frame(version, request)).expect("sent");
}

/// The frame of `request` in `version`, its length first.
pub fn frame(version: i16, request: impl Into<Request>) -> Bytes {
    let mut out = Encoder::new();
    request.into().encode(version, 7, Some("harness"), &mut out).expect("the codec's own version");
    out.take_bytes()
}

/// Sends `request` in `version` and waits for the answer.
pub fn call(connection: &mut Connection, version: i16, request: impl Into<Request>) -> Response {
    let request = request.into();
    let api = request.api();
    send(connection, version, request);
    receive(connection, api, version)
}

/// The next answer, which is of this API and version.
pub fn receive(connection: &mut Connection, api: Api, version: i16) -> Response {
    let (correlation_id, body) = connection.receive().expect("an answer");
    let mut frame = correlation_id.to_be_bytes().to_vec();
    frame.extend(body);
    let answer = Response::decode(api, version, &frame.into());
    answer.unwrap_or_else(|error| panic!("{api:?} {version}: {error}")).1
}

/// The next answer, of Fetch.
pub fn receive_fetch(connection: &mut Connection, version: i16) -> FetchResponse {
    match receive(connection, Api::Fetch, version) {
        Response::Fetch(answer) => answer,
        other => panic!("an answer of another API: {other:?}"),
    }
}

/// Creates a topic with configs and waits until its partitions serve.
pub fn create_topic_with(
    connection: &mut Connection,
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) {
    let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: Str::from(*name),
        value: Some(Str::from(*value)),
    };
    let topic = CreatableTopic {
        name: Str::from(name),
        num_partitions: partitions,
        replication_factor: 1,
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
    match call(connection, 5, request) {
        Response::CreateTopics(answer) => {
            assert_eq!(answer.topics[0].error_code, ErrorCode::None, "{name}");
        }
        other => panic!("an answer of another API: {other:?}"),
    }
    requests::wait_until_ready(connection, name, partitions);
}

/// Calls, and takes the body of the API out of the answer: `typed!(connection, 12, Fetch, request)`.
macro_rules! typed {
    ($connection:expr, $version:expr, $api:ident, $request:expr) => {
        match $crate::harness::typed::call($connection, $version, $request) {
            corelane_net::messages::Response::$api(body) => body,
            other => panic!("an answer of another API: {other:?}"),
        }
    };
}
pub(crate) use typed;
