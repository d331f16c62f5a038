use super::*;

const BLOCK: usize = BLOCK_BYTES;

fn bytes(arena: &Arena) -> usize {
    arena.bytes().0
}

#[test]
fn sizes_are_rounded_up_to_powers_of_two() {
    let orders = [1, BLOCK, BLOCK + 1, 3 * BLOCK, 64 << 10, 1 << 20, SLAB_BYTES].map(order_of);
    assert_eq!(orders, [0, 0, 1, 2, 4, 8, ORDERS - 1]);
}

#[test]
fn what_was_given_back_last_is_taken_first() {
    let mut arena = Arena::new();
    let (first, a) = arena.take(7);
    let (second, b) = arena.take(7);
    assert_ne!(first, second);
    arena.give_back(b);
    assert_eq!(arena.take(7).0, second);
    arena.give_back(a);
    assert_eq!(arena.take(7).0, first);
    assert_eq!(bytes(&arena), SLAB_BYTES);
}

#[test]
fn neighbours_join_so_that_small_blocks_do_not_keep_large_ones_out() {
    let mut arena = Arena::new();
    let mut taken: Vec<_> = (0..UNITS).map(|_| arena.take(0).1).collect();
    assert_eq!((bytes(&arena), arena.whole), (SLAB_BYTES, 0));
    // In another order than they were taken.
    while !taken.is_empty() {
        let at = taken.len() / 3;
        arena.give_back(taken.swap_remove(at));
    }
    assert_eq!(arena.whole, 1);
    let (_, whole) = arena.take(ORDERS - 1);
    assert_eq!((whole.unit, bytes(&arena)), (0, SLAB_BYTES));
}

#[test]
#[should_panic(expected = "given back once")]
fn a_block_is_not_given_back_twice() {
    let mut arena = Arena::new();
    let (_, _stays) = arena.take(0);
    let (_, block) = arena.take(0);
    arena.give_back(block);
    arena.give_back(block);
}

#[test]
fn blocks_never_overlap_and_memory_stays_near_what_is_taken() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % below
    };
    let mut arena = Arena::new();
    let mut taken: Vec<(usize, Block)> = Vec::new();
    for round in 0..20_000 {
        if taken.len() < 200 && random(5) < 3 {
            let (ptr, block) = arena.take(random(8));
            taken.push((ptr.addr().get(), block));
        } else if !taken.is_empty() {
            let (_, block) = taken.swap_remove(random(taken.len()));
            arena.give_back(block);
        }
        if round % 500 == 0 {
            let mut ranges: Vec<_> =
                taken.iter().map(|(at, b)| (*at, *at + (BLOCK << b.order))).collect();
            ranges.sort_unstable();
            assert!(ranges.windows(2).all(|two| two[0].1 <= two[1].0), "round {round}");
            assert!(ranges.iter().all(|(at, _)| at.is_multiple_of(BLOCK)));
        }
    }
    let listed: usize = arena.free.iter().map(Vec::len).sum();
    assert!(listed < 3 * arena.slabs.len() * UNITS + ORDERS * UNITS, "{listed} listed");
    assert!(bytes(&arena) <= 200 * (BLOCK << 7), "{} bytes", bytes(&arena));
    taken.drain(..).for_each(|(_, block)| arena.give_back(block));
    assert_eq!(arena.whole * SLAB_BYTES, bytes(&arena), "all slabs are whole again");
}

#[test]
fn only_slabs_that_were_idle_since_the_last_trim_go() {
    let mut arena = Arena::new();
    let blocks: Vec<_> = (0..4).map(|_| arena.take(ORDERS - 1).1).collect();
    blocks.into_iter().for_each(|block| arena.give_back(block));
    assert_eq!(arena.trim(9), 0, "all were in use since the start");
    let (_, block) = arena.take(ORDERS - 1);
    arena.give_back(block);
    assert_eq!((arena.trim(2), arena.trim(2), bytes(&arena)), (2, 1, SLAB_BYTES));
    assert_eq!((arena.trim(2), bytes(&arena)), (1, 0));
    let (ptr, _) = arena.take(3);
    // SAFETY: the block is ours and at least one byte long.
    unsafe { ptr.as_ptr().write(1) };
    assert_eq!(bytes(&arena), SLAB_BYTES);
}

#[test]
fn what_is_reserved_stays() {
    let mut arena = Arena::new();
    arena.reserve(3 * SLAB_BYTES as u64 - 1).unwrap();
    let blocks: Vec<_> = (0..5).map(|_| arena.take(ORDERS - 1).1).collect();
    blocks.into_iter().for_each(|block| arena.give_back(block));
    arena.trim(9);
    arena.trim(9);
    assert_eq!(bytes(&arena), 3 * SLAB_BYTES);
}

/// Bytes of the slab at `ptr` that are in memory (mincore(2)).
fn resident_bytes(ptr: NonNull<u8>) -> usize {
    let mut pages = [0_u8; UNITS];
    // SAFETY: the slab is mapped, and there is a byte for each of its pages.
    let failed = unsafe { libc::mincore(ptr.as_ptr().cast(), SLAB_BYTES, pages.as_mut_ptr()) };
    assert_eq!(failed, 0);
    pages.iter().filter(|page| **page & 1 == 1).count() * BLOCK
}

#[test]
fn a_block_that_stays_does_not_keep_its_slab_in_memory() {
    let mut arena = Arena::new();
    let (slab, large) = arena.take(ORDERS - 2);
    let (kept_at, kept) = arena.take(0);
    for ptr in [slab, kept_at] {
        // SAFETY: each block is ours, and at least one block long.
        unsafe { ptr.as_ptr().write_bytes(7, BLOCK) };
    }
    arena.give_back(large);
    assert_eq!(arena.bytes(), (SLAB_BYTES, BLOCK));
    assert_eq!((arena.trim(9), resident_bytes(slab) >= 2 * BLOCK), (0, true), "used until now");
    assert_eq!((arena.trim(9), resident_bytes(slab), arena.bytes()), (1, BLOCK, (BLOCK, BLOCK)));
    assert_eq!(arena.trim(9), 0, "once is enough");
    // SAFETY: still ours.
    assert_eq!(unsafe { kept_at.as_ptr().read() }, 7);
    // It can be used again.
    let (again, large) = arena.take(ORDERS - 2);
    assert_eq!((again, arena.bytes().0), (slab, SLAB_BYTES));
    // SAFETY: the block is ours, and half a slab long.
    unsafe { again.as_ptr().write_bytes(7, SLAB_BYTES / 2) };
    arena.give_back(large);
    arena.give_back(kept);
    assert_eq!((arena.trim(9), arena.trim(9), arena.bytes()), (0, 1, (0, 0)));
}

#[test]
fn what_is_reserved_is_not_given_back_in_parts_either() {
    let mut arena = Arena::new();
    arena.reserve(2 * SLAB_BYTES as u64).unwrap();
    let blocks: Vec<_> = (0..3 * UNITS).map(|_| arena.take(0)).collect();
    // Of each slab one stays.
    for (number, (_, block)) in blocks.iter().enumerate() {
        if number % UNITS > 0 {
            arena.give_back(*block);
        }
    }
    let given: Vec<usize> = (0..3).map(|_| arena.trim(9)).collect();
    assert_eq!(given, [0, 1, 0]);
    assert_eq!(arena.bytes(), (2 * SLAB_BYTES + BLOCK, 3 * BLOCK));
}
