//! What an arena gives back to the kernel: slabs of which nothing is taken, and of those of which a little
//! is, for long, the rest. So a burst of large buffers is forgotten even if small ones that came with it
//! stay.

use std::ops::Range;
use std::sync::PoisonError;

use super::{Arena, ORDERS, SlabState, TAKEN, UNITS};
use crate::buffer::slab;
use crate::runtime::BLOCK_BYTES;

impl Arena {
    /// Gives back memory that was not used since the last trim, of `slabs_max` slabs at most, and none of
    /// what is reserved; returns of how many. If it was all that it might be, the rest is for the next
    /// call.
    pub(in crate::buffer) fn trim(&mut self, slabs_max: usize) -> usize {
        self.collect();
        let whole = self.give_back_whole(slabs_max);
        let given = whole + self.give_back_parts(slabs_max - whole);
        if given < slabs_max {
            self.slabs.iter_mut().flatten().for_each(|slab| slab.is_used = false);
        }
        given
    }

    fn give_back_whole(&mut self, slabs_max: usize) -> usize {
        let beyond = self.slab_count().saturating_sub(self.reserved);
        let mut idle = self.whole_min.min(self.whole).min(beyond).min(slabs_max);
        let mut given = 0;
        // The list's start is what was not used for longest.
        let mut list = std::mem::take(&mut self.free[ORDERS - 1]);
        list.retain(|&(slab, unit)| {
            let state = self.slabs[slab as usize].as_ref();
            let whole = usize::from(ORDERS as u8 - 1);
            let state = state.filter(|s| usize::from(s.free[usize::from(unit)]) == whole);
            let Some(state) = state else { return false };
            if idle == 0 {
                return true;
            }
            idle -= 1;
            given += 1;
            self.returned_units -= state.returned_units;
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

    /// The free blocks of slabs that nothing was taken from since the last trim. The slabs stay, and with
    /// them the addresses.
    fn give_back_parts(&mut self, slabs_max: usize) -> usize {
        let is_resident = |slab: &&mut SlabState| slab.returned_units == 0;
        let resident = self.slabs.iter_mut().flatten().filter(is_resident).count();
        let slabs_max = slabs_max.min(resident.saturating_sub(self.reserved));
        let mut given = 0;
        for slab in self.slabs.iter_mut().flatten() {
            if given == slabs_max {
                break;
            }
            if !slab.is_used && !slab.is_whole() && slab.returned_units == 0 {
                slab.give_back_free();
                self.returned_units += slab.returned_units;
                given += usize::from(slab.returned_units > 0);
            }
        }
        given
    }
}

impl SlabState {
    fn is_whole(&self) -> bool {
        usize::from(self.free[0]) == ORDERS - 1
    }

    fn give_back_free(&mut self) {
        // Or the kernel would fill it up again, to a huge page.
        slab::want_huge_page(self.ptr, false);
        let mut unit = 0;
        while unit < UNITS {
            let order = self.free[unit];
            if order == TAKEN {
                unit += 1;
                continue;
            }
            let Range { start, end } = unit..unit + (1 << order);
            // SAFETY: a free block lies within its slab, and nobody uses what is in it.
            unsafe {
                let ptr = self.ptr.add(start * BLOCK_BYTES);
                slab::give_back_pages(ptr, (end - start) * BLOCK_BYTES);
            }
            self.returned_units += end - start;
            unit = end;
        }
    }

    /// Something is taken from it: counts as if the kernel had given all of it again; returns how many
    /// units it had.
    pub(super) fn touch_again(&mut self) -> usize {
        if self.returned_units > 0 {
            slab::want_huge_page(self.ptr, true);
        }
        std::mem::take(&mut self.returned_units)
    }
}
