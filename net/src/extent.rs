//! Bytes of an answer that are not in memory: the stream sends them from where they lie.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use bytes::{Buf, Bytes};

/// A range of something that only the service and the stream know, such as a file. Holds it until
/// it is sent.
#[derive(Clone)]
pub struct Extent {
    source: Arc<dyn Any + Send + Sync>,
    from: u64,
    len_bytes: usize,
}

impl Extent {
    /// `len_bytes` of `source` from `from` on. The stream that is to send it must know the type.
    pub fn new<T: Any + Send + Sync>(source: Arc<T>, from: u64, len_bytes: usize) -> Extent {
        Extent { source, from, len_bytes }
    }

    /// What it is a range of, if it is a `T`.
    pub fn source<T: Any>(&self) -> Option<&T> {
        self.source.downcast_ref()
    }

    /// Where it begins.
    pub fn from(&self) -> u64 {
        self.from
    }

    /// Its length.
    pub fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    fn advance(&mut self, bytes: usize) {
        assert!(bytes <= self.len_bytes, "{bytes} bytes of {self:?}");
        self.from += bytes as u64;
        self.len_bytes -= bytes;
    }
}

impl fmt::Debug for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Extent({} bytes from {})", self.len_bytes, self.from)
    }
}

/// The same range of the same thing.
impl PartialEq for Extent {
    fn eq(&self, other: &Extent) -> bool {
        let range = |extent: &Extent| (extent.from, extent.len_bytes);
        Arc::ptr_eq(&self.source, &other.source) && range(self) == range(other)
    }
}

/// A run of bytes on its way to a socket. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Part {
    /// In memory.
    Bytes(Bytes),
    /// Elsewhere.
    Extent(Extent),
}

impl Part {
    /// Its length.
    pub fn len(&self) -> usize {
        match self {
            Part::Bytes(bytes) => bytes.len(),
            Part::Extent(extent) => extent.len_bytes,
        }
    }

    /// True if nothing is left of it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, if they are in memory.
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Part::Bytes(bytes) => Some(bytes),
            Part::Extent(_) => None,
        }
    }

    /// Forgets the first `bytes`, which are sent.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn advance(&mut self, bytes: usize) {
        match self {
            Part::Bytes(part) => part.advance(bytes),
            Part::Extent(part) => part.advance(bytes),
        }
    }
}

impl From<Bytes> for Part {
    fn from(bytes: Bytes) -> Part {
        Part::Bytes(bytes)
    }
}
