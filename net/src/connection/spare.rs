//! What answers are encoded into, used again and again by all connections of one thread: a connection
//! holds one only while it writes.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use crate::codec::Encoder;
use crate::extent::Part;

/// What one thread keeps at most, beside those in use.
const KEPT_MAX: usize = 64;

/// Memory of an encoder that is kept: there is some, and not that of a large answer.
const KEPT_BYTES: RangeInclusive<usize> = 1..=4 << 10;

/// Parts that are kept room for.
const KEPT_PARTS_MAX: usize = 64;

thread_local! {
    static KEPT: RefCell<Vec<Out>> = const { RefCell::new(Vec::new()) };
}

/// Answers on their way to the socket.
#[derive(Default)]
pub(super) struct Out {
    pub encoder: Encoder,
    pub parts: Vec<Part>,
}

/// An empty one.
pub(super) fn take() -> Out {
    let kept = KEPT.try_with(|kept| kept.borrow_mut().pop());
    kept.ok().flatten().unwrap_or_default()
}

/// Keeps one whose answers are written for the next.
pub(super) fn give_back(mut out: Out) {
    // Without parts nothing was encoded.
    let kept_bytes = match out.parts.is_empty() {
        true => out.encoder.capacity(),
        false => {
            out.parts.clear();
            out.encoder.reclaim()
        }
    };
    if !KEPT_BYTES.contains(&kept_bytes) || out.parts.capacity() > KEPT_PARTS_MAX {
        return;
    }
    // A thread that is ending keeps nothing.
    let _ = KEPT.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() < KEPT_MAX {
            kept.push(out);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(out: &mut Out, bytes: usize) -> *const u8 {
        out.encoder.put(&vec![7; bytes]);
        out.encoder.take_parts_into(&mut out.parts);
        out.parts[0].bytes().unwrap().as_ptr()
    }

    #[test]
    fn memory_is_used_again_once_it_is_written() {
        let mut first = take();
        let at = encode(&mut first, 300);
        give_back(first);
        let mut second = take();
        assert!(second.encoder.is_empty() && second.parts.is_empty());
        assert_eq!(encode(&mut second, 256), at);
        assert_eq!(&second.parts[0].bytes().unwrap()[..], &[7; 256][..]);
    }

    #[test]
    fn what_somebody_still_holds_and_what_is_large_is_not_kept() {
        for (bytes, holds) in [(300, true), (8 << 10, false)] {
            let mut out = take();
            encode(&mut out, bytes);
            let held = holds.then(|| out.parts[0].clone());
            give_back(out);
            assert_eq!(KEPT.with_borrow(Vec::len), 0, "{bytes}");
            drop(held);
        }
        // What was left behind a large answer does not hide it.
        let mut out = take();
        out.encoder.put(&[7; 3000]);
        encode(&mut out, 100);
        assert!(out.encoder.capacity() <= 4 << 10);
        give_back(out);
        assert_eq!(KEPT.with_borrow(Vec::len), 0);
    }

    #[test]
    fn one_that_nothing_was_encoded_into_is_kept_as_it_was() {
        let mut out = take();
        let at = encode(&mut out, 300);
        give_back(out);
        give_back(take());
        assert_eq!(encode(&mut take(), 256), at);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let many: Vec<Out> = (0..2 * KEPT_MAX).map(|_| take()).collect();
        for mut out in many {
            encode(&mut out, 300);
            give_back(out);
        }
        assert_eq!(KEPT.with_borrow(Vec::len), KEPT_MAX);
    }
}
