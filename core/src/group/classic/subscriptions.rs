//! Which topics the members read, as far as that can be known.

use std::collections::HashSet;

use bytes::Bytes;
use corelane_net::codec::Str;
use corelane_net::group_records::subscribed_topics;

use super::ClassicGroup;

/// Names that are looked at in one generation's subscriptions; beyond it is left open which topics are
/// read. Mostly all members subscribe to the same, which is looked at once.
const NAMES_MAX: usize = 10_000;
/// Names that are passed over in the search for where subscriptions end.
const PASSED_NAMES_MAX: usize = 200_000;

impl ClassicGroup {
    /// Topics that the members have subscribed to in this generation's protocol.
    pub(super) fn learn_subscriptions(&mut self) {
        self.subscribed = self.subscriptions();
    }

    fn subscriptions(&self) -> Option<HashSet<Str>> {
        if !self.is_of_consumers() {
            return None;
        }
        if self.members.is_empty() {
            return Some(HashSet::new());
        }
        let protocol = self.protocol.as_ref()?;
        let mut topics = HashSet::new();
        let (mut names, mut passed) = (NAMES_MAX, PASSED_NAMES_MAX);
        let mut before = Bytes::new();
        for member in self.members.values() {
            let metadata = member.metadata(protocol);
            let (count, list) = list_of_topics(&metadata, passed)?;
            passed -= count;
            if before == list {
                continue;
            }
            names = names.checked_sub(count)?;
            for topic in subscribed_topics(&metadata).ok()? {
                if !topics.contains(&topic) {
                    topics.insert(topic.detached());
                }
            }
            before = list;
        }
        Some(topics)
    }

    /// Whether offsets of this topic are still read; in doubt they are.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.is_of_consumers(),
        }
    }
}

/// How many topics a consumer's metadata names, and its part that does so; `None` if there are more than
/// `max`, or the metadata ends before.
fn list_of_topics(metadata: &Bytes, max: usize) -> Option<(usize, Bytes)> {
    // Behind the version: a number, and so many texts with their lengths.
    let number = metadata.get(2..6)?.try_into().ok()?;
    let count = usize::try_from(u32::from_be_bytes(number)).ok().filter(|count| *count <= max)?;
    let mut end = 6_usize;
    for _ in 0..count {
        let length = metadata.get(end..end.checked_add(2)?)?.try_into().ok()?;
        end += 2 + usize::from(u16::from_be_bytes(length));
    }
    (end <= metadata.len()).then(|| (count, metadata.slice(2..end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_where_the_topics_end() {
        let list = |bytes: &'static [u8], max| list_of_topics(&Bytes::from_static(bytes), max);
        let two = b"\0\x01\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff";
        assert_eq!(list(two, 2), Some((2, Bytes::from_static(&two[2..13]))));
        assert_eq!(list(two, 1), None);
        assert_eq!(list(&two[..12], 2), None);
        assert_eq!(list(b"\0\0\xff\xff\xff\xff", 9), None);
        assert_eq!(list(b"\0\0\0", 9), None);
        assert_eq!(list(b"\0\0\0\0\0\0", 9).unwrap().0, 0);
    }
}
