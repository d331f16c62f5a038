//! What stands before every body.

use super::{DecodeError, Decoder, Encoder, Version};

/// A request's header: v1, or v2 (with tagged fields) before a flexible body.
///
/// The client id keeps its 16-bit length in v2, so that a broker can read the header of an
/// ApiVersions request from the future.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestHeader<'a> {
    /// The API's key.
    pub api_key: i16,
    /// The version of the body.
    pub api_version: i16,
    /// Returned in the response's header.
    pub correlation_id: i32,
    /// Who the client says it is.
    pub client_id: Option<&'a str>,
}

/// Bytes of the shortest header: key, version, correlation id, and a null client id.
pub const REQUEST_HEADER_MIN_BYTES: usize = 10;

const PLAIN: Version = Version { number: 1, flexible: false };

impl<'a> RequestHeader<'a> {
    /// Reads the header; `flexible` tells from key and version whether the body is.
    pub fn decode(
        input: &mut Decoder<'a>,
        flexible: impl FnOnce(i16, i16) -> bool,
    ) -> Result<RequestHeader<'a>, DecodeError> {
        let (api_key, api_version) = (input.i16()?, input.i16()?);
        let correlation_id = input.i32()?;
        let client_id = input
            .string_len(PLAIN)
            .and_then(|len| len.map(|len| input.text(len)).transpose())
            .map_err(|error| error.within("client_id"))?;
        if flexible(api_key, api_version) {
            input.tagged(|_, _| Ok(false))?;
        }
        Ok(RequestHeader { api_key, api_version, correlation_id, client_id })
    }

    /// Writes the header of a flexible body (v2) or another (v1).
    pub fn encode(&self, out: &mut Encoder, flexible: bool) {
        out.put(&self.api_key.to_be_bytes());
        out.put(&self.api_version.to_be_bytes());
        out.put(&self.correlation_id.to_be_bytes());
        out.put_string_len(self.client_id.map(str::len), PLAIN);
        out.put(self.client_id.unwrap_or_default().as_bytes());
        if flexible {
            out.put_uvarint(0);
        }
    }
}

/// Reads a response's header: v1 (with tagged fields) if `tagged`, else v0.
pub fn decode_response_header(input: &mut Decoder<'_>, tagged: bool) -> Result<i32, DecodeError> {
    let correlation_id = input.i32()?;
    if tagged {
        input.tagged(|_, _| Ok(false))?;
    }
    Ok(correlation_id)
}

/// Writes a response's header: v1 if `tagged`, else v0.
pub fn encode_response_header(out: &mut Encoder, correlation_id: i32, tagged: bool) {
    out.put(&correlation_id.to_be_bytes());
    if tagged {
        out.put_uvarint(0);
    }
}
