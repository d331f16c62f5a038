//! Memory for long frames, used again and again by one thread: fresh memory has to be cleared by the
//! kernel, page by page, which costs more than to receive into it.

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};

use super::leftovers;

/// Shorter frames are left to the allocator, which is as good at them.
const POOLED_BYTES_MIN: usize = 16 << 10;

/// Longer ones are rare, and would keep too much.
pub(super) const POOLED_BYTES_MAX: usize = 4 << 20;

/// What one thread keeps at most, beside the frames under way.
const KEPT_BYTES_MAX: usize = 16 << 20;

/// Sizes are rounded up by less than one part of so many.
const STEPS: usize = 8;

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
}

/// Buffers that are not in use, by size; the last given back is at the end of its list, and may still
/// be in the core's caches.
#[derive(Default)]
struct Kept {
    bytes: usize,
    by_class: Vec<Vec<BytesMut>>,
}

/// The class of buffers of at least `bytes`, and what they hold.
fn class_of(bytes: usize) -> (usize, usize) {
    let step = (bytes.next_power_of_two() / 2 / STEPS).max(1);
    let capacity = bytes.next_multiple_of(step);
    // Eight classes a doubling, the doublings one after the other.
    let doubling = (step * STEPS).ilog2() as usize;
    (doubling * (STEPS + 1) + (capacity - step * STEPS) / step, capacity)
}

fn is_pooled(bytes: usize) -> bool {
    (POOLED_BYTES_MIN..=POOLED_BYTES_MAX).contains(&bytes)
}

/// An empty buffer with room for `bytes`.
pub(super) fn take(bytes: usize) -> BytesMut {
    if !is_pooled(bytes) {
        return BytesMut::with_capacity(bytes);
    }
    let (class, capacity) = class_of(bytes);
    let kept = KEPT.try_with(|kept| {
        let kept = &mut *kept.borrow_mut();
        let buf = kept.by_class.get_mut(class)?.pop()?;
        kept.bytes -= buf.capacity();
        Some(buf)
    });
    kept.ok().flatten().unwrap_or_else(|| BytesMut::with_capacity(capacity))
}

/// Keeps a buffer of [`take`], which nothing shares, for the next.
fn give_back(mut buf: BytesMut) {
    buf.clear();
    let capacity = buf.capacity();
    let (class, exact) = class_of(capacity.max(1));
    if !is_pooled(capacity) || exact != capacity {
        return;
    }
    // A thread that is ending keeps nothing.
    let _ = KEPT.try_with(|kept| {
        let kept = &mut *kept.borrow_mut();
        if kept.bytes + capacity > KEPT_BYTES_MAX {
            return;
        }
        if kept.by_class.len() <= class {
            kept.by_class.resize_with(class + 1, Vec::new);
        }
        kept.bytes += capacity;
        kept.by_class[class].push(buf);
    });
}

/// The filled buffer as a frame; with the last reference to it, wherever that is dropped, its memory is
/// kept, or given back if it is too large for that.
pub(super) fn share(buf: BytesMut) -> Bytes {
    if buf.capacity() < POOLED_BYTES_MIN {
        return buf.freeze();
    }
    Bytes::from_owner(Frame(buf))
}

struct Frame(BytesMut);

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        let buf = std::mem::take(&mut self.0);
        if buf.capacity() > POOLED_BYTES_MAX {
            leftovers::leave(buf);
        } else {
            give_back(buf);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept_bytes() -> usize {
        KEPT.with_borrow(|kept| {
            let counted: usize = kept.by_class.iter().flatten().map(BytesMut::capacity).sum();
            assert_eq!(kept.bytes, counted);
            counted
        })
    }

    #[test]
    fn sizes_are_rounded_up_by_little_and_classes_do_not_mix() {
        let mut last = (0, 0);
        for bytes in POOLED_BYTES_MIN..(1 << 20) {
            let (class, capacity) = class_of(bytes);
            assert!(capacity >= bytes && capacity - bytes < bytes / STEPS + 1, "{bytes}");
            assert_eq!(class_of(capacity), (class, capacity), "{bytes}");
            assert_eq!(class == last.0, capacity == last.1, "{bytes}: one size a class");
            last = (class, capacity);
        }
    }

    #[test]
    fn a_frames_memory_is_used_again_once_its_last_part_is_gone() {
        let mut buf = take(65_000);
        buf.extend_from_slice(&[7; 65_000]);
        let at = buf.as_ptr();
        let frame = share(buf);
        let part = frame.slice(100..200);
        drop(frame);
        assert_eq!((kept_bytes(), &part[..]), (0, &[7; 100][..]));
        drop(part);
        let again = take(64_500);
        assert_eq!((again.as_ptr(), again.len(), kept_bytes()), (at, 0, 0));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let frames: Vec<_> = (0..64).map(|_| share(take(1 << 20))).collect();
        drop(frames);
        assert_eq!(kept_bytes(), KEPT_BYTES_MAX);
        drop(share(take(POOLED_BYTES_MAX + 1)));
        drop(share(take(POOLED_BYTES_MIN - 1)));
        assert_eq!(kept_bytes(), KEPT_BYTES_MAX);
    }
}
