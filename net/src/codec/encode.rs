//! Writing frames as a list of parts: encoded fields, and payloads that are never copied.

use bytes::{BufMut, Bytes, BytesMut};

use super::Version;
use crate::extent::{Extent, Part};

/// A payload below this is copied into the fields around it: cheaper than one more vector entry.
const COPY_BELOW_BYTES: usize = 2 << 10;

/// Why a message could not be encoded: the program's fault, never a peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// `None` in a version in which the field has no null.
    #[error("null is not allowed in this version")]
    NullNotAllowed,
    /// A string of more than [`STRING_BYTES_MAX`](super::STRING_BYTES_MAX), or an array or payload longer than its length
    /// field can say.
    #[error("length {0} does not fit its length field")]
    TooLong(usize),
    /// A frame of more than 2 GiB - 1.
    #[error("frame of {0} bytes")]
    FrameTooLong(usize),
    /// A version that the API does not have.
    #[error("version {0} is not declared")]
    UnknownVersion(i16),
}

/// Frames under way to a socket, in order. Fields are gathered in one buffer; large payloads keep
/// their own memory and are placed between them only when the parts are taken.
///
/// A message that cannot be encoded leaves no trace: its frame is rolled back.
#[derive(Debug, Default)]
pub struct Encoder {
    fields: BytesMut,
    /// Payloads, each with the position in `fields` before which it belongs.
    splices: Vec<(usize, Part)>,
    spliced_bytes: usize,
    in_tagged: bool,
    failure: Option<EncodeError>,
}

impl Encoder {
    /// An empty one; allocates at the first byte.
    pub fn new() -> Encoder {
        Encoder::default()
    }

    /// Bytes encoded and not yet taken, payloads included.
    pub fn len(&self) -> usize {
        self.fields.len() + self.spliced_bytes
    }

    /// True if nothing waits to be taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes one frame: the 32-bit length, then what `body` writes.
    pub fn frame(&mut self, body: impl FnOnce(&mut Encoder)) -> Result<(), EncodeError> {
        let (fields, splices, spliced_bytes) =
            (self.fields.len(), self.splices.len(), self.spliced_bytes);
        self.failure = None;
        self.fields.put_i32(0);
        body(self);
        let len = self.fields.len() - fields - 4 + self.spliced_bytes - spliced_bytes;
        let failure = self.failure.take();
        match (failure, i32::try_from(len)) {
            (None, Ok(prefix)) => {
                self.fields[fields..fields + 4].copy_from_slice(&prefix.to_be_bytes());
                Ok(())
            }
            (failure, _) => {
                self.fields.truncate(fields);
                self.splices.truncate(splices);
                self.spliced_bytes = spliced_bytes;
                Err(failure.unwrap_or(EncodeError::FrameTooLong(len)))
            }
        }
    }

    /// Takes everything encoded so far, as parts to be written one after the other.
    pub fn take_parts(&mut self) -> Vec<Part> {
        let mut parts = Vec::new();
        self.take_parts_into(&mut parts);
        parts
    }

    /// As [`Encoder::take_parts`], behind what is in `parts`.
    pub fn take_parts_into(&mut self, parts: &mut Vec<Part>) {
        let mut fields = self.fields.split().freeze();
        parts.reserve(2 * self.splices.len() + 1);
        let mut taken = 0;
        for (position, payload) in self.splices.drain(..) {
            if position > taken {
                parts.push(fields.split_to(position - taken).into());
                taken = position;
            }
            parts.push(payload);
        }
        if !fields.is_empty() {
            parts.push(fields.into());
        }
        self.spliced_bytes = 0;
    }

    /// Has the memory of fields that were taken again; its bytes, or 0 if it is still in use.
    pub(crate) fn reclaim(&mut self) -> usize {
        // More than is left behind them: so it is all of it, or nothing.
        let is_ours = self.fields.try_reclaim(self.fields.capacity() + 1);
        if is_ours { self.fields.capacity() } else { 0 }
    }

    /// Bytes of fields that it has room for.
    pub(crate) fn capacity(&self) -> usize {
        self.fields.capacity()
    }

    /// As [`Encoder::take_parts`], of what holds no extent: no request does.
    ///
    /// # Panics
    /// If there is an extent.
    pub fn take_memory(&mut self) -> Vec<Bytes> {
        let in_memory = |part| match part {
            Part::Bytes(bytes) => bytes,
            Part::Extent(extent) => panic!("{extent:?} is not in memory"),
        };
        self.take_parts().into_iter().map(in_memory).collect()
    }

    /// Everything encoded so far in one piece. Copies payloads: for tests, clients and tools.
    ///
    /// # Panics
    /// If there is an extent.
    pub fn take_bytes(&mut self) -> Bytes {
        let mut parts = self.take_memory();
        if parts.len() == 1 {
            return parts.remove(0);
        }
        let mut whole = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
        parts.iter().for_each(|part| whole.extend_from_slice(part));
        whole.freeze()
    }

    /// Remembers the first thing that cannot be said; [`Encoder::frame`] returns it.
    #[cold]
    pub(crate) fn fail(&mut self, error: EncodeError) {
        self.failure.get_or_insert(error);
    }

    /// Bytes as they are.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        self.fields.extend_from_slice(bytes);
    }

    /// A payload, kept by reference unless it is small.
    pub fn put_payload(&mut self, payload: &Bytes) {
        if payload.len() < COPY_BELOW_BYTES || self.in_tagged {
            return self.put(payload);
        }
        self.spliced_bytes += payload.len();
        self.splices.push((self.fields.len(), payload.clone().into()));
    }

    /// A payload that the stream sends from where it lies.
    pub fn put_extent(&mut self, extent: &Extent) {
        self.spliced_bytes += extent.len_bytes();
        self.splices.push((self.fields.len(), Part::Extent(extent.clone())));
    }

    /// An unsigned varint of up to 32 bits.
    #[inline]
    pub fn put_uvarint(&mut self, value: u32) {
        self.put_uvarlong(u64::from(value));
    }

    /// An unsigned varint of up to 64 bits.
    #[inline]
    pub fn put_uvarlong(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.fields.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.fields.put_u8(value as u8);
    }

    /// A zigzag varint of 32 bits.
    pub fn put_varint(&mut self, value: i32) {
        self.put_uvarint((value << 1 ^ value >> 31) as u32);
    }

    /// A zigzag varint of 64 bits.
    pub fn put_varlong(&mut self, value: i64) {
        self.put_uvarlong((value << 1 ^ value >> 63) as u64);
    }

    /// The length before a string: 16 bits, or compact.
    pub(crate) fn put_string_len(&mut self, len: Option<usize>, version: Version) {
        match len.map_or(Ok(-1), i16::try_from) {
            Ok(_) if version.flexible => self.put_compact_len(len),
            Ok(len) => self.put(&len.to_be_bytes()),
            Err(_) => self.fail(EncodeError::TooLong(len.unwrap_or(0))),
        }
    }

    /// The length before bytes, records or an array: 32 bits, or compact.
    pub(crate) fn put_long_len(&mut self, len: Option<usize>, version: Version) {
        if version.flexible {
            return self.put_compact_len(len);
        }
        match len.map_or(Ok(-1), i32::try_from) {
            Ok(len) => self.put(&len.to_be_bytes()),
            Err(_) => self.fail(EncodeError::TooLong(len.unwrap_or(0))),
        }
    }

    fn put_compact_len(&mut self, len: Option<usize>) {
        match len.map_or(Some(0), |n| u32::try_from(n).ok()?.checked_add(1)) {
            Some(len) => self.put_uvarint(len),
            None => self.fail(EncodeError::TooLong(len.unwrap_or(0))),
        }
    }

    /// One tagged field: its tag, the size of what `body` writes, and that.
    pub(crate) fn put_tagged(&mut self, tag: u32, body: impl FnOnce(&mut Encoder)) {
        self.put_uvarint(tag);
        let start = self.fields.len();
        let spliced_bytes = self.spliced_bytes;
        self.fields.put_u8(0);
        // Its size stands before it, so all of it has to be here.
        let was_in_tagged = std::mem::replace(&mut self.in_tagged, true);
        body(self);
        self.in_tagged = was_in_tagged;
        let len = self.fields.len() - start - 1;
        if self.spliced_bytes != spliced_bytes || len > i32::MAX as usize {
            return self.fail(EncodeError::TooLong(len));
        }
        let mut size = [0u8; 5];
        let width = write_uvarint(&mut size, len as u32);
        // Nearly every tagged field is shorter than 128 bytes, so one byte was left for its size.
        if width > 1 {
            self.fields.put_bytes(0, width - 1);
            self.fields.copy_within(start + 1..start + 1 + len, start + width);
        }
        self.fields[start..start + width].copy_from_slice(&size[..width]);
    }
}

fn write_uvarint(into: &mut [u8; 5], mut value: u32) -> usize {
    let mut width = 0;
    for byte in into.iter_mut() {
        width += 1;
        *byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            break;
        }
        *byte |= 0x80;
    }
    width
}
