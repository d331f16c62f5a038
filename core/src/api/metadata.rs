//! Metadata: the one broker, its topics, and topics created because somebody names them.

use std::collections::HashMap;
use std::rc::Rc;

use corelane_net::codec::{EncodeError, Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    AUTHORIZED_OPERATIONS_NOT_ASKED, EncodedResponse, MetadataRequest, MetadataRequestTopic,
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use corelane_net::service::Answer;

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
        Some(asked) if !(asked.is_empty() && version == 0) => asked
            .iter()
            .map(|asked| match find(catalog, asked, version, refused) {
                Ok(topic) => describe_topic(broker, topic),
                Err(response) => response,
            })
            .collect(),
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

fn find<'a>(
    catalog: &'a Catalog,
    asked: &MetadataRequestTopic,
    version: i16,
    refused: &Refused,
) -> Result<&'a Topic, MetadataResponseTopic> {
    let MetadataRequestTopic { topic_id, name } = asked;
    let refusal = |name: Option<&Str>, error_code| MetadataResponseTopic {
        name: name.cloned(),
        topic_id: *topic_id,
        error_code,
        ..Default::default()
    };
    match name {
        // Ids came with version 12 (KIP-516); before, the field must be zero.
        Some(name) if *topic_id != Uuid::ZERO => {
            Err(refusal(Some(name), ErrorCode::InvalidRequest))
        }
        None if version < 12 => Err(refusal(Some(&Str::EMPTY), ErrorCode::InvalidRequest)),
        None => {
            let topic = catalog.topic_by_id(topics::topic_id(*topic_id));
            topic.map(|topic| &**topic).ok_or_else(|| refusal(None, ErrorCode::UnknownTopicId))
        }
        Some(name) => match catalog.topic(name) {
            Some(topic) => Ok(topic),
            None if name::check(name).is_err() => {
                Err(refusal(Some(name), ErrorCode::InvalidTopicException))
            }
            None => {
                let code = refused.get(name).copied();
                Err(refusal(Some(name), code.unwrap_or(ErrorCode::UnknownTopicOrPartition)))
            }
        },
    }
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
