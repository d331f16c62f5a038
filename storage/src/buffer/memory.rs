//! Where aligned buffers' memory comes from, and where it goes.
//!
//! Fresh memory is slow: the kernel clears it page by page as it is first touched. So memory that
//! is given up is kept by the thread that gave it up, sorted by size, and handed out again as it
//! is. Sizes are powers of two, so that what one buffer gives up fits the next.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::ptr::NonNull;

use crate::runtime::BLOCK_BYTES;

/// Memory that one thread keeps for later, at most.
const KEPT_BYTES_MAX: usize = 32 << 20;

/// Buffers above this size are not kept.
const KEPT_LEN_MAX: usize = 4 << 20;

/// From this size on, memory comes as whole pages from the kernel, which has cleared them: the
/// allocator would clear them once more.
const MAPPED_LEN_MIN: usize = 128 << 10;

/// Initialised, block-aligned memory.
pub(super) struct Memory {
    ptr: NonNull<u8>,
    len: usize,
}

// SAFETY: `Memory` owns its allocation. It is written only through the one `AlignedBuf` that took
// it, beyond every slice handed out, and read through slices over bytes that no longer change.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
}

/// Memory given up on this thread, by the logarithm of its size.
#[derive(Default)]
struct Kept {
    bytes: usize,
    by_size: Vec<Vec<NonNull<u8>>>,
}

impl Kept {
    fn take(&mut self, len: usize) -> Option<NonNull<u8>> {
        let ptr = self.by_size.get_mut(len.ilog2() as usize)?.pop()?;
        self.bytes -= len;
        Some(ptr)
    }

    /// False if there is enough of it.
    fn keep(&mut self, ptr: NonNull<u8>, len: usize) -> bool {
        if len > KEPT_LEN_MAX || self.bytes + len > KEPT_BYTES_MAX {
            return false;
        }
        let size = len.ilog2() as usize;
        if self.by_size.len() <= size {
            self.by_size.resize_with(size + 1, Vec::new);
        }
        self.by_size[size].push(ptr);
        self.bytes += len;
        true
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        for (size, kept) in self.by_size.iter_mut().enumerate() {
            for ptr in kept.drain(..) {
                // SAFETY: `keep` took it over from a `Memory` of this size, and nobody else has it.
                unsafe { free(ptr, 1 << size) }
            }
        }
    }
}

impl Memory {
    /// At least `capacity` bytes (whole blocks), with arbitrary contents.
    pub(super) fn take(capacity: usize) -> Memory {
        let len = capacity.checked_next_power_of_two().expect("a buffer fits the address space");
        // Large ones are read into once and go: rounding them up would waste up to half.
        let len = if len > KEPT_LEN_MAX { capacity } else { len };
        let is_kept_size = len <= KEPT_LEN_MAX;
        let kept = is_kept_size.then(|| KEPT.try_with(|kept| kept.borrow_mut().take(len)));
        let ptr = kept.and_then(Result::ok).flatten().unwrap_or_else(|| allocate(len));
        Memory { ptr, len }
    }

    pub(super) fn as_ptr(&self) -> *mut u8 {
        self.ptr.as_ptr()
    }

    /// Bytes allocated.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let (ptr, len) = (self.ptr, self.len);
        // A thread that is ending has no list any more.
        let is_kept = KEPT.try_with(|kept| kept.borrow_mut().keep(ptr, len)).unwrap_or(false);
        if !is_kept {
            // SAFETY: allocated by `allocate` with this very length, and given up here.
            unsafe { free(ptr, len) }
        }
    }
}

fn layout(len: usize) -> Layout {
    Layout::from_size_align(len, BLOCK_BYTES).expect("a buffer fits the address space")
}

fn allocate(len: usize) -> NonNull<u8> {
    if len >= MAPPED_LEN_MIN {
        // SAFETY: an anonymous mapping of fresh pages; no pointer is passed in.
        let pages = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        let ptr = NonNull::new(pages.cast()).filter(|_| pages != libc::MAP_FAILED);
        return ptr.unwrap_or_else(|| handle_alloc_error(layout(len)));
    }
    // SAFETY: the layout has a non-zero size.
    let raw = unsafe { alloc_zeroed(layout(len)) };
    NonNull::new(raw).unwrap_or_else(|| handle_alloc_error(layout(len)))
}

/// # Safety
/// `ptr` must come from [`allocate`] with the same `len`, and not be used afterwards.
unsafe fn free(ptr: NonNull<u8>, len: usize) {
    if len >= MAPPED_LEN_MIN {
        // SAFETY: the caller vouches that this is a whole mapping of ours that nobody uses.
        unsafe { libc::munmap(ptr.as_ptr().cast(), len) };
    } else {
        // SAFETY: the caller vouches that it was allocated with this layout.
        unsafe { dealloc(ptr.as_ptr(), layout(len)) }
    }
}
