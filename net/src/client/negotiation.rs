//! Which versions both sides speak: reading answers to ApiVersions, and choosing.
//!
//! KIP-35, KIP-511: the first question goes out in a version that the broker may not know. Then it
//! answers in version 0, with UNSUPPORTED_VERSION and the versions that it does know.

use bytes::Bytes;

use crate::codec::{DecodeError, Decoder, Str};
use crate::error_code::ErrorCode;
use crate::messages::{Api, ApiVersion, ApiVersionsRequest, ApiVersionsResponse, Response};

/// The version asked in first. All that is new later is for brokers and their upgrades.
pub const FIRST_VERSION: i16 = 3;

/// What an answer to ApiVersions means.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The broker's APIs.
    Offered(Vec<ApiVersion>),
    /// Ask again in this version.
    AskAgain(i16),
    /// The broker refuses.
    Refused(ErrorCode),
}

/// The question.
pub fn request() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: Str::from_static("corelane"),
        client_software_version: Str::from_static(env!("CARGO_PKG_VERSION")),
        ..Default::default()
    }
}

/// Reads the answer to a question in `version`: its correlation id and what it means.
///
/// # Errors
/// [`DecodeError`] if it is none.
pub fn read(version: i16, frame: &Bytes) -> Result<(i32, Verdict), DecodeError> {
    let is_unsupported = peek_error(frame) == Some(ErrorCode::UnsupportedVersion);
    let answered_in = if is_unsupported { 0 } else { version };
    let (correlation_id, response) = Response::decode(Api::ApiVersions, answered_in, frame)?;
    let Response::ApiVersions(ApiVersionsResponse { error_code, api_keys, .. }) = response else {
        unreachable!("the API decides which response is decoded");
    };
    let verdict = match error_code {
        ErrorCode::None => Verdict::Offered(api_keys),
        ErrorCode::UnsupportedVersion => match lower(version, &api_keys) {
            Some(lower) => Verdict::AskAgain(lower),
            None => Verdict::Refused(error_code),
        },
        code => Verdict::Refused(code),
    };
    Ok((correlation_id, verdict))
}

/// The error comes right behind the correlation id in every version.
fn peek_error(frame: &Bytes) -> Option<ErrorCode> {
    let mut input = Decoder::new(frame);
    input.i32().ok()?;
    input.i16().ok().map(ErrorCode::from_number)
}

/// The highest version below the one refused; brokers of before KIP-511 do not say which they know.
fn lower(refused: i16, offered: &[ApiVersion]) -> Option<i16> {
    let told = offered.iter().find(|api| api.api_key == Api::ApiVersions.key());
    let highest = told.map_or(0, |api| api.max_version);
    (refused > 0).then(|| highest.clamp(0, refused - 1))
}

/// The highest version up to `most` that the broker offers and this codec knows.
///
/// # Errors
/// The broker's lowest and highest version, if it has the API at all.
pub fn choose(api: Api, most: i16, offered: &[ApiVersion]) -> Result<i16, Option<(i16, i16)>> {
    let theirs = offered.iter().find(|theirs| theirs.api_key == api.key());
    let theirs = theirs.map(|theirs| (theirs.min_version, theirs.max_version)).ok_or(None)?;
    let ours = api.versions();
    let highest = theirs.1.min(*ours.end()).min(most);
    (highest >= theirs.0.max(*ours.start())).then_some(highest).ok_or(Some(theirs))
}
