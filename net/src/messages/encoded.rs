//! A response encoded once, to be sent many times.

use bytes::Bytes;

use super::{Api, Response};
use crate::codec::header::encode_response_header;
use crate::codec::{EncodeError, Encoder};
use crate::error_code::ErrorCode;

/// A response's body in one version. Clones share its memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedResponse {
    api: Api,
    version: i16,
    body: Bytes,
    errors: Vec<(ErrorCode, u64)>,
}

impl EncodedResponse {
    /// Encodes `response` in this version.
    ///
    /// # Errors
    /// [`EncodeError`], as [`Response::encode`].
    pub fn new(response: &Response, version: i16) -> Result<EncodedResponse, EncodeError> {
        let api = response.api();
        let mut header = Encoder::new();
        header.frame(|out| {
            encode_response_header(out, 0, api.response_header_tagged(version));
        })?;
        let mut frame = Encoder::new();
        response.encode(version, 0, &mut frame)?;
        let body = frame.take_bytes().slice(header.len()..);
        let mut errors: Vec<(ErrorCode, u64)> = Vec::new();
        response.errors(&mut |error| match errors.iter_mut().find(|(known, _)| *known == error) {
            Some((_, times)) => *times += 1,
            None => errors.push((error, 1)),
        });
        Ok(EncodedResponse { api, version, body, errors })
    }

    /// The errors in it, and how often each occurs.
    pub fn errors(&self) -> &[(ErrorCode, u64)] {
        &self.errors
    }

    /// The API.
    pub fn api(&self) -> Api {
        self.api
    }

    /// Length of the body.
    pub fn len_bytes(&self) -> usize {
        self.body.len()
    }

    /// Writes a whole frame: length, header, body. The body is not copied, unless it is small.
    ///
    /// # Errors
    /// [`EncodeError::UnknownVersion`] for a version other than the one it was encoded in.
    pub fn encode(
        &self,
        version: i16,
        correlation_id: i32,
        out: &mut Encoder,
    ) -> Result<(), EncodeError> {
        if version != self.version {
            return Err(EncodeError::UnknownVersion(version));
        }
        out.frame(|out| {
            encode_response_header(out, correlation_id, self.api.response_header_tagged(version));
            out.put_payload(&self.body);
        })
    }
}
