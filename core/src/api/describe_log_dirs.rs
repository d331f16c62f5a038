//! DescribeLogDirs: the data directory, its file system's space, and the partitions in it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::rc::Rc;

use corelane_net::codec::Str;
use corelane_net::messages::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse,
    DescribeLogDirsResult, DescribeLogDirsTopic,
};
use corelane_storage::ids::PartitionId;
use corelane_tuning::Space;

use super::fan_out;
use crate::shard::Shard;
use crate::shard::pauses::Pauses;

/// Partitions whose sizes are asked for at once, and told before others get their turn.
const ASKED_AT_ONCE: usize = 256;

/// Answers when the owners of all partitions have said how large those are.
pub async fn answer(shard: Rc<Shard>, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let mut pauses = Pauses::new(&shard.runtime);
    let asked = asked(&shard, &request, &mut pauses).await;
    let mut found: BTreeMap<Str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for asked in asked.chunks(ASKED_AT_ONCE) {
        add(&shard, asked, &mut found).await;
        pauses.after(asked.len()).await;
    }
    let mut topics = Vec::with_capacity(found.len());
    for (name, partitions) in found {
        topics.push(DescribeLogDirsTopic { name, partitions });
        pauses.after(1).await;
    }
    let space = space(&shard).await;
    let bytes = |bytes: fn(&Space) -> u64| {
        space.as_ref().map_or(-1, |space| i64::try_from(bytes(space)).unwrap_or(i64::MAX))
    };
    let result = DescribeLogDirsResult {
        log_dir: Str::from(shard.broker.data_dir.to_string_lossy().into_owned()),
        topics,
        total_bytes: bytes(|space| space.total_bytes),
        usable_bytes: bytes(|space| space.usable_bytes),
        ..Default::default()
    };
    DescribeLogDirsResponse { results: vec![result], ..Default::default() }
}

/// Adds the sizes of a few partitions to what was found.
async fn add(
    shard: &Rc<Shard>,
    asked: &[Asked],
    found: &mut BTreeMap<Str, Vec<DescribeLogDirsPartition>>,
) {
    let sizes = fan_out::ask(shard, asked, |shard, asked| {
        let size = |asked: &Asked| shard.partition(asked.id)?.size_bytes();
        ready(asked.iter().map(size).collect())
    });
    for (asked, size) in asked.iter().zip(sizes.await) {
        // Offline, or deleted meanwhile: not in this directory, then.
        let Ok(size) = size else { continue };
        found.entry(asked.topic.clone()).or_default().push(DescribeLogDirsPartition {
            partition_index: i32::try_from(asked.id.index).unwrap_or(i32::MAX),
            partition_size: i64::try_from(size).unwrap_or(i64::MAX),
            ..Default::default()
        });
    }
}

#[derive(Clone)]
struct Asked {
    id: PartitionId,
    topic: Str,
}

impl fan_out::Placed for Asked {
    fn partition(&self) -> PartitionId {
        self.id
    }
}

/// The partitions that are meant and there, each once.
async fn asked(
    shard: &Shard,
    request: &DescribeLogDirsRequest,
    pauses: &mut Pauses<'_>,
) -> Vec<Asked> {
    let mut asked = Vec::new();
    let Some(topics) = &request.topics else {
        let mut next = shard.catalog().topics().next().cloned();
        while let Some(topic) = next {
            let name = Str::from(&*topic.name);
            asked.extend(topic.partition_ids().map(|id| Asked { id, topic: name.clone() }));
            pauses.after(topic.partitions as usize).await;
            next = shard.catalog().topic_behind(&topic.name).cloned();
        }
        return asked;
    };
    let mut seen = BTreeSet::new();
    for named in topics {
        let topic = shard.topic(&named.topic);
        for index in &named.partitions {
            pauses.after(1).await;
            let id = topic.as_ref().and_then(|topic| topic.partition(*index));
            if let Some(id) = id.filter(|id| seen.insert((id.topic_id.0, id.index))) {
                asked.push(Asked { id, topic: named.topic.clone() });
            }
        }
        pauses.after(1).await;
    }
    asked
}

/// The file system may be slow to say: it is asked on a thread of its own.
async fn space(shard: &Shard) -> Option<Space> {
    let dir = shard.broker.data_dir.clone();
    let space = shard.runtime.blocking_io(move || corelane_tuning::space(&dir)).await;
    space.inspect_err(|error| tracing::warn!(%error, "the file system does not tell its size")).ok()
}
