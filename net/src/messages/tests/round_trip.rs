//! What we write, we read back, in every declared version.

use bytes::Bytes;
use proptest::prelude::*;

use crate::codec::generate::Source;
use crate::codec::{Encoder, Str};
use crate::messages::{Api, EncodedResponse, Request, Response};

pub(super) fn request_frame(request: &Request, version: i16) -> Bytes {
    let mut out = Encoder::new();
    request.encode(version, 7, Some("client"), &mut out).unwrap();
    out.take_bytes().slice(4..)
}

pub(super) fn response_frame(response: &Response, version: i16) -> Bytes {
    let mut out = Encoder::new();
    response.encode(version, 7, &mut out).unwrap();
    out.take_bytes().slice(4..)
}

/// Every API in every version.
pub(super) fn every_version() -> impl Iterator<Item = (Api, i16)> {
    Api::ALL.iter().flat_map(|&api| api.versions().map(move |version| (api, version)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn requests_come_back(seed: u64) {
        for (api, version) in every_version() {
            let request = Request::generate(api, api.version(version), &mut Source(seed));
            let frame = request_frame(&request, version);
            let (header, decoded) = Request::decode(&frame).unwrap();
            prop_assert_eq!((header.api_key, header.api_version), (api.key(), version));
            prop_assert_eq!(header.correlation_id, 7);
            prop_assert_eq!(header.client_id, Some("client"));
            prop_assert_eq!(&decoded, &request, "{:?} v{}", api, version);
        }
    }

    #[test]
    fn responses_come_back(seed: u64) {
        for (api, version) in every_version() {
            let response = Response::generate(api, api.version(version), &mut Source(seed));
            let frame = response_frame(&response, version);
            let (correlation_id, decoded) = Response::decode(api, version, &frame).unwrap();
            prop_assert_eq!(correlation_id, 7);
            prop_assert_eq!(&decoded, &response, "{:?} v{}", api, version);
        }
    }

    #[test]
    fn a_response_encoded_before_is_the_same_on_the_wire(seed: u64) {
        for (api, version) in every_version() {
            let response = Response::generate(api, api.version(version), &mut Source(seed));
            let encoded = EncodedResponse::new(&response, version).unwrap();
            let mut out = Encoder::new();
            encoded.encode(version, 7, &mut out).unwrap();
            prop_assert_eq!(out.take_bytes().slice(4..), response_frame(&response, version));
            prop_assert!(encoded.encode(version + 1, 7, &mut out).is_err());
        }
    }

    /// A frame that stops anywhere is an error; what follows a request's last field is passed over.
    #[test]
    fn cut_frames_are_errors_and_overlong_ones_are_not(seed: u64) {
        for (api, version) in every_version() {
            let mut source = Source(seed);
            let request = Request::generate(api, api.version(version), &mut source);
            let frame = request_frame(&request, version);
            let cut = frame.slice(..source.below(frame.len()));
            prop_assert!(Request::decode(&cut).is_err(), "{:?} v{}", api, version);
            let longer = Bytes::from([&frame[..], &[0]].concat());
            prop_assert_eq!(Request::decode(&longer).map(|(_, body)| body), Ok(request));
        }
    }

    /// Several frames in one encoder, some of which fail: the others leave unharmed.
    #[test]
    fn a_frame_that_fails_leaves_no_trace(seed: u64) {
        let mut source = Source(seed);
        let (mut out, mut expected) = (Encoder::new(), Vec::new());
        for (api, version) in every_version() {
            let response = Response::generate(api, api.version(version), &mut source);
            if source.one_in(3) {
                let too_long = Str::from("x".repeat(40_000));
                let bad = crate::messages::ProduceResponse {
                    responses: vec![crate::messages::TopicProduceResponse {
                        name: too_long,
                        ..Default::default()
                    }],
                    ..Default::default()
                };
                prop_assert!(Response::from(bad).encode(3, 1, &mut out).is_err());
            }
            let frame = response_frame(&response, version);
            expected.extend_from_slice(&(frame.len() as i32).to_be_bytes());
            expected.extend_from_slice(&frame);
            response.encode(version, 7, &mut out).unwrap();
            prop_assert_eq!(out.len(), expected.len());
        }
        prop_assert_eq!(out.take_bytes(), expected);
        prop_assert!(out.is_empty());
    }
}
