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

/// Answers when the owners of all partitions have said how large those are.
pub async fn answer(shard: Rc<Shard>, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let asked = asked(&shard, &request);
    let sizes = fan_out::ask(&shard, &asked, |shard, asked| {
        let size = |asked: &Asked| shard.partition(asked.id)?.size_bytes();
        ready(asked.iter().map(size).collect())
    });
    let mut topics: BTreeMap<Str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for (asked, size) in asked.iter().zip(sizes.await) {
        // Offline, or deleted meanwhile: not in this directory, then.
        let Ok(size) = size else { continue };
        topics.entry(asked.topic.clone()).or_default().push(DescribeLogDirsPartition {
            partition_index: i32::try_from(asked.id.index).unwrap_or(i32::MAX),
            partition_size: i64::try_from(size).unwrap_or(i64::MAX),
            ..Default::default()
        });
    }
    let topics = topics.into_iter();
    let space = space(&shard).await;
    let bytes = |bytes: fn(&Space) -> u64| {
        space.as_ref().map_or(-1, |space| i64::try_from(bytes(space)).unwrap_or(i64::MAX))
    };
    let result = DescribeLogDirsResult {
        log_dir: Str::from(shard.broker.data_dir.to_string_lossy().into_owned()),
        topics: topics
            .map(|(name, partitions)| DescribeLogDirsTopic { name, partitions })
            .collect(),
        total_bytes: bytes(|space| space.total_bytes),
        usable_bytes: bytes(|space| space.usable_bytes),
        ..Default::default()
    };
    DescribeLogDirsResponse { results: vec![result], ..Default::default() }
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
fn asked(shard: &Shard, request: &DescribeLogDirsRequest) -> Vec<Asked> {
    let catalog = shard.catalog();
    let Some(topics) = &request.topics else {
        let all = catalog.topics().flat_map(|topic| {
            let name = Str::from(&*topic.name);
            topic.partition_ids().map(move |id| Asked { id, topic: name.clone() })
        });
        return all.collect();
    };
    let mut seen = BTreeSet::new();
    let mut asked = Vec::new();
    for named in topics {
        let Some(topic) = catalog.topic(&named.topic) else { continue };
        let ids = named.partitions.iter().filter_map(|index| topic.partition(*index));
        let new = ids.filter(|id| seen.insert((id.topic_id.0, id.index)));
        asked.extend(new.map(|id| Asked { id, topic: named.topic.clone() }));
    }
    asked
}

/// The file system may be slow to say: it is asked on a thread of its own.
async fn space(shard: &Shard) -> Option<Space> {
    let dir = shard.broker.data_dir.clone();
    let space = shard.runtime.blocking_io(move || corelane_tuning::space(&dir)).await;
    space.inspect_err(|error| tracing::warn!(%error, "the file system does not tell its size")).ok()
}
