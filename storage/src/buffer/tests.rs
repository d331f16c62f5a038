use std::thread;

use super::*;

const MIB: usize = 1 << 20;

/// Bytes that this thread's arena has from the kernel.
fn memory_bytes() -> usize {
    with_arena(|arena| arena.bytes().0).unwrap()
}

#[test]
fn memory_is_used_again() {
    let mut buf = AlignedBuf::with_capacity(MIB);
    buf.put(b"old");
    let at = buf.slice(0, 3).as_ptr();
    drop(buf);
    let mut buf = AlignedBuf::with_capacity(MIB);
    assert_eq!((buf.filled(), buf.as_bytes()), (0, &b""[..]), "nothing of what it held is seen");
    buf.put(b"n");
    buf.pad_to_block();
    assert_eq!(buf.slice(0, 1).as_ptr(), at);
    assert!(buf.as_bytes()[1..].iter().all(|byte| *byte == 0), "padding is zeros");
}

#[test]
fn what_another_thread_drops_comes_home() {
    let mut buf = AlignedBuf::with_capacity(MIB);
    buf.put(b"travels");
    let slice = buf.slice(0, 7);
    let at = slice.as_ptr();
    drop(buf);
    let held = memory_bytes();
    thread::spawn(move || assert_eq!(&slice[..], b"travels")).join().unwrap();
    let mut again = AlignedBuf::with_capacity(MIB);
    again.put(b"x");
    assert_eq!((again.slice(0, 1).as_ptr(), memory_bytes()), (at, held));
}

#[test]
fn a_slice_outlives_the_thread_that_made_it() {
    let made = thread::spawn(|| {
        let mut buf = AlignedBuf::with_capacity(5000);
        buf.put(&[7; 5000]);
        buf.slice(0, 5000)
    });
    let slice = made.join().unwrap();
    assert!(slice.iter().all(|byte| *byte == 7));
    let copy = slice.clone();
    drop(slice);
    thread::spawn(move || assert_eq!(copy.len(), 5000)).join().unwrap();
}

#[test]
fn buffers_beyond_a_slab_are_exactly_as_long_as_asked_for() {
    let buf = AlignedBuf::with_capacity(5 * MIB + 1);
    assert_eq!(buf.capacity(), 5 * MIB + BLOCK_BYTES);
    assert_eq!(buf.slice(0, 0).held_bytes(), buf.capacity());
}
