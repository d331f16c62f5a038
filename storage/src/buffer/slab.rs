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

/// A slab cut out of a mapping of twice its length.
fn map_aligned() -> NonNull<u8> {
    let wide = map(2 * SLAB_BYTES);
    let before = wide.as_ptr().align_offset(SLAB_BYTES);
    // SAFETY: the first multiple of the length lies less than that behind the start, so all of the
    // slab is in the mapping; what is before and behind it is used by nobody.
    unsafe {
        let slab = wide.add(before);
        if before > 0 {
            unmap(wide, before);
        }
        unmap(slab.add(SLAB_BYTES), SLAB_BYTES - before);
        slab
    }
}

/// Gives a mapping back.
///
/// # Safety
/// `ptr` and `len` must be a mapping, or a part of one, that nobody uses any more.
pub(super) unsafe fn unmap(ptr: NonNull<u8>, len: usize) {
    // SAFETY: the caller vouches that it is ours and unused.
    unsafe { libc::munmap(ptr.as_ptr().cast(), len) };
}

/// Says whether the kernel is to back the slab at `ptr` by one huge page. Advice: a kernel without them
/// goes on with small ones.
pub(super) fn want_huge_page(ptr: NonNull<u8>, wanted: bool) {
    let advice = if wanted { libc::MADV_HUGEPAGE } else { libc::MADV_NOHUGEPAGE };
    // SAFETY: it changes nothing of what is in memory; a range that is not mapped is an error.
    unsafe { libc::madvise(ptr.as_ptr().cast(), SLAB_BYTES, advice) };
}

/// Gives the kernel the memory back, not the addresses: the next touch finds zeros.
///
/// # Safety
/// The range, of whole pages, must be mapped, and nobody may use what is in it.
pub(super) unsafe fn give_back_pages(ptr: NonNull<u8>, len: usize) {
    // SAFETY: the caller vouches that it is ours and unused.
    unsafe { libc::madvise(ptr.as_ptr().cast(), len, libc::MADV_DONTNEED) };
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
        // Mostly aligned by the kernel; and what was once cut to shape below leaves room for more.
        let pages = map(SLAB_BYTES);
        let ptr = match pages.as_ptr().align_offset(SLAB_BYTES) {
            0 => pages,
            _ => {
                // SAFETY: just mapped, and used by nobody.
                unsafe { unmap(pages, SLAB_BYTES) };
                map_aligned()
            }
        };
        want_huge_page(ptr, true);
        Slab { ptr }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slabs_are_aligned_whichever_way_they_come() {
        let slabs: Vec<Slab> = (0..4).map(|_| Slab::map()).collect();
        let cut: Vec<Slab> = (0..4).map(|_| Slab { ptr: map_aligned() }).collect();
        for slab in slabs.iter().chain(&cut) {
            assert_eq!(slab.ptr().addr().get() % SLAB_BYTES, 0);
            slab.touch().unwrap();
        }
    }
}
