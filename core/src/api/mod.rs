//! The Kafka APIs that this broker serves: one file per API, and one table of them all.
//!
//! [`APIS`] is the only place that says what is supported: ApiVersions advertises it, and
//! connections refuse what it does not serve.
//!
//! - `authorized.rs`: what a client may do
//! - `config_changes.rs`: what the two APIs that alter configs share
//! - `errors.rs`: from what went wrong to Kafka's error codes
//! - `fan_out.rs`: one question about many partitions, one message per shard
//! - `topics.rs`: topics as requests name them, by name or by id

mod alter_configs;
mod alter_partition_reassignments;
mod api_versions;
mod authorized;
mod config_changes;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_acls;
mod create_partitions;
mod create_topics;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_topic_partitions;
mod describe_user_scram_credentials;
pub mod errors;
mod fan_out;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sync_group;
pub mod topics;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::ops::RangeInclusive;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Duration;

use corelane_net::messages::{Api, EncodedResponse, Request, Response};
use corelane_net::service::{Answer, Exchange, Pending, RequestContext, Service};
use futures_util::FutureExt;

use crate::metrics::stages::Stage;
use crate::shard::moves::Locality;
use crate::shard::turns::Turns;
use crate::shard::{ListenerId, Shard};

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
    supported(Api::OffsetCommit, 2, 10),
    supported(Api::OffsetFetch, 1, 10),
    supported(Api::FindCoordinator, 0, 6),
    supported(Api::JoinGroup, 0, 9),
    supported(Api::Heartbeat, 0, 4),
    supported(Api::LeaveGroup, 0, 5),
    supported(Api::SyncGroup, 0, 5),
    supported(Api::DescribeGroups, 0, 6),
    supported(Api::ListGroups, 0, 5),
    supported(Api::ApiVersions, 0, 5),
    supported(Api::CreateTopics, 2, 7),
    supported(Api::DeleteTopics, 1, 6),
    supported(Api::DeleteRecords, 0, 2),
    supported(Api::InitProducerId, 0, 5),
    supported(Api::OffsetForLeaderEpoch, 2, 4),
    supported(Api::DescribeAcls, 1, 3),
    supported(Api::CreateAcls, 1, 3),
    supported(Api::DeleteAcls, 1, 3),
    supported(Api::DescribeConfigs, 1, 4),
    supported(Api::AlterConfigs, 0, 2),
    supported(Api::DescribeLogDirs, 1, 5),
    supported(Api::CreatePartitions, 0, 3),
    supported(Api::DeleteGroups, 0, 3),
    supported(Api::IncrementalAlterConfigs, 0, 1),
    supported(Api::AlterPartitionReassignments, 0, 1),
    supported(Api::ListPartitionReassignments, 0, 0),
    supported(Api::OffsetDelete, 0, 0),
    supported(Api::DescribeUserScramCredentials, 0, 0),
    supported(Api::DescribeCluster, 0, 2),
    supported(Api::ConsumerGroupHeartbeat, 0, 1),
    supported(Api::ConsumerGroupDescribe, 0, 1),
    supported(Api::ListConfigResources, 0, 1),
    supported(Api::DescribeTopicPartitions, 0, 0),
];

const fn supported(api: Api, min: i16, max: i16) -> SupportedApi {
    SupportedApi { api, advertised: min..=max, served: min..=max }
}

/// Answers the requests of one connection on the shard that serves it.
#[derive(Clone)]
pub struct Handler {
    shard: Rc<Shard>,
    listener: ListenerId,
    fetch_turns: Rc<Turns>,
    locality: Rc<Locality>,
}

impl Handler {
    /// A handler on this shard, for a connection that came in by `listener`; `locality` is told what
    /// it asks for.
    pub fn new(shard: &Rc<Shard>, listener: ListenerId, locality: Rc<Locality>) -> Handler {
        Handler { shard: shard.clone(), listener, fetch_turns: Rc::default(), locality }
    }
}

impl Service for Handler {
    fn versions(&self, api: Api) -> Option<RangeInclusive<i16>> {
        APIS.iter().find(|supported| supported.api == api).map(|found| found.served.clone())
    }

    async fn begin(&self, request: Request, context: &RequestContext) -> Pending {
        let begun = AssertUnwindSafe(self.dispatch(request, context)).catch_unwind().await;
        begun.unwrap_or_else(|_| {
            let RequestContext { api, peer, .. } = context;
            tracing::error!(?api, %peer, "a panic while answering; the connection is closed");
            Answer::Close.ready()
        })
    }

    fn leaves(&self) -> bool {
        self.locality.target().is_some()
    }

    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let done = self.shard.runtime.blocking_io(move || Ok(work())).await;
        done.inspect_err(|error| tracing::error!(%error, "a request was not decoded")).ok()
    }

    fn decoded(&self, took: Duration) {
        self.shard.counters.stages.record(Stage::Parse, took);
    }

    fn sent(&self, took: Duration) {
        self.shard.counters.stages.record(Stage::Send, took);
    }

    fn answered(&self, exchange: &Exchange<'_>) {
        self.shard.counters.apis.count(exchange);
    }
}

impl Handler {
    async fn dispatch(&self, request: Request, context: &RequestContext) -> Pending {
        let (shard, listener, version) = (self.shard.clone(), self.listener, context.version);
        self.locality.asks_group(&shard, &request);
        match request {
            Request::Produce(request) => {
                produce::begin(&shard, &self.locality, request, version).await
            }
            Request::Fetch(request) => {
                let connection = fetch::Connection {
                    listener,
                    locality: self.locality.clone(),
                    turn: self.fetch_turns.take(),
                };
                let response = fetch::answer(shard.clone(), connection, request, version);
                Box::pin(async move {
                    let response = response.await;
                    let partitions = response.responses.iter().map(|topic| topic.partitions.len());
                    if !is_large(partitions) || fetch::has_records(&response) {
                        return Answer::Send(response.into());
                    }
                    let encoded = encode_aside(&shard, version, response.into()).await;
                    or_close(encoded.map(Answer::SendEncoded))
                })
            }
            Request::ListOffsets(request) => {
                let is_large = is_large(request.topics.iter().map(|topic| topic.partitions.len()));
                let response = list_offsets::answer(shard.clone(), request, version);
                later_perhaps_large(shard, version, is_large, response)
            }
            Request::Metadata(request) => {
                Box::pin(metadata::answer(shard, listener, request, version))
            }
            Request::OffsetCommit(request) => later(offset_commit::answer(shard, request, version)),
            Request::OffsetFetch(request) => {
                let may_be_large = offset_fetch::may_be_large(&request);
                let response = offset_fetch::answer(shard.clone(), request, version);
                later_perhaps_large(shard, version, may_be_large, response)
            }
            Request::FindCoordinator(request) => {
                later(find_coordinator::answer(shard, listener, request, version))
            }
            Request::JoinGroup(request) => {
                let context = join_group::context(context);
                later(join_group::answer(shard, request, context, version))
            }
            Request::Heartbeat(request) => later(heartbeat::answer(shard, request)),
            Request::LeaveGroup(request) => later(leave_group::answer(shard, request, version)),
            Request::SyncGroup(request) => later(sync_group::answer(shard, request, version)),
            Request::DescribeGroups(request) => {
                let response = describe_groups::answer(shard.clone(), request, version);
                later_encoded_aside(shard, version, response)
            }
            Request::ListGroups(request) => {
                let response = list_groups::answer(shard.clone(), request);
                later_encoded_aside(shard, version, response)
            }
            Request::ConsumerGroupHeartbeat(request) => {
                let context = join_group::context(context);
                later(consumer_group_heartbeat::answer(shard, request, context))
            }
            Request::ConsumerGroupDescribe(request) => {
                let response = consumer_group_describe::answer(shard.clone(), request);
                later_encoded_aside(shard, version, response)
            }
            Request::DeleteGroups(request) => later(delete_groups::answer(shard, request)),
            Request::OffsetDelete(request) => later(offset_delete::answer(shard, request)),
            Request::ApiVersions(request) => now(api_versions::answer(&shard, &request, version)),
            Request::CreateTopics(request) => {
                let response = create_topics::answer(shard.clone(), request);
                later_encoded_aside(shard, version, response)
            }
            Request::DeleteTopics(request) => later(delete_topics::answer(shard, request, version)),
            Request::DeleteRecords(request) => {
                let is_large = is_large(request.topics.iter().map(|topic| topic.partitions.len()));
                let response = delete_records::answer(shard.clone(), request);
                later_perhaps_large(shard, version, is_large, response)
            }
            Request::InitProducerId(request) => later(init_producer_id::answer(shard, request)),
            Request::OffsetForLeaderEpoch(request) => {
                let is_large = is_large(request.topics.iter().map(|topic| topic.partitions.len()));
                let response = offset_for_leader_epoch::answer(shard.clone(), request);
                later_perhaps_large(shard, version, is_large, response)
            }
            Request::DescribeAcls(request) => now(describe_acls::answer(request)),
            Request::CreateAcls(request) => now(create_acls::answer(request)),
            Request::DeleteAcls(request) => now(delete_acls::answer(request)),
            Request::DescribeConfigs(request) => {
                let response = describe_configs::answer(shard.clone(), request);
                later_encoded_aside(shard, version, response)
            }
            Request::AlterConfigs(request) => later(alter_configs::answer(shard, request)),
            Request::DescribeLogDirs(request) => {
                let response = describe_log_dirs::answer(shard.clone(), request);
                later_encoded_aside(shard, version, response)
            }
            Request::CreatePartitions(request) => later(create_partitions::answer(shard, request)),
            Request::IncrementalAlterConfigs(request) => {
                later(incremental_alter_configs::answer(shard, request))
            }
            Request::AlterPartitionReassignments(request) => {
                let (catalog, nodes) = (shard.catalog(), shard.broker.nodes);
                now(alter_partition_reassignments::answer(&catalog, nodes, request))
            }
            Request::ListPartitionReassignments(request) => {
                now(list_partition_reassignments::answer(request))
            }
            Request::DescribeUserScramCredentials(request) => {
                now(describe_user_scram_credentials::answer(request))
            }
            Request::DescribeCluster(request) => {
                now(describe_cluster::answer(&shard.broker, listener, &request))
            }
            Request::ListConfigResources(request) => {
                now(list_config_resources::answer(&shard, &request, version))
            }
            Request::DescribeTopicPartitions(request) => {
                let response = describe_topic_partitions::answer(shard, request);
                Box::pin(async move {
                    or_close(response.await.map(|response| Answer::Send(response.into())))
                })
            }
            // Connections hand over only what `APIS` lists.
            other => {
                tracing::error!(api = ?other.api(), "not served; the connection is closed");
                Answer::Close.ready()
            }
        }
    }
}

fn now(response: impl Into<Response>) -> Pending {
    Answer::Send(response.into()).ready()
}

fn later<R: Into<Response>>(response: impl Future<Output = R> + 'static) -> Pending {
    Box::pin(async move { Answer::Send(response.await.into()) })
}

/// An answer about so many partitions is encoded aside.
const LARGE_PARTITIONS: usize = 2_000;

/// True if an answer about these numbers of partitions, by topic, is large.
fn is_large(partitions: impl Iterator<Item = usize>) -> bool {
    partitions.sum::<usize>() > LARGE_PARTITIONS
}

fn later_perhaps_large<R: Into<Response>>(
    shard: Rc<Shard>,
    version: i16,
    is_large: bool,
    response: impl Future<Output = R> + 'static,
) -> Pending {
    match is_large {
        true => later_encoded_aside(shard, version, response),
        false => later(response),
    }
}

/// For answers that may list tens of thousands of configs or partitions.
fn later_encoded_aside<R: Into<Response>>(
    shard: Rc<Shard>,
    version: i16,
    response: impl Future<Output = R> + 'static,
) -> Pending {
    Box::pin(async move {
        or_close(
            encode_aside(&shard, version, response.await.into()).await.map(Answer::SendEncoded),
        )
    })
}

fn or_close(answer: io::Result<Answer>) -> Answer {
    answer.unwrap_or_else(|error| {
        tracing::error!(%error, "an answer that can't be made; the connection is closed");
        Answer::Close
    })
}

/// Encodes on another thread: to encode (and to free) a large answer would hold the shard.
async fn encode_aside(
    shard: &Shard,
    version: i16,
    response: Response,
) -> io::Result<EncodedResponse> {
    let encode = move || EncodedResponse::new(&response, version).map_err(io::Error::other);
    shard.runtime.blocking_io(encode).await
}
