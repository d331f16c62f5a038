//! Produce: batches to the shards that own their partitions, and back with their offsets.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceResponse,
};
use corelane_net::service::{Answer, Pending};
use corelane_storage::batch::{BatchHeader, Compression, HEADER_BYTES};
use corelane_storage::log::{AppendError, RefusedTimestamp};

use super::errors;
use super::topics::Finder;
use crate::metrics::stages::Stage;
use crate::once::{Once, Place};
use crate::partition::PartitionError;
use crate::shard::Shard;
use crate::shard::append::{Acknowledged, Batch, Entry};
use crate::shard::mailbox;
use crate::shard::moves::Locality;

/// Least time that a produce gets, whatever it asks for: here even acks=1 waits for the disk, which
/// `timeout_ms` was never meant to cover.
const TIMEOUT_MIN_MS: i32 = 1_000;

/// Where a batch says how many bytes follow.
const BATCH_LENGTH: std::ops::Range<usize> = 8..12;

/// First version that may carry zstd.
const ZSTD_SINCE: i16 = 7;

type Outcome = Result<Acknowledged, PartitionError>;

/// Another shard's part of a request: where its batches stand in the request, and how they will have fared.
struct Elsewhere {
    places: Vec<usize>,
    outcomes: mailbox::Answer<Vec<Outcome>>,
}

/// Batches for other shards, and their places in the request.
type ByOwner = BTreeMap<usize, (Vec<usize>, Vec<Batch>)>;

/// What was handed to the owners.
struct Begun {
    shard: Rc<Shard>,
    response: ProduceResponse,
    /// By place in the request.
    entries: Vec<Entry>,
    elsewhere: Vec<Elsewhere>,
    deadline: Duration,
    silent: bool,
}

/// Hands every batch to its owner, in order; resolves when those of this shard are appended and
/// those of others have their place in their owner's mailbox.
///
/// acks=1 and acks=all wait for the same: what the partition's durability asks for.
pub async fn begin(
    shard: &Rc<Shard>,
    locality: &Locality,
    request: ProduceRequest,
    version: i16,
) -> Pending {
    let refusal = refusal(&request);
    let deadline = shard.deadline(request.timeout_ms.max(TIMEOUT_MIN_MS));
    let silent = request.acks == 0;
    let (response, entries) = sort(shard, request, version);
    let (shard, elsewhere) = (shard.clone(), Vec::new());
    let mut begun = Begun { shard, response, entries, elsewhere, deadline, silent };
    match refusal {
        Some(code) => {
            let answer = if silent { Answer::Close } else { begun.refused(code) };
            answer.ready()
        }
        None => {
            begun.hand_over(locality).await;
            Box::pin(begun.finish())
        }
    }
}

/// Why the request as a whole is refused. A transactional id is not looked at, as in Kafka: it is the
/// batch that belongs to a transaction or not.
fn refusal(request: &ProduceRequest) -> Option<ErrorCode> {
    (!matches!(request.acks, -1..=1)).then_some(ErrorCode::InvalidRequiredAcks)
}

/// The response's frame, and for each of its places the batch, or why it is known to fail. Of a
/// partition that is named twice the last mention counts, as in Kafka.
fn sort(shard: &Shard, request: ProduceRequest, version: i16) -> (ProduceResponse, Vec<Entry>) {
    let mut entries = Vec::new();
    let mut response = ProduceResponse::default();
    response.responses.reserve_exact(request.topic_data.len());
    let mut once = Once::default();
    let catalog = shard.catalog();
    let finder = Finder { catalog: &catalog, by_id: version >= 13 };
    for topic in request.topic_data {
        let number = once.topic((topic.name.clone(), topic.topic_id));
        let mut answers = Vec::with_capacity(topic.partition_data.len());
        entries.reserve(topic.partition_data.len());
        for data in topic.partition_data {
            let partition = finder.partition_to_change(&topic.name, topic.topic_id, data.index);
            let batch = partition.and_then(|partition| {
                Ok(Batch { partition, records: records(data.records, version)? })
            });
            let entry = batch.map_or_else(|error| Entry::Ended(Err(error)), Entry::Asked);
            match once.partition(number, data.index) {
                Place::Again(place) => entries[place] = entry,
                Place::First => {
                    answers
                        .push(PartitionProduceResponse { index: data.index, ..Default::default() });
                    entries.push(entry);
                }
            }
        }
        if !answers.is_empty() {
            response.responses.push(TopicProduceResponse {
                name: topic.name,
                topic_id: topic.topic_id,
                partition_responses: answers,
            });
        }
    }
    (response, entries)
}

/// Exactly one whole batch by its length: Kafka counts whole batches, and so answers INVALID_RECORD
/// for none as for two, and passes over what is left behind one if it is none itself. What is in the
/// batch, the log checks.
fn records(records: Option<Bytes>, version: i16) -> Result<Bytes, PartitionError> {
    let refused = PartitionError::InvalidRecord(
        "a produce request has exactly one record batch per partition",
    );
    let Some(records) = records else { return Err(refused) };
    let Some(batch_bytes) = batch_bytes(&records) else { return Err(refused) };
    // A length that no batch can have is a damaged one, which the log says.
    if batch_bytes < HEADER_BYTES {
        return Ok(records);
    }
    let Some((batch, rest)) = records.split_at_checked(batch_bytes) else { return Err(refused) };
    if batch_bytes_of_whole(rest).is_some() {
        return Err(refused);
    }
    check_compression(batch, version)?;
    Ok(records.slice(..batch_bytes))
}

/// Bytes of the batch that begins here, as it says itself; 0 if it says nonsense.
fn batch_bytes(records: &[u8]) -> Option<usize> {
    let length = i32::from_be_bytes(records.get(BATCH_LENGTH)?.try_into().ok()?);
    Some(usize::try_from(length).map_or(0, |length| BATCH_LENGTH.end + length))
}

fn batch_bytes_of_whole(records: &[u8]) -> Option<usize> {
    batch_bytes(records).filter(|bytes| *bytes <= records.len())
}

/// Whoever speaks a version from before zstd may not have it (KIP-110).
fn check_compression(records: &[u8], version: i16) -> Result<(), PartitionError> {
    let is_zstd = || {
        BatchHeader::read(records).is_ok_and(|batch| batch.compression() == Some(Compression::Zstd))
    };
    if version < ZSTD_SINCE && is_zstd() {
        return Err(PartitionError::UnsupportedCompression);
    }
    Ok(())
}

impl Begun {
    async fn hand_over(&mut self, locality: &Locality) {
        let (groups, here_bytes) = self.take_elsewhere();
        if let Some(bytes) = here_bytes {
            locality.asks(&self.shard, self.shard.id, bytes);
        }
        let deadline = self.deadline;
        for (owner, (places, batches)) in groups {
            let bytes = batches.iter().map(|batch| batch.records.len()).sum();
            locality.asks(&self.shard, owner, bytes);
            match self.ask(owner, batches).await {
                Ok(outcomes) => self.elsewhere.push(Elsewhere { places, outcomes }),
                Err(error) => self.put(&places, Err(errors::call_error(error))),
            }
        }
        if here_bytes.is_some() {
            let entries = std::mem::take(&mut self.entries);
            self.entries = self.shard.append(entries, deadline).await;
        }
    }

    /// Takes out the batches of other shards, by owner; the bytes of those that this one owns, if there are
    /// any.
    fn take_elsewhere(&mut self) -> (ByOwner, Option<usize>) {
        let mut groups = ByOwner::new();
        let mut here_bytes = None;
        for (place, entry) in self.entries.iter_mut().enumerate() {
            let Entry::Asked(batch) = entry else { continue };
            let owner = self.shard.owner(batch.partition);
            if owner == self.shard.id {
                *here_bytes.get_or_insert(0) += batch.records.len();
                continue;
            }
            // What it stands for until that shard has answered, and if it never does.
            let unanswered = Entry::Ended(Err(PartitionError::Panicked));
            if let Entry::Asked(batch) = std::mem::replace(entry, unanswered) {
                let (places, batches) = groups.entry(owner).or_default();
                places.push(place);
                batches.push(batch);
            }
        }
        (groups, here_bytes)
    }

    /// Hands batches to another shard, which owns their partitions.
    async fn ask(
        &self,
        owner: usize,
        batches: Vec<Batch>,
    ) -> Result<mailbox::Answer<Vec<Outcome>>, mailbox::CallError> {
        let mut watch = self.shard.stopwatch();
        let (deadline, wait) = (self.deadline, !self.silent);
        let job = move |shard: &Rc<Shard>| {
            shard.lap(&mut watch, Stage::Hop);
            let entries = batches.into_iter().map(Entry::Asked).collect();
            let (shard, appended) = (shard.clone(), shard.append(entries, deadline));
            async move {
                let mut entries = appended.await;
                shard.end(&mut entries, wait, deadline).await;
                entries.into_iter().map(Entry::outcome).collect()
            }
        };
        self.shard.mailbox().send_async(owner, job).await
    }

    /// Puts another shard's outcomes, or the error that all of them have, in their places.
    fn put(&mut self, places: &[usize], outcomes: Result<Vec<Outcome>, PartitionError>) {
        let (outcomes, error) = match outcomes {
            Ok(outcomes) => (outcomes, PartitionError::Panicked),
            Err(error) => (Vec::new(), error),
        };
        let mut outcomes = outcomes.into_iter();
        for place in places {
            let outcome = outcomes.next().unwrap_or_else(|| Err(error.clone()));
            self.entries[*place] = Entry::Ended(outcome);
        }
    }

    async fn finish(mut self) -> Answer {
        self.shard.end(&mut self.entries, !self.silent, self.deadline).await;
        for Elsewhere { places, outcomes } in std::mem::take(&mut self.elsewhere) {
            let outcomes = outcomes.await.map_err(errors::call_error);
            self.put(&places, outcomes);
        }
        if self.silent { self.silence() } else { self.answer() }
    }

    /// acks=0: nobody reads an answer, so an error can only be told by closing the connection.
    fn silence(self) -> Answer {
        let first = self.entries.into_iter().map(Entry::outcome).find_map(Result::err);
        match first {
            None => Answer::Silent,
            Some(error) => {
                tracing::info!(%error, "a batch sent with acks=0 was refused");
                Answer::Close
            }
        }
    }

    fn answer(mut self) -> Answer {
        let mut outcomes = std::mem::take(&mut self.entries).into_iter().map(Entry::outcome);
        for topic in &mut self.response.responses {
            for answer in &mut topic.partition_responses {
                match outcomes.next().unwrap_or(Err(PartitionError::Panicked)) {
                    Ok(acknowledged) => {
                        answer.base_offset = acknowledged.base_offset;
                        answer.log_append_time_ms = acknowledged.log_append_time_ms;
                        answer.log_start_offset = acknowledged.log_start_offset;
                    }
                    Err(error) => {
                        let name = || topic_name(&self.shard, &topic.name, topic.topic_id);
                        refuse(answer, &error, name);
                    }
                }
            }
        }
        Answer::Send(self.response.into())
    }

    fn refused(mut self, code: ErrorCode) -> Answer {
        for answer in self.answers() {
            answer.error_code = code;
            answer.base_offset = -1;
        }
        Answer::Send(self.response.into())
    }

    fn answers(&mut self) -> impl Iterator<Item = &mut PartitionProduceResponse> {
        self.response.responses.iter_mut().flat_map(|topic| &mut topic.partition_responses)
    }
}

/// Says why a batch was not taken, and which of its records are to blame (KIP-467).
fn refuse(
    answer: &mut PartitionProduceResponse,
    error: &PartitionError,
    topic: impl FnOnce() -> String,
) {
    answer.error_code = errors::partition_code(error);
    answer.error_message = errors::message(error);
    answer.base_offset = -1;
    let PartitionError::Append(error) = error else { return };
    match &**error {
        AppendError::InvalidTimestamp { records } => {
            let record = |r: &RefusedTimestamp| record_error(r.batch_index, &r.message);
            answer.record_errors = records.iter().map(record).collect();
        }
        AppendError::NoKeys { records } => {
            let why = format!(
                "Compacted topic cannot accept message without key in topic partition {}-{}",
                topic(),
                answer.index
            );
            answer.error_message = errors::message(&many_errors(records, &why));
            answer.record_errors = records.iter().map(|i| record_error(*i, &why)).collect();
        }
        _ => {}
    }
}

fn record_error(batch_index: i32, message: &str) -> BatchIndexAndErrorMessage {
    BatchIndexAndErrorMessage { batch_index, batch_index_error_message: Some(Str::from(message)) }
}

/// Kafka's words for records that are refused for the same reason.
fn many_errors(records: &[i32], why: &str) -> String {
    let shown = |index: &i32| format!("RecordError(batchIndex={index}, message='{why}')");
    let first: Vec<String> = records.iter().take(3).map(shown).collect();
    format!(
        "One or more records have been rejected due to {} record errors in total, and only showing \
         the first three errors at most: [{}]",
        records.len(),
        first.join(", ")
    )
}

/// The name of a topic that may have been asked for by its id.
fn topic_name(shard: &Shard, name: &Str, id: Uuid) -> String {
    if !name.is_empty() {
        return name.to_string();
    }
    let topic = Finder { catalog: &shard.catalog(), by_id: true }.topic(name, id).cloned();
    topic.map_or_else(|_| String::new(), |topic| topic.name.to_string())
}
