//! Record batches in an answer.

use std::fmt;

use bytes::Bytes;

use crate::extent::Extent;

/// Record batches as a list of slices with a known total length. They are sent from where they
/// lie; a decoded one has at most one slice, of its frame.
///
/// Any owner of memory becomes a slice by [`Bytes::from_owner`]. What is not in memory is one [`Extent`],
/// which only a connection's stream can send.
#[derive(Clone, Default)]
pub struct Records {
    parts: Vec<Bytes>,
    extent: Option<Extent>,
    len_bytes: usize,
}

impl Records {
    /// No batches.
    pub const fn new() -> Records {
        Records { parts: Vec::new(), extent: None, len_bytes: 0 }
    }

    /// Appends whole batches.
    ///
    /// # Panics
    /// If there is an extent.
    pub fn push(&mut self, part: Bytes) {
        assert!(self.extent.is_none(), "slices behind an extent");
        self.len_bytes += part.len();
        if !part.is_empty() {
            self.parts.push(part);
        }
    }

    /// Length of all slices together, in bytes.
    pub fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    /// True if there is no byte.
    pub fn is_empty(&self) -> bool {
        self.len_bytes == 0
    }

    /// What is sent from elsewhere. There are no slices then.
    pub fn extent(&self) -> Option<&Extent> {
        self.extent.as_ref()
    }

    /// The slices, in order; none is empty.
    pub fn parts(&self) -> &[Bytes] {
        &self.parts
    }
}

impl From<Extent> for Records {
    fn from(extent: Extent) -> Records {
        let len_bytes = extent.len_bytes();
        Records { parts: Vec::new(), extent: Some(extent), len_bytes }
    }
}

impl From<Bytes> for Records {
    fn from(part: Bytes) -> Records {
        let mut records = Records::new();
        records.push(part);
        records
    }
}

impl FromIterator<Bytes> for Records {
    fn from_iter<I: IntoIterator<Item = Bytes>>(parts: I) -> Records {
        let mut records = Records::new();
        parts.into_iter().for_each(|part| records.push(part));
        records
    }
}

// Shown as one run of bytes, however it is cut.
impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(extent) = &self.extent {
            return extent.fmt(f);
        }
        match &self.parts[..] {
            [part] => part.fmt(f),
            parts => Bytes::from(parts.concat()).fmt(f),
        }
    }
}

// Equal as one run of bytes, however it is cut.
impl PartialEq for Records {
    fn eq(&self, other: &Records) -> bool {
        self.len_bytes == other.len_bytes
            && self.extent == other.extent
            && self.parts.iter().flatten().eq(other.parts.iter().flatten())
    }
}
