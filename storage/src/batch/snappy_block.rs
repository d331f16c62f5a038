//! One raw Snappy block, decompressed a piece at a time: librdkafka makes one of a whole batch, and the
//! `snap` crate decompresses a block only as a whole.
//!
//! Format: google/snappy, `format_description.txt`: the length as a varint, then literals and copies
//! of what came before.

use std::io;

use super::compression::invalid;

/// A block under way. All that it has yielded stays in memory, for copies to refer to.
#[derive(Debug, Default)]
pub(super) struct SnappyBlock {
    compressed: Vec<u8>,
    /// Bytes of `compressed` that were read.
    at: usize,
    /// What it yields in the end, in bytes.
    length: usize,
    block: Vec<u8>,
    /// Bytes of a literal still to be copied.
    literal: usize,
}

impl SnappyBlock {
    /// Begins with `compressed`, which claims to yield `length` bytes: the caller has judged that.
    pub(super) fn new(compressed: Vec<u8>, length: usize) -> Self {
        let front = compressed.iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
        SnappyBlock { compressed, at: front, length, block: Vec::new(), literal: 0 }
    }

    /// What it has yielded by now.
    pub(super) fn block(&self) -> &[u8] {
        &self.block
    }

    /// Nothing more will come.
    pub(super) fn is_done(&self) -> bool {
        self.block.len() == self.length
    }

    /// Goes on until there are `upto` bytes, or some more, or all.
    ///
    /// # Errors
    /// What is no Snappy.
    pub(super) fn yield_upto(&mut self, upto: usize) -> io::Result<()> {
        let upto = upto.min(self.length);
        while self.block.len() < upto {
            if self.literal > 0 {
                let count = self.literal.min(upto - self.block.len());
                let from = self.at;
                self.at += count;
                let bytes = self.compressed.get(from..self.at).ok_or_else(cut_short)?;
                self.block.extend_from_slice(bytes);
                self.literal -= count;
                continue;
            }
            self.element()?;
        }
        match self.is_done() && (self.at != self.compressed.len() || self.literal > 0) {
            true => Err(invalid("a Snappy block yields more than it claims")),
            false => Ok(()),
        }
    }

    /// Begins a literal, or makes a copy.
    fn element(&mut self) -> io::Result<()> {
        let tag = self.number(1)?;
        let (count, distance) = match tag & 3 {
            0 => {
                let short = tag >> 2;
                let count = if short < 60 { short } else { self.number(short - 59)? };
                self.literal = count + 1;
                (self.literal, None)
            }
            1 => (4 + (tag >> 2 & 7), Some((tag & 0xe0) << 3 | self.number(1)?)),
            2 => (1 + (tag >> 2), Some(self.number(2)?)),
            _ => (1 + (tag >> 2), Some(self.number(4)?)),
        };
        if count > self.length - self.block.len() {
            return Err(invalid("a Snappy block yields more than it claims"));
        }
        match distance {
            None => Ok(()),
            Some(distance) => self.copy(distance, count),
        }
    }

    fn copy(&mut self, distance: usize, count: usize) -> io::Result<()> {
        let from = self.block.len().checked_sub(distance).filter(|_| distance > 0);
        let from = from.ok_or_else(|| invalid("a Snappy block refers to before its beginning"))?;
        let end = self.block.len() + count;
        while self.block.len() < end {
            // What is copied may be what this copy has made.
            let count = (end - self.block.len()).min(self.block.len() - from);
            self.block.extend_from_within(from..from + count);
        }
        Ok(())
    }

    /// The next `bytes` (at most 4), lowest first.
    fn number(&mut self, bytes: usize) -> io::Result<usize> {
        let from = self.at;
        self.at += bytes;
        let bytes = self.compressed.get(from..self.at).ok_or_else(cut_short)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }
}

fn cut_short() -> io::Error {
    invalid("a Snappy block is cut short")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decompress(compressed: &[u8], step: usize) -> io::Result<Vec<u8>> {
        let length = snap::raw::decompress_len(compressed)?;
        let mut block = SnappyBlock::new(compressed.to_vec(), length);
        while !block.is_done() {
            let before = block.block().len();
            block.yield_upto(before + step)?;
            assert!(block.block().len() > before && block.block().len() <= length);
        }
        block.yield_upto(usize::MAX)?;
        Ok(block.block().to_vec())
    }

    /// Bytes with repetitions, near and far.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let part = (proptest::collection::vec(any::<u8>(), 1..40), 1usize..300);
        proptest::collection::vec(part, 0..60).prop_map(|parts| {
            parts.into_iter().flat_map(|(part, times)| part.repeat(times)).collect()
        })
    }

    proptest! {
        #[test]
        fn it_yields_what_was_compressed(bytes in bytes(), step in 1usize..100_000) {
            let compressed = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
            prop_assert_eq!(decompress(&compressed, step).unwrap(), bytes);
        }

        #[test]
        fn it_agrees_with_snap_about_damage(
            bytes in bytes(), at in any::<proptest::sample::Index>(), flip in 1u8..,
        ) {
            let mut compressed = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
            let at = at.index(compressed.len());
            compressed[at] ^= flip;
            let claimed = snap::raw::decompress_len(&compressed).unwrap_or(usize::MAX);
            prop_assume!(claimed < 1 << 20);
            let expected = snap::raw::Decoder::new().decompress_vec(&compressed).ok();
            prop_assert_eq!(decompress(&compressed, 1_000).ok(), expected);
        }
    }
}
