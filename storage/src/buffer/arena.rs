//! One thread's memory for buffers: taken from the kernel once, used again and again.
//!
//! The kernel clears a page before it is touched for the first time, which costs more than all
//! else that is done to the bytes in it. So memory comes in slabs, which are cut into blocks of
//! powers of two (a buddy system: free neighbours join again), and what was given back last is
//! handed out first. Buffers of whatever sizes share it.
//!
//! What was not used for a while can be given back (`trim.rs`). A block that is dropped on another thread
//! goes home through a queue.

mod trim;

#[cfg(test)]
mod tests;

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
    /// Something was taken from it since the last trim.
    is_used: bool,
    /// Of its free units, those whose memory the kernel has back.
    returned_units: usize,
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
    /// Of all blocks that are taken.
    taken_units: usize,
    /// Of all slabs.
    returned_units: usize,
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
            taken_units: 0,
            returned_units: 0,
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
        self.taken_units += 1 << order;
        state.is_used = true;
        self.returned_units -= state.touch_again();
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
        self.taken_units -= 1 << order;
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
        let free = Box::new([TAKEN; UNITS]);
        let state = SlabState { ptr: slab.ptr(), free, is_used: true, returned_units: 0 };
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

    fn slab_count(&self) -> usize {
        self.slabs.len() - self.unused_numbers.len()
    }

    /// Bytes that it has of the kernel, touched or not yet; and how many of them are taken.
    pub(super) fn bytes(&self) -> (usize, usize) {
        let resident = self.slab_count() * UNITS - self.returned_units;
        (resident * BLOCK_BYTES, self.taken_units * BLOCK_BYTES)
    }
}
