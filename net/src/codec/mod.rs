//! The Kafka protocol's bytes: primitives, fields, and messages declared once.
//!
//! - [`decode`]: a cursor over a frame, with every length checked
//! - [`encode`]: frames as parts, payloads not copied
//! - [`field`]: the types a field may have; [`text`], [`records`] and [`lazy`]: three of them
//! - `declare`: the macro with which `messages` declares every schema
//! - [`header`]: request and response headers
//!
//! The format is Kafka's public protocol guide, with KIP-482 (flexible versions, tagged fields).

pub(crate) mod declare;
pub mod decode;
pub mod encode;
pub mod field;
#[cfg(test)]
pub(crate) mod generate;
pub mod header;
pub mod lazy;
pub mod records;
#[cfg(test)]
mod tests;
pub mod text;

pub use decode::{DecodeError, DecodeErrorKind, Decoder};
pub use encode::{EncodeError, Encoder};
pub use field::{Field, Nullable, Uuid};
pub use header::RequestHeader;
pub use lazy::LazyArray;
pub use records::Records;
pub use text::Str;

/// Bytes of the longest string, in both of its forms: as Kafka's own codec reads and writes them.
pub const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// A version of one API, with what it means for the encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Version {
    /// The API's version number.
    pub number: i16,
    /// True from the API's first flexible version on: compact lengths and tagged fields (KIP-482).
    pub flexible: bool,
}
