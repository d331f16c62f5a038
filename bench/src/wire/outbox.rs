//! Frames on their way to a socket.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};

use bytes::{Buf, Bytes};
use corelane_net::codec::Encoder;

/// Most slices of one write.
const SLICES_MAX: usize = 64;

/// Encoded frames that wait for room in a socket. Payloads are written from where they lie.
#[derive(Default)]
pub(crate) struct Outbox {
    encoder: Encoder,
    parts: VecDeque<Bytes>,
}

impl Outbox {
    /// Where to encode the next frames.
    pub(crate) fn encoder(&mut self) -> &mut Encoder {
        &mut self.encoder
    }

    /// True if nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.encoder.is_empty()
    }

    /// Bytes encoded since the last [`Outbox::flush`].
    pub(crate) fn fresh_bytes(&self) -> usize {
        self.encoder.len()
    }

    /// Writes what the socket takes; true if nothing is left.
    pub(crate) fn flush(&mut self, mut socket: impl Write) -> io::Result<bool> {
        if !self.encoder.is_empty() {
            self.parts.extend(self.encoder.take_memory());
        }
        while !self.parts.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = self.parts.len().min(SLICES_MAX);
            for (slice, part) in slices.iter_mut().zip(&self.parts) {
                *slice = IoSlice::new(part);
            }
            match socket.write_vectored(&slices[..count]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.advance(written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(part) = self.parts.front_mut() {
            if written < part.len() {
                return part.advance(written);
            }
            written -= part.len();
            self.parts.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, IoSlice, Write};

    use bytes::Bytes;

    use super::Outbox;

    /// Takes seven bytes at a time, and blocks every third time.
    #[derive(Default)]
    struct Narrow {
        taken: Vec<u8>,
        writes: usize,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_vectored(&[IoSlice::new(bytes)])
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            self.writes += 1;
            if self.writes.is_multiple_of(3) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let before = self.taken.len();
            self.taken.extend(slices.iter().flat_map(|slice| slice.iter()).take(7));
            Ok(self.taken.len() - before)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn all_is_written_in_order_however_little_the_socket_takes() {
        let payload = Bytes::from((0..5000).map(|n| n as u8).collect::<Vec<_>>());
        let (mut outbox, mut socket, mut expected) = (Outbox::default(), Narrow::default(), vec![]);
        for n in 0..100u8 {
            outbox.encoder().put(&[n, n]);
            outbox.encoder().put_payload(&payload);
            expected.extend([&[n, n][..], &payload].concat());
            outbox.flush(&mut socket).unwrap();
        }
        while !outbox.flush(&mut socket).unwrap() {}
        assert!(outbox.is_empty());
        assert_eq!(socket.taken, expected);
    }
}
