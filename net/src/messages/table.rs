//! `apis!`: from one line per API to [`Api`](super::Api), [`Request`](super::Request) and
//! [`Response`](super::Response).

macro_rules! apis {
    ($(
        $(#[$meta:meta])*
        $api:ident = $key:literal, versions $versions:expr, flexible $flexible:expr,
            $request:ident => $response:ident;
    )*) => {
        use std::ops::RangeInclusive;

        use bytes::Bytes;

        use $crate::codec::header::{self, RequestHeader};
        use $crate::error_code::ErrorCode;
        use $crate::codec::{
            DecodeError, DecodeErrorKind, Decoder, EncodeError, Encoder, Field, Version,
        };

        /// The APIs that this codec speaks; the number is the API key.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        pub enum Api { $( $(#[$meta])* $api = $key, )* }

        /// A request's body.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Request { $( $(#[$meta])* $api($request), )* }

        /// A response's body.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Response { $( $(#[$meta])* $api($response), )* }

        $(
            impl From<$request> for Request {
                fn from(body: $request) -> Request {
                    Request::$api(body)
                }
            }

            impl From<$response> for Response {
                fn from(body: $response) -> Response {
                    Response::$api(body)
                }
            }
        )*

        impl Api {
            /// Every API, in the order of its key.
            pub const ALL: &[Api] = &[$(Api::$api),*];

            /// The API of a key, if this codec speaks it.
            pub fn from_key(key: i16) -> Option<Api> {
                match key {
                    $( $key => Some(Api::$api), )*
                    _ => None,
                }
            }

            /// The API's key.
            pub fn key(self) -> i16 {
                self as i16
            }

            /// The versions that this codec reads and writes.
            pub fn versions(self) -> RangeInclusive<i16> {
                match self { $( Api::$api => $versions, )* }
            }

            /// A version of this API, whether declared or not.
            pub fn version(self, number: i16) -> Version {
                let flexible = match self { $( Api::$api => ($flexible).contains(&number), )* };
                Version { number, flexible }
            }

            /// A version of this API, if it is declared.
            pub fn declared(self, number: i16) -> Option<Version> {
                self.versions().contains(&number).then(|| self.version(number))
            }

            /// True if the header of this version's response has tagged fields. That of
            /// ApiVersions never has: a client must read it before it knows the broker (KIP-511).
            pub fn response_header_tagged(self, number: i16) -> bool {
                self != Api::ApiVersions && self.version(number).flexible
            }
        }

        impl Request {
            /// The API.
            pub fn api(&self) -> Api {
                match self { $( Request::$api(_) => Api::$api, )* }
            }

            /// Reads a body, after the header; bytes behind its last field are passed over.
            pub fn decode_body(
                api: Api,
                number: i16,
                mut input: Decoder<'_>,
            ) -> Result<Request, DecodeError> {
                let Some(version) = api.declared(number) else {
                    let key = api.key();
                    return Err(input.error(DecodeErrorKind::UnknownApi { key, version: number }));
                };
                let request = match api {
                    $( Api::$api => Request::$api(<$request>::decode(&mut input, version)?), )*
                };
                // librdkafka 2.12 sends bytes behind the last field of Metadata 13, and Kafka
                // passes them over in every request: so do we.
                Ok(request)
            }

            /// Writes a whole frame: length, header, body.
            pub fn encode(
                &self,
                number: i16,
                correlation_id: i32,
                client_id: Option<&str>,
                out: &mut Encoder,
            ) -> Result<(), EncodeError> {
                let api = self.api();
                let version = api.declared(number).ok_or(EncodeError::UnknownVersion(number))?;
                let header = RequestHeader {
                    api_key: api.key(),
                    api_version: number,
                    correlation_id,
                    client_id,
                };
                out.frame(|out| {
                    header.encode(out, version.flexible);
                    match self { $( Request::$api(body) => body.encode(out, version), )* }
                })
            }

            /// Reads a whole frame, its length prefix taken off. An API or version that is not
            /// declared is an error.
            pub fn decode(frame: &Bytes) -> Result<(RequestHeader<'_>, Request), DecodeError> {
                let mut input = Decoder::new(frame);
                let header = RequestHeader::decode(&mut input, is_flexible)?;
                let (key, version) = (header.api_key, header.api_version);
                let Some(api) = Api::from_key(key) else {
                    return Err(input.error(DecodeErrorKind::UnknownApi { key, version }));
                };
                let request = Request::decode_body(api, version, input)?;
                Ok((header, request))
            }
        }

        impl Response {
            /// The API.
            pub fn api(&self) -> Api {
                match self { $( Response::$api(_) => Api::$api, )* }
            }

            /// Tells `found` of each error in it, wherever it stands; success is none.
            pub fn errors(&self, found: &mut dyn FnMut(ErrorCode)) {
                match self { $( Response::$api(body) => body.errors(found), )* }
            }

            /// Writes a whole frame: length, header, body.
            pub fn encode(
                &self,
                number: i16,
                correlation_id: i32,
                out: &mut Encoder,
            ) -> Result<(), EncodeError> {
                let api = self.api();
                let version = api.declared(number).ok_or(EncodeError::UnknownVersion(number))?;
                let tagged = api.response_header_tagged(number);
                out.frame(|out| {
                    header::encode_response_header(out, correlation_id, tagged);
                    match self { $( Response::$api(body) => body.encode(out, version), )* }
                })
            }

            /// Reads a whole frame, its length prefix taken off: the correlation id and the body.
            pub fn decode(
                api: Api,
                number: i16,
                frame: &Bytes,
            ) -> Result<(i32, Response), DecodeError> {
                let mut input = Decoder::new(frame);
                let Some(version) = api.declared(number) else {
                    let key = api.key();
                    return Err(input.error(DecodeErrorKind::UnknownApi { key, version: number }));
                };
                let tagged = api.response_header_tagged(number);
                let correlation_id = header::decode_response_header(&mut input, tagged)?;
                let response = match api {
                    $( Api::$api => Response::$api(<$response>::decode(&mut input, version)?), )*
                };
                input.finish()?;
                Ok((correlation_id, response))
            }
        }

        #[cfg(any(test, fuzzing))]
        impl Request {
            /// Passes over a whole frame of this version.
            pub(crate) fn skip(
                api: Api,
                version: Version,
                frame: &Bytes,
            ) -> Result<(), DecodeError> {
                let mut input = Decoder::new(frame);
                RequestHeader::decode(&mut input, is_flexible)?;
                match api { $( Api::$api => <$request>::skip(&mut input, version), )* }
            }
        }

        #[cfg(test)]
        impl Request {
            /// Any request of this version.
            pub(crate) fn generate(
                api: Api,
                version: Version,
                source: &mut $crate::codec::generate::Source,
            ) -> Request {
                use $crate::codec::generate::Generate;
                match api { $( Api::$api => <$request>::generate(source, version).into(), )* }
            }
        }

        #[cfg(any(test, fuzzing))]
        impl Response {
            /// Passes over a whole frame.
            pub(crate) fn skip(
                api: Api,
                version: Version,
                frame: &Bytes,
            ) -> Result<(), DecodeError> {
                let mut input = Decoder::new(frame);
                let tagged = api.response_header_tagged(version.number);
                header::decode_response_header(&mut input, tagged)?;
                match api { $( Api::$api => <$response>::skip(&mut input, version), )* }?;
                input.finish()
            }
        }

        #[cfg(test)]
        impl Response {
            /// Any response of this version.
            pub(crate) fn generate(
                api: Api,
                version: Version,
                source: &mut $crate::codec::generate::Source,
            ) -> Response {
                use $crate::codec::generate::Generate;
                match api { $( Api::$api => <$response>::generate(source, version).into(), )* }
            }
        }

        /// True if the body of this key and version is flexible, as far as this codec knows.
        pub fn is_flexible(key: i16, number: i16) -> bool {
            Api::from_key(key).is_some_and(|api| api.version(number).flexible)
        }
    };
}

pub(super) use apis;
