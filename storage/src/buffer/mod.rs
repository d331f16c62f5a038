//! Memory for direct I/O that can be shared while it is still being filled.
//!
//! A partition's tail is appended to while older bytes of the same buffer are on their way to the
//! disk and to sockets, possibly on other shards. An [`AlignedBuf`] has ONE writer, which fills it
//! front to back, and any number of [`AlignedSlice`]s over bytes that are already filled; so no
//! byte is ever written while somebody may read it.

mod arena;
mod memory;
mod slab;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::Arc;

use crate::runtime::BLOCK_BYTES;
use memory::{Memory, with_arena};

/// Takes `bytes` of memory for this thread's buffers from the kernel, touches all of it, and keeps it
/// for as long as the thread runs: no buffer then waits for the kernel to clear its pages.
///
/// # Errors
/// The kernel's: there is not so much memory, or a control group's limit is lower.
pub fn reserve_memory(bytes: u64) -> io::Result<()> {
    with_arena(|arena| arena.reserve(bytes)).unwrap_or(Ok(()))
}

/// Gives back to the kernel memory of this thread's buffers that was not used since the last call, but
/// for what is reserved: a part of it, so that nobody waits for long. True if there is more.
pub(crate) fn trim_memory() -> bool {
    const SLABS_MAX: usize = 16;
    with_arena(|arena| arena.trim(SLABS_MAX)) == Some(SLABS_MAX)
}

/// Memory of this thread's buffers in bytes: all that it has of the kernel, and how much of that buffers
/// hold now.
pub(crate) fn memory_bytes() -> (u64, u64) {
    let (held, taken) = with_arena(|arena| arena.bytes()).unwrap_or_default();
    (held as u64, taken as u64)
}

/// The writing end of a block-aligned buffer.
pub struct AlignedBuf {
    memory: Arc<Memory>,
    capacity: usize,
    filled: usize,
}

impl AlignedBuf {
    /// An empty buffer of `capacity_bytes` (rounded up to whole blocks, at least one). Its memory may
    /// have been used before: only what is filled can be seen.
    pub fn with_capacity(capacity_bytes: usize) -> Self {
        let capacity = capacity_bytes.max(1).next_multiple_of(BLOCK_BYTES);
        AlignedBuf { memory: Arc::new(Memory::take(capacity)), capacity, filled: 0 }
    }

    /// Bytes it can hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes filled so far.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Bytes that can still be put.
    pub fn remaining(&self) -> usize {
        self.capacity - self.filled
    }

    /// Copies as much of `bytes` as fits behind what is filled; returns how much.
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.remaining());
        // SAFETY: [filled, filled + n) lies inside the allocation; no slice covers it (slices end
        // at or before `filled`), and `&mut self` makes this the only writer.
        unsafe {
            let to = self.memory.as_ptr().add(self.filled);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, n);
        }
        self.filled += n;
        n
    }

    /// Fills up with zeros to the next block boundary, so that no stale memory reaches the disk.
    pub fn pad_to_block(&mut self) {
        let padding = self.filled.next_multiple_of(BLOCK_BYTES) - self.filled;
        self.put(&[0; BLOCK_BYTES][..padding]);
    }

    /// The whole capacity as one mutable slice, if nothing shares this buffer; for a disk to read
    /// into. `None` as soon as a slice was handed out. What is not filled holds arbitrary bytes.
    pub fn unshared_mut(&mut self) -> Option<&mut [u8]> {
        let capacity = self.capacity;
        let memory = Arc::get_mut(&mut self.memory)?;
        // SAFETY: the allocation is initialised, holds at least `capacity` bytes, and `get_mut`
        // proves that it is unshared.
        Some(unsafe { std::slice::from_raw_parts_mut(memory.as_ptr(), capacity) })
    }

    /// Counts the first `len` bytes as filled, after [`AlignedBuf::unshared_mut`] wrote them.
    ///
    /// # Panics
    /// If `len` exceeds the capacity or goes back behind what is filled.
    pub fn set_filled(&mut self, len: usize) {
        assert!(len <= self.capacity && len >= self.filled);
        self.filled = len;
    }

    /// A shared view of `[start, end)`.
    ///
    /// # Panics
    /// If the range is not filled yet.
    pub fn slice(&self, start: usize, end: usize) -> AlignedSlice {
        assert!(start <= end && end <= self.filled, "slice {start}..{end} of {}", self.filled);
        AlignedSlice { memory: self.memory.clone(), start, end }
    }

    /// What is filled.
    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: [0, filled) is initialised and never written again while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr(), self.filled) }
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlignedBuf({}/{})", self.filled, self.capacity)
    }
}

/// A reference-counted range of filled bytes; keeps the memory alive.
#[derive(Clone)]
pub struct AlignedSlice {
    memory: Arc<Memory>,
    start: usize,
    end: usize,
}

impl AlignedSlice {
    /// The part `[start, end)` of this slice.
    ///
    /// # Panics
    /// If the range lies outside.
    pub fn slice(&self, start: usize, end: usize) -> AlignedSlice {
        assert!(start <= end && end <= self.len());
        AlignedSlice {
            memory: self.memory.clone(),
            start: self.start + start,
            end: self.start + end,
        }
    }

    /// Bytes of the whole buffer that this slice keeps alive.
    pub fn held_bytes(&self) -> usize {
        self.memory.len()
    }
}

impl Deref for AlignedSlice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: slices cover filled bytes only, which nobody writes again.
        unsafe {
            let from = self.memory.as_ptr().add(self.start);
            std::slice::from_raw_parts(from, self.end - self.start)
        }
    }
}

impl AsRef<[u8]> for AlignedSlice {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for AlignedSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlignedSlice({} bytes)", self.len())
    }
}
