//! Length-prefixed frames out of a byte stream.

mod leftovers;
mod pool;

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::budget::{ByteBudget, Reservation};
use crate::codec::header::REQUEST_HEADER_MIN_BYTES;
use crate::limits::Limits;
use crate::stream::{Stream, Timer};
pub use leftovers::give_back;

/// Bytes of the length before every frame.
pub(crate) const PREFIX_BYTES: usize = 4;

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
    /// A frame that kept others waiting for the budget, and came too slowly for that.
    #[error("a frame of {frame_bytes} bytes came too slowly while others waited for its memory")]
    TooSlow {
        /// The frame's length.
        frame_bytes: usize,
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
    /// Ourselves, within a frame: its next bytes are not reserved.
    Budget,
    /// Ourselves: the request before.
    Broker,
}

/// Bytes read at first of what is probably a long frame: enough to tell, and few to copy.
const HEAD_BYTES: usize = 256;

/// Bytes that are received into memory which the kernel has to clear first cost as much as so many others.
const FRESH_COST: usize = 4;

/// Cuts a stream into frames. Small frames that arrive together are read together and share their
/// memory; a long one is read into memory of its own, in the end as long as the frame, which the thread
/// keeps for the next. Between frames nothing is held.
#[derive(Debug, Default)]
pub struct FrameReader {
    buf: BytesMut,
    /// Bytes of the last frame if it was a long one, else 0: so may be the next, and what is read with
    /// its head is copied.
    last_long_bytes: usize,
    turn: Turn,
}

/// Bytes read since others had their turn.
#[derive(Debug, Default)]
struct Turn {
    bytes: usize,
}

impl Turn {
    /// Counts what was read, and lets the others have their turn once it is much.
    async fn took<T: Timer>(&mut self, bytes: usize, timer: &T, limits: &Limits) {
        self.bytes += bytes;
        if self.bytes >= limits.turn_bytes {
            self.bytes = 0;
            timer.yield_now().await;
        }
    }
}

impl FrameReader {
    /// The next frame without its prefix, and its bytes' reservation; `None` at the stream's end.
    /// `waiting` is told what for.
    ///
    /// What a frame only claims costs nothing: up to [`Limits::read_chunk_bytes`] are read without
    /// a reservation, whatever follows is reserved as it comes; at once where the budget is ample and
    /// the frame before was at least half as long.
    pub async fn next<S: Stream, T: Timer>(
        &mut self,
        stream: &S,
        timer: &T,
        limits: &Limits,
        budget: &ByteBudget,
        waiting: impl Fn(Waiting),
    ) -> Result<Option<(Bytes, Reservation)>, FrameError> {
        let chunk_bytes = limits.read_chunk_bytes.max(PREFIX_BYTES + REQUEST_HEADER_MIN_BYTES);
        if self.buf.is_empty() {
            self.buf = BytesMut::new();
            waiting(Waiting::Frame);
            let at_once_bytes = if self.last_long_bytes > 0 { HEAD_BYTES } else { chunk_bytes };
            let (read, waited) = tell_waits(stream.read(&mut self.buf, at_once_bytes)).await;
            if read? == 0 {
                return Ok(None);
            }
            // The others had their turn meanwhile.
            if waited && self.last_long_bytes == 0 {
                self.turn = Turn::default();
            }
        }
        waiting(Waiting::Rest(PREFIX_BYTES));
        self.fill(stream, PREFIX_BYTES, chunk_bytes).await?;
        let len = self.frame_len(limits.request_bytes_max)?;
        let mut reservation = budget.begin(len);
        waiting(Waiting::Rest(len));
        let is_long = PREFIX_BYTES + len > chunk_bytes;
        // Who has sent such a frame is believed, where the budget is ample: all of it is received
        // where it stays.
        let is_likely = is_long && len <= 2 * self.last_long_bytes && reservation.is_ample();
        if !is_likely {
            self.fill(stream, chunk_bytes.min(PREFIX_BYTES + len), chunk_bytes).await?;
        }
        self.buf.advance(PREFIX_BYTES);
        let frame = if self.buf.len() >= len {
            waiting(Waiting::Budget);
            reservation.wait_for(len, limits, timer).await;
            self.buf.split_to(len).freeze()
        } else {
            let start = std::mem::take(&mut self.buf);
            let (turn, reservation) = (&mut self.turn, &mut reservation);
            let mut long = Long { stream, timer, limits, reservation, turn };
            pool::share(long.read(start, len, &waiting).await?)
        };
        self.last_long_bytes = if is_long { len } else { 0 };
        waiting(Waiting::Broker);
        if !is_long {
            self.turn.took(PREFIX_BYTES + len, timer, limits).await;
        }
        Ok(Some((frame, reservation)))
    }

    /// Puts back the frame that came last, to be the next again. False if it is a long one, which is not
    /// copied.
    pub fn put_back(&mut self, frame: &Bytes, limits: &Limits) -> bool {
        let Ok(length) = i32::try_from(frame.len()) else { return false };
        if PREFIX_BYTES + frame.len() > limits.read_chunk_bytes {
            return false;
        }
        let rest = std::mem::take(&mut self.buf);
        self.buf.reserve(PREFIX_BYTES + frame.len() + rest.len());
        self.buf.put_i32(length);
        self.buf.extend_from_slice(frame);
        self.buf.extend_from_slice(&rest);
        true
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
}

/// What `future` gives, and whether it had to be waited for.
async fn tell_waits<T>(future: impl Future<Output = T>) -> (T, bool) {
    let (mut future, mut waited) = (pin!(future), false);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready((value, waited)),
        Poll::Pending => {
            waited = true;
            Poll::Pending
        }
    })
    .await
}

/// A frame that is read into memory of its own.
struct Long<'a, S, T> {
    stream: &'a S,
    timer: &'a T,
    limits: &'a Limits,
    reservation: &'a mut Reservation,
    turn: &'a mut Turn,
}

impl<S: Stream, T: Timer> Long<'_, S, T> {
    /// Reads the rest of a body of `len` bytes that begins with `body`. Its memory doubles as bytes
    /// arrive, and never exceeds what is reserved; with an ample budget it is had at once. From a few MiB
    /// on all of it is asked for: it takes memory only as it is filled.
    async fn read(
        &mut self,
        mut body: BytesMut,
        len: usize,
        waiting: &impl Fn(Waiting),
    ) -> Result<BytesMut, FrameError> {
        while body.len() < len {
            // Never 0, whatever has come with the head.
            let doubled_bytes = (2 * body.len()).max(HEAD_BYTES);
            let room_bytes = if self.reservation.is_ample() { len } else { len.min(doubled_bytes) };
            if !self.reservation.try_grow_to(room_bytes) {
                waiting(Waiting::Budget);
                self.reservation.wait_for(room_bytes, self.limits, self.timer).await;
                waiting(Waiting::Rest(len));
            }
            if body.capacity() < len {
                let is_long = room_bytes > pool::POOLED_BYTES_MAX;
                body = self.with_room(body, if is_long { len } else { room_bytes }).await;
            }
            while body.len() < room_bytes {
                self.read_some(&mut body, room_bytes, len).await?;
            }
        }
        self.reservation.leave_arrivals();
        Ok(body)
    }

    /// What has come, in memory with room for `room_bytes` in all.
    async fn with_room(&mut self, body: BytesMut, room_bytes: usize) -> BytesMut {
        let mut larger = pool::take(room_bytes);
        let cost = cost_of(&larger);
        for piece in body.chunks((self.limits.turn_bytes / cost).max(1)) {
            larger.extend_from_slice(piece);
            if larger.len() < body.len() {
                self.turn.took(cost * piece.len(), self.timer, self.limits).await;
            }
        }
        larger
    }

    async fn read_some(
        &mut self,
        body: &mut BytesMut,
        room_bytes: usize,
        len: usize,
    ) -> Result<(), FrameError> {
        let (came_bytes, cost) = (body.len(), cost_of(body));
        let step_bytes = (room_bytes - came_bytes).min((self.limits.turn_bytes / cost).max(1));
        let read = self.stream.read(body, step_bytes);
        match self.reservation.unless_ended(came_bytes, read).await {
            Some(Ok(0)) => {
                return Err(FrameError::Truncated { received_bytes: PREFIX_BYTES + came_bytes });
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
            None => return Err(FrameError::TooSlow { frame_bytes: len }),
        }
        self.turn.took(cost * (body.len() - came_bytes), self.timer, self.limits).await;
        Ok(())
    }
}

/// What a byte costs that is put into `buf`.
fn cost_of(buf: &BytesMut) -> usize {
    if buf.capacity() > pool::POOLED_BYTES_MAX { FRESH_COST } else { 1 }
}
