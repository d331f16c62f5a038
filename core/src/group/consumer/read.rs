//! What the members of a group want to read, and what of it there is.
//!
//! Most members of a group want the same, so a wish is kept once however many have it, and what all
//! wishes come to is worked out once for each version of the topics: a group of thousands of members that read
//! thousands of topics takes no more of a step than one with a few members.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use corelane_net::codec::Str;
use corelane_net::group_records::ConsumerMemberValue;

use super::super::rules::PARTITIONS_MAX;
use super::super::topics::{TopicFacts, Topics};
use super::ConsumerGroup;
use super::assignor::AskedTopic;
use super::member::pattern_of;

/// What a member wants to read.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Wish {
    /// Names of topics, sorted.
    names: Vec<Str>,
    pattern: Option<Str>,
}

impl Wish {
    pub fn of(value: &ConsumerMemberValue) -> Wish {
        Wish { names: value.subscribed_topic_names.clone(), pattern: pattern_of(value).cloned() }
    }
}

/// The wishes of a group's members, and how many have each.
#[derive(Debug, Default)]
pub(super) struct Wishes(HashMap<Arc<Wish>, usize>);

impl Wishes {
    /// One more member has this wish; and whether it is the first.
    pub fn add(&mut self, wish: Wish) -> (Arc<Wish>, bool) {
        if let Some((known, _)) = self.0.get_key_value(&wish) {
            let known = known.clone();
            self.0.entry(known.clone()).and_modify(|count| *count += 1);
            return (known, false);
        }
        let wish = Arc::new(wish);
        self.0.insert(wish.clone(), 1);
        (wish, true)
    }

    /// One member less has this wish; true if it was the last.
    pub fn remove(&mut self, wish: &Arc<Wish>) -> bool {
        let Some(count) = self.0.get_mut(wish) else { return false };
        *count -= 1;
        let is_last = *count == 0;
        if is_last {
            self.0.remove(wish);
        }
        is_last
    }

    /// The patterns in them.
    pub fn patterns(&self) -> impl Iterator<Item = &Str> {
        self.0.keys().filter_map(|wish| wish.pattern.as_ref())
    }
}

/// The topics that members read and that there are, in one version of the topics.
#[derive(Debug)]
pub(super) struct Read {
    version: u64,
    /// Of what they are like.
    pub hash: i64,
    /// By id.
    pub topics: Vec<AskedTopic>,
    /// What each wish comes to: places in `topics`, ascending.
    places: HashMap<Arc<Wish>, Arc<[usize]>>,
}

impl Read {
    /// What this wish comes to: places in `topics`, ascending.
    pub fn places(&self, wish: &Arc<Wish>) -> Arc<[usize]> {
        self.places.get(wish).cloned().unwrap_or_default()
    }
}

impl ConsumerGroup {
    /// What the group reads.
    pub(super) fn read(&mut self, topics: &dyn Topics) -> Arc<Read> {
        let known = self.read.take().filter(|read| read.version == topics.version());
        let read = known.unwrap_or_else(|| Arc::new(self.read_anew(topics)));
        self.read = Some(read.clone());
        read
    }

    fn read_anew(&self, topics: &dyn Topics) -> Read {
        let wishes = || self.wishes.0.keys();
        let matched = self.patterns.values().flat_map(|matches| &matches.topics);
        let mut read = facts(wishes().flat_map(|wish| &wish.names).chain(matched), topics);
        // Topics that have grown, or match a pattern: as many as one record can say are read.
        let mut count = partition_count(&read);
        while count > PARTITIONS_MAX {
            let Some((left_out, facts)) = read.pop_last() else { break };
            count -= i64::from(facts.partitions);
            tracing::warn!(group = %self.id, %left_out, "a group reads at most {PARTITIONS_MAX} partitions");
        }
        let mut by_id: Vec<AskedTopic> = read
            .values()
            .map(|facts| AskedTopic { id: facts.id, partitions: facts.partitions })
            .collect();
        by_id.sort_unstable_by_key(|topic| topic.id);
        let place = |name: &Str| {
            let facts = read.get(name)?;
            by_id.binary_search_by_key(&facts.id, |topic| topic.id).ok()
        };
        let places = |wish: &Arc<Wish>| {
            let matches = wish.pattern.as_ref().and_then(|pattern| self.patterns.get(pattern));
            let matched = matches.into_iter().flat_map(|matches| &matches.topics);
            let mut places: Vec<usize> =
                wish.names.iter().chain(matched).filter_map(place).collect();
            places.sort_unstable();
            places.dedup();
            (wish.clone(), places.into())
        };
        let places = wishes().map(places).collect();
        Read { version: topics.version(), hash: metadata_hash(&read), topics: by_id, places }
    }
}

/// Topics of these names, those that there are.
pub(super) fn facts<'a>(
    names: impl Iterator<Item = &'a Str>,
    topics: &dyn Topics,
) -> BTreeMap<Str, TopicFacts> {
    names.filter_map(|name| Some((name.clone(), topics.facts(name)?))).collect()
}

/// Partitions of these topics.
pub(super) fn partition_count(read: &BTreeMap<Str, TopicFacts>) -> i64 {
    read.values().map(|facts| i64::from(facts.partitions)).sum()
}

/// FNV-1a over what topics are like. Kafka's is another one; who reads a foreign log shares out once more.
fn metadata_hash(read: &BTreeMap<Str, TopicFacts>) -> i64 {
    if read.is_empty() {
        return 0;
    }
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    for (name, facts) in read {
        add(name.as_bytes());
        add(&facts.id.0);
        add(&facts.partitions.to_be_bytes());
    }
    hash.cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(names: &[&str], pattern: Option<&str>) -> Wish {
        Wish {
            names: names.iter().copied().map(Str::from).collect(),
            pattern: pattern.map(Str::from),
        }
    }

    #[test]
    fn a_wish_is_there_once_and_as_long_as_somebody_has_it() {
        let mut wishes = Wishes::default();
        let (first, is_new) = wishes.add(wish(&["a", "b"], None));
        assert!(is_new);
        let (second, is_new) = wishes.add(wish(&["a", "b"], None));
        assert!(!is_new && Arc::ptr_eq(&first, &second));
        let (other, is_new) = wishes.add(wish(&["a", "b"], Some("a.*")));
        assert!(is_new);
        assert_eq!(wishes.patterns().collect::<Vec<_>>(), [&Str::from("a.*")]);
        assert!(!wishes.remove(&first) && wishes.remove(&second) && !wishes.remove(&second));
        assert!(wishes.remove(&other) && wishes.0.is_empty());
    }
}
