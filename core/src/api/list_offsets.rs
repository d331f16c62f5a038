//! ListOffsets: a partition's first and last offset, and those of its records by time.

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    EARLIEST_LOCAL_TIMESTAMP, EARLIEST_PENDING_UPLOAD_TIMESTAMP, EARLIEST_TIMESTAMP,
    LATEST_TIERED_TIMESTAMP, LATEST_TIMESTAMP, ListOffsetsPartitionResponse, ListOffsetsRequest,
    ListOffsetsResponse, ListOffsetsTopicResponse, MAX_TIMESTAMP,
};
use corelane_storage::ids::PartitionId;
use corelane_storage::log::TimestampOffset;
use futures_util::future::{Either, select};

use super::topics::Finder;
use super::{errors, fan_out};
use crate::once::{Once, Place};
use crate::partition::PartitionError;
use crate::shard::Shard;
use crate::shard::pauses::Pauses;

/// Least time that searches in records get, whatever the client asks for: it means tiered storage.
const TIMEOUT_MIN_MS: i32 = 1_000;
/// Most time that they get, and what they get in versions that don't say: Kafka's clients wait no
/// longer (`request.timeout.ms`).
const TIMEOUT_MAX_MS: i32 = 30_000;
/// First version with `timeout_ms`.
const TIMEOUT_SINCE: i16 = 10;

/// What a timestamp asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Earliest,
    Latest,
    /// The first record of this time, or later.
    Since(i64),
    /// The first of the records with the highest timestamp (KIP-734).
    Newest,
    /// Nothing is tiered: there is none.
    Nothing,
    /// Not known in this version.
    Unsupported,
}

/// Answers when the owners of all partitions have said theirs. A partition that is named twice is
/// refused, as in Kafka.
pub async fn answer(
    shard: Rc<Shard>,
    request: ListOffsetsRequest,
    version: i16,
) -> ListOffsetsResponse {
    let known_isolation = matches!(request.isolation_level, 0 | 1);
    let timeout_ms = match version {
        TIMEOUT_SINCE.. => request.timeout_ms.clamp(TIMEOUT_MIN_MS, TIMEOUT_MAX_MS),
        _ => TIMEOUT_MAX_MS,
    };
    let deadline = shard.deadline(timeout_ms);
    let (mut response, mut asked) = sort(&shard, request, version).await;
    // Taken before any other shard is called: those who wait for it have no call under way.
    let turn = match asked.iter().flatten().any(|asked| asked.wanted.is_searched()) {
        true => shard.until(deadline, shard.search_calls.acquire(1)).await,
        false => None,
    };
    if turn.is_none() {
        refuse_searches(&mut asked);
    }
    let (asker, gone) = flume::bounded(0);
    let limits = SearchLimits { deadline, gone };
    let found = fan_out::ask_found(&shard, asked, move |shard, asked| {
        look_up_all(shard.clone(), asked, limits.clone())
    });
    let found = found.await;
    drop((asker, turn));
    let partitions = response.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    for (partition, found) in partitions.zip(found) {
        match known_isolation {
            true => fill(partition, found),
            false => partition.error_code = ErrorCode::UnknownServerError,
        }
    }
    response
}

type Sorted = (ListOffsetsResponse, Vec<Result<Asked, PartitionError>>);

/// The response's frame, and what is asked about each of its partitions.
async fn sort(shard: &Shard, request: ListOffsetsRequest, version: i16) -> Sorted {
    let mut response = ListOffsetsResponse::default();
    let mut all = Vec::new();
    let mut once = Once::default();
    let mut pauses = Pauses::new(&shard.runtime);
    for topic in request.topics {
        let number = once.topic(topic.name.clone());
        pauses.after(1).await;
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let partition_index = partition.partition_index;
            pauses.after(1).await;
            if let Place::Again(place) = once.partition(number, partition_index) {
                all[place] = Err(PartitionError::NamedTwice);
                continue;
            }
            partitions.push(ListOffsetsPartitionResponse { partition_index, ..Default::default() });
            let catalog = shard.catalog();
            let finder = Finder { catalog: &catalog, by_id: false };
            let found = finder.partition(&topic.name, Default::default(), partition_index);
            all.push(found.map(|id| Asked {
                id,
                current_leader_epoch: partition.current_leader_epoch,
                wanted: wanted(partition.timestamp, version),
            }));
        }
        if !partitions.is_empty() {
            response.topics.push(ListOffsetsTopicResponse { name: topic.name, partitions });
        }
    }
    (response, all)
}

fn fill(partition: &mut ListOffsetsPartitionResponse, found: Found) {
    match found {
        Ok(Some(found)) => {
            partition.timestamp = found.timestamp_ms;
            partition.offset = found.offset;
            partition.leader_epoch = found.leader_epoch;
        }
        Ok(None) => {}
        Err(error) => partition.error_code = errors::partition_code(&error),
    }
}

#[derive(Clone, Copy)]
struct Asked {
    id: PartitionId,
    current_leader_epoch: i32,
    wanted: Wanted,
}

impl fan_out::Placed for Asked {
    fn partition(&self) -> PartitionId {
        self.id
    }
}

/// Leaves only what is answered without a search.
fn refuse_searches(asked: &mut [Result<Asked, PartitionError>]) {
    for asked in asked {
        if asked.as_ref().is_ok_and(|asked| asked.wanted.is_searched()) {
            *asked = Err(PartitionError::TimedOut);
        }
    }
}

/// When the searches of a request end, found or not.
#[derive(Clone)]
struct SearchLimits {
    /// Monotonic time.
    deadline: Duration,
    /// Disconnected as soon as nobody waits for the answer.
    gone: flume::Receiver<()>,
}

type Found = Result<Option<TimestampOffset>, PartitionError>;

async fn look_up_all(shard: Rc<Shard>, asked: Vec<Asked>, limits: SearchLimits) -> Vec<Found> {
    let mut found = Vec::with_capacity(asked.len());
    for asked in asked {
        found.push(look_up(&shard, &asked, &limits).await);
    }
    found
}

/// Offset, time (-1 where it is an end of the log) and epoch; `None` if there is no such record.
async fn look_up(shard: &Shard, asked: &Asked, limits: &SearchLimits) -> Found {
    let partition = shard.partition(asked.id)?;
    partition.check_leader_epoch(asked.current_leader_epoch)?;
    let end =
        |offset, leader_epoch| Some(TimestampOffset { offset, timestamp_ms: -1, leader_epoch });
    match asked.wanted {
        Wanted::Earliest => {
            let offset = partition.offsets()?.log_start;
            Ok(end(offset, partition.epoch_of(offset)?))
        }
        // Without transactions the last stable offset is the high watermark.
        Wanted::Latest => Ok(end(partition.offsets()?.high_watermark, partition.leader_epoch()?)),
        Wanted::Since(timestamp_ms) => {
            search(shard, limits, partition.offset_for_timestamp(timestamp_ms)).await
        }
        Wanted::Newest => search(shard, limits, partition.max_timestamp()).await,
        Wanted::Nothing => Ok(None),
        Wanted::Unsupported => Err(PartitionError::UnsupportedTimestamp),
    }
}

/// Searches when it is its turn; gives up, at the next pause of the search, if it takes too long or
/// whoever asked has gone.
async fn search(
    shard: &Shard,
    limits: &SearchLimits,
    searching: impl Future<Output = Found>,
) -> Found {
    let in_turn = Box::pin(async {
        let _turn = shard.record_searches.acquire(1).await;
        searching.await
    });
    match shard.until(limits.deadline, select(limits.gone.recv_async(), in_turn)).await {
        Some(Either::Right((found, _))) => found,
        Some(Either::Left(_)) | None => Err(PartitionError::TimedOut),
    }
}

impl Wanted {
    /// Whether records have to be read for it.
    fn is_searched(self) -> bool {
        matches!(self, Wanted::Since(_) | Wanted::Newest)
    }
}

/// What `timestamp` asks for in this version; as Kafka answers without tiered storage.
pub(super) fn wanted(timestamp: i64, version: i16) -> Wanted {
    match timestamp {
        LATEST_TIMESTAMP => Wanted::Latest,
        EARLIEST_TIMESTAMP => Wanted::Earliest,
        MAX_TIMESTAMP if version >= 7 => Wanted::Newest,
        EARLIEST_LOCAL_TIMESTAMP if version >= 8 => Wanted::Earliest,
        LATEST_TIERED_TIMESTAMP if version >= 9 => Wanted::Nothing,
        EARLIEST_PENDING_UPLOAD_TIMESTAMP if version >= 11 => Wanted::Nothing,
        0.. => Wanted::Since(timestamp),
        _ => Wanted::Unsupported,
    }
}
