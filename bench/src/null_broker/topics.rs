//! What the null broker knows of topics, and the last batches it was given.

use std::collections::{HashMap, VecDeque};

use bytes::{Bytes, BytesMut};
use corelane_net::codec::{Records, Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_storage::batch::{BatchHeader, HEADER_BYTES};
use zerocopy::IntoBytes;

/// Most partitions of all topics together.
const PARTITIONS_MAX: usize = 100_000;

/// Counted for each kept batch beside its bytes, so that tiny ones are bounded too.
const BATCH_OVERHEAD_BYTES: usize = 128;

/// A topic.
pub(super) struct Topic {
    pub(super) name: Str,
    pub(super) partitions: Vec<Partition>,
}

/// A partition: its end, and its newest batches.
#[derive(Default)]
pub(super) struct Partition {
    next_offset: i64,
    kept: VecDeque<Kept>,
}

struct Kept {
    /// The offset after its last record.
    end_offset: i64,
    bytes: Bytes,
}

impl Partition {
    /// The first offset that can still be read.
    pub(super) fn start_offset(&self) -> i64 {
        match self.kept.front().map(|kept| BatchHeader::read(&kept.bytes)) {
            Some(Ok(header)) => header.base_offset(),
            _ => self.next_offset,
        }
    }

    /// The offset that the next record gets.
    pub(super) fn end_offset(&self) -> i64 {
        self.next_offset
    }

    /// Whole batches from the one that holds `offset`, at most `max_bytes`; with `is_first` the
    /// first of them even if it is larger.
    pub(super) fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        is_first: bool,
    ) -> Result<Records, ErrorCode> {
        if !(self.start_offset()..=self.next_offset).contains(&offset) {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        let first = self.kept.partition_point(|kept| kept.end_offset <= offset);
        let mut records = Records::new();
        for kept in self.kept.range(first..) {
            let is_excused = is_first && records.is_empty();
            if !is_excused && records.len_bytes() + kept.bytes.len() > max_bytes {
                break;
            }
            records.push(kept.bytes.clone());
        }
        Ok(records)
    }
}

/// All topics. What is kept of batches is bounded: the oldest of all partitions goes first.
pub(super) struct Topics {
    topics: HashMap<Uuid, Topic>,
    ids: HashMap<Str, Uuid>,
    next_id: u64,
    partitions: usize,
    /// The partition of each kept batch, oldest first; topics may be gone meanwhile.
    order: VecDeque<(Uuid, usize)>,
    kept_bytes: usize,
    kept_bytes_max: usize,
}

impl Topics {
    /// No topics; keeps at most `kept_bytes_max` bytes of batches, with 0 none at all.
    pub(super) fn new(kept_bytes_max: usize) -> Topics {
        Topics {
            topics: HashMap::new(),
            ids: HashMap::new(),
            next_id: 1,
            partitions: 0,
            order: VecDeque::new(),
            kept_bytes: 0,
            kept_bytes_max,
        }
    }

    /// All topics.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Uuid, &Topic)> {
        self.topics.iter().map(|(id, topic)| (*id, topic))
    }

    /// The topic of this id, or if that is zero of this name.
    pub(super) fn find(&self, id: Uuid, name: &str) -> Option<Uuid> {
        if id == Uuid::ZERO {
            return self.ids.get(name).copied();
        }
        self.topics.contains_key(&id).then_some(id)
    }

    /// The topic of an id that [`Topics::find`] has found.
    pub(super) fn topic(&self, id: Uuid) -> Option<&Topic> {
        self.topics.get(&id)
    }

    /// Makes a topic.
    ///
    /// # Errors
    /// The protocol's, for a name that exists and a number of partitions that is none or too many.
    pub(super) fn create(&mut self, name: &Str, partitions: i32) -> Result<Uuid, ErrorCode> {
        if self.ids.contains_key(name.as_str()) {
            return Err(ErrorCode::TopicAlreadyExists);
        }
        if name.is_empty() || name.len() > 249 {
            return Err(ErrorCode::InvalidTopicException);
        }
        let partitions = if partitions == -1 { 1 } else { partitions };
        let count = usize::try_from(partitions).map_err(|_| ErrorCode::InvalidPartitions)?;
        if count == 0 || count > PARTITIONS_MAX - self.partitions {
            return Err(ErrorCode::InvalidPartitions);
        }
        let mut id = [0; 16];
        id[8..].copy_from_slice(&self.next_id.to_be_bytes());
        let (id, name) = (Uuid(id), name.detached());
        self.next_id += 1;
        self.partitions += count;
        self.ids.insert(name.clone(), id);
        let partitions = (0..count).map(|_| Partition::default()).collect();
        self.topics.insert(id, Topic { name, partitions });
        Ok(id)
    }

    /// Forgets a topic; false if there is none.
    pub(super) fn delete(&mut self, id: Uuid) -> bool {
        let Some(topic) = self.topics.remove(&id) else { return false };
        self.ids.remove(topic.name.as_str());
        self.partitions -= topic.partitions.len();
        let kept = topic.partitions.iter().flat_map(|partition| &partition.kept);
        self.kept_bytes -= kept.map(|kept| cost_bytes(&kept.bytes)).sum::<usize>();
        true
    }

    /// Takes one batch whose header is `header`: numbers its records and keeps a copy. Returns the
    /// offset of its first record.
    pub(super) fn append(
        &mut self,
        id: Uuid,
        index: i32,
        mut header: BatchHeader,
        batch: &[u8],
    ) -> Result<i64, ErrorCode> {
        let partition = self
            .topics
            .get_mut(&id)
            .and_then(|topic| topic.partitions.get_mut(usize::try_from(index).ok()?));
        let Some(partition) = partition else { return Err(ErrorCode::UnknownTopicOrPartition) };
        let base_offset = partition.next_offset;
        partition.next_offset += i64::from(header.last_offset_delta()) + 1;
        if self.kept_bytes_max == 0 {
            return Ok(base_offset);
        }
        header.stamp(base_offset, 0);
        let mut copy = BytesMut::with_capacity(batch.len());
        copy.extend_from_slice(header.as_bytes());
        copy.extend_from_slice(&batch[HEADER_BYTES..]);
        let kept = Kept { end_offset: partition.next_offset, bytes: copy.freeze() };
        self.kept_bytes += cost_bytes(&kept.bytes);
        partition.kept.push_back(kept);
        self.order.push_back((id, index as usize));
        self.forget_oldest();
        Ok(base_offset)
    }

    fn forget_oldest(&mut self) {
        while self.kept_bytes > self.kept_bytes_max || self.order.len() > self.batches_max() {
            let Some((id, index)) = self.order.pop_front() else { return };
            let Some(topic) = self.topics.get_mut(&id) else { continue };
            if let Some(kept) = topic.partitions[index].kept.pop_front() {
                self.kept_bytes -= cost_bytes(&kept.bytes);
            }
        }
    }

    /// Entries of deleted topics stay in the order for a while: they must be bounded as well.
    fn batches_max(&self) -> usize {
        2 * self.kept_bytes_max / (HEADER_BYTES + BATCH_OVERHEAD_BYTES) + 1
    }
}

fn cost_bytes(batch: &Bytes) -> usize {
    batch.len() + BATCH_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use corelane_net::codec::{Str, Uuid};
    use corelane_net::error_code::ErrorCode;
    use corelane_storage::batch::{BatchBuilder, BatchHeader};

    use super::{PARTITIONS_MAX, Topics};

    fn append(topics: &mut Topics, id: Uuid, index: i32, records: usize) -> Result<i64, ErrorCode> {
        let builder = (0..records).fold(BatchBuilder::new(), |b, _| b.value(1, vec![7; 1000]));
        let batch = builder.build();
        let header = *BatchHeader::read(&batch).unwrap();
        topics.append(id, index, header, &batch)
    }

    #[test]
    fn offsets_are_dense_and_batches_are_found_by_any_offset_in_them() {
        let mut topics = Topics::new(1 << 20);
        let id = topics.create(&"t".into(), 2).unwrap();
        for n in 0..5 {
            assert_eq!(append(&mut topics, id, 1, 3), Ok(3 * n));
        }
        let partition = &topics.topic(id).unwrap().partitions[1];
        assert_eq!((partition.start_offset(), partition.end_offset()), (0, 15));
        let read = |offset, max_bytes| {
            let records = partition.read(offset, max_bytes, true)?;
            let first = records.parts().first().map(|part| BatchHeader::read(part).unwrap());
            Ok((records.parts().len(), first.map(|header| header.base_offset())))
        };
        assert_eq!(read(4, 1), Ok((1, Some(3))));
        assert_eq!(read(4, 1 << 20), Ok((4, Some(3))));
        assert_eq!(partition.read(4, 1, false), Ok(Default::default()));
        assert_eq!(read(15, 1 << 20), Ok((0, None)));
        assert_eq!(read(16, 1), Err(ErrorCode::OffsetOutOfRange));
        assert_eq!(read(-1, 1), Err(ErrorCode::OffsetOutOfRange));
        let other = append(&mut topics, id, 2, 1);
        assert_eq!(other, Err(ErrorCode::UnknownTopicOrPartition));
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_goes_first() {
        let mut topics = Topics::new(10_000);
        let a = topics.create(&"a".into(), 1).unwrap();
        let b = topics.create(&"b".into(), 1).unwrap();
        for _ in 0..20 {
            append(&mut topics, a, 0, 1).unwrap();
            append(&mut topics, b, 0, 1).unwrap();
            assert!(topics.kept_bytes <= 10_000);
        }
        let partition = &topics.topic(a).unwrap().partitions[0];
        assert!((14..20).contains(&partition.start_offset()), "{}", partition.start_offset());
        assert!(topics.delete(a) && topics.delete(b) && !topics.delete(a));
        assert_eq!((topics.kept_bytes, topics.partitions), (0, 0));
        // What is left of the deleted ones does not add up.
        for n in 0..1000 {
            let id = topics.create(&Str::from(format!("t{n}")), 1).unwrap();
            append(&mut topics, id, 0, 1).unwrap();
            topics.delete(id);
        }
        assert!(topics.order.len() <= topics.batches_max(), "{}", topics.order.len());
    }

    #[test]
    fn topics_that_cannot_be_are_refused() {
        let mut topics = Topics::new(0);
        topics.create(&"t".into(), 3).unwrap();
        for (name, partitions, error) in [
            ("t", 3, ErrorCode::TopicAlreadyExists),
            ("", 1, ErrorCode::InvalidTopicException),
            ("u", 0, ErrorCode::InvalidPartitions),
            ("u", -2, ErrorCode::InvalidPartitions),
            ("u", PARTITIONS_MAX as i32 - 2, ErrorCode::InvalidPartitions),
        ] {
            assert_eq!(topics.create(&name.into(), partitions), Err(error), "{name} {partitions}");
        }
    }
}
