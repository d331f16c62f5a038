//! Length-prefixed frames out of a byte stream.

use std::io;

use bytes::{Buf, Bytes, BytesMut};

use crate::budget::{ByteBudget, Reservation};
use crate::codec::header::REQUEST_HEADER_MIN_BYTES;
use crate::limits::Limits;
use crate::stream::Stream;

/// Bytes of the length before every frame.
const PREFIX_BYTES: usize = 4;

/// Why no further frame can be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// A length that no request has: negative, shorter than a header, or above the limit.
    #[error("frame length {length}, allowed are {REQUEST_HEADER_MIN_BYTES} to {max_bytes}")]
    Length {
        /// The length claimed.
        length: i32,
        /// The limit in force, in bytes.
        max_bytes: usize,
    },
    /// The stream ended within a frame.
    #[error("stream ended within a frame, after {received_bytes} bytes of it")]
    Truncated {
        /// Bytes of the frame that had come, its prefix included.
        received_bytes: usize,
    },
    /// The socket failed.
    #[error("reading failed: {0}")]
    Read(#[from] io::Error),
}

/// What a frame's reader is waiting for; a watchdog judges how long it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The client's next frame, of which no byte has come.
    Frame,
    /// The rest of a frame of this many bytes.
    Rest(usize),
    /// Ourselves: the budget, or the request before.
    Broker,
}

/// Cuts a stream into frames. Small frames that arrive together are read together and share their
/// memory; a long one is read into memory of its own, exactly as long. Between frames nothing is
/// held.
#[derive(Debug, Default)]
pub struct FrameReader {
    buf: BytesMut,
}

impl FrameReader {
    /// The next frame without its prefix, and its bytes' reservation; `None` at the stream's end.
    /// `waiting` is told what for.
    pub async fn next<S: Stream>(
        &mut self,
        stream: &S,
        limits: &Limits,
        budget: &ByteBudget,
        waiting: impl Fn(Waiting),
    ) -> Result<Option<(Bytes, Reservation)>, FrameError> {
        let chunk_bytes = limits.read_chunk_bytes.max(PREFIX_BYTES + REQUEST_HEADER_MIN_BYTES);
        if self.buf.is_empty() {
            self.buf = BytesMut::new();
            waiting(Waiting::Frame);
            if stream.read(&mut self.buf, chunk_bytes).await? == 0 {
                return Ok(None);
            }
        }
        waiting(Waiting::Rest(PREFIX_BYTES));
        self.fill(stream, PREFIX_BYTES, chunk_bytes).await?;
        let len = self.frame_len(limits.request_bytes_max)?;
        waiting(Waiting::Broker);
        let reservation = budget.reserve(len).await;
        waiting(Waiting::Rest(len));
        let frame = if PREFIX_BYTES + len <= chunk_bytes {
            self.fill(stream, PREFIX_BYTES + len, chunk_bytes).await?;
            self.buf.advance(PREFIX_BYTES);
            self.buf.split_to(len)
        } else {
            self.buf.advance(PREFIX_BYTES);
            self.read_long(stream, len).await?
        };
        waiting(Waiting::Broker);
        Ok(Some((frame.freeze(), reservation)))
    }

    /// The length at the buffer's start, judged.
    fn frame_len(&self, max_bytes: usize) -> Result<usize, FrameError> {
        let length = (&self.buf[..]).try_get_i32().unwrap_or(-1);
        match usize::try_from(length) {
            Ok(len) if (REQUEST_HEADER_MIN_BYTES..=max_bytes).contains(&len) => Ok(len),
            _ => Err(FrameError::Length { length, max_bytes }),
        }
    }

    /// Reads until the buffer holds `wanted_bytes`, which fit a chunk; more may come along.
    async fn fill<S: Stream>(
        &mut self,
        stream: &S,
        wanted_bytes: usize,
        chunk_bytes: usize,
    ) -> Result<(), FrameError> {
        while self.buf.len() < wanted_bytes {
            let room_bytes = chunk_bytes.saturating_sub(self.buf.len()).max(1);
            if stream.read(&mut self.buf, room_bytes).await? == 0 {
                return Err(FrameError::Truncated { received_bytes: self.buf.len() });
            }
        }
        Ok(())
    }

    /// Reads a body of `len` bytes, of which the buffer may hold the beginning or all.
    async fn read_long<S: Stream>(
        &mut self,
        stream: &S,
        len: usize,
    ) -> Result<BytesMut, FrameError> {
        if self.buf.len() >= len {
            return Ok(self.buf.split_to(len));
        }
        let mut body = BytesMut::with_capacity(len);
        body.extend_from_slice(&self.buf);
        self.buf = BytesMut::new();
        while body.len() < len {
            let room_bytes = len - body.len();
            if stream.read(&mut body, room_bytes).await? == 0 {
                return Err(FrameError::Truncated { received_bytes: PREFIX_BYTES + body.len() });
            }
        }
        Ok(body)
    }
}
