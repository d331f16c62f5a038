//! Metadata: the one broker, its topics, and topics created because somebody names them.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use corelane_net::codec::{EncodeError, Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    AUTHORIZED_OPERATIONS_NOT_ASKED, EncodedResponse, MetadataRequest, MetadataRequestTopic,
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use corelane_net::service::Answer;
use corelane_storage::ids::TopicId;

use super::authorized::{CLUSTER_OPERATIONS, TOPIC_OPERATIONS};
use super::{errors, topics};
use crate::catalog::change::{NewTopic, Refusal};
use crate::catalog::{Catalog, Topic, name};
use crate::shard::controller::ChangeError;
use crate::shard::{Broker, Shard};

/// Names that were to be created, and why they were not.
type Refused = HashMap<Str, ErrorCode>;

/// Answers at once, unless topics have to be created: then when they can be used.
pub async fn answer(shard: Rc<Shard>, request: MetadataRequest, version: i16) -> Answer {
    if let Some(refused) = refused(&request, version) {
        return Answer::Send(refused.into());
    }
    if let Some(response) = shard.metadata_cache.borrow_mut().get(&request, version) {
        return Answer::SendEncoded(response);
    }
    let refused = create_missing(&shard, &request).await;
    match describe(&shard, &request, version, &refused) {
        Ok(response) => Answer::SendEncoded(response),
        Err(error) => {
            tracing::error!(%error, version, "metadata that can't be encoded");
            Answer::Close
        }
    }
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

/// Nothing is awaited here: what is kept is of one catalog, and is forgotten when that changes.
fn describe(
    shard: &Shard,
    request: &MetadataRequest,
    version: i16,
    refused: &Refused,
) -> Result<EncodedResponse, EncodeError> {
    let broker = &shard.broker;
    let cluster_operations = if request.include_cluster_authorized_operations {
        CLUSTER_OPERATIONS
    } else {
        AUTHORIZED_OPERATIONS_NOT_ASKED
    };
    let response = MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: broker.node_id,
            host: Str::from(&*broker.advertised_host),
            port: i32::from(broker.advertised_port),
            rack: None,
        }],
        cluster_id: Some(Str::from(&*broker.cluster_id)),
        controller_id: broker.node_id,
        topics: describe_topics(&shard.catalog(), broker, request, version, refused),
        cluster_authorized_operations: cluster_operations,
        ..Default::default()
    };
    let response = EncodedResponse::new(&response.into(), version)?;
    if refused.is_empty() {
        shard.metadata_cache.borrow_mut().put(request, version, &response);
    }
    Ok(response)
}

fn describe_topics(
    catalog: &Catalog,
    broker: &Broker,
    request: &MetadataRequest,
    version: i16,
    refused: &Refused,
) -> Vec<MetadataResponseTopic> {
    let mut topics: Vec<_> = match &request.topics {
        Some(asked) if !(asked.is_empty() && version == 0) => {
            let mut described = HashSet::new();
            asked
                .iter()
                .map(|asked| find(catalog, asked, refused))
                // Kafka answers once for a topic that is named twice.
                .filter(|found| described.insert(found.as_ref().map_or_else(key, |t| Ok(t.id))))
                .map(|found| found.map_or_else(|refusal| refusal, |t| describe_topic(broker, t)))
                .collect()
        }
        // Version 0 has no null: there, none asked about means all.
        _ => catalog.topics().map(|topic| describe_topic(broker, topic)).collect(),
    };
    if request.include_topic_authorized_operations {
        for topic in topics.iter_mut().filter(|topic| topic.error_code == ErrorCode::None) {
            topic.topic_authorized_operations = TOPIC_OPERATIONS;
        }
    }
    topics
}

/// What tells one topic that is not there from another.
fn key(refusal: &MetadataResponseTopic) -> Result<TopicId, (Option<Str>, Uuid)> {
    Err((refusal.name.clone(), refusal.topic_id))
}

/// The topic; its id counts if both are given.
fn find<'a>(
    catalog: &'a Catalog,
    asked: &MetadataRequestTopic,
    refused: &Refused,
) -> Result<&'a Topic, MetadataResponseTopic> {
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
    found.map(|topic| &**topic).ok_or_else(|| MetadataResponseTopic {
        name: if *topic_id == Uuid::ZERO { name.clone() } else { None },
        topic_id: *topic_id,
        error_code,
        ..Default::default()
    })
}

/// Creates what is named and not there, if both sides want that.
async fn create_missing(shard: &Rc<Shard>, request: &MetadataRequest) -> Refused {
    let mut refused = Refused::new();
    if !(shard.broker.auto_create_topics && request.allow_auto_topic_creation) {
        return refused;
    }
    for asked in request.topics.iter().flatten() {
        let Some(name) = asked.name.as_ref().filter(|_| asked.topic_id == Uuid::ZERO) else {
            continue;
        };
        if name::check(name).is_err() || shard.topic(name).is_some() {
            continue;
        }
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

fn describe_topic(broker: &Broker, topic: &Topic) -> MetadataResponseTopic {
    let partition = |index: u32| MetadataResponsePartition {
        partition_index: i32::try_from(index).unwrap_or(i32::MAX),
        leader_id: broker.node_id,
        leader_epoch: broker.leader_epoch,
        replica_nodes: vec![broker.node_id],
        isr_nodes: vec![broker.node_id],
        ..Default::default()
    };
    MetadataResponseTopic {
        name: Some(Str::from(&*topic.name)),
        topic_id: topics::uuid(topic.id),
        is_internal: name::is_internal(&topic.name),
        partitions: (0..topic.partitions).map(partition).collect(),
        ..Default::default()
    }
}
