//! Any bytes as a journal.

use futures_util::FutureExt;

use super::{FileScan, StreamEntries, missing_entries};
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
    let (mut stream, mut noted) = (None, StreamEntries::default());
    while let Ok(Some(found)) = scan.next_entry().now_or_never().expect("reads resolve at once") {
        assert!(last.is_none_or(|last| last < found.numbers.sequence));
        last = Some(found.numbers.sequence);
        entries += 1;
        stream = Some(found.stream);
        noted.note(&found.numbers);
        fragment_bytes += found.fragments.iter().map(|(_, f)| f.bytes.len()).sum::<usize>();
    }
    let faults = stream.map_or(0, |stream| missing_entries(stream, &noted).len());
    assert!(faults <= entries);
    assert!(entries <= bytes.len().div_ceil(BLOCK_BYTES));
    assert!(fragment_bytes <= bytes.len());
}

/// A journal of three entries, their sequences given.
#[cfg(test)]
pub(crate) fn example(sequences: [u64; 3]) -> Vec<u8> {
    use crate::ids::{PartitionId, TopicId};
    use crate::journal::format::{EntryBuilder, EntryNumbers, FragmentPlace, Incarnation};

    let mut bytes = Vec::new();
    for (place, sequence) in (1..).zip(sequences) {
        let mut builder = EntryBuilder::new();
        for (index, length) in [(0, 70), (1, 0), (2, 1500 * place as usize)] {
            let partition = PartitionId { topic_id: TopicId([9; 16]), index };
            let fragment = FragmentPlace { partition, segment_base: 5, position: 4096 * place };
            builder.push(fragment, length, [&vec![7; length][..]].into_iter());
        }
        let numbers = EntryNumbers { shard: 1, sequence, flushed: sequence - 1, released: 0 };
        let entry = builder.finish(Incarnation { start_epoch: 3, life: 4 }, numbers);
        bytes.extend_from_slice(entry.as_bytes());
    }
    bytes
}
