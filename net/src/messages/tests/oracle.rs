//! Our bytes against those of the crate `kafka-protocol`, which was written (and generated) by
//! others. For every API and version both know: it reads what we write, field by field as we meant
//! it; it writes the same bytes again; and we read those as the same message.
//!
//! Field by field means: the two `Debug` forms, which name every field, agree. That also holds the
//! defaults of fields which a version does not have.

use std::collections::HashMap;
use std::sync::OnceLock;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, RequestKind, ResponseHeader, ResponseKind};
use kafka_protocol::protocol::{Decodable as _, Encodable as _};
use proptest::prelude::*;

use super::round_trip::{every_version, request_frame, response_frame};
use crate::codec::generate::Source;
use crate::error_code::ErrorCode;
use crate::messages::{Api, Request, Response};

/// The crate's name for an API, if it knows this version of it.
fn theirs(api: Api, version: i16) -> Option<ApiKey> {
    // Its table claims these versions, its decoders end before.
    if matches!(
        (api, version),
        (Api::InitProducerId, 6) | (Api::OffsetCommit, 10) | (Api::OffsetFetch, 10)
    ) {
        return None;
    }
    let key = ApiKey::try_from(api.key()).ok()?;
    let known = key.valid_versions();
    (known.min..=known.max).contains(&version).then_some(key)
}

/// A `Debug` form without what differs by design: struct names, wrappers, error names, how an id
/// is written, and the crate's list of unknown tags.
fn normal(debug: &str) -> String {
    let debug =
        debug.replace(", unknown_tagged_fields: {}", "").replace("unknown_tagged_fields: {}", "");
    let (mut normal, mut word) = (String::new(), String::new());
    let (mut in_string, mut escaped) = (false, false);
    for c in debug.chars() {
        if c == '"' && !escaped {
            in_string = !in_string;
        }
        escaped = c == '\\' && !escaped;
        if in_string || c.is_alphanumeric() || "_.-".contains(c) {
            word.push(c);
            continue;
        }
        normal.push_str(&normal_word(&word, c));
        word.clear();
        if !c.is_whitespace() {
            normal.push(c);
        }
    }
    normal + &word
}

fn error_of(word: &str) -> Option<ErrorCode> {
    static CODES: OnceLock<HashMap<String, ErrorCode>> = OnceLock::new();
    let codes = ErrorCode::ALL.iter().map(|&code| (format!("{code:?}"), code));
    CODES.get_or_init(|| codes.collect()).get(word).copied()
}

fn normal_word(word: &str, next: char) -> String {
    let error = error_of(word);
    let is_uuid = word.len() == 36 && word.chars().filter(|&c| c == '-').count() == 4;
    match error {
        // `None` is an absent option as well, and that is what the crate has no other word for.
        Some(ErrorCode::None) => "None".into(),
        Some(code) => code.number().to_string(),
        None if is_uuid => word.replace('-', ""),
        None if next == ' ' && word.starts_with(char::is_uppercase) => String::new(),
        None => word.into(),
    }
}

/// Our form, with error codes as numbers.
fn ours(debug: &str) -> String {
    let mut debug = debug.replace("error_code: None", "error_code: 0");
    // New in ApiVersions 5.
    debug = debug.replace(", cluster_id: None, node_id: -1 })", " })");
    // New in DescribeLogDirs 5.
    debug = debug.replace(", is_cordoned: false", "");
    if debug.starts_with("DeleteGroups(") {
        // New in DeleteGroups 3.
        debug = debug.replace(", error_message: None }", " }");
    }
    // A keyword, which the crate escapes by an underscore.
    debug = debug.replace(" match_name: ", " _match: ");
    while let Some(start) = debug.find("Other(") {
        let end = start + debug[start..].find(')').unwrap();
        let number = debug[start + 6..end].to_string();
        debug.replace_range(start..=end, &number);
    }
    normal(&debug)
}

fn agree(ours_debug: String, theirs_debug: String) -> Result<(), TestCaseError> {
    prop_assert_eq!(ours(&ours_debug), normal(&theirs_debug));
    Ok(())
}

fn check_request(api: Api, version: i16, seed: u64) -> Result<(), TestCaseError> {
    let Some(key) = theirs(api, version) else { return Ok(()) };
    let request = Request::generate(api, api.version(version), &mut Source(seed));
    let frame = request_frame(&request, version);
    let mut rest = frame.clone();
    let header = RequestHeader::decode(&mut rest, key.request_header_version(version)).unwrap();
    prop_assert_eq!(header.request_api_key, api.key());
    prop_assert_eq!(header.request_api_version, version);
    prop_assert_eq!(header.correlation_id, 7);
    prop_assert_eq!(header.client_id.as_deref(), Some("client"));
    let body = RequestKind::decode(key, &mut rest, version).unwrap();
    prop_assert!(rest.is_empty());
    agree(format!("{request:?}"), format!("{body:?}"))?;
    let mut again = BytesMut::new();
    header.encode(&mut again, key.request_header_version(version)).unwrap();
    body.encode(&mut again, version).unwrap();
    prop_assert_eq!(&again[..], &frame[..], "{:?} v{}", api, version);
    let (_, decoded) = Request::decode(&again.freeze()).unwrap();
    prop_assert_eq!(decoded, request);
    Ok(())
}

fn check_response(api: Api, version: i16, seed: u64) -> Result<(), TestCaseError> {
    let Some(key) = theirs(api, version) else { return Ok(()) };
    let response = Response::generate(api, api.version(version), &mut Source(seed));
    let frame = response_frame(&response, version);
    let mut rest: Bytes = frame.clone();
    let header = ResponseHeader::decode(&mut rest, key.response_header_version(version)).unwrap();
    prop_assert_eq!(header.correlation_id, 7);
    let body = ResponseKind::decode(key, &mut rest, version).unwrap();
    prop_assert!(rest.is_empty());
    agree(format!("{response:?}"), format!("{body:?}"))?;
    let mut again = BytesMut::new();
    header.encode(&mut again, key.response_header_version(version)).unwrap();
    body.encode(&mut again, version).unwrap();
    prop_assert_eq!(&again[..], &frame[..], "{:?} v{}", api, version);
    let (_, decoded) = Response::decode(api, version, &again.freeze()).unwrap();
    prop_assert_eq!(decoded, response);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() })]

    #[test]
    fn requests_agree(seed: u64) {
        for (api, version) in every_version() {
            check_request(api, version, seed)?;
        }
    }

    #[test]
    fn responses_agree(seed: u64) {
        for (api, version) in every_version() {
            check_response(api, version, seed)?;
        }
    }
}

/// The oracle must not shrink unnoticed: all but these are held against it.
#[test]
fn versions_without_an_oracle() {
    let alone: Vec<_> = every_version().filter(|&(api, v)| theirs(api, v).is_none()).collect();
    assert_eq!(
        alone,
        [
            (Api::ListOffsets, 11),
            (Api::OffsetCommit, 10),
            (Api::OffsetFetch, 10),
            (Api::ApiVersions, 5),
            (Api::InitProducerId, 6),
            (Api::DescribeLogDirs, 5),
            (Api::DeleteGroups, 3),
        ]
    );
}
