//! Metadata: the one broker, or each shard as one, its topics, and topics created because somebody names them.

use std::collections::{HashMap, HashSet};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    AUTHORIZED_OPERATIONS_NOT_ASKED, EncodedResponse, MetadataRequest, MetadataRequestTopic,
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use corelane_net::service::Answer;
use corelane_storage::ids::{PartitionId, TopicId};

use super::authorized::{CLUSTER_OPERATIONS, TOPIC_OPERATIONS};
use super::{errors, topics};
use crate::catalog::change::{NewTopic, Refusal};
use crate::catalog::{Catalog, Topic, name};
use crate::shard::controller::ChangeError;
use crate::shard::nodes::Node;
use crate::shard::pauses::Pauses;
use crate::shard::{Broker, ListenerId, Shard};

/// Most topics that one request creates. Others are unknown to it, and clients ask again.
const CREATED_MAX: usize = 1_000;

/// Names that were to be created, and why they were not.
pub(super) type Refused = HashMap<Str, ErrorCode>;

/// Partitions of an answer that is encoded at once; a larger one is encoded aside.
const ENCODED_AT_ONCE_MAX: usize = 1_000;

/// Answers at once, unless topics have to be created (then when they can be used), or many are
/// asked for.
pub async fn answer(
    shard: Rc<Shard>,
    listener: ListenerId,
    request: MetadataRequest,
    version: i16,
) -> Answer {
    if let Some(refused) = refused(&request, version) {
        return Answer::Send(refused.into());
    }
    if let Some(response) = shard.metadata_cache.borrow_mut().get(listener, &request, version) {
        return Answer::SendEncoded(response);
    }
    let refused = create_missing(&shard, &request).await;
    let generation = shard.metadata_cache.borrow().generation();
    let response = describe(&shard, listener, &request, version, &refused).await;
    let keep = may_be_kept(&response, &refused, may_create(&shard, &request));
    let partitions: usize = response.topics.iter().map(|topic| topic.partitions.len()).sum();
    let encoded = match partitions.max(response.topics.len()) {
        0..=ENCODED_AT_ONCE_MAX => {
            EncodedResponse::new(&response.into(), version).map_err(io::Error::other)
        }
        _ => super::encode_aside(&shard, version, response.into()).await,
    };
    match encoded {
        Ok(response) => {
            if keep {
                let mut cache = shard.metadata_cache.borrow_mut();
                cache.put(generation, listener, &request, version, &response);
            }
            Answer::SendEncoded(response)
        }
        Err(error) => {
            tracing::error!(%error, version, "metadata that can't be encoded");
            Answer::Close
        }
    }
}

/// False if whoever asks next may be told something else though the catalog stays as it is: a topic
/// that could not be created may be created then, and so may one that was created, or there, and is
/// deleted again.
pub(super) fn may_be_kept(response: &MetadataResponse, refused: &Refused, creates: bool) -> bool {
    let is_unknown =
        |topic: &MetadataResponseTopic| topic.error_code == ErrorCode::UnknownTopicOrPartition;
    refused.is_empty() && !(creates && response.topics.iter().any(is_unknown))
}

/// The answer to a request that names topics as its version can't: ids came with version 12
/// (KIP-516), and whoever has neither id nor name is nobody.
fn refused(request: &MetadataRequest, version: i16) -> Option<MetadataResponse> {
    let asked = request.topics.as_deref().unwrap_or_default();
    let is_wrong = |topic: &MetadataRequestTopic| match topic.topic_id {
        Uuid::ZERO => topic.name.is_none(),
        _ => version < 12,
    };
    if !asked.iter().any(is_wrong) {
        return None;
    }
    let topic = |topic: &MetadataRequestTopic| MetadataResponseTopic {
        error_code: ErrorCode::InvalidRequest,
        name: Some(topic.name.clone().unwrap_or_default()),
        topic_id: topic.topic_id,
        ..Default::default()
    };
    Some(MetadataResponse {
        topics: asked.iter().map(topic).collect(),
        error_code: ErrorCode::InvalidRequest,
        ..Default::default()
    })
}

async fn describe(
    shard: &Shard,
    listener: ListenerId,
    request: &MetadataRequest,
    version: i16,
    refused: &Refused,
) -> MetadataResponse {
    let broker = &shard.broker;
    let node = |node: Node| {
        let advertised = broker.advertised(listener, node);
        MetadataResponseBroker {
            node_id: node.id,
            host: Str::from(&*advertised.host),
            port: i32::from(advertised.port),
            rack: None,
        }
    };
    let cluster_operations = if request.include_cluster_authorized_operations {
        CLUSTER_OPERATIONS
    } else {
        AUTHORIZED_OPERATIONS_NOT_ASKED
    };
    MetadataResponse {
        brokers: broker.nodes.all().map(node).collect(),
        cluster_id: Some(Str::from(&*broker.cluster_id)),
        controller_id: broker.nodes.controller().id,
        topics: describe_topics(shard, request, version, refused).await,
        cluster_authorized_operations: cluster_operations,
        ..Default::default()
    }
}

/// With pauses, between which the catalog may change: each topic is told as it is when its turn
/// comes.
async fn describe_topics(
    shard: &Shard,
    request: &MetadataRequest,
    version: i16,
    refused: &Refused,
) -> Vec<MetadataResponseTopic> {
    let mut description = Description {
        broker: &shard.broker,
        with_operations: request.include_topic_authorized_operations,
        pauses: Pauses::new(&shard.runtime),
        topics: Vec::new(),
    };
    match &request.topics {
        Some(asked) if !(asked.is_empty() && version == 0) => {
            let mut described = HashSet::new();
            for asked in asked {
                let found = find(&shard.catalog(), asked, refused);
                // Kafka answers once for a topic that is named twice.
                if described.insert(found.as_ref().map_or_else(key, |topic| Ok(topic.id))) {
                    description.add(found).await;
                } else {
                    description.pauses.after(1).await;
                }
            }
        }
        // Version 0 has no null: there, none asked about means all.
        _ => {
            let mut next = shard.catalog().topics().next().cloned();
            while let Some(topic) = next {
                description.add(Ok(topic.clone())).await;
                next = shard.catalog().topic_behind(&topic.name).cloned();
            }
        }
    }
    description.topics
}

/// Topics as they are told, with pauses.
struct Description<'a> {
    broker: &'a Broker,
    with_operations: bool,
    pauses: Pauses<'a>,
    topics: Vec<MetadataResponseTopic>,
}

impl Description<'_> {
    async fn add(&mut self, found: Result<Arc<Topic>, MetadataResponseTopic>) {
        self.pauses.after(1).await;
        let topic = match found {
            Ok(topic) => topic,
            Err(refusal) => return self.topics.push(refusal),
        };
        let mut partitions = Vec::with_capacity(topic.partitions as usize);
        for partition in topic.partition_ids() {
            partitions.push(describe_partition(self.broker, partition));
            self.pauses.after(1).await;
        }
        let mut described = MetadataResponseTopic {
            name: Some(Str::from(&*topic.name)),
            topic_id: topics::uuid(topic.id),
            is_internal: name::is_internal(&topic.name),
            partitions,
            ..Default::default()
        };
        if self.with_operations {
            described.topic_authorized_operations = TOPIC_OPERATIONS;
        }
        self.topics.push(described);
    }
}

fn describe_partition(broker: &Broker, partition: PartitionId) -> MetadataResponsePartition {
    let leader = broker.nodes.leader(partition).id;
    MetadataResponsePartition {
        partition_index: i32::try_from(partition.index).unwrap_or(i32::MAX),
        leader_id: leader,
        leader_epoch: broker.leader_epoch,
        replica_nodes: vec![leader],
        isr_nodes: vec![leader],
        ..Default::default()
    }
}

/// What tells one topic that is not there from another.
fn key(refusal: &MetadataResponseTopic) -> Result<TopicId, (Option<Str>, Uuid)> {
    Err((refusal.name.clone(), refusal.topic_id))
}

/// The topic; its id counts if both are given.
fn find(
    catalog: &Catalog,
    asked: &MetadataRequestTopic,
    refused: &Refused,
) -> Result<Arc<Topic>, MetadataResponseTopic> {
    let MetadataRequestTopic { topic_id, name } = asked;
    let (found, error_code) = match name {
        Some(name) if *topic_id == Uuid::ZERO => {
            let code = match refused.get(name) {
                Some(code) => *code,
                None if name::check(name).is_err() => ErrorCode::InvalidTopicException,
                None => ErrorCode::UnknownTopicOrPartition,
            };
            (catalog.topic(name), code)
        }
        _ => (catalog.topic_by_id(topics::topic_id(*topic_id)), ErrorCode::UnknownTopicId),
    };
    let name = name.as_ref().filter(|_| *topic_id == Uuid::ZERO);
    found.cloned().ok_or_else(|| MetadataResponseTopic {
        name: name.cloned(),
        topic_id: *topic_id,
        is_internal: name.is_some_and(|name| name::is_internal(name)),
        error_code,
        ..Default::default()
    })
}

/// True if both sides want that naming a topic creates it.
fn may_create(shard: &Shard, request: &MetadataRequest) -> bool {
    shard.broker.auto_create_topics && request.allow_auto_topic_creation
}

/// Creates what is named and not there.
async fn create_missing(shard: &Rc<Shard>, request: &MetadataRequest) -> Refused {
    let mut refused = Refused::new();
    if !may_create(shard, request) {
        return refused;
    }
    let mut asked_for = 0;
    let mut pauses = Pauses::new(&shard.runtime);
    for asked in request.topics.iter().flatten() {
        pauses.after(1).await;
        let Some(name) = asked.name.as_ref().filter(|_| asked.topic_id == Uuid::ZERO) else {
            continue;
        };
        if name::check(name).is_err() || shard.topic(name).is_some() {
            continue;
        }
        if asked_for == CREATED_MAX {
            break;
        }
        asked_for += 1;
        match shard.create_topic(NewTopic::named(name), false).await {
            Ok(_) => {}
            // Somebody else was faster, and this shard has applied it unless it is gone again.
            Err(ChangeError::Refused(Refusal::Exists(_))) => {
                refused.insert(name.clone(), ErrorCode::LeaderNotAvailable);
            }
            Err(error) => {
                tracing::warn!(topic = &**name, %error, "not created");
                refused.insert(name.clone(), errors::change_code(&error));
            }
        }
    }
    refused
}
