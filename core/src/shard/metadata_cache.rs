//! Encoded answers to Metadata, kept for as long as the catalog does not change: clients ask again and again
//! for the same topics.

use std::collections::VecDeque;

use corelane_net::messages::{EncodedResponse, MetadataRequest, MetadataRequestTopic};

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
}

struct Entry {
    version: i16,
    request: MetadataRequest,
    response: EncodedResponse,
    bytes: usize,
}

impl MetadataCache {
    /// The answer to `request` in this version, if it is at hand.
    pub fn get(&mut self, request: &MetadataRequest, version: i16) -> Option<EncodedResponse> {
        let asked = |entry: &Entry| entry.version == version && entry.request == *request;
        let place = self.entries.iter().position(asked)?;
        let entry = self.entries.remove(place)?;
        let response = entry.response.clone();
        self.entries.push_front(entry);
        Some(response)
    }

    /// Keeps an answer, unless it is too large.
    pub fn put(&mut self, request: &MetadataRequest, version: i16, response: &EncodedResponse) {
        let bytes = request_bytes(request) + response.len_bytes();
        if bytes > BYTES_MAX {
            return;
        }
        while self.bytes + bytes > BYTES_MAX || self.entries.len() == ENTRIES_MAX {
            let Some(oldest) = self.entries.pop_back() else { break };
            self.bytes -= oldest.bytes;
        }
        self.bytes += bytes;
        let (request, response) = (detached(request), response.clone());
        self.entries.push_front(Entry { version, request, response, bytes });
    }

    /// Forgets them all: the catalog has changed.
    pub fn clear(&mut self) {
        *self = MetadataCache::default();
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

    fn asking_for(name: &str) -> MetadataRequest {
        let topic = MetadataRequestTopic { name: Some(Str::from(name)), ..Default::default() };
        MetadataRequest { topics: Some(vec![topic]), ..Default::default() }
    }

    fn answer(topics: usize, version: i16) -> EncodedResponse {
        let topic = MetadataResponseTopic { name: Some(Str::EMPTY), ..Default::default() };
        let response = MetadataResponse { topics: vec![topic; topics], ..Default::default() };
        EncodedResponse::new(&Response::from(response), version).unwrap()
    }

    #[test]
    fn an_answer_is_found_by_request_and_version() {
        let mut cache = MetadataCache::default();
        cache.put(&asking_for("a"), 9, &answer(1, 9));
        assert_eq!(cache.get(&asking_for("a"), 9), Some(answer(1, 9)));
        assert_eq!(cache.get(&asking_for("a"), 8), None);
        assert_eq!(cache.get(&asking_for("b"), 9), None);
        cache.clear();
        assert_eq!(cache.get(&asking_for("a"), 9), None);
    }

    #[test]
    fn the_one_used_longest_ago_goes_first() {
        let mut cache = MetadataCache::default();
        for number in 0..ENTRIES_MAX {
            cache.put(&asking_for(&number.to_string()), 9, &answer(1, 9));
        }
        assert!(cache.get(&asking_for("0"), 9).is_some());
        cache.put(&asking_for("one more"), 9, &answer(1, 9));
        assert!(cache.get(&asking_for("0"), 9).is_some());
        assert!(cache.get(&asking_for("1"), 9).is_none());
    }

    #[test]
    fn its_bytes_are_bounded() {
        let mut cache = MetadataCache::default();
        let half = answer(BYTES_MAX / 2 / 30, 12);
        for number in 0..5 {
            cache.put(&asking_for(&number.to_string()), 12, &half);
            assert!(cache.bytes <= BYTES_MAX);
        }
        assert!(cache.entries.len() >= 2, "{} of {} bytes", cache.entries.len(), half.len_bytes());
        let before = cache.entries.len();
        cache.put(&asking_for("huge"), 12, &answer(BYTES_MAX / 4, 12));
        assert_eq!(cache.entries.len(), before, "what is too large pushes nobody out");
    }
}
