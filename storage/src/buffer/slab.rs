//! Memory from the kernel, and back.

use std::alloc::{Layout, handle_alloc_error};
use std::io;
use std::ptr::NonNull;

use super::arena::SLAB_BYTES;

/// `len` bytes of fresh pages.
pub(super) fn map(len: usize) -> NonNull<u8> {
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
    ptr.unwrap_or_else(|| {
        let layout = Layout::from_size_align(len, crate::runtime::BLOCK_BYTES);
        handle_alloc_error(layout.expect("a buffer fits the address space"))
    })
}

/// Gives a mapping back.
///
/// # Safety
/// `ptr` and `len` must be a mapping, or a part of one, that nobody uses any more.
pub(super) unsafe fn unmap(ptr: NonNull<u8>, len: usize) {
    // SAFETY: the caller vouches that it is ours and unused.
    unsafe { libc::munmap(ptr.as_ptr().cast(), len) };
}

/// One slab: [`SLAB_BYTES`] of memory at a multiple of that, which the kernel may back by one huge
/// page.
pub(super) struct Slab {
    ptr: NonNull<u8>,
}

// SAFETY: a slab is an address range that it owns; it reads and writes none of it but in `touch`,
// which only its maker calls.
unsafe impl Send for Slab {}

impl Slab {
    /// Fresh pages, which take memory as they are touched.
    pub(super) fn map() -> Slab {
        let wide = map(2 * SLAB_BYTES);
        let before = wide.as_ptr().align_offset(SLAB_BYTES);
        // SAFETY: the aligned range lies within the mapping of twice its length; what is before
        // and behind it is unused.
        unsafe {
            let ptr = wide.add(before);
            if before > 0 {
                unmap(wide, before);
            }
            unmap(ptr.add(SLAB_BYTES), SLAB_BYTES - before);
            // Advice: a kernel without huge pages goes on with small ones.
            libc::madvise(ptr.as_ptr().cast(), SLAB_BYTES, libc::MADV_HUGEPAGE);
            Slab { ptr }
        }
    }

    /// Its first byte.
    pub(super) fn ptr(&self) -> NonNull<u8> {
        self.ptr
    }

    /// Takes all of its memory now, whatever it holds.
    pub(super) fn touch(&self) -> io::Result<()> {
        // SAFETY: populating a mapping changes none of its contents.
        let failed = unsafe {
            libc::madvise(self.ptr.as_ptr().cast(), SLAB_BYTES, libc::MADV_POPULATE_WRITE)
        };
        if failed != 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        // SAFETY: `map` made it, and whoever drops it has nothing in it any more.
        unsafe { unmap(self.ptr, SLAB_BYTES) };
    }
}
