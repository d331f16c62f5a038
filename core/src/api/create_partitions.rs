//! CreatePartitions (KIP-195).

use std::collections::HashMap;
use std::rc::Rc;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsResponse,
    CreatePartitionsTopic, CreatePartitionsTopicResult,
};

use super::errors;
use crate::catalog::change::Refusal;
use crate::shard::Shard;
use crate::shard::controller::{ChangeError, MorePartitions};

/// Answers when every new partition can be used, or is refused.
pub async fn answer(
    shard: Rc<Shard>,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let mut named: HashMap<Str, usize> = HashMap::new();
    for topic in &request.topics {
        *named.entry(topic.name.clone()).or_default() += 1;
    }
    let mut response = CreatePartitionsResponse::default();
    for topic in request.topics {
        // Kafka answers for a name that is there twice once.
        match named.remove(&topic.name) {
            Some(1) => response.results.push(add(&shard, topic, request.validate_only).await),
            Some(_) => {
                let duplicate = Refusal::Request("Duplicate topic name.".to_owned());
                response.results.push(result(topic.name, Err(duplicate.into())));
            }
            None => {}
        }
    }
    response
}

async fn add(
    shard: &Rc<Shard>,
    topic: CreatePartitionsTopic,
    check_only: bool,
) -> CreatePartitionsTopicResult {
    let CreatePartitionsTopic { name, count, assignments } = topic;
    let brokers = |assigned: Vec<CreatePartitionsAssignment>| {
        assigned.into_iter().map(|one| one.broker_ids).collect()
    };
    let (topic, assignments) = (name.to_string(), assignments.map(brokers));
    let more = MorePartitions { topic, count, assignments };
    result(name, shard.add_partitions(more, check_only).await)
}

fn result(name: Str, outcome: Result<(), ChangeError>) -> CreatePartitionsTopicResult {
    let error_code = outcome.as_ref().err().map_or(ErrorCode::None, errors::change_code);
    let error_message = match &outcome {
        // Kafka has no words for it.
        Ok(()) | Err(ChangeError::Refused(Refusal::UnknownTopic(_))) => None,
        Err(error) => errors::message(error),
    };
    CreatePartitionsTopicResult { name, error_code, error_message }
}
