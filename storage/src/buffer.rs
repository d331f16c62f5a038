//! Memory for direct I/O that can be shared while it is still being filled.
//!
//! A partition's tail is appended to while older bytes of the same buffer are on their way to the
//! disk and to sockets, possibly on other shards. An [`AlignedBuf`] has ONE writer, which fills it
//! front to back, and any number of [`AlignedSlice`]s over bytes that are already filled; so no
//! byte is ever written while somebody may read it.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::runtime::BLOCK_BYTES;

struct Memory {
    ptr: NonNull<u8>,
    capacity: usize,
}

// SAFETY: `Memory` owns its allocation. It is written only through the one `AlignedBuf` that made
// it, beyond every slice handed out, and read through slices over bytes that no longer change.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    fn layout(capacity: usize) -> Layout {
        Layout::from_size_align(capacity, BLOCK_BYTES).expect("a buffer fits the address space")
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `AlignedBuf::zeroed` with this very layout; dropped once.
        unsafe { dealloc(self.ptr.as_ptr(), Memory::layout(self.capacity)) }
    }
}

/// The writing end of a block-aligned, zero-initialised buffer.
pub struct AlignedBuf {
    memory: Arc<Memory>,
    filled: usize,
}

impl AlignedBuf {
    /// An empty buffer of `capacity_bytes` (rounded up to whole blocks, at least one), all zeros,
    /// so that padding never carries stale memory to the disk.
    pub fn zeroed(capacity_bytes: usize) -> Self {
        let capacity = capacity_bytes.max(1).next_multiple_of(BLOCK_BYTES);
        let layout = Memory::layout(capacity);
        // SAFETY: the layout has a non-zero size.
        let raw = unsafe { alloc_zeroed(layout) };
        let Some(ptr) = NonNull::new(raw) else { handle_alloc_error(layout) };
        AlignedBuf { memory: Arc::new(Memory { ptr, capacity }), filled: 0 }
    }

    /// Bytes it can hold.
    pub fn capacity(&self) -> usize {
        self.memory.capacity
    }

    /// Bytes filled so far.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Bytes that can still be put.
    pub fn remaining(&self) -> usize {
        self.memory.capacity - self.filled
    }

    /// Copies as much of `bytes` as fits behind what is filled; returns how much.
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.remaining());
        // SAFETY: [filled, filled + n) lies inside the allocation; no slice covers it (slices end
        // at or before `filled`), and `&mut self` makes this the only writer.
        unsafe {
            let to = self.memory.ptr.as_ptr().add(self.filled);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, n);
        }
        self.filled += n;
        n
    }

    /// Counts zeros as filled up to the next block boundary.
    pub fn pad_to_block(&mut self) {
        self.filled = self.filled.next_multiple_of(BLOCK_BYTES);
    }

    /// The whole capacity as one mutable slice, if nothing shares this buffer; for a disk to read
    /// into. `None` as soon as a slice was handed out.
    pub fn unshared_mut(&mut self) -> Option<&mut [u8]> {
        let memory = Arc::get_mut(&mut self.memory)?;
        // SAFETY: the allocation is initialised (zeroed) and `get_mut` proves that it is unshared.
        Some(unsafe { std::slice::from_raw_parts_mut(memory.ptr.as_ptr(), memory.capacity) })
    }

    /// Counts the first `len` bytes as filled, after [`AlignedBuf::unshared_mut`] wrote them.
    ///
    /// # Panics
    /// If `len` exceeds the capacity or goes back behind what is filled.
    pub fn set_filled(&mut self, len: usize) {
        assert!(len <= self.memory.capacity && len >= self.filled);
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
        unsafe { std::slice::from_raw_parts(self.memory.ptr.as_ptr(), self.filled) }
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlignedBuf({}/{})", self.filled, self.memory.capacity)
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
        self.memory.capacity
    }
}

impl Deref for AlignedSlice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: slices cover filled bytes only, which nobody writes again.
        unsafe {
            let from = self.memory.ptr.as_ptr().add(self.start);
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
