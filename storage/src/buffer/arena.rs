//! One thread's memory for buffers: taken from the kernel once, used again and again.
//!
//! The kernel clears a page before it is touched for the first time, which costs more than all
//! else that is done to the bytes in it. So memory comes in slabs, which are cut into blocks of
//! powers of two (a buddy system: free neighbours join again), and what was given back last is
//! handed out first. Buffers of whatever sizes share it.
//!
//! A slab that nothing was taken from for a while can be given back ([`Arena::trim`]). A block that
//! is dropped on another thread goes home through a queue.

use std::io;
use std::ptr::NonNull;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::slab::Slab;
use crate::runtime::BLOCK_BYTES;

/// Blocks come as 4 KiB << order.
pub(super) const ORDERS: usize = 10;

/// Bytes of a slab, the largest block.
pub(super) const SLAB_BYTES: usize = BLOCK_BYTES << (ORDERS - 1);

const UNITS: usize = SLAB_BYTES / BLOCK_BYTES;

/// The order of the smallest block that holds `bytes`, at most [`SLAB_BYTES`].
pub(super) fn order_of(bytes: usize) -> usize {
    let blocks = bytes.div_ceil(BLOCK_BYTES).max(1);
    blocks.next_power_of_two().ilog2() as usize
}

/// A part of a slab: 4 KiB << `order` bytes from its `unit`th 4 KiB on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    slab: u32,
    unit: u16,
    order: u8,
}

/// What keeps an arena's slabs alive, and takes blocks back from other threads.
pub(super) struct Home {
    /// By number; `None`: given back to the kernel. Locked only to add, remove and free a slab.
    slabs: Mutex<Vec<Option<Slab>>>,
    returned: Sender<Block>,
}

impl Home {
    /// Queues a block for its thread.
    pub(super) fn give_back(&self, block: Block) {
        // Fails if the thread has ended: nobody takes a block any more, and the slabs go with the
        // last of them.
        let _ = self.returned.send(block);
    }
}

/// What the units of one slab are: for each at which a free block begins, its order, else [`TAKEN`].
type Units = Box<[u8; UNITS]>;

const TAKEN: u8 = u8::MAX;

struct SlabState {
    ptr: NonNull<u8>,
    free: Units,
}

/// The arena of one thread.
pub(super) struct Arena {
    home: Arc<Home>,
    returned: Receiver<Block>,
    slabs: Vec<Option<SlabState>>,
    /// Numbers of slabs that were given back to the kernel.
    unused_numbers: Vec<u32>,
    /// Free blocks by order, the last given back at the end. An entry whose units say otherwise is
    /// out of date: the block has joined its neighbour.
    free: [Vec<(u32, u16)>; ORDERS],
    /// Slabs of which nothing is taken, and the fewest that there were since the last trim.
    whole: usize,
    whole_min: usize,
    /// Slabs that are kept however long nothing is taken from them.
    reserved: usize,
}

impl Arena {
    pub(super) fn new() -> Arena {
        let (send, returned) = channel();
        Arena {
            home: Arc::new(Home { slabs: Mutex::default(), returned: send }),
            returned,
            slabs: Vec::new(),
            unused_numbers: Vec::new(),
            free: Default::default(),
            whole: 0,
            whole_min: 0,
            reserved: 0,
        }
    }

    pub(super) fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// A block of 4 KiB << `order`.
    pub(super) fn take(&mut self, order: usize) -> (NonNull<u8>, Block) {
        self.collect();
        let (found, slab, unit) = self.pop(order).unwrap_or_else(|| {
            let slab = self.add_slab();
            (ORDERS - 1, slab, 0)
        });
        if found == ORDERS - 1 {
            self.whole -= 1;
            self.whole_min = self.whole_min.min(self.whole);
        }
        // The upper halves stay free: what is taken next is near.
        for half in (order..found).rev() {
            self.put(slab, unit + (1 << half), half);
        }
        let state = self.slabs[slab as usize].as_mut().expect("a free block's slab is there");
        state.free[usize::from(unit)] = TAKEN;
        // SAFETY: the unit lies within the slab.
        let ptr = unsafe { state.ptr.add(usize::from(unit) * BLOCK_BYTES) };
        (ptr, Block { slab, unit, order: order as u8 })
    }

    /// The last free block of at least `order`, by what order, slab and unit; no longer listed.
    fn pop(&mut self, order: usize) -> Option<(usize, u32, u16)> {
        for order in order..ORDERS {
            while let Some((slab, unit)) = self.free[order].pop() {
                let state = self.slabs[slab as usize].as_ref();
                if state.is_some_and(|s| usize::from(s.free[usize::from(unit)]) == order) {
                    return Some((order, slab, unit));
                }
            }
        }
        None
    }

    fn put(&mut self, slab: u32, unit: u16, order: usize) {
        let state = self.slabs[slab as usize].as_mut().expect("a block's slab is there");
        state.free[usize::from(unit)] = order as u8;
        self.free[order].push((slab, unit));
        // Entries out of date are few; but no pattern of use makes the list grow without end.
        let blocks = self.slabs.len() * (UNITS >> order);
        if self.free[order].len() > 2 * blocks + UNITS {
            self.forget_outdated(order);
        }
    }

    fn forget_outdated(&mut self, order: usize) {
        let mut list = std::mem::take(&mut self.free[order]);
        list.sort_unstable();
        list.dedup();
        list.retain(|&(slab, unit)| {
            let state = self.slabs[slab as usize].as_ref();
            state.is_some_and(|s| usize::from(s.free[usize::from(unit)]) == order)
        });
        self.free[order] = list;
    }

    /// Takes a block back, on this thread.
    pub(super) fn give_back(&mut self, Block { slab, unit, order }: Block) {
        let (mut unit, mut order) = (unit, usize::from(order));
        let state = self.slabs[slab as usize].as_mut().expect("a taken block's slab is there");
        assert_eq!(state.free[usize::from(unit)], TAKEN, "a block is given back once");
        while order < ORDERS - 1 {
            let neighbour = unit ^ (1 << order);
            if usize::from(state.free[usize::from(neighbour)]) != order {
                break;
            }
            state.free[usize::from(neighbour)] = TAKEN;
            unit = unit.min(neighbour);
            order += 1;
        }
        if order == ORDERS - 1 {
            self.whole += 1;
        }
        self.put(slab, unit, order);
    }

    /// Takes back what other threads have given up.
    fn collect(&mut self) {
        while let Ok(block) = self.returned.try_recv() {
            self.give_back(block);
        }
    }

    /// A new slab, whole and not listed; returns its number.
    fn add_slab(&mut self) -> u32 {
        let slab = Slab::map();
        let state = SlabState { ptr: slab.ptr(), free: Box::new([TAKEN; UNITS]) };
        let number = self.unused_numbers.pop().unwrap_or_else(|| {
            self.slabs.push(None);
            (self.slabs.len() - 1) as u32
        });
        self.slabs[number as usize] = Some(state);
        let mut slabs = self.home.slabs.lock().unwrap_or_else(PoisonError::into_inner);
        if slabs.len() <= number as usize {
            slabs.resize_with(number as usize + 1, || None);
        }
        slabs[number as usize] = Some(slab);
        self.whole += 1;
        number
    }

    /// Takes memory from the kernel until `bytes` are there, touches it and keeps it.
    ///
    /// # Errors
    /// What the kernel says: there is not so much.
    pub(super) fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        let wanted = usize::try_from(bytes.div_ceil(SLAB_BYTES as u64)).unwrap_or(usize::MAX);
        self.reserved = wanted;
        while self.slab_count() < wanted {
            let number = self.add_slab();
            self.put(number, 0, ORDERS - 1);
            let slabs = self.home.slabs.lock().unwrap_or_else(PoisonError::into_inner);
            let slab = slabs[number as usize].as_ref().expect("just added");
            slab.touch()?;
        }
        Ok(())
    }

    /// Gives back, of the slabs that nothing was taken from since the last trim, `slabs_max` at most,
    /// and none of those reserved; returns how many. If it was all that it might be, the rest is for
    /// the next call.
    pub(super) fn trim(&mut self, slabs_max: usize) -> usize {
        self.collect();
        let beyond = self.slab_count().saturating_sub(self.reserved);
        let mut idle = self.whole_min.min(self.whole).min(beyond).min(slabs_max);
        let mut given = 0;
        // The list's start is what was not used for longest.
        let mut list = std::mem::take(&mut self.free[ORDERS - 1]);
        list.retain(|&(slab, unit)| {
            let state = self.slabs[slab as usize].as_ref();
            let whole = usize::from(ORDERS as u8 - 1);
            let is_whole = state.is_some_and(|s| usize::from(s.free[usize::from(unit)]) == whole);
            if idle == 0 || !is_whole {
                return is_whole;
            }
            idle -= 1;
            given += 1;
            self.slabs[slab as usize] = None;
            self.unused_numbers.push(slab);
            self.home.slabs.lock().unwrap_or_else(PoisonError::into_inner)[slab as usize] = None;
            false
        });
        self.free[ORDERS - 1] = list;
        self.whole -= given;
        self.whole_min = if given == slabs_max { self.whole_min - given } else { self.whole };
        given
    }

    fn slab_count(&self) -> usize {
        self.slabs.len() - self.unused_numbers.len()
    }

    /// Bytes of its slabs.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.slab_count() * SLAB_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: usize = BLOCK_BYTES;

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
        assert_eq!(arena.bytes(), SLAB_BYTES);
    }

    #[test]
    fn neighbours_join_so_that_small_blocks_do_not_keep_large_ones_out() {
        let mut arena = Arena::new();
        let mut taken: Vec<_> = (0..UNITS).map(|_| arena.take(0).1).collect();
        assert_eq!((arena.bytes(), arena.whole), (SLAB_BYTES, 0));
        // In another order than they were taken.
        while !taken.is_empty() {
            let at = taken.len() / 3;
            arena.give_back(taken.swap_remove(at));
        }
        assert_eq!(arena.whole, 1);
        let (_, whole) = arena.take(ORDERS - 1);
        assert_eq!((whole.unit, arena.bytes()), (0, SLAB_BYTES));
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
        assert!(arena.bytes() <= 200 * (BLOCK << 7), "{} bytes", arena.bytes());
        taken.drain(..).for_each(|(_, block)| arena.give_back(block));
        assert_eq!(arena.whole * SLAB_BYTES, arena.bytes(), "all slabs are whole again");
    }

    #[test]
    fn only_slabs_that_were_idle_since_the_last_trim_go() {
        let mut arena = Arena::new();
        let blocks: Vec<_> = (0..4).map(|_| arena.take(ORDERS - 1).1).collect();
        blocks.into_iter().for_each(|block| arena.give_back(block));
        assert_eq!(arena.trim(9), 0, "all were in use since the start");
        let (_, block) = arena.take(ORDERS - 1);
        arena.give_back(block);
        assert_eq!((arena.trim(2), arena.trim(2), arena.bytes()), (2, 1, SLAB_BYTES));
        assert_eq!((arena.trim(2), arena.bytes()), (1, 0));
        let (ptr, _) = arena.take(3);
        // SAFETY: the block is ours and at least one byte long.
        unsafe { ptr.as_ptr().write(1) };
        assert_eq!(arena.bytes(), SLAB_BYTES);
    }

    #[test]
    fn what_is_reserved_stays() {
        let mut arena = Arena::new();
        arena.reserve(3 * SLAB_BYTES as u64 - 1).unwrap();
        let blocks: Vec<_> = (0..5).map(|_| arena.take(ORDERS - 1).1).collect();
        blocks.into_iter().for_each(|block| arena.give_back(block));
        arena.trim(9);
        arena.trim(9);
        assert_eq!(arena.bytes(), 3 * SLAB_BYTES);
    }
}
