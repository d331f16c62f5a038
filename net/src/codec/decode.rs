//! Reading the protocol's primitives out of a frame.
//!
//! Every length is held against the bytes really left before anything is allocated, and all that a
//! message makes the decoder allocate is charged to an allowance derived from the frame's size, so
//! a hostile frame cannot cost more than a small multiple of itself. Nesting is bounded by the
//! declarations: no message contains itself, and the decoder never recurses on input.

use bytes::Bytes;

use super::{STRING_BYTES_MAX, Str, Version};

/// Why a frame could not be decoded, where, and in which field.
///
/// One pointer, so that the results of small reads fit into registers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct DecodeError(Box<Fault>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {position} of the frame, in field {}", field.unwrap_or("(none)"))]
struct Fault {
    kind: DecodeErrorKind,
    position: usize,
    field: Option<&'static str>,
}

impl DecodeError {
    /// What did not fit.
    pub fn kind(&self) -> DecodeErrorKind {
        self.0.kind
    }

    /// Bytes from the frame's start, its length prefix not counted.
    pub fn position(&self) -> usize {
        self.0.position
    }

    /// The innermost declared field that was being read.
    pub fn field(&self) -> Option<&'static str> {
        self.0.field
    }

    /// Names the field, unless an inner one has already done so.
    #[cold]
    pub(crate) fn within(mut self, field: &'static str) -> DecodeError {
        self.0.field.get_or_insert(field);
        self
    }
}

/// What did not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeErrorKind {
    /// The frame ends before the value does.
    #[error("{wanted} bytes wanted, {left} left")]
    UnexpectedEnd {
        /// Bytes the value takes, at least.
        wanted: usize,
        /// Bytes left in the frame, or in the tagged field.
        left: usize,
    },
    /// A length below -1, or -1 written as anything but null.
    #[error("negative length {0}")]
    NegativeLength(i32),
    /// Null where this version has none.
    #[error("null is not allowed here in this version")]
    UnexpectedNull,
    /// A string of more than [`STRING_BYTES_MAX`].
    #[error("string of {0} bytes")]
    StringTooLong(usize),
    /// A string that is not UTF-8.
    #[error("string is not UTF-8")]
    NotUtf8,
    /// A varint of more bytes, or a larger value, than its type has.
    #[error("varint too long")]
    VarintTooLong,
    /// An array of more elements than the bytes left could hold.
    #[error("array of {count} elements in {left} bytes")]
    ArrayTooLong {
        /// Elements claimed.
        count: usize,
        /// Bytes left.
        left: usize,
    },
    /// So many tiny elements that their decoded form would dwarf the frame.
    #[error("decoded form exceeds the frame's memory allowance")]
    AllowanceExceeded,
    /// More elements, of all arrays together, than a request may have.
    #[error("more than {elements_max} elements in one request")]
    TooManyElements {
        /// How many it may have.
        elements_max: usize,
    },
    /// Bytes left over after the last field.
    #[error("{0} bytes left over")]
    TrailingBytes(usize),
    /// An API or a version of it that this codec does not declare.
    #[error("API key {key} version {version} is not declared")]
    UnknownApi {
        /// The API key.
        key: i16,
        /// The version.
        version: i16,
    },
    /// A version of a record that this codec does not declare.
    #[error("version {0} is not declared")]
    UnknownVersion(i16),
}

/// Decoded memory allowed per byte of a small frame.
const SMALL_FRAME_FACTOR: usize = 16;
/// Decoded memory allowed to any frame, however small, in bytes.
const SMALL_FRAME_BYTES: usize = 4 << 10;
/// Decoded memory allowed per byte of a large frame, beyond [`LARGE_FRAME_BYTES`].
const LARGE_FRAME_FACTOR: usize = 4;
/// Decoded memory from which on the large frame's factor counts, in bytes.
const LARGE_FRAME_BYTES: usize = 4 << 20;

/// Most bytes that decoding a frame of `frame_bytes` may allocate for arrays.
pub fn allowance_bytes(frame_bytes: usize) -> usize {
    let small = frame_bytes.saturating_mul(SMALL_FRAME_FACTOR).saturating_add(SMALL_FRAME_BYTES);
    let large = frame_bytes.saturating_mul(LARGE_FRAME_FACTOR).saturating_add(LARGE_FRAME_BYTES);
    small.min(large)
}

/// A cursor over one frame. Strings and payloads come out as slices that share the frame's memory.
#[derive(Debug)]
pub struct Decoder<'a> {
    frame: &'a Bytes,
    rest: &'a [u8],
    allowance_bytes: usize,
    elements: Elements,
}

/// Elements of arrays.
#[derive(Debug, Clone, Copy)]
struct Elements {
    max: usize,
    left: usize,
}

impl Elements {
    fn at_most(max: usize) -> Elements {
        Elements { max, left: max }
    }
}

type Result<T> = std::result::Result<T, DecodeError>;

impl<'a> Decoder<'a> {
    /// Starts at the first byte of `frame` (its length prefix already taken off).
    pub fn new(frame: &'a Bytes) -> Decoder<'a> {
        let elements = Elements::at_most(usize::MAX);
        Decoder { frame, rest: frame, allowance_bytes: allowance_bytes(frame.len()), elements }
    }

    /// Refuses more elements, of all arrays together.
    pub fn with_elements_max(mut self, elements_max: usize) -> Decoder<'a> {
        self.elements = Elements::at_most(elements_max);
        self
    }

    /// Starts at the first byte of a part of a frame that was skipped before, and so checked and
    /// charged.
    #[inline]
    pub(crate) fn of_skipped(part: &'a Bytes) -> Decoder<'a> {
        let elements = Elements::at_most(usize::MAX);
        Decoder { frame: part, rest: part, allowance_bytes: usize::MAX, elements }
    }

    /// Bytes not yet read.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// An error at the current position.
    #[cold]
    pub(crate) fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        let position = self.rest.as_ptr() as usize - self.frame.as_ptr() as usize;
        DecodeError(Box::new(Fault { kind, position, field: None }))
    }

    /// Fails unless every byte has been read.
    pub fn finish(self) -> Result<()> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(self.error(DecodeErrorKind::TrailingBytes(left))),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(*head)
            }
            None => Err(self.short(N)),
        }
    }

    /// What `read` reads, sharing the frame's memory.
    #[inline]
    pub(crate) fn slice_of(
        &mut self,
        read: impl FnOnce(&mut Decoder<'a>) -> Result<()>,
    ) -> Result<Bytes> {
        let before = self.rest;
        read(self)?;
        let len_bytes = before.len() - self.rest.len();
        Ok(self.frame.slice_ref(&before[..len_bytes]))
    }

    #[inline]
    pub(crate) fn take(&mut self, len_bytes: usize) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(len_bytes) {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(head)
            }
            None => Err(self.short(len_bytes)),
        }
    }

    #[cold]
    fn short(&self, wanted: usize) -> DecodeError {
        self.error(DecodeErrorKind::UnexpectedEnd { wanted, left: self.rest.len() })
    }

    /// The next `N` bytes, as they are.
    #[inline]
    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.array::<N>()
    }

    /// Big-endian, 2 bytes.
    #[inline]
    pub fn i16(&mut self) -> Result<i16> {
        self.array().map(i16::from_be_bytes)
    }

    /// Big-endian, 4 bytes.
    #[inline]
    pub fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    /// An unsigned varint of at most 5 bytes, least significant group first.
    #[inline]
    pub fn uvarint(&mut self) -> Result<u32> {
        // Most lengths, and every tag count we see, are below 128.
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u32::from(*byte));
        }
        let value = self.varint_of(5)?;
        u32::try_from(value).map_err(|_| self.error(DecodeErrorKind::VarintTooLong))
    }

    /// An unsigned varint of at most 10 bytes.
    pub fn uvarlong(&mut self) -> Result<u64> {
        self.varint_of(10)
    }

    /// A zigzag varint, as record fields use it.
    pub fn varint(&mut self) -> Result<i32> {
        self.uvarint().map(|n| (n >> 1) as i32 ^ -((n & 1) as i32))
    }

    /// A zigzag varint of 64 bits.
    pub fn varlong(&mut self) -> Result<i64> {
        self.uvarlong().map(|n| (n >> 1) as i64 ^ -((n & 1) as i64))
    }

    fn varint_of(&mut self, max_bytes: u32) -> Result<u64> {
        let mut value = 0u64;
        for group in 0..max_bytes {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if group == 9 && bits > 1 {
                break;
            }
            value |= bits << (7 * group);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.error(DecodeErrorKind::VarintTooLong))
    }

    /// A length from a fixed-width field: `None` for -1.
    #[inline]
    fn plain_len(&self, len: i32) -> Result<Option<usize>> {
        match len {
            -1 => Ok(None),
            _ => usize::try_from(len)
                .map(Some)
                .map_err(|_| self.error(DecodeErrorKind::NegativeLength(len))),
        }
    }

    /// A compact length: 0 is null, otherwise one more than the length.
    #[inline]
    fn compact_len(&mut self) -> Result<Option<usize>> {
        Ok(self.uvarint()?.checked_sub(1).map(|n| n as usize))
    }

    /// The length before a string (16 bits, or compact); `None` for null.
    #[inline]
    pub(crate) fn string_len(&mut self, version: Version) -> Result<Option<usize>> {
        if !version.flexible {
            let len = self.i16()?;
            return self.plain_len(i32::from(len));
        }
        match self.compact_len()? {
            Some(len) if len > STRING_BYTES_MAX => {
                Err(self.error(DecodeErrorKind::StringTooLong(len)))
            }
            len => Ok(len),
        }
    }

    /// The length before bytes, records or an array (32 bits, or compact); `None` for null.
    #[inline]
    pub(crate) fn long_len(&mut self, version: Version) -> Result<Option<usize>> {
        if version.flexible {
            self.compact_len()
        } else {
            let len = self.i32()?;
            self.plain_len(len)
        }
    }

    /// The next `len_bytes` bytes, sharing the frame's memory.
    #[inline]
    pub(crate) fn slice(&mut self, len_bytes: usize) -> Result<Bytes> {
        let bytes = self.take(len_bytes)?;
        Ok(self.frame.slice_ref(bytes))
    }

    /// The next `len_bytes` bytes as text.
    #[inline]
    pub(crate) fn text(&mut self, len_bytes: usize) -> Result<&'a str> {
        let before = self.rest;
        let bytes = self.take(len_bytes)?;
        std::str::from_utf8(bytes).map_err(|_| {
            self.rest = before;
            self.error(DecodeErrorKind::NotUtf8)
        })
    }

    /// The next `len_bytes` bytes as text, sharing the frame's memory.
    #[inline]
    pub(crate) fn shared_text(&mut self, len_bytes: usize) -> Result<Str> {
        let bytes = self.text_bytes(len_bytes)?;
        Ok(Str::from_checked(self.frame.slice_ref(bytes)))
    }

    /// The next `len_bytes` bytes, which are UTF-8.
    #[inline]
    pub(crate) fn text_bytes(&mut self, len_bytes: usize) -> Result<&'a [u8]> {
        // Most names are ASCII, and whether one is takes a third of the time that UTF-8 takes.
        match self.rest.get(..len_bytes) {
            Some(bytes) if bytes.is_ascii() => self.take(len_bytes),
            _ => self.text(len_bytes).map(str::as_bytes),
        }
    }

    /// Lets an array of `count` elements begin, if the bytes left can hold as many of `min_bytes`
    /// each and the frame's allowance covers their decoded form.
    #[inline]
    pub(crate) fn begin_array<T>(&mut self, count: usize, min_bytes: usize) -> Result<()> {
        let left = self.rest.len();
        if count > left / min_bytes.max(1) {
            return Err(self.error(DecodeErrorKind::ArrayTooLong { count, left }));
        }
        match self.elements.left.checked_sub(count) {
            Some(left) => self.elements.left = left,
            None => {
                let elements_max = self.elements.max;
                return Err(self.error(DecodeErrorKind::TooManyElements { elements_max }));
            }
        }
        let cost = count.saturating_mul(size_of::<T>());
        match self.allowance_bytes.checked_sub(cost) {
            Some(allowance) => self.allowance_bytes = allowance,
            None => return Err(self.error(DecodeErrorKind::AllowanceExceeded)),
        }
        Ok(())
    }

    /// Reads a flexible version's tagged fields. `known` decodes a tag it knows and returns true;
    /// other tags are skipped, as KIP-482 demands.
    #[inline]
    pub(crate) fn tagged(
        &mut self,
        mut known: impl FnMut(u32, &mut Decoder<'a>) -> Result<bool>,
    ) -> Result<()> {
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            let len_bytes = self.uvarint()? as usize;
            let body = self.take(len_bytes)?;
            let mut inner = Decoder { rest: body, ..*self };
            if known(tag, &mut inner)? {
                self.allowance_bytes = inner.allowance_bytes;
                self.elements = inner.elements;
                inner.finish()?;
            }
        }
        Ok(())
    }
}
