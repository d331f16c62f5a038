//! The types that a declared field may have, and how each lies on the wire.

use std::fmt;

use bytes::Bytes;

use crate::error_code::ErrorCode;

use super::{DecodeError, DecodeErrorKind, Decoder, EncodeError, Encoder, Records, Str, Version};

/// A value with one form on the wire per version.
pub trait Field: Sized {
    /// Fewest bytes that a value takes; bounds the elements of an array before it is allocated.
    fn min_bytes(version: Version) -> usize;
    /// Reads one value.
    fn decode(input: &mut Decoder<'_>, version: Version) -> Result<Self, DecodeError>;
    /// Passes over one value, with the checks and errors of `decode`.
    #[inline]
    fn skip(input: &mut Decoder<'_>, version: Version) -> Result<(), DecodeError> {
        Self::decode(input, version).map(drop)
    }
    /// Writes this value.
    fn encode(&self, out: &mut Encoder, version: Version);
    /// Tells `found` of each error in this value, success left out.
    #[inline]
    fn errors(&self, _found: &mut dyn FnMut(ErrorCode)) {}
}

/// A value that some versions of some fields let be null.
pub trait Nullable: Field {
    /// Reads one value, or null if `nullable` says that this version has it.
    fn decode_nullable(
        input: &mut Decoder<'_>,
        version: Version,
        nullable: bool,
    ) -> Result<Option<Self>, DecodeError>;
    /// Passes over one value, with the checks and errors of `decode_nullable`.
    #[inline]
    fn skip_nullable(
        input: &mut Decoder<'_>,
        version: Version,
        nullable: bool,
    ) -> Result<(), DecodeError> {
        Self::decode_nullable(input, version, nullable).map(drop)
    }
    /// Writes a value, or null.
    fn encode_nullable(value: Option<&Self>, out: &mut Encoder, version: Version, nullable: bool);
}

/// A null that was read, where there may be one.
#[inline]
fn null(input: &Decoder<'_>, nullable: bool) -> Result<(), DecodeError> {
    if nullable { Ok(()) } else { Err(input.error(DecodeErrorKind::UnexpectedNull)) }
}

/// A non-null value of a type whose null is a length of -1.
fn non_null<T: Nullable + Default>(
    input: &mut Decoder<'_>,
    version: Version,
) -> Result<T, DecodeError> {
    T::decode_nullable(input, version, false).map(Option::unwrap_or_default)
}

/// Checks a null about to be written.
fn check_null<T>(value: Option<&T>, out: &mut Encoder, nullable: bool) {
    if value.is_none() && !nullable {
        out.fail(EncodeError::NullNotAllowed);
    }
}

macro_rules! big_endian {
    ($($type:ty)*) => { $(
        impl Field for $type {
            fn min_bytes(_: Version) -> usize {
                size_of::<$type>()
            }
            #[inline]
            fn decode(input: &mut Decoder<'_>, _: Version) -> Result<Self, DecodeError> {
                input.fixed().map(<$type>::from_be_bytes)
            }
            #[inline]
            fn encode(&self, out: &mut Encoder, _: Version) {
                out.put(&self.to_be_bytes());
            }
        }
    )* };
}

big_endian!(i8 i16 i32 i64 u16 u32 f64);

impl Field for bool {
    fn min_bytes(_: Version) -> usize {
        1
    }
    fn decode(input: &mut Decoder<'_>, version: Version) -> Result<Self, DecodeError> {
        Ok(i8::decode(input, version)? != 0)
    }
    fn encode(&self, out: &mut Encoder, version: Version) {
        i8::from(*self).encode(out, version);
    }
}

/// A 128-bit id (KIP-516), in the order of its bytes on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// Stands for "none".
    pub const ZERO: Uuid = Uuid([0; 16]);
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Field for Uuid {
    fn min_bytes(_: Version) -> usize {
        16
    }
    fn decode(input: &mut Decoder<'_>, _: Version) -> Result<Self, DecodeError> {
        input.fixed().map(Uuid)
    }
    fn encode(&self, out: &mut Encoder, _: Version) {
        out.put(&self.0);
    }
}

impl Field for Str {
    fn min_bytes(version: Version) -> usize {
        if version.flexible { 1 } else { 2 }
    }
    #[inline]
    fn decode(input: &mut Decoder<'_>, version: Version) -> Result<Self, DecodeError> {
        match input.string_len(version)? {
            Some(len) => input.shared_text(len),
            None => Err(input.error(DecodeErrorKind::UnexpectedNull)),
        }
    }
    #[inline]
    fn skip(input: &mut Decoder<'_>, version: Version) -> Result<(), DecodeError> {
        Self::skip_nullable(input, version, false)
    }
    fn encode(&self, out: &mut Encoder, version: Version) {
        Str::encode_nullable(Some(self), out, version, false);
    }
}

impl Nullable for Str {
    #[inline]
    fn decode_nullable(
        input: &mut Decoder<'_>,
        version: Version,
        nullable: bool,
    ) -> Result<Option<Self>, DecodeError> {
        match input.string_len(version)? {
            Some(len) => input.shared_text(len).map(Some),
            None => null(input, nullable).map(|()| None),
        }
    }
    #[inline]
    fn skip_nullable(
        input: &mut Decoder<'_>,
        version: Version,
        nullable: bool,
    ) -> Result<(), DecodeError> {
        match input.string_len(version)? {
            Some(len) => input.text_bytes(len).map(drop),
            None => null(input, nullable),
        }
    }
    fn encode_nullable(value: Option<&Self>, out: &mut Encoder, version: Version, nullable: bool) {
        check_null(value, out, nullable);
        out.put_string_len(value.map(|text| text.len()), version);
        if let Some(text) = value {
            out.put(text.as_bytes());
        }
    }
}

impl Field for Bytes {
    fn min_bytes(version: Version) -> usize {
        if version.flexible { 1 } else { 4 }
    }
    #[inline]
    fn decode(input: &mut Decoder<'_>, version: Version) -> Result<Self, DecodeError> {
        match input.long_len(version)? {
            Some(len) => input.slice(len),
            None => Err(input.error(DecodeErrorKind::UnexpectedNull)),
        }
    }
    #[inline]
    fn skip(input: &mut Decoder<'_>, version: Version) -> Result<(), DecodeError> {
        Self::skip_nullable(input, version, false)
    }
    fn encode(&self, out: &mut Encoder, version: Version) {
        Bytes::encode_nullable(Some(self), out, version, false);
    }
}

impl Nullable for Bytes {
    #[inline]
    fn decode_nullable(
        input: &mut Decoder<'_>,
        version: Version,
        nullable: bool,
    ) -> Result<Option<Self>, DecodeError> {
        match input.long_len(version)? {
            Some(len) => input.slice(len).map(Some),
            None => null(input, nullable).map(|()| None),
        }
    }
    #[inline]
    fn skip_nullable(
        input: &mut Decoder<'_>,
        version: Version,
        nullable: bool,
    ) -> Result<(), DecodeError> {
        match input.long_len(version)? {
            Some(len) => input.take(len).map(drop),
            None => null(input, nullable),
        }
    }
    fn encode_nullable(value: Option<&Self>, out: &mut Encoder, version: Version, nullable: bool) {
        check_null(value, out, nullable);
        out.put_long_len(value.map(Bytes::len), version);
        if let Some(bytes) = value {
            out.put_payload(bytes);
        }
    }
}

impl Field for Records {
    fn min_bytes(version: Version) -> usize {
        Bytes::min_bytes(version)
    }
    #[inline]
    fn decode(input: &mut Decoder<'_>, version: Version) -> Result<Self, DecodeError> {
        non_null(input, version)
    }
    fn encode(&self, out: &mut Encoder, version: Version) {
        Records::encode_nullable(Some(self), out, version, false);
    }
}

impl Nullable for Records {
    fn decode_nullable(
        input: &mut Decoder<'_>,
        version: Version,
        nullable: bool,
    ) -> Result<Option<Self>, DecodeError> {
        Ok(Bytes::decode_nullable(input, version, nullable)?.map(Records::from))
    }
    fn encode_nullable(value: Option<&Self>, out: &mut Encoder, version: Version, nullable: bool) {
        check_null(value, out, nullable);
        out.put_long_len(value.map(Records::len_bytes), version);
        for part in value.map_or(&[][..], Records::parts) {
            out.put_payload(part);
        }
        if let Some(extent) = value.and_then(Records::extent) {
            out.put_extent(extent);
        }
    }
}

impl<T: Field> Field for Vec<T> {
    fn min_bytes(version: Version) -> usize {
        if version.flexible { 1 } else { 4 }
    }
    #[inline]
    fn decode(input: &mut Decoder<'_>, version: Version) -> Result<Self, DecodeError> {
        non_null(input, version)
    }
    #[inline]
    fn skip(input: &mut Decoder<'_>, version: Version) -> Result<(), DecodeError> {
        Self::skip_nullable(input, version, false)
    }
    fn encode(&self, out: &mut Encoder, version: Version) {
        Vec::encode_nullable(Some(self), out, version, false);
    }
    #[inline]
    fn errors(&self, found: &mut dyn FnMut(ErrorCode)) {
        self.iter().for_each(|element| element.errors(found));
    }
}

impl<T: Field> Nullable for Vec<T> {
    #[inline]
    fn decode_nullable(
        input: &mut Decoder<'_>,
        version: Version,
        nullable: bool,
    ) -> Result<Option<Self>, DecodeError> {
        let Some(count) = input.long_len(version)? else {
            return null(input, nullable).map(|()| None);
        };
        input.begin_array::<T>(count, T::min_bytes(version))?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(T::decode(input, version)?);
        }
        Ok(Some(elements))
    }
    #[inline]
    fn skip_nullable(
        input: &mut Decoder<'_>,
        version: Version,
        nullable: bool,
    ) -> Result<(), DecodeError> {
        let Some(count) = input.long_len(version)? else {
            return null(input, nullable);
        };
        input.begin_array::<T>(count, T::min_bytes(version))?;
        (0..count).try_for_each(|_| T::skip(input, version))
    }
    fn encode_nullable(value: Option<&Self>, out: &mut Encoder, version: Version, nullable: bool) {
        check_null(value, out, nullable);
        out.put_long_len(value.map(Vec::len), version);
        for element in value.map_or(&[][..], Vec::as_slice) {
            element.encode(out, version);
        }
    }
}
