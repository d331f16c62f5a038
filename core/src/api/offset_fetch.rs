//! OffsetFetch: how far groups have read.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::rc::Rc;

use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};

use super::topics;
use crate::group::coordinator::Coordinator;
use crate::group::offsets::Committed;
use crate::group::rules::STEP_MAX;
use crate::shard::Shard;
use crate::shard::pauses::Pauses;

/// First version that asks about several groups (KIP-709).
const GROUPS_SINCE: i16 = 8;
/// First version that names topics by id.
const IDS_SINCE: i16 = 10;
/// First version with an error for the whole answer.
const ERROR_SINCE: i16 = 2;

/// Bytes of one answer; what is asked about beyond them is refused, lest a request that names the same
/// group or partition very often takes all memory.
const ANSWERED_BYTES_MAX: usize = 128 << 20;
/// Partitions whose answer is encoded on the shard.
const ENCODED_AT_ONCE_MAX: usize = 1_000;

/// Whether the answer may be too large to be encoded on the shard.
pub fn may_be_large(request: &OffsetFetchRequest) -> bool {
    let of_older = |topics: &Vec<OffsetFetchRequestTopic>| {
        topics.iter().map(|topic| topic.partition_indexes.len()).sum::<usize>()
    };
    let of_group = |group: &OffsetFetchRequestGroup| {
        let topics = group.topics.as_ref()?;
        Some(topics.iter().map(|topic| topic.partition_indexes.len()).sum::<usize>())
    };
    let groups: Option<usize> = request.groups.iter().map(of_group).sum();
    match (request.topics.as_ref().map(of_older), groups) {
        (Some(of_older), Some(groups)) => of_older + groups > ENCODED_AT_ONCE_MAX,
        _ => true,
    }
}

/// Answers when all coordinators have.
pub async fn answer(
    shard: Rc<Shard>,
    request: OffsetFetchRequest,
    version: i16,
) -> OffsetFetchResponse {
    let mut response = OffsetFetchResponse::default();
    let mut asked = Asked { shard, version, is_stable: request.require_stable, answered_bytes: 0 };
    if version >= GROUPS_SINCE {
        for group in request.groups {
            response.groups.push(asked.fetch(group).await);
        }
        return response;
    }
    let topics = request.topics.clone();
    let topic = |topic: OffsetFetchRequestTopic| OffsetFetchRequestTopics {
        name: topic.name,
        partition_indexes: topic.partition_indexes,
        ..Default::default()
    };
    let group = OffsetFetchRequestGroup {
        group_id: request.group_id,
        topics: request.topics.map(|topics| topics.into_iter().map(topic).collect()),
        ..Default::default()
    };
    let answered = asked.fetch(group).await;
    response.error_code = answered.error_code;
    response.topics = answered.topics.into_iter().map(older_topic).collect();
    if version < ERROR_SINCE && !answered.error_code.is_none() {
        response.topics = all_failed(topics.unwrap_or_default(), answered.error_code);
    }
    response
}

/// The error of the whole, where only partitions can have one.
fn all_failed(
    asked: Vec<OffsetFetchRequestTopic>,
    error_code: ErrorCode,
) -> Vec<OffsetFetchResponseTopic> {
    let topic = |topic: OffsetFetchRequestTopic| {
        let partition = |partition_index| OffsetFetchResponsePartition {
            partition_index,
            committed_offset: -1,
            error_code,
            ..Default::default()
        };
        let partitions = topic.partition_indexes.into_iter().map(partition).collect();
        OffsetFetchResponseTopic { name: topic.name, partitions }
    };
    asked.into_iter().map(topic).collect()
}

fn older_topic(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partition = |partition: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
    };
    let partitions = topic.partitions.into_iter().map(partition).collect();
    OffsetFetchResponseTopic { name: topic.name, partitions }
}

type Topics = Vec<OffsetFetchResponseTopics>;

/// A member of the consumer protocol says who it is, and in which epoch.
struct Asker {
    member_id: Option<Str>,
    epoch: i32,
}

impl Asker {
    fn check(&self, groups: &Coordinator, group: &str) -> Result<(), ErrorCode> {
        groups.check_fetch(group, self.member_id.as_ref(), self.epoch)
    }
}

/// What counts for all groups that one request asks about.
struct Asked {
    shard: Rc<Shard>,
    version: i16,
    is_stable: bool,
    answered_bytes: usize,
}

impl Asked {
    async fn fetch(&mut self, group: OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
        let group_id = group.group_id.clone();
        let asker = Asker { member_id: group.member_id, epoch: group.member_epoch };
        let found = match group.topics {
            Some(asked) => self.fetch_some(&group_id, asked, asker).await,
            None => self.fetch_all(&group_id, asker).await,
        };
        match found {
            Ok((topics, bytes)) => {
                self.answered_bytes += bytes;
                OffsetFetchResponseGroup { group_id, topics, ..Default::default() }
            }
            Err(error_code) => {
                OffsetFetchResponseGroup { group_id, error_code, ..Default::default() }
            }
        }
    }

    /// What may still be answered.
    fn room(&self) -> Result<usize, ErrorCode> {
        let left = ANSWERED_BYTES_MAX.checked_sub(self.answered_bytes);
        left.ok_or(ErrorCode::PolicyViolation)
    }

    async fn fetch_some(
        &self,
        group: &Str,
        asked: Vec<OffsetFetchRequestTopics>,
        asker: Asker,
    ) -> Result<(Topics, usize), ErrorCode> {
        let room = self.room()?;
        let (asked, unknown) = resolve(&self.shard, asked, self.version).await;
        let group_id = group.clone();
        let mut search =
            Search { group: group_id, asked, next: (0, 0), found: Vec::new(), bytes: 0 };
        let look = move |groups: &Coordinator| {
            if let Err(code) = asker.check(groups, &search.group) {
                return ControlFlow::Break(Err(code));
            }
            match search.go_on(groups) {
                _ if search.bytes > room => ControlFlow::Break(Err(ErrorCode::PolicyViolation)),
                true => ControlFlow::Break(Ok((std::mem::take(&mut search.found), search.bytes))),
                false => ControlFlow::Continue(()),
            }
        };
        let (mut found, bytes) = self.shard.read_group(group, self.is_stable, look).await??;
        found.extend(unknown);
        Ok((found, bytes))
    }

    async fn fetch_all(&self, group: &Str, asker: Asker) -> Result<(Topics, usize), ErrorCode> {
        let room = self.room()?;
        let (id, mut all, mut place, mut bytes) = (group.clone(), Vec::new(), None, 0);
        let look = move |groups: &Coordinator| {
            if let Err(code) = asker.check(groups, &id) {
                return ControlFlow::Break(Err(code));
            }
            let (some, next) = groups.offsets(&id, place.as_ref());
            bytes += some.iter().map(|(_, _, offset)| bytes_of(offset)).sum::<usize>();
            let owned = some.into_iter().map(|(t, index, o)| (t.clone(), index, o.clone()));
            all.extend(owned);
            place = next;
            match &place {
                _ if bytes > room => ControlFlow::Break(Err(ErrorCode::PolicyViolation)),
                None => ControlFlow::Break(Ok((std::mem::take(&mut all), bytes))),
                Some(_) => ControlFlow::Continue(()),
            }
        };
        let read = self.shard.read_group(group, self.is_stable, look).await?;
        let (all, bytes): (Vec<(Str, i32, Committed)>, usize) = read?;
        Ok((told_by_topic(&self.shard, all, self.version).await, bytes))
    }
}

/// What the answer has for one offset.
fn bytes_of(offset: &Committed) -> usize {
    size_of::<OffsetFetchResponsePartitions>() + offset.metadata.len()
}

/// A topic asked about, with the id that it has now.
type Resolved = (OffsetFetchRequestTopics, Option<Uuid>);

/// Finds the names of topics that are asked about by id; those that there are not are answered.
async fn resolve(
    shard: &Shard,
    asked: Vec<OffsetFetchRequestTopics>,
    version: i16,
) -> (Vec<Resolved>, Topics) {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    let mut pauses = Pauses::new(&shard.runtime);
    for mut topic in asked {
        pauses.after(1).await;
        let catalog = shard.catalog();
        if version < IDS_SINCE {
            let id = catalog.topic(&topic.name).map(|topic| topics::uuid(topic.id));
            known.push((topic, id));
            continue;
        }
        match catalog.topic_by_id(topics::topic_id(topic.topic_id)) {
            Some(found) => {
                topic.name = Str::from(&*found.name);
                let id = topic.topic_id;
                known.push((topic, Some(id)));
            }
            None => {
                let partition = |index: i32| OffsetFetchResponsePartitions {
                    error_code: ErrorCode::UnknownTopicId,
                    ..none(index)
                };
                let partitions = topic.partition_indexes.into_iter().map(partition).collect();
                let (name, topic_id) = (topic.name, topic.topic_id);
                unknown.push(OffsetFetchResponseTopics { name, topic_id, partitions });
            }
        }
    }
    (known, unknown)
}

/// A look for offsets of a group that goes on where it paused.
struct Search {
    group: Str,
    asked: Vec<Resolved>,
    /// The topic and the place in it that are next.
    next: (usize, usize),
    found: Topics,
    bytes: usize,
}

impl Search {
    /// Looks some up; true at the end.
    fn go_on(&mut self, groups: &Coordinator) -> bool {
        for _ in 0..STEP_MAX {
            let Some((topic, current)) = self.asked.get(self.next.0) else { return true };
            if self.next.1 == 0 {
                let (name, topic_id) = (topic.name.clone(), topic.topic_id);
                let partitions = Vec::with_capacity(topic.partition_indexes.len());
                self.found.push(OffsetFetchResponseTopics { name, topic_id, partitions });
            }
            let index = topic.partition_indexes.get(self.next.1).copied();
            let (Some(index), Some(found)) = (index, self.found.last_mut()) else {
                self.next = (self.next.0 + 1, 0);
                continue;
            };
            let offset = groups.offset(&self.group, &topic.name, index);
            let offset = offset.filter(|offset| offset.is_of(*current));
            self.bytes += offset.map_or(size_of::<OffsetFetchResponsePartitions>(), bytes_of);
            found.partitions.push(offset.map_or_else(|| none(index), |offset| told(index, offset)));
            self.next.1 += 1;
        }
        false
    }
}

async fn told_by_topic(
    shard: &Shard,
    found: Vec<(Str, i32, Committed)>,
    version: i16,
) -> Vec<OffsetFetchResponseTopics> {
    let mut by_topic: BTreeMap<Str, OffsetFetchResponseTopics> = BTreeMap::new();
    let mut pauses = Pauses::new(&shard.runtime);
    for (name, index, offset) in found {
        pauses.after(1).await;
        let current = shard.catalog().topic(&name).map(|topic| topics::uuid(topic.id));
        let can_be_named = version < IDS_SINCE || current.is_some();
        if !can_be_named || !offset.is_of(current) {
            continue;
        }
        let topic = by_topic.entry(name.clone()).or_insert_with(|| OffsetFetchResponseTopics {
            name,
            topic_id: current.unwrap_or_default(),
            partitions: Vec::new(),
        });
        topic.partitions.push(told(index, &offset));
    }
    by_topic.into_values().collect()
}

fn told(partition_index: i32, offset: &Committed) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: offset.offset,
        committed_leader_epoch: offset.leader_epoch,
        metadata: Some(offset.metadata.clone()),
        error_code: ErrorCode::None,
    }
}

fn none(partition_index: i32) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions { partition_index, committed_offset: -1, ..Default::default() }
}
