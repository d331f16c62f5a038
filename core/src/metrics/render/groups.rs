//! What has a group for a label. The shard of a group's coordinator knows what it has committed, those of
//! the partitions how far these go: both come together here.

use std::collections::BTreeMap;
use std::fmt::Display;

use corelane_net::codec::Str;

use super::ShardView;
use super::partitions::Topics;
use crate::metrics::families as f;
use crate::metrics::groups::{GroupSnapshot, TOLD_MAX};
use crate::metrics::snapshot::ShardSnapshot;
use crate::metrics::text::{Page, labels};

/// A committed offset to be told of.
struct Row {
    labels: String,
    committed: i64,
    /// `None` if the partition is not there, or its shard is not up.
    lag: Option<i64>,
}

/// All of them, by group, topic and partition. Of a shard that is not up nothing is told.
pub fn render(page: &mut Page, shards: &[ShardView], topics: &Topics) {
    let up = shards.iter().filter(|shard| shard.is_up);
    let up: Vec<&ShardSnapshot> = up.filter_map(|shard| shard.last.as_deref()).collect();
    states(page, &up);
    let groups = up.iter().flat_map(|shard| shard.groups.groups.iter().flatten());
    let groups: BTreeMap<&Str, &GroupSnapshot> = groups.map(|group| (&group.id, group)).collect();
    let (groups, omitted) = fitting(groups.into_values(), TOLD_MAX);
    page.family(&f::GROUPS_OMITTED);
    if !up.is_empty() {
        let before: usize = up.iter().map(|shard| shard.groups.omitted).sum();
        page.sample("", before + omitted);
    }
    page.family(&f::GROUP_MEMBERS);
    for group in &groups {
        page.sample(&labels(&[("group", &group.id)]), group.members);
    }
    let rows: Vec<Row> = groups.iter().flat_map(|group| rows(group, topics)).collect();
    page.family(&f::GROUP_COMMITTED);
    rows.iter().for_each(|row| page.sample(&row.labels, row.committed));
    page.family(&f::GROUP_LAG);
    for row in &rows {
        if let Some(lag) = row.lag {
            page.sample(&row.labels, lag);
        }
    }
}

fn states(page: &mut Page, shards: &[&ShardSnapshot]) {
    let mut states: BTreeMap<(&Str, &Str), usize> = BTreeMap::new();
    for ((kind, state), count) in shards.iter().flat_map(|shard| &shard.groups.states) {
        *states.entry((kind, state)).or_default() += count;
    }
    page.family(&f::GROUPS);
    for ((kind, state), count) in states {
        page.sample(&labels(&[("type", kind), ("state", state)]), count);
    }
}

/// Those that have room, in their order, and how many have not: a group is told of whole, or not at all,
/// so that sums over its partitions are right.
fn fitting<'a>(
    groups: impl Iterator<Item = &'a GroupSnapshot>,
    mut room: usize,
) -> (Vec<&'a GroupSnapshot>, usize) {
    let (mut told, mut omitted) = (Vec::new(), 0);
    for group in groups {
        match room.checked_sub(group.weight()) {
            Some(left) => {
                room = left;
                told.push(group);
            }
            None => omitted += 1,
        }
    }
    (told, omitted)
}

fn rows<'a>(group: &'a GroupSnapshot, topics: &'a Topics) -> impl Iterator<Item = Row> + 'a {
    let prefix = labels(&[("group", &group.id)]);
    group.committed.iter().flatten().map(move |(topic, partition, committed)| {
        let place: [(&str, &dyn Display); 2] = [("topic", topic), ("partition", partition)];
        let end = topics.high_watermark(topic, *partition);
        Row {
            labels: format!("{prefix},{}", labels(&place)),
            committed: *committed,
            // The end may have been looked at before the offset was committed.
            lag: end.map(|end| end.saturating_sub(*committed).max(0)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_told_of_whole_or_not_at_all() {
        let group = |id: &str, offsets: i32| GroupSnapshot {
            id: id.into(),
            members: 0,
            committed: vec![(0..offsets).map(|index| ("t".into(), index, 5)).collect()],
        };
        let groups = [group("a", 3), group("b", 5), group("c", 1)];
        let told = |room| {
            let (told, omitted) = fitting(groups.iter(), room);
            (told.iter().map(|group| group.id.to_string()).collect::<String>(), omitted)
        };
        assert_eq!(told(12), ("abc".to_owned(), 0));
        assert_eq!(told(11), ("ab".to_owned(), 1));
        assert_eq!(told(9), ("ac".to_owned(), 1));
        assert_eq!(told(0), (String::new(), 3));
    }
}
