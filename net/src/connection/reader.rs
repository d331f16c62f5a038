//! Requests, in order, to the service.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::Shared;
use super::carried::Carried;
use super::closed::Closed;
use super::state::{InFlight, Origin, State};
use crate::budget::Reservation;
use crate::codec::{DecodeError, Decoder, RequestHeader, Str};
use crate::error_code::ErrorCode;
use crate::frame::{FrameReader, PREFIX_BYTES};
use crate::limits::Limits;
use crate::messages::{
    Api, ApiVersion, ApiVersionsRequest, ApiVersionsResponse, Request, is_flexible,
};
use crate::service::{Answer, ClientSoftware, RequestContext, Service};
use crate::stream::{Stream, Timer};

/// What a client has told of itself.
#[derive(Debug, Default)]
pub(super) struct Client {
    id: Option<Str>,
    software: Option<ClientSoftware>,
}

/// Reads and begins requests until none can follow, and returns why; or until the service wants the
/// connection to leave, and all that was begun is answered.
pub(super) async fn run<S: Stream, T: Timer, V: Service>(
    stream: &S,
    timer: &T,
    service: V,
    shared: &Shared,
    state: &State,
    Carried { mut frames, client }: Carried,
) -> Result<Carried, Closed> {
    let mut context = RequestContext {
        peer: stream.peer(),
        listener: Rc::clone(&shared.listener),
        api: Api::ApiVersions,
        version: 0,
        correlation_id: 0,
        client_id: client.id,
        client_software: client.software,
    };
    loop {
        // A fetch may wait for long, and meanwhile the client may go: then it is left at its next request.
        if service.leaves() && !state.has_fetches() {
            state.at_rest().await;
            return Ok(carried(frames, context));
        }
        state.fewer_than(shared.limits.in_flight_max.max(1)).await;
        let next = frames
            .next(stream, timer, &shared.limits, &shared.budget, |w| state.reader_waits(w))
            .await;
        let (frame, reservation) = match next {
            Ok(Some(next)) => next,
            Ok(None) => return Err(Closed::EndOfStream),
            Err(error) => return Err(error.into()),
        };
        if service.leaves() && state.is_at_rest() && frames.put_back(&frame, &shared.limits) {
            return Ok(carried(frames, context));
        }
        let came = Came { frame, reservation, at: timer.now() };
        begin(came, timer, &service, &mut context, shared, state).await?;
    }
}

fn carried(frames: FrameReader, context: RequestContext) -> Carried {
    let client = Client { id: context.client_id, software: context.client_software };
    Carried { frames, client }
}

/// Produce and Fetch overlap; any other request has the connection to itself.
fn overlaps(api: Api) -> bool {
    matches!(api, Api::Produce | Api::Fetch)
}

/// A frame of more bytes that does not bring records is decoded aside: it may have ten thousands of
/// elements.
const DECODED_HERE_BYTES: usize = 64 << 10;

/// A frame that is whole.
struct Came {
    frame: Bytes,
    reservation: Reservation,
    at: Duration,
}

async fn begin<T: Timer, V: Service>(
    Came { frame, reservation, at: began }: Came,
    timer: &T,
    service: &V,
    context: &mut RequestContext,
    shared: &Shared,
    state: &State,
) -> Result<(), Closed> {
    let request_bytes = PREFIX_BYTES + frame.len();
    let request = decode(frame, service, context, &shared.limits).await?;
    service.decoded(timer.now().saturating_sub(began));
    let (api, version, correlation_id) = (context.api, context.version, context.correlation_id);
    if !overlaps(api) {
        state.fewer_than(1).await;
    }
    let (pending, version) = match request {
        Some(request) => (service.begin(request, context).await, version),
        None => (versions_of_api_versions(service), 0),
    };
    let _reservation = reservation;
    let origin = Origin { api, version, correlation_id, request_bytes, began };
    state.begun(InFlight { pending, _reservation, origin, peer: context.peer });
    if !overlaps(api) {
        state.fewer_than(1).await;
    }
    Ok(())
}

/// Reads a request into `context` and its body; `None` is an ApiVersions request of a version that
/// is not served, which is answered all the same (KIP-511).
async fn decode<V: Service>(
    frame: Bytes,
    service: &V,
    context: &mut RequestContext,
    limits: &Limits,
) -> Result<Option<Request>, Closed> {
    let (mut key, mut version) = (-1, -1);
    let mut input = Decoder::new(&frame);
    let mut start = || -> Result<i32, _> {
        (key, version) = (input.i16()?, input.i16()?);
        input.i32()
    };
    let start = start();
    let undecodable = |source| Closed::Undecodable { key, version, source };
    context.correlation_id = start.map_err(undecodable)?;
    let api = Api::from_key(key).ok_or(Closed::UnsupportedApi { key, version })?;
    (context.api, context.version) = (api, version);
    let served = service.versions(api).is_some_and(|served| served.contains(&version));
    if !served || api.declared(version).is_none() {
        return match api {
            Api::ApiVersions => Ok(None),
            _ => Err(Closed::UnsupportedApi { key, version }),
        };
    }
    let header = RequestHeader::decode(&mut Decoder::new(&frame), is_flexible);
    let header = header.map_err(undecodable)?;
    if header.client_id != context.client_id.as_deref() {
        context.client_id = header.client_id.map(Str::from);
    }
    let elements_max = limits.request_elements_max;
    let body = if frame.len() <= DECODED_HERE_BYTES || api == Api::Produce {
        decode_body(api, version, &frame, elements_max)
    } else {
        let body = service.aside(move || decode_body(api, version, &frame, elements_max));
        body.await.ok_or(Closed::ByService)?
    };
    let request = body.map_err(undecodable)?;
    if let Request::ApiVersions(body) = &request
        && version >= 3
    {
        context.client_software = Some(client_software(body));
    }
    Ok(Some(request))
}

/// What follows the header.
fn decode_body(
    api: Api,
    version: i16,
    frame: &Bytes,
    elements_max: usize,
) -> Result<Request, DecodeError> {
    let mut input = Decoder::new(frame).with_elements_max(elements_max);
    RequestHeader::decode(&mut input, is_flexible)?;
    Request::decode_body(api, version, input)
}

fn client_software(request: &ApiVersionsRequest) -> ClientSoftware {
    ClientSoftware {
        name: request.client_software_name.detached(),
        version: request.client_software_version.detached(),
    }
}

/// The answer to an ApiVersions request from the future: which versions of it there are.
fn versions_of_api_versions<V: Service>(service: &V) -> crate::service::Pending {
    let api_keys = service.versions(Api::ApiVersions).map(|served| ApiVersion {
        api_key: Api::ApiVersions.key(),
        min_version: *served.start(),
        max_version: *served.end(),
    });
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion,
        api_keys: api_keys.into_iter().collect(),
        ..Default::default()
    };
    Answer::Send(response.into()).ready()
}
