//! Metadata: the one broker, its topics, and topics created because somebody names them.

use std::rc::Rc;
use std::sync::Arc;

use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};

use super::{errors, topics};
use crate::catalog::change::{NewTopic, Refusal};
use crate::catalog::{Topic, name};
use crate::shard::controller::ChangeError;
use crate::shard::{Broker, Shard};

/// Answers at once, unless topics have to be created: then when they can be used.
pub async fn answer(shard: Rc<Shard>, request: MetadataRequest, version: i16) -> MetadataResponse {
    let create = shard.broker.auto_create_topics && request.allow_auto_topic_creation;
    let topics = match request.topics {
        None => all_topics(&shard),
        // Version 0 has no null: there, none asked about means all.
        Some(asked) if asked.is_empty() && version == 0 => all_topics(&shard),
        Some(asked) => {
            let mut topics = Vec::with_capacity(asked.len());
            for topic in asked {
                topics.push(describe_asked(&shard, topic, create, version).await);
            }
            topics
        }
    };
    let broker = &shard.broker;
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: broker.node_id,
            host: Str::from(&*broker.advertised_host),
            port: i32::from(broker.advertised_port),
            rack: None,
        }],
        cluster_id: Some(Str::from(&*broker.cluster_id)),
        controller_id: broker.node_id,
        topics,
        ..Default::default()
    }
}

fn all_topics(shard: &Shard) -> Vec<MetadataResponseTopic> {
    shard.catalog().topics().map(|topic| describe(&shard.broker, topic)).collect()
}

async fn describe_asked(
    shard: &Rc<Shard>,
    asked: MetadataRequestTopic,
    create: bool,
    version: i16,
) -> MetadataResponseTopic {
    let MetadataRequestTopic { topic_id, name } = asked;
    let refused = |name, error_code| MetadataResponseTopic {
        name,
        topic_id,
        error_code,
        ..Default::default()
    };
    match name {
        // Ids came with version 12 (KIP-516); before, the field must be zero.
        Some(name) if topic_id != Uuid::ZERO => refused(Some(name), ErrorCode::InvalidRequest),
        None if version < 12 => refused(Some(Str::EMPTY), ErrorCode::InvalidRequest),
        None => match shard.catalog().topic_by_id(topics::topic_id(topic_id)) {
            Some(topic) => describe(&shard.broker, topic),
            None => refused(None, ErrorCode::UnknownTopicId),
        },
        Some(name) => match find_or_create(shard, &name, create).await {
            Ok(topic) => describe(&shard.broker, &topic),
            Err(code) => refused(Some(name), code),
        },
    }
}

async fn find_or_create(
    shard: &Rc<Shard>,
    name: &str,
    create: bool,
) -> Result<Arc<Topic>, ErrorCode> {
    if let Some(topic) = shard.topic(name) {
        return Ok(topic);
    }
    if name::check(name).is_err() {
        return Err(ErrorCode::InvalidTopicException);
    }
    if !create {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    match shard.create_topic(NewTopic::named(name), false).await {
        Ok(topic) => Ok(topic),
        // Somebody else was faster, and this shard has applied it.
        Err(ChangeError::Refused(Refusal::Exists(_))) => {
            shard.topic(name).ok_or(ErrorCode::LeaderNotAvailable)
        }
        Err(error) => {
            tracing::warn!(topic = name, %error, "not created");
            Err(errors::change_code(&error))
        }
    }
}

fn describe(broker: &Broker, topic: &Topic) -> MetadataResponseTopic {
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
