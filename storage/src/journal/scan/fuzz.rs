//! Any bytes as a journal.

use futures_util::FutureExt;

use super::FileScan;
use crate::fuzzing::MemoryFile;
use crate::journal::format::fuzz::seal_entries;
use crate::runtime::BLOCK_BYTES;

/// A journal file: its entries are of one life and in order, each in blocks of its own, and their
/// fragments lie within it.
pub fn journal(data: &[u8]) {
    scan(data);
    let mut sealed = data.to_vec();
    seal_entries(&mut sealed);
    scan(&sealed);
}

fn scan(bytes: &[u8]) {
    let mut scan = FileScan::new(MemoryFile::new(bytes), "journal".into(), 0);
    let (mut entries, mut fragment_bytes, mut last) = (0, 0, None);
    while let Ok(Some(found)) = scan.next_entry().now_or_never().expect("reads resolve at once") {
        assert!(last.is_none_or(|last| last < found.numbers.sequence));
        last = Some(found.numbers.sequence);
        entries += 1;
        fragment_bytes += found.fragments.iter().map(|(_, f)| f.bytes.len()).sum::<usize>();
    }
    assert!(entries <= bytes.len().div_ceil(BLOCK_BYTES));
    assert!(fragment_bytes <= bytes.len());
}

/// A journal of three entries.
#[cfg(test)]
pub(crate) fn example() -> Vec<u8> {
    use crate::ids::{PartitionId, TopicId};
    use crate::journal::format::{EntryBuilder, EntryNumbers, FragmentPlace, Incarnation};

    let mut bytes = Vec::new();
    for sequence in 1..=3 {
        let mut builder = EntryBuilder::new();
        for (index, length) in [(0, 70), (1, 0), (2, 1500 * sequence as usize)] {
            let partition = PartitionId { topic_id: TopicId([9; 16]), index };
            let place = FragmentPlace { partition, segment_base: 5, position: 4096 * sequence };
            builder.push(place, length, [&vec![7; length][..]].into_iter());
        }
        let numbers = EntryNumbers { shard: 1, sequence, flushed: sequence - 1, released: 0 };
        let entry = builder.finish(Incarnation { start_epoch: 3, life: 4 }, numbers);
        bytes.extend_from_slice(entry.as_bytes());
    }
    bytes
}
