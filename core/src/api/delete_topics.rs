//! DeleteTopics: by name, from version 6 on also by id.

use std::rc::Rc;

use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};

use super::{errors, topics};
use crate::shard::Shard;
use crate::shard::controller::TopicKey;

/// Answers when every topic is out of reach on every shard, durably.
pub async fn answer(
    shard: Rc<Shard>,
    request: DeleteTopicsRequest,
    version: i16,
) -> DeleteTopicsResponse {
    let by_name = |name| DeleteTopicState { name: Some(name), topic_id: Uuid::ZERO };
    let states = match version {
        6.. => request.topics,
        _ => request.topic_names.into_iter().map(by_name).collect(),
    };
    let mut response = DeleteTopicsResponse::default();
    for state in states {
        response.responses.push(delete(&shard, state).await);
    }
    response
}

async fn delete(shard: &Rc<Shard>, state: DeleteTopicState) -> DeletableTopicResult {
    let DeleteTopicState { name, topic_id } = state;
    let key = match (&name, topic_id) {
        (Some(name), Uuid::ZERO) => TopicKey::Name(name.to_string()),
        (None, id) if id != Uuid::ZERO => TopicKey::Id(topics::topic_id(id)),
        _ => {
            return DeletableTopicResult {
                name,
                topic_id,
                error_code: ErrorCode::InvalidRequest,
                error_message: Some(Str::from_static("either a topic's name or its id")),
            };
        }
    };
    match shard.delete_topic(key).await {
        Ok(topic) => DeletableTopicResult {
            name: Some(Str::from(&*topic.name)),
            topic_id: topics::uuid(topic.id),
            ..Default::default()
        },
        Err(error) => DeletableTopicResult {
            name,
            topic_id,
            error_code: errors::change_code(&error),
            error_message: errors::message(&error),
        },
    }
}
