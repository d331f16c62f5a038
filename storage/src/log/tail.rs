//! The newest bytes of a segment, in memory: what is not in the file yet, and a cache of what is.

use std::collections::VecDeque;

use crate::batch::{BatchHeader, HEADER_BYTES};
use crate::buffer::{AlignedBuf, AlignedSlice};
use crate::runtime::{BLOCK_BYTES, block_floor};

/// Largest chunk: also the largest single write to a segment.
pub(crate) const CHUNK_BYTES_MAX: usize = 512 << 10;

/// Where a batch begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BatchPlace {
    pub position: u64,
    pub offset: i64,
}

#[derive(Debug)]
struct Chunk {
    buf: AlignedBuf,
    /// Segment position of its first byte; on a block boundary.
    start: u64,
    /// Bytes that count; the rest was carried over into the next chunk.
    end: u64,
    first_batch: Option<BatchPlace>,
}

/// The end of a batch, copied before the batch is appended.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    /// Where in the batch, its header included, the bytes of the chunks begin.
    pub from: usize,
    /// Full ones, but for the last.
    pub chunks: Vec<AlignedBuf>,
}

/// Chunks that cover `[start, end)` of a segment without gaps.
#[derive(Debug)]
pub(crate) struct Tail {
    chunks: VecDeque<Chunk>,
    end: u64,
    next_chunk_bytes: usize,
}

impl Tail {
    /// An empty tail that goes on at `end`; `carried` are the bytes of its partial block.
    pub(crate) fn new(end: u64, carried: &[u8]) -> Tail {
        let mut tail = Tail {
            chunks: VecDeque::new(),
            end: end - carried.len() as u64,
            next_chunk_bytes: BLOCK_BYTES,
        };
        assert!(carried.is_empty() || tail.end == block_floor(end));
        tail.put(carried);
        tail
    }

    /// Appends one batch, given in two pieces, in chunks of `chunk_bytes_max` at most, or as large as
    /// the batch; returns the bytes of memory newly taken. What was copied before must be of this batch.
    pub(crate) fn append(
        &mut self,
        offset: i64,
        [header, rest]: [&[u8]; 2],
        copied: Copied,
        chunk_bytes_max: usize,
    ) -> usize {
        // The tail may have become another one meanwhile: then all is copied now.
        let fits = !copied.chunks.is_empty() && copied.from == self.copied_from();
        let here_bytes = if fits { copied.from - header.len() } else { rest.len() };
        self.next_chunk_bytes = self.next_chunk_bytes.min(chunk_bytes_max);
        let before = self.held_bytes_of_last();
        let chunks_before = self.chunks.len();
        self.reserve(header.len() + rest.len());
        let place = BatchPlace { position: self.end, offset };
        let chunk = self.chunks.back_mut().expect("just reserved");
        chunk.first_batch.get_or_insert(place);
        self.put(header);
        self.put(&rest[..here_bytes]);
        if fits {
            copied.chunks.into_iter().for_each(|chunk| self.put_chunk(chunk));
        }
        let fresh: usize = self
            .chunks
            .iter()
            .skip(chunks_before.saturating_sub(1))
            .map(|c| c.buf.capacity())
            .sum();
        fresh - before
    }

    /// From which byte on a very large batch can be copied beforehand: it fills the last chunk, and a fresh
    /// one, which are the tail's own.
    pub(crate) fn copied_from(&self) -> usize {
        let room =
            self.chunks.back().filter(|c| c.end == self.end).map_or(0, |c| c.buf.remaining());
        room + CHUNK_BYTES_MAX
    }

    /// Takes a chunk as it is. The last one must be full.
    fn put_chunk(&mut self, buf: AlignedBuf) {
        let start = self.end;
        assert_eq!(start, block_floor(start), "a chunk begins at a block");
        self.end += buf.filled() as u64;
        self.chunks.push_back(Chunk { buf, start, end: self.end, first_batch: None });
    }

    fn held_bytes_of_last(&self) -> usize {
        self.chunks.back().map_or(0, |c| c.buf.capacity())
    }

    /// Makes sure that the last chunk has room for at least one byte.
    fn reserve(&mut self, wanted: usize) {
        if self.chunks.back().is_some_and(|c| c.buf.remaining() > 0 && c.end == self.end) {
            return;
        }
        let wanted = wanted.min(CHUNK_BYTES_MAX).next_power_of_two();
        let bytes = self.next_chunk_bytes.max(wanted);
        self.next_chunk_bytes = (self.next_chunk_bytes * 2).min(CHUNK_BYTES_MAX);
        let buf = AlignedBuf::with_capacity(bytes);
        let chunk = Chunk { buf, start: self.end, end: self.end, first_batch: None };
        self.chunks.push_back(chunk);
    }

    fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.reserve(bytes.len());
            let chunk = self.chunks.back_mut().expect("just reserved");
            let n = chunk.buf.put(bytes);
            chunk.end += n as u64;
            self.end += n as u64;
            bytes = &bytes[n..];
        }
    }

    /// First position held.
    pub(crate) fn start(&self) -> u64 {
        self.chunks.front().map_or(self.end, |c| c.start)
    }

    /// The first batch known to begin in memory.
    pub(crate) fn first_batch(&self) -> Option<BatchPlace> {
        self.chunks.iter().find_map(|c| c.first_batch)
    }

    /// The last chunk's first batch at or before `offset`: where to begin to look for it.
    pub(crate) fn floor_batch(&self, offset: i64) -> Option<BatchPlace> {
        self.chunks.iter().rev().filter_map(|c| c.first_batch).find(|b| b.offset <= offset)
    }

    /// The bytes `[from, to)`, in slices that neighbour each other.
    ///
    /// # Panics
    /// If the range is not wholly in memory.
    pub(crate) fn slices(&self, from: u64, to: u64) -> impl Iterator<Item = AlignedSlice> {
        assert!(from >= self.start() && to <= self.end, "{from}..{to} is not in memory");
        let first = self.chunks.partition_point(|c| c.end <= from);
        self.chunks.iter().skip(first).take_while(move |c| c.start < to).map(move |c| {
            let begin = from.max(c.start) - c.start;
            let end = to.min(c.end) - c.start;
            c.buf.slice(begin as usize, end as usize)
        })
    }

    /// Like [`Tail::slices`], borrowed.
    pub(crate) fn pieces(&self, from: u64, to: u64) -> impl Iterator<Item = &[u8]> {
        assert!(from >= self.start() && to <= self.end, "{from}..{to} is not in memory");
        let first = self.chunks.partition_point(|c| c.end <= from);
        self.chunks.iter().skip(first).take_while(move |c| c.start < to).map(move |c| {
            let begin = from.max(c.start) - c.start;
            let end = to.min(c.end) - c.start;
            &c.buf.as_bytes()[begin as usize..end as usize]
        })
    }

    /// The last block, padded with zeros, if the tail ends inside one: what a closed segment ends
    /// with. Nothing can be appended afterwards.
    pub(crate) fn padded_last_block(&mut self, from: u64) -> Option<AlignedSlice> {
        let chunk = self.chunks.back_mut()?;
        if chunk.end == from {
            return None;
        }
        chunk.buf.pad_to_block();
        let begin = (from - chunk.start) as usize;
        Some(chunk.buf.slice(begin, begin + BLOCK_BYTES))
    }

    /// The header of the batch at `position`, copied, as it may straddle chunks.
    pub(crate) fn header_at(&self, position: u64) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        let mut at = 0;
        for piece in self.pieces(position, position + HEADER_BYTES as u64) {
            header[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        }
        header
    }

    /// Whole size and last offset of the batch at `position`.
    pub(crate) fn batch_at(&self, position: u64) -> (u64, i64) {
        let bytes = self.header_at(position);
        let header = BatchHeader::read(&bytes).expect("batches in memory were checked");
        (header.total_bytes() as u64, header.last_offset())
    }

    /// Drops the oldest chunk if the file holds all of it; returns the bytes freed. The last chunk
    /// of a segment that is still appended to stays.
    pub(crate) fn evict_oldest(&mut self, in_segment: u64, sealed: bool) -> Option<usize> {
        let evictable = self.chunks.len() > usize::from(!sealed)
            && self.chunks.front().is_some_and(|c| c.end <= in_segment);
        if !evictable {
            return None;
        }
        self.chunks.pop_front().map(|c| c.buf.capacity())
    }

    /// Makes the next chunk a small one that begins with the partial block, so that an idle
    /// partition keeps one block; returns the bytes newly taken. All full blocks must be in the
    /// segment, and nothing may be on its way there.
    pub(crate) fn shrink(&mut self) -> usize {
        self.next_chunk_bytes = BLOCK_BYTES;
        let Some(last) = self.chunks.back() else { return 0 };
        if last.buf.capacity() <= BLOCK_BYTES {
            return 0;
        }
        let from = block_floor(self.end);
        let carried = last.buf.as_bytes()[(from - last.start) as usize..].to_vec();
        let last = self.chunks.back_mut().expect("there is one");
        last.end = from;
        let first_batch = last.first_batch.take_if(|b| b.position >= from);
        let mut buf = AlignedBuf::with_capacity(BLOCK_BYTES);
        buf.put(&carried);
        self.chunks.push_back(Chunk { buf, start: from, end: self.end, first_batch });
        BLOCK_BYTES
    }

    /// How many chunks it has.
    pub(crate) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Bytes of memory held.
    pub(crate) fn held_bytes(&self) -> usize {
        self.chunks.iter().map(|c| c.buf.capacity()).sum()
    }
}
