//! What a fuzzer calls, for everything here that reads a peer's bytes. Each function takes any
//! bytes and panics if something does not hold.
//!
//! `cargo fuzz` (see `docs/fuzzing.md`) feeds them for as long as one likes, the tests with mutated
//! valid bytes from one seed.

use std::cell::Cell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;

use crate::budget::ByteBudget;
use crate::codec::Encoder;
use crate::extent::Part;
use crate::frame::{FrameError, FrameReader};
use crate::limits::Limits;
use crate::messages::{Api, Request, Response};
use crate::stream::{Stream, Timer};

#[cfg(test)]
mod tests;

/// Longest frame that [`frames`] lets through, in bytes.
const FRAME_BYTES_MAX: usize = 4 << 10;

/// A stream of the bytes behind the first one, which says in how large pieces they come. The frames
/// are those that their lengths say, whatever the pieces.
pub fn frames(data: &[u8]) {
    let Some((&piece_bytes, stream)) = data.split_first() else { return };
    let pieces = Pieces { rest: Cell::new(stream), piece_bytes: 1 + usize::from(piece_bytes) };
    let limits =
        Limits { request_bytes_max: FRAME_BYTES_MAX, read_chunk_bytes: 64, ..Limits::default() };
    let budget = ByteBudget::new("fuzz", FRAME_BYTES_MAX, FRAME_BYTES_MAX);
    let mut reader = FrameReader::default();
    let mut rest = stream;
    loop {
        let next = reader.next(&pieces, &NoTime, &limits, &budget, |_| {}).now_or_never();
        match next.expect("neither stream nor budget makes anyone wait") {
            Ok(Some((frame, _reservation))) => {
                let (len, body) = rest.split_first_chunk().expect("a frame has a length");
                let len = i32::from_be_bytes(*len) as usize;
                assert_eq!(frame, body[..len]);
                rest = &body[len..];
            }
            Ok(None) => break assert!(rest.is_empty(), "bytes that were never seen"),
            Err(FrameError::Length { length, .. }) => {
                assert_eq!(rest[..4], length.to_be_bytes());
                break assert!(!(10..=FRAME_BYTES_MAX as i32).contains(&length));
            }
            Err(FrameError::Truncated { received_bytes }) => {
                break assert_eq!(received_bytes, rest.len());
            }
            Err(FrameError::Read(error)) => panic!("the stream does not fail: {error}"),
            Err(FrameError::TooSlow { .. }) => panic!("nobody waits"),
        }
    }
    assert_eq!(budget.used_bytes(), 0, "a reservation outlives its frame");
}

/// Time that does not pass.
struct NoTime;

impl Timer for NoTime {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _duration: Duration) {
        std::future::pending().await
    }

    async fn yield_now(&self) {}
}

struct Pieces<'a> {
    rest: Cell<&'a [u8]>,
    piece_bytes: usize,
}

impl Stream for Pieces<'_> {
    async fn read(&self, buf: &mut BytesMut, max_bytes: usize) -> io::Result<usize> {
        let rest = self.rest.get();
        let (piece, rest) = rest.split_at(rest.len().min(self.piece_bytes).min(max_bytes));
        buf.extend_from_slice(piece);
        self.rest.set(rest);
        Ok(piece.len())
    }

    async fn write(&self, parts: &[Part]) -> io::Result<usize> {
        Ok(parts.iter().map(Part::len).sum())
    }

    fn shutdown(&self) {}

    fn peer(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 1).into()
    }
}

/// A request whose API and version the first two bytes choose; its body are the others.
pub fn requests(data: &[u8]) {
    let Some(([api, version], body)) = data.split_first_chunk() else { return };
    let (api, number) = chosen(*api, *version);
    check_request(&request_of(api, number, body));
}

/// The same of Produce, the request whose arrays are decoded when they are asked for.
pub fn produce(data: &[u8]) {
    let Some((&version, body)) = data.split_first() else { return };
    let versions = Api::Produce.versions();
    let number = versions.start() + i16::from(version) % (versions.end() - versions.start() + 1);
    check_request(&request_of(Api::Produce, number, body));
}

/// A response, chosen in the same way.
pub fn responses(data: &[u8]) {
    let Some(([api, version], body)) = data.split_first_chunk() else { return };
    let (api, number) = chosen(*api, *version);
    let tags: &[u8] = if api.response_header_tagged(number) { &[0] } else { &[] };
    check_response(api, number, &[&[0, 0, 0, 7], tags, body].concat().into());
}

fn chosen(api: u8, version: u8) -> (Api, i16) {
    let api = Api::ALL[usize::from(api) % Api::ALL.len()];
    let versions = api.versions();
    (api, versions.start() + i16::from(version) % (versions.end() - versions.start() + 1))
}

fn request_of(api: Api, number: i16, body: &[u8]) -> Bytes {
    let (key, version) = (api.key().to_be_bytes(), number.to_be_bytes());
    let no_client_id = [255, 255];
    let tags: &[u8] = if api.version(number).flexible { &[0] } else { &[] };
    [&key[..], &version, &[0, 0, 0, 7], &no_client_id, tags, body].concat().into()
}

/// A whole frame, its length prefix taken off. What can be decoded can be skipped and the other
/// way round, with the same error; what was decoded is written, and read again as what it was.
pub(crate) fn check_request(frame: &Bytes) {
    let Some((&[k1, k0, v1, v0], _)) = frame.split_first_chunk() else { return };
    let (key, number) = (i16::from_be_bytes([k1, k0]), i16::from_be_bytes([v1, v0]));
    let decoded = Request::decode(frame);
    let Some(version) = Api::from_key(key).and_then(|api| api.declared(number)) else {
        return assert!(decoded.is_err(), "an API that is not declared");
    };
    let skipped = Api::from_key(key).map(|api| Request::skip(api, version, frame));
    assert_eq!(decoded.as_ref().map(drop), skipped.expect("declared").as_ref().copied());
    let Ok((header, request)) = decoded else { return };
    if let Request::Produce(produce) = &request {
        let partitions = produce.topic_data.clone().into_iter().flat_map(|t| t.partition_data);
        let records = partitions.filter_map(|partition| partition.records);
        assert!(records.map(|records| records.len()).sum::<usize>() <= frame.len());
    }
    let written = |request: &Request| {
        let mut out = Encoder::new();
        let encoded = request.encode(number, header.correlation_id, header.client_id, &mut out);
        encoded.expect("what was decoded can be encoded");
        out.take_bytes().slice(4..)
    };
    let bytes = written(&request);
    let (_, again) = Request::decode(&bytes).expect("what was encoded can be decoded");
    // Bytes, as a number that is none (NaN) is not equal to itself.
    assert_eq!(written(&again), bytes);
}

/// The same of a response.
pub(crate) fn check_response(api: Api, number: i16, frame: &Bytes) {
    let decoded = Response::decode(api, number, frame);
    let skipped = Response::skip(api, api.version(number), frame);
    assert_eq!(decoded.as_ref().map(drop), skipped.as_ref().copied());
    let Ok((correlation_id, response)) = decoded else { return };
    let written = |response: &Response| {
        let mut out = Encoder::new();
        let encoded = response.encode(number, correlation_id, &mut out);
        encoded.expect("what was decoded can be encoded");
        out.take_bytes().slice(4..)
    };
    let bytes = written(&response);
    let again = Response::decode(api, number, &bytes).expect("what was encoded can be decoded");
    assert_eq!(written(&again.1), bytes);
}
