//! DeleteTopics: by name, from version 6 on also by id.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
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
/// mistake. Each name and id that is there twice is answered once.
pub(super) fn sort(states: Vec<DeleteTopicState>, catalog: &Catalog) -> Sorted {
    let mut sorted = Sorted::default();
    let (mut names, mut ids) = (Counted::default(), Counted::default());
    for DeleteTopicState { name, topic_id } in states {
        match (name, topic_id) {
            (Some(name), Uuid::ZERO) => names.add(name),
            (None, Uuid::ZERO) => sorted.refuse(None, topic_id, NEITHER),
            (None, id) => ids.add(id),
            (Some(name), id) => sorted.refuse(Some(name), id, BOTH),
        }
    }
    let (ids, repeated_ids) = ids.once_and_more();
    let (names, repeated_names) = names.once_and_more();
    for name in repeated_names {
        sorted.refuse(Some(name), Uuid::ZERO, "Duplicate topic name.");
    }
    for id in &repeated_ids {
        sorted.refuse(None, *id, "Duplicate topic id.");
    }
    let mut by_id: HashMap<Uuid, DeleteTopicState> = HashMap::new();
    for id in ids {
        by_id.insert(id, DeleteTopicState { name: None, topic_id: id });
    }
    for name in names {
        let state = DeleteTopicState { name: Some(name.clone()), topic_id: Uuid::ZERO };
        match catalog.topic(&name).map(|topic| topics::uuid(topic.id)) {
            None => sorted.wanted.push(state),
            Some(id) if repeated_ids.contains(&id) => sorted.refuse(Some(name), id, SAME),
            Some(id) => match by_id.entry(id) {
                Entry::Vacant(entry) => drop(entry.insert(state)),
                Entry::Occupied(entry) => {
                    entry.remove();
                    sorted.refuse(Some(name), id, SAME);
                }
            },
        }
    }
    sorted.wanted.extend(by_id.into_values());
    sorted
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

/// How often each was named.
struct Counted<T>(HashMap<T, usize>);

impl<T> Default for Counted<T> {
    fn default() -> Self {
        Counted(HashMap::new())
    }
}

impl<T: Hash + Eq> Counted<T> {
    fn add(&mut self, one: T) {
        *self.0.entry(one).or_default() += 1;
    }

    fn once_and_more(self) -> (Vec<T>, Vec<T>) {
        let (once, more): (Vec<_>, Vec<_>) = self.0.into_iter().partition(|(_, count)| *count == 1);
        let keys = |counted: Vec<(T, usize)>| counted.into_iter().map(|(one, _)| one).collect();
        (keys(once), keys(more))
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
