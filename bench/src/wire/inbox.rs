//! Frames out of a byte stream.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Room for one read, bytes: little at first, for there may be very many connections of small
/// frames; more each time that it did not suffice.
const READ_BYTES_MIN: usize = 4 << 10;
const READ_BYTES_MAX: usize = 256 << 10;

/// Bytes of the length before every frame.
const PREFIX_BYTES: usize = 4;

/// Why a stream is no sequence of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A length that no frame has, or one above the limit.
    #[error("a frame of {length} bytes, at most {max_bytes} are taken")]
    Length {
        /// The length claimed.
        length: i32,
        /// The limit in force, bytes.
        max_bytes: usize,
    },
    /// A frame too short for what every frame begins with.
    #[error("a frame of {length} bytes is too short")]
    Short {
        /// Its length.
        length: usize,
    },
}

/// What came of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// So many bytes.
    Bytes(usize),
    /// Nothing for now.
    WouldBlock,
    /// The peer has closed its side.
    End,
}

/// What was read of a socket and not yet taken. Its memory grows as bytes come, never because a
/// frame claims them, and is used again once frames taken from it are dropped.
pub(crate) struct Inbox {
    buf: BytesMut,
    read_bytes: usize,
    frame_bytes_max: usize,
}

impl Inbox {
    /// Takes frames of at most `frame_bytes_max` bytes.
    pub(crate) fn new(frame_bytes_max: usize) -> Inbox {
        Inbox { buf: BytesMut::new(), read_bytes: READ_BYTES_MIN, frame_bytes_max }
    }

    /// Reads once.
    pub(crate) fn fill(&mut self, socket: impl AsFd) -> io::Result<Filled> {
        if self.buf.capacity() - self.buf.len() < self.read_bytes / 4 {
            self.buf.reserve(self.read_bytes);
        }
        let room = self.buf.spare_capacity_mut();
        let room_bytes = room.len();
        match rustix::io::read(socket, room) {
            Ok((read, _)) => {
                let read_bytes = read.len();
                // SAFETY: the kernel has just written `read_bytes` bytes at the start of the spare
                // capacity. Zeroing it before each read would be one more pass over the bytes.
                unsafe { self.buf.advance_mut(read_bytes) };
                if read_bytes == room_bytes {
                    self.read_bytes = (self.read_bytes * 4).min(READ_BYTES_MAX);
                }
                Ok(if read_bytes == 0 { Filled::End } else { Filled::Bytes(read_bytes) })
            }
            Err(errno) => match io::Error::from(errno) {
                error if error.kind() == ErrorKind::WouldBlock => Ok(Filled::WouldBlock),
                error if error.kind() == ErrorKind::Interrupted => Ok(Filled::Bytes(0)),
                error => Err(error),
            },
        }
    }

    /// The next whole frame without its length; `None` if it is not all there.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Ok(length) = (&self.buf[..]).try_get_i32() else { return Ok(None) };
        let max_bytes = self.frame_bytes_max;
        let len = usize::try_from(length)
            .ok()
            .filter(|len| *len <= max_bytes)
            .ok_or(FrameError::Length { length, max_bytes })?;
        if self.buf.len() < PREFIX_BYTES + len {
            return Ok(None);
        }
        self.buf.advance(PREFIX_BYTES);
        Ok(Some(self.buf.split_to(len).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::{Filled, FrameError, Inbox};

    fn pair() -> (UnixStream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (ours, theirs)
    }

    #[test]
    fn frames_come_out_however_the_stream_is_cut() {
        let (ours, mut theirs) = pair();
        let mut inbox = Inbox::new(1000);
        assert_eq!(inbox.fill(&ours).unwrap(), Filled::WouldBlock);
        let stream = [&[0, 0, 0, 3][..], b"one", &[0, 0, 0, 0], &[0, 0, 0, 3], b"two"].concat();
        let mut found = Vec::new();
        for byte in stream {
            theirs.write_all(&[byte]).unwrap();
            assert_eq!(inbox.fill(&ours).unwrap(), Filled::Bytes(1));
            while let Some(frame) = inbox.next_frame().unwrap() {
                found.push(frame);
            }
        }
        assert_eq!(found, [&b"one"[..], b"", b"two"]);
        drop(theirs);
        assert_eq!(inbox.fill(&ours).unwrap(), Filled::End);
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_its_bytes_come() {
        for (prefix, length) in [([0, 0, 3, 233], 1001), ([255; 4], -1)] {
            let (ours, mut theirs) = pair();
            let mut inbox = Inbox::new(1000);
            theirs.write_all(&prefix).unwrap();
            inbox.fill(&ours).unwrap();
            let error = inbox.next_frame().unwrap_err();
            assert_eq!(error, FrameError::Length { length, max_bytes: 1000 });
        }
    }
}
