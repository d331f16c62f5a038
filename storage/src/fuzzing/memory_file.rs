//! A file of given bytes, for decoders that read one.

use std::path::Path;
use std::sync::Arc;

use crate::buffer::{AlignedBuf, AlignedSlice};
use crate::runtime::{DiskError, File};

/// Reads resolve at once; nothing else is ever asked for.
#[derive(Clone, Debug)]
pub(crate) struct MemoryFile(Arc<[u8]>);

impl MemoryFile {
    pub(crate) fn new(bytes: &[u8]) -> MemoryFile {
        MemoryFile(bytes.into())
    }
}

impl File for MemoryFile {
    async fn write_at(&self, _: u64, _: AlignedSlice) -> Result<(), DiskError> {
        panic!("a decoder writes nothing")
    }

    async fn read_at(&self, position: u64, len_bytes: usize) -> Result<AlignedBuf, DiskError> {
        let start = self.0.len().min(usize::try_from(position).unwrap_or(usize::MAX));
        let bytes = &self.0[start..self.0.len().min(start.saturating_add(len_bytes))];
        let mut buf = AlignedBuf::with_capacity(bytes.len());
        buf.put(bytes);
        Ok(buf)
    }

    async fn sync_data(&self) -> Result<(), DiskError> {
        panic!("a decoder writes nothing")
    }

    async fn allocate(&self, _: u64, _: u64) -> Result<(), DiskError> {
        panic!("a decoder writes nothing")
    }

    async fn truncate(&self, _: u64) -> Result<(), DiskError> {
        panic!("a decoder writes nothing")
    }

    async fn len(&self) -> Result<u64, DiskError> {
        Ok(self.0.len() as u64)
    }

    fn path(&self) -> &Path {
        Path::new("memory")
    }
}
