//! DeleteTopics: by name, from version 6 on also by id.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::mem;
use std::rc::Rc;

use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};

use super::{errors, topics};
use crate::catalog::Catalog;
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
    let mut sorted = sort(states, &shard.catalog());
    for state in sorted.wanted {
        sorted.refused.push(delete(&shard, state).await);
    }
    DeleteTopicsResponse { responses: sorted.refused, ..Default::default() }
}

/// Topics that are named rightly, and answers to the others.
#[derive(Default)]
pub(super) struct Sorted {
    pub wanted: Vec<DeleteTopicState>,
    pub refused: Vec<DeletableTopicResult>,
}

/// Whoever names a topic twice, in whatever way, gets it deleted not at all: Kafka takes it for a
/// mistake. Each name and id that is there twice is answered once. The order is the request's.
pub(super) fn sort(states: Vec<DeleteTopicState>, catalog: &Catalog) -> Sorted {
    let mut sorted = Sorted::default();
    let mut names = counts(states.iter().filter_map(|state| name_alone(state).cloned()));
    let mut ids = counts(states.iter().filter(|state| state.name.is_none()).map(|s| s.topic_id));
    let id_of = |name: &Str| catalog.topic(name).map(|topic| topics::uuid(topic.id));
    let once = names.iter().filter(|(_, count)| **count == 1);
    let named: HashSet<Uuid> = once.filter_map(|(name, _)| id_of(name)).collect();
    for state in states {
        let DeleteTopicState { name, topic_id } = &state;
        match (name.clone(), *topic_id) {
            (None, Uuid::ZERO) => sorted.refuse(None, Uuid::ZERO, NEITHER),
            (None, id) => match take(&mut ids, &id) {
                0 => {}
                // Answered where it is named.
                1 if named.contains(&id) => {}
                1 => sorted.wanted.push(state),
                _ => sorted.refuse(None, id, "Duplicate topic id."),
            },
            (Some(name), Uuid::ZERO) => match take(&mut names, &name) {
                0 => {}
                1 => match id_of(&name).filter(|id| ids.contains_key(id)) {
                    Some(id) => sorted.refuse(Some(name), id, SAME),
                    None => sorted.wanted.push(state),
                },
                _ => sorted.refuse(Some(name), Uuid::ZERO, "Duplicate topic name."),
            },
            (Some(name), id) => sorted.refuse(Some(name), id, BOTH),
        }
    }
    sorted
}

fn name_alone(state: &DeleteTopicState) -> Option<&Str> {
    state.name.as_ref().filter(|_| state.topic_id == Uuid::ZERO)
}

/// How often each is there.
fn counts<T: Hash + Eq>(all: impl Iterator<Item = T>) -> HashMap<T, usize> {
    let mut counts = HashMap::new();
    all.for_each(|one| *counts.entry(one).or_default() += 1);
    counts
}

/// How often `one` is there; 0 once it was taken.
fn take<T: Hash + Eq>(counts: &mut HashMap<T, usize>, one: &T) -> usize {
    counts.get_mut(one).map(mem::take).unwrap_or_default()
}

const NEITHER: &str = "Neither topic name nor id were specified.";
const BOTH: &str = "You may not specify both topic name and topic id.";
const SAME: &str = "The provided topic name maps to an ID that was already supplied.";

impl Sorted {
    fn refuse(&mut self, name: Option<Str>, topic_id: Uuid, words: &'static str) {
        self.refused.push(DeletableTopicResult {
            name,
            topic_id,
            error_code: ErrorCode::InvalidRequest,
            error_message: Some(Str::from_static(words)),
        });
    }
}

async fn delete(shard: &Rc<Shard>, state: DeleteTopicState) -> DeletableTopicResult {
    let DeleteTopicState { name, topic_id } = state;
    let key = match &name {
        Some(name) => TopicKey::Name(name.to_string()),
        None => TopicKey::Id(topics::topic_id(topic_id)),
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
