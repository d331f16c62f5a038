//! Input in portions, so that a decompressor which finds nothing to yield can't go on for ever.

use std::io::{self, BufRead, Read};

/// Compressed bytes handed out in one portion. Few, as some cost much: a thousand Deflate blocks
/// that yield nothing, each with a code of its own, take a millisecond.
const PORTION_BYTES: usize = 16 << 10;

/// A reader that refuses to hand out more than a portion: then it is
/// [`io::ErrorKind::WouldBlock`] until [`Metered::refill`].
pub(super) struct Metered<R> {
    input: R,
    left: usize,
}

impl<R: BufRead> Metered<R> {
    pub(super) fn new(input: R) -> Self {
        Metered { input, left: PORTION_BYTES }
    }

    /// Allows another portion.
    pub(super) fn refill(&mut self) {
        self.left = PORTION_BYTES;
    }

    /// True if there is nothing more to hand out, in no portion.
    pub(super) fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(self.input.fill_buf()?.is_empty())
    }
}

impl<R: BufRead> BufRead for Metered<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let bytes = self.input.fill_buf()?;
        if self.left == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(&bytes[..bytes.len().min(self.left)])
    }

    fn consume(&mut self, count: usize) {
        self.left -= count;
        self.input.consume(count);
    }
}

impl<R: BufRead> Read for Metered<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buf.len());
        buf[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}
