//! One question about many partitions: one message per shard, answers in the order of asking.

use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;

use corelane_storage::ids::PartitionId;
use corelane_storage::runtime::Runtime;
use futures_util::future::join_all;

use super::errors;
use crate::metrics::stages::Stage;
use crate::partition::PartitionError;
use crate::shard::Shard;
use crate::shard::pauses::Pauses;

/// Items that [`ask_found`] asks about at once, before others of the shard get their turn.
const ASKED_AT_ONCE: usize = 256;

/// Something about one partition.
pub trait Placed {
    /// The partition.
    fn partition(&self) -> PartitionId;
}

/// Items with their places among all that were asked about.
type Group<T> = (Vec<usize>, Vec<T>);

fn put_to_owner<T: Placed>(
    shard: &Shard,
    groups: &mut BTreeMap<usize, Group<T>>,
    (place, item): (usize, T),
) {
    let (places, items) = groups.entry(shard.owner(item.partition())).or_default();
    places.push(place);
    items.push(item);
}

/// Asks the owners of the items' partitions, all at once. `question` gets what one shard owns, and
/// has one answer for each.
pub async fn ask<T, A, F, W>(
    shard: &Rc<Shard>,
    items: &[T],
    question: F,
) -> Vec<Result<A, PartitionError>>
where
    T: Placed + Clone + Send + 'static,
    A: Send + 'static,
    F: Fn(&Rc<Shard>, Vec<T>) -> W + Clone + Send + 'static,
    W: Future<Output = Vec<Result<A, PartitionError>>> + 'static,
{
    let mut pauses = Pauses::new(&shard.runtime);
    let mut groups: BTreeMap<usize, Group<T>> = BTreeMap::new();
    for (place, item) in items.iter().cloned().enumerate() {
        put_to_owner(shard, &mut groups, (place, item));
        pauses.after_cheap(1).await;
    }
    let calls = groups.into_iter().map(|(owner, (places, items))| {
        let question = question.clone();
        async move {
            let outcome = if owner == shard.id {
                Ok(question(shard, items).await)
            } else {
                let mut watch = shard.stopwatch();
                let job = move |shard: &Rc<Shard>| {
                    shard.lap(&mut watch, Stage::Hop);
                    question(shard, items)
                };
                shard.call_async(owner, job).await
            };
            (places, outcome)
        }
    });
    let mut answers: Vec<_> = items.iter().map(|_| None).collect();
    for (places, outcome) in join_all(calls).await {
        pauses.after_cheap(places.len()).await;
        put(&mut answers, &places, outcome.map_err(errors::call_error));
    }
    pauses.after_cheap(answers.len()).await;
    let unanswered = || Err(PartitionError::Panicked);
    answers.into_iter().map(|answer| answer.unwrap_or_else(unanswered)).collect()
}

/// As [`ask`], about the partitions that were found; the others have their error for an answer. Many
/// are asked about in turns, one after the other.
pub async fn ask_found<T, A, F, W>(
    shard: &Rc<Shard>,
    items: Vec<Result<T, PartitionError>>,
    question: F,
) -> Vec<Result<A, PartitionError>>
where
    T: Placed + Clone + Send + 'static,
    A: Send + 'static,
    F: Fn(&Rc<Shard>, Vec<T>) -> W + Clone + Send + 'static,
    W: Future<Output = Vec<Result<A, PartitionError>>> + 'static,
{
    let mut answers = Vec::with_capacity(items.len());
    for items in items.chunks(ASKED_AT_ONCE) {
        if !answers.is_empty() {
            shard.runtime.yield_now().await;
        }
        let found: Vec<T> = items.iter().filter_map(|item| item.as_ref().ok().cloned()).collect();
        let mut found = ask(shard, &found, question.clone()).await.into_iter();
        let mut answer = || found.next().unwrap_or(Err(PartitionError::Panicked));
        answers.extend(items.iter().map(|item| match item {
            Ok(_) => answer(),
            Err(error) => Err(error.clone()),
        }));
    }
    answers
}

/// Puts one shard's answers, or the error that all of them have, in their places.
pub fn put<A>(
    answers: &mut [Option<Result<A, PartitionError>>],
    places: &[usize],
    outcome: Result<Vec<Result<A, PartitionError>>, PartitionError>,
) {
    match outcome {
        Ok(found) => {
            for (place, answer) in places.iter().zip(found) {
                answers[*place] = Some(answer);
            }
        }
        Err(error) => {
            for place in places {
                answers[*place] = Some(Err(error.clone()));
            }
        }
    }
}
