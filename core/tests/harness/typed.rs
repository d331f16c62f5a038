//! Requests and answers of any version, by the broker's own codec: for tests of what is said, not of how its bytes lie.

use bytes::Bytes;
use corelane_net::codec::Encoder;
use corelane_net::messages::{Request, Response};

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
    let (correlation_id, body) = connection.receive().expect("an answer");
    let mut frame = correlation_id.to_be_bytes().to_vec();
    frame.extend(body);
    let answer = Response::decode(api, version, &frame.into());
    answer.unwrap_or_else(|error| panic!("{api:?} {version}: {error}")).1
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
