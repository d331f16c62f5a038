//! Record batches in an answer.

use std::fmt;

use bytes::Bytes;

/// Record batches as a list of slices with a known total length. They are sent from where they
/// lie; a decoded one has at most one slice, of its frame.
///
/// Any owner of memory becomes a slice by [`Bytes::from_owner`].
#[derive(Clone, Default)]
pub struct Records {
    parts: Vec<Bytes>,
    len_bytes: usize,
}

impl Records {
    /// No batches.
    pub const fn new() -> Records {
        Records { parts: Vec::new(), len_bytes: 0 }
    }

    /// Appends whole batches.
    pub fn push(&mut self, part: Bytes) {
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

    /// The slices, in order; none is empty.
    pub fn parts(&self) -> &[Bytes] {
        &self.parts
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
            && self.parts.iter().flatten().eq(other.parts.iter().flatten())
    }
}
