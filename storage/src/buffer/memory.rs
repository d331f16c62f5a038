//! Block-aligned memory: out of the thread's [`Arena`], or, beyond the size of a slab, a mapping of
//! its own.

use std::cell::RefCell;
use std::ptr::NonNull;
use std::sync::Arc;

use super::arena::{Arena, Block, Home, ORDERS, SLAB_BYTES, order_of};
use super::slab;

thread_local! {
    /// `None` until the thread takes its first buffer.
    static ARENA: RefCell<Option<Arena>> = const { RefCell::new(None) };
}

/// Initialised, block-aligned memory.
pub(super) struct Memory {
    ptr: NonNull<u8>,
    len: usize,
    /// Where it came from; `None`: it is a mapping of its own.
    home: Option<(Arc<Home>, Block)>,
}

// SAFETY: `Memory` owns its bytes. They are written only through the one `AlignedBuf` that took it,
// beyond every slice handed out, and read through slices over bytes that no longer change. The
// slab they lie in lives as long as `home`.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// At least `capacity` bytes (whole blocks, at least one), with arbitrary contents.
    pub(super) fn take(capacity: usize) -> Memory {
        if capacity > SLAB_BYTES {
            return Memory { ptr: slab::map(capacity), len: capacity, home: None };
        }
        let order = order_of(capacity);
        let (ptr, home) = with_arena(|arena| {
            let (ptr, block) = arena.take(order);
            (ptr, Some((arena.home().clone(), block)))
        })
        // A thread that is ending has no arena any more.
        .unwrap_or_else(|| (slab::map(bytes_of(order)), None));
        Memory { ptr, len: bytes_of(order), home }
    }

    pub(super) fn as_ptr(&self) -> *mut u8 {
        self.ptr.as_ptr()
    }

    /// Bytes taken.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let Some((home, block)) = self.home.take() else {
            // SAFETY: `take` mapped it with this length, and nobody uses it any more.
            unsafe { slab::unmap(self.ptr, self.len) };
            return;
        };
        let was_here = ARENA.try_with(|arena| {
            let mut arena = arena.borrow_mut();
            let here = arena.as_mut().filter(|arena| Arc::ptr_eq(arena.home(), &home));
            here.map(|arena| arena.give_back(block)).is_some()
        });
        if !was_here.unwrap_or(false) {
            home.give_back(block);
        }
    }
}

fn bytes_of(order: usize) -> usize {
    debug_assert!(order < ORDERS);
    crate::runtime::BLOCK_BYTES << order
}

/// Runs `work` on this thread's arena; `None` on a thread that is ending.
pub(super) fn with_arena<T>(work: impl FnOnce(&mut Arena) -> T) -> Option<T> {
    ARENA.try_with(|arena| work(arena.borrow_mut().get_or_insert_with(Arena::new))).ok()
}
