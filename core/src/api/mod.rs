//! The Kafka APIs that this broker serves: one file per API, and one table of them all.
//!
//! [`APIS`] is the only place that says what is supported: ApiVersions advertises it, and
//! connections refuse what it does not serve.
//!
//! - `authorized.rs`: what a client may do
//! - `errors.rs`: from what went wrong to Kafka's error codes
//! - `fan_out.rs`: one question about many partitions, one message per shard
//! - `once.rs`: partitions that are named more than once
//! - `topics.rs`: topics as requests name them, by name or by id

mod api_versions;
mod authorized;
mod create_topics;
mod delete_records;
mod delete_topics;
pub mod errors;
mod fan_out;
mod fetch;
mod find_coordinator;
mod init_producer_id;
mod list_offsets;
mod metadata;
mod offset_for_leader_epoch;
mod once;
mod produce;
mod topics;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::ops::RangeInclusive;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use corelane_net::messages::{Api, Request, Response};
use corelane_net::service::{Answer, Pending, RequestContext, Service};
use futures_util::FutureExt;

use crate::shard::Shard;
use crate::shard::turns::Turns;

/// One API and its versions.
pub struct SupportedApi {
    /// The API.
    pub api: Api,
    /// What ApiVersions says.
    pub advertised: RangeInclusive<i16>,
    /// What is answered; a request of another version is refused.
    pub served: RangeInclusive<i16>,
}

/// Every API that is served.
pub const APIS: &[SupportedApi] = &[
    // Advertised from 0: librdkafka before 2.11.1 compresses only if it is (KAFKA-18659).
    SupportedApi { api: Api::Produce, advertised: 0..=13, served: 3..=13 },
    supported(Api::Fetch, 4, 18),
    supported(Api::ListOffsets, 1, 11),
    supported(Api::Metadata, 0, 13),
    supported(Api::FindCoordinator, 0, 6),
    supported(Api::ApiVersions, 0, 5),
    supported(Api::CreateTopics, 2, 7),
    supported(Api::DeleteTopics, 1, 6),
    supported(Api::DeleteRecords, 0, 2),
    supported(Api::InitProducerId, 0, 5),
    supported(Api::OffsetForLeaderEpoch, 2, 4),
];

const fn supported(api: Api, min: i16, max: i16) -> SupportedApi {
    SupportedApi { api, advertised: min..=max, served: min..=max }
}

/// Answers the requests of one connection on the shard that serves it.
#[derive(Clone)]
pub struct Handler {
    shard: Rc<Shard>,
    fetch_turns: Rc<Turns>,
}

impl Handler {
    /// A handler on this shard.
    pub fn new(shard: &Rc<Shard>) -> Handler {
        Handler { shard: shard.clone(), fetch_turns: Rc::default() }
    }
}

impl Service for Handler {
    fn versions(&self, api: Api) -> Option<RangeInclusive<i16>> {
        APIS.iter().find(|supported| supported.api == api).map(|found| found.served.clone())
    }

    async fn begin(&self, request: Request, context: &RequestContext) -> Pending {
        let (shard, version) = (self.shard.clone(), context.version);
        match request {
            Request::Produce(request) => {
                let begun = AssertUnwindSafe(produce::begin(&shard, request, version));
                let pending = begun.catch_unwind().await;
                guarded(context, pending.unwrap_or_else(|_| Answer::Close.ready()))
            }
            Request::Fetch(request) => {
                let turn = self.fetch_turns.take();
                answer(context, fetch::answer(shard, request, version, turn))
            }
            Request::ListOffsets(request) => {
                answer(context, list_offsets::answer(shard, request, version))
            }
            Request::Metadata(request) => {
                guarded(context, Box::pin(metadata::answer(shard, request, version)))
            }
            Request::FindCoordinator(request) => {
                Answer::Send(find_coordinator::answer(request, version).into()).ready()
            }
            Request::ApiVersions(request) => {
                Answer::Send(api_versions::answer(&shard, &request, version).into()).ready()
            }
            Request::CreateTopics(request) => {
                answer(context, create_topics::answer(shard, request))
            }
            Request::DeleteTopics(request) => {
                answer(context, delete_topics::answer(shard, request, version))
            }
            Request::DeleteRecords(request) => {
                answer(context, delete_records::answer(shard, request))
            }
            Request::InitProducerId(request) => {
                answer(context, init_producer_id::answer(shard, request))
            }
            Request::OffsetForLeaderEpoch(request) => {
                answer(context, offset_for_leader_epoch::answer(shard, request))
            }
            // Connections hand over only what `APIS` lists.
            _ => {
                let (api, peer) = (context.api, context.peer);
                tracing::error!(?api, %peer, "not served; the connection is closed");
                Answer::Close.ready()
            }
        }
    }
}

fn answer<R: Into<Response>>(
    context: &RequestContext,
    response: impl Future<Output = R> + 'static,
) -> Pending {
    guarded(context, Box::pin(async move { Answer::Send(response.await.into()) }))
}

/// A panic while a request is answered costs its connection, nothing else.
fn guarded(context: &RequestContext, pending: Pending) -> Pending {
    let (api, peer) = (context.api, context.peer);
    Box::pin(async move {
        AssertUnwindSafe(pending).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!(?api, %peer, "a panic while answering; the connection is closed");
            Answer::Close
        })
    })
}
