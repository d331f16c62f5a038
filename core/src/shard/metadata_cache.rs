//! Encoded answers to Metadata, kept for as long as the catalog does not change: clients ask again and again
//! for the same topics.

use std::collections::VecDeque;

use corelane_net::messages::{EncodedResponse, MetadataRequest, MetadataRequestTopic};

use super::ListenerId;

/// Most answers that a shard keeps.
const ENTRIES_MAX: usize = 32;

/// Most bytes that they may take.
const BYTES_MAX: usize = 8 << 20;

/// The answers given last, by what was asked.
#[derive(Default)]
pub struct MetadataCache {
    /// The one used last is in front.
    entries: VecDeque<Entry>,
    bytes: usize,
    generation: Generation,
}

/// Which state of the catalog an answer is made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generation(u64);

struct Entry {
    listener: ListenerId,
    version: i16,
    request: MetadataRequest,
    response: EncodedResponse,
    bytes: usize,
}

impl MetadataCache {
    /// The answer to `request` in this version, if it is at hand. It names the broker as those know it
    /// who came in by `listener`.
    pub fn get(
        &mut self,
        listener: ListenerId,
        request: &MetadataRequest,
        version: i16,
    ) -> Option<EncodedResponse> {
        let asked = |entry: &Entry| {
            entry.version == version && entry.listener == listener && entry.request == *request
        };
        let place = self.entries.iter().position(asked)?;
        let entry = self.entries.remove(place)?;
        let response = entry.response.clone();
        self.entries.push_front(entry);
        Some(response)
    }

    /// The catalog's state, for whoever begins an answer.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Keeps an answer that was begun in `generation`, unless it is too large, or the catalog has
    /// changed since.
    pub fn put(
        &mut self,
        generation: Generation,
        listener: ListenerId,
        request: &MetadataRequest,
        version: i16,
        response: &EncodedResponse,
    ) {
        let bytes = request_bytes(request) + response.len_bytes();
        if bytes > BYTES_MAX || generation != self.generation {
            return;
        }
        while self.bytes + bytes > BYTES_MAX || self.entries.len() == ENTRIES_MAX {
            let Some(oldest) = self.entries.pop_back() else { break };
            self.bytes -= oldest.bytes;
        }
        self.bytes += bytes;
        let (request, response) = (detached(request), response.clone());
        self.entries.push_front(Entry { listener, version, request, response, bytes });
    }

    /// Forgets them all: the catalog has changed.
    pub fn clear(&mut self) {
        let generation = Generation(self.generation.0 + 1);
        *self = MetadataCache { generation, ..MetadataCache::default() };
    }
}

fn request_bytes(request: &MetadataRequest) -> usize {
    let name_bytes = |topic: &MetadataRequestTopic| topic.name.as_ref().map_or(0, |n| n.len());
    let topics = request.topics.as_deref().unwrap_or_default();
    size_of_val(topics) + topics.iter().map(name_bytes).sum::<usize>()
}

/// The request in memory of its own: its names are slices of the frame it came in.
fn detached(request: &MetadataRequest) -> MetadataRequest {
    let mut request = request.clone();
    for topic in request.topics.iter_mut().flatten() {
        topic.name = topic.name.as_ref().map(|name| name.detached());
    }
    request
}

#[cfg(test)]
mod tests {
    use corelane_net::codec::Str;
    use corelane_net::messages::{MetadataResponse, MetadataResponseTopic, Response};

    use super::*;

    const HERE: ListenerId = ListenerId(0);

    fn asking_for(name: &str) -> MetadataRequest {
        let topic = MetadataRequestTopic { name: Some(Str::from(name)), ..Default::default() };
        MetadataRequest { topics: Some(vec![topic]), ..Default::default() }
    }

    fn answer(topics: usize, version: i16) -> EncodedResponse {
        let topic = MetadataResponseTopic { name: Some(Str::EMPTY), ..Default::default() };
        let response = MetadataResponse { topics: vec![topic; topics], ..Default::default() };
        EncodedResponse::new(&Response::from(response), version).unwrap()
    }

    fn put(
        cache: &mut MetadataCache,
        request: &MetadataRequest,
        version: i16,
        response: &EncodedResponse,
    ) {
        cache.put(cache.generation(), HERE, request, version, response);
    }

    #[test]
    fn what_was_begun_before_a_change_is_not_kept() {
        let mut cache = MetadataCache::default();
        let begun = cache.generation();
        cache.clear();
        cache.put(begun, HERE, &asking_for("a"), 9, &answer(1, 9));
        assert_eq!(cache.get(HERE, &asking_for("a"), 9), None);
        cache.put(cache.generation(), HERE, &asking_for("a"), 9, &answer(1, 9));
        assert!(cache.get(HERE, &asking_for("a"), 9).is_some());
    }

    #[test]
    fn an_answer_is_found_by_request_and_version() {
        let mut cache = MetadataCache::default();
        put(&mut cache, &asking_for("a"), 9, &answer(1, 9));
        assert_eq!(cache.get(HERE, &asking_for("a"), 9), Some(answer(1, 9)));
        assert_eq!(cache.get(HERE, &asking_for("a"), 8), None);
        assert_eq!(cache.get(HERE, &asking_for("b"), 9), None);
        assert_eq!(cache.get(ListenerId(1), &asking_for("a"), 9), None, "told another address");
        cache.clear();
        assert_eq!(cache.get(HERE, &asking_for("a"), 9), None);
    }

    #[test]
    fn the_one_used_longest_ago_goes_first() {
        let mut cache = MetadataCache::default();
        for number in 0..ENTRIES_MAX {
            put(&mut cache, &asking_for(&number.to_string()), 9, &answer(1, 9));
        }
        assert!(cache.get(HERE, &asking_for("0"), 9).is_some());
        put(&mut cache, &asking_for("one more"), 9, &answer(1, 9));
        assert!(cache.get(HERE, &asking_for("0"), 9).is_some());
        assert!(cache.get(HERE, &asking_for("1"), 9).is_none());
    }

    #[test]
    fn its_bytes_are_bounded() {
        let mut cache = MetadataCache::default();
        let half = answer(BYTES_MAX / 2 / 30, 12);
        for number in 0..5 {
            put(&mut cache, &asking_for(&number.to_string()), 12, &half);
            assert!(cache.bytes <= BYTES_MAX);
        }
        assert!(cache.entries.len() >= 2, "{} of {} bytes", cache.entries.len(), half.len_bytes());
        let before = cache.entries.len();
        put(&mut cache, &asking_for("huge"), 12, &answer(BYTES_MAX / 4, 12));
        assert_eq!(cache.entries.len(), before, "what is too large pushes nobody out");
    }
}
