//! How far the groups of one shard have read, copied on the shard, in slices.

use std::collections::BTreeMap;
use std::rc::Rc;

use corelane_net::codec::{Str, Uuid};
use corelane_storage::meters::Durations;

use super::slices::Slices;
use crate::group::Standing;
use crate::group::host::Host;
use crate::group::offsets::Place;
use crate::shard::Shard;

/// Groups and offsets that are told one by one, of a shard and of a page: some 250 bytes each.
pub const TOLD_MAX: usize = 100_000;

/// Groups in one piece of memory: what grows must not be moved as a whole.
const CHUNK_GROUPS: usize = 512;

/// The groups of one shard.
#[derive(Debug, Default)]
pub struct GroupsSnapshot {
    /// Coordinators by how they stand, in the order of [`Standing::ALL`].
    pub coordinators: [usize; Standing::ALL.len()],
    /// Groups by type and state.
    pub states: BTreeMap<(Str, Str), usize>,
    /// Offsets that are kept.
    pub offsets: usize,
    /// Offsets that were committed.
    pub commits: u64,
    /// Offsets that nobody has used for long, and that were forgotten.
    pub expired: u64,
    /// Rebalances that were completed.
    pub rebalances: u64,
    /// How long reading partitions back took.
    pub loads: Durations,
    /// Groups of which more is told, in chunks.
    pub groups: Vec<Vec<GroupSnapshot>>,
    /// Groups of which only the state is told, for there are too many offsets.
    pub omitted: usize,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSnapshot {
    /// Its id.
    pub id: Str,
    /// Who is in.
    pub members: usize,
    /// What it has committed, in chunks: topic, partition and offset.
    pub committed: Vec<Vec<(Str, i32, i64)>>,
}

impl GroupSnapshot {
    /// How much of a page it takes.
    pub fn weight(&self) -> usize {
        1 + self.committed.iter().map(Vec::len).sum::<usize>()
    }
}

/// Copies all of them.
pub async fn take(shard: &Rc<Shard>, slices: &mut Slices<'_>) -> GroupsSnapshot {
    let counters = shard.groups.counters();
    let mut snapshot = GroupsSnapshot {
        commits: counters.commits.get(),
        expired: counters.expired.get(),
        rebalances: counters.rebalances.get(),
        loads: counters.loads.durations(),
        ..GroupsSnapshot::default()
    };
    let mut room = TOLD_MAX;
    for host in shard.groups.all() {
        let standing = host.standing();
        if let Some(place) = Standing::ALL.iter().position(|one| Some(*one) == standing) {
            snapshot.coordinators[place] += 1;
        }
        // One that can't be asked has no groups to tell of.
        snapshot.offsets += host.look(|groups| groups.offset_count()).unwrap_or(0);
        of_host(shard, &host, &mut snapshot, &mut room, slices).await;
        slices.after(1).await;
    }
    snapshot
}

async fn of_host(
    shard: &Rc<Shard>,
    host: &Host,
    snapshot: &mut GroupsSnapshot,
    room: &mut usize,
    slices: &mut Slices<'_>,
) {
    let mut last: Option<Str> = None;
    while let Ok(Some((listed, members))) = host.look(|groups| groups.group_behind(last.as_ref())) {
        let id = listed.group_id;
        *snapshot.states.entry((listed.group_type, listed.group_state)).or_default() += 1;
        match committed(shard, host, &id, *room, slices).await {
            Some(committed) => {
                let group = GroupSnapshot { id: id.clone(), members, committed };
                *room = room.saturating_sub(group.weight());
                push(&mut snapshot.groups, group);
            }
            None => snapshot.omitted += 1,
        }
        last = Some(id);
        slices.after(2).await;
    }
}

/// The offsets of one group; `None` if they take more than `room`.
async fn committed(
    shard: &Rc<Shard>,
    host: &Host,
    group: &Str,
    room: usize,
    slices: &mut Slices<'_>,
) -> Option<Vec<Vec<(Str, i32, i64)>>> {
    let (mut chunks, mut left) = (Vec::new(), room.checked_sub(1)?);
    let mut place: Option<Place> = None;
    loop {
        let step = host.look(|groups| {
            let catalog = shard.catalog();
            let current = |topic: &str| catalog.topic(topic).map(|topic| Uuid(topic.id.0));
            let (some, next) = groups.offsets(group, place.as_ref());
            // What was committed of a topic before it was made again is not told to clients, either.
            let told = some.into_iter().filter(|(topic, _, offset)| offset.is_of(current(topic)));
            let told =
                told.map(|(topic, partition, offset)| (topic.clone(), partition, offset.offset));
            (told.collect::<Vec<_>>(), next)
        });
        // It may have stopped meanwhile.
        let (told, next) = step.unwrap_or_default();
        left = left.checked_sub(told.len())?;
        slices.after(1 + told.len()).await;
        if !told.is_empty() {
            chunks.push(told);
        }
        place = match next {
            Some(next) => Some(next),
            None => return Some(chunks),
        };
    }
}

fn push(chunks: &mut Vec<Vec<GroupSnapshot>>, group: GroupSnapshot) {
    match chunks.last_mut() {
        Some(last) if last.len() < CHUNK_GROUPS => last.push(group),
        _ => {
            let mut chunk = Vec::with_capacity(CHUNK_GROUPS);
            chunk.push(group);
            chunks.push(chunk);
        }
    }
}
