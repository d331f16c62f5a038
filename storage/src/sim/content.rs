//! The bytes of a file, and changes to them, as far as sectors.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::rng::Rng;
use crate::buffer::AlignedSlice;
use crate::runtime::BLOCK_BYTES;

/// What a disk writes or does not write as a whole.
pub(super) const SECTOR_BYTES: usize = 512;

/// Sparse: a block that is not there reads as zeros. Clones share blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    blocks: BTreeMap<u64, Rc<[u8; BLOCK_BYTES]>>,
    len_bytes: u64,
}

/// One change of a file.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Bytes written at a block-aligned position: all sectors, or those marked.
    Write { position: u64, data: AlignedSlice, sectors: Option<Rc<[bool]>> },
    /// The size extended to at least so much.
    Extend(u64),
    /// The size set.
    SetLen(u64),
}

impl Change {
    /// This write, torn: each sector got there, or did not. Changes of size are not torn.
    pub(super) fn torn(self, rng: &Rng) -> Change {
        let Change::Write { position, data, sectors } = self else { return self };
        let before = sectors.as_deref();
        let count = data.len() / SECTOR_BYTES;
        // Sometimes only the front got there, sometimes any of them.
        let front = rng.coin().then(|| rng.within(0..count as u64 + 1) as usize);
        let keeps = |i: usize| front.map_or_else(|| rng.coin(), |n| i < n);
        let sectors = (0..count).map(|i| keeps(i) && before.is_none_or(|b| b[i])).collect();
        Change::Write { position, data, sectors: Some(sectors) }
    }

    /// The byte range it writes; empty for changes of size.
    pub(super) fn range(&self) -> std::ops::Range<u64> {
        match self {
            Change::Write { position, data, .. } => *position..*position + data.len() as u64,
            Change::Extend(_) | Change::SetLen(_) => 0..0,
        }
    }
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len_bytes
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Extend(len) => self.len_bytes = self.len_bytes.max(*len),
            Change::SetLen(len) => self.set_len(*len),
            Change::Write { position, data, sectors } => {
                for (i, sector) in data.chunks(SECTOR_BYTES).enumerate() {
                    if sectors.as_ref().is_none_or(|kept| kept[i]) {
                        self.put_sector(*position + (i * SECTOR_BYTES) as u64, sector);
                    }
                }
            }
        }
    }

    fn put_sector(&mut self, position: u64, sector: &[u8]) {
        let block = self.block_mut(position / BLOCK_BYTES as u64);
        let at = position as usize % BLOCK_BYTES;
        block[at..at + sector.len()].copy_from_slice(sector);
        self.len_bytes = self.len_bytes.max(position + sector.len() as u64);
    }

    fn block_mut(&mut self, number: u64) -> &mut [u8; BLOCK_BYTES] {
        Rc::make_mut(self.blocks.entry(number).or_insert_with(|| Rc::new([0; BLOCK_BYTES])))
    }

    fn set_len(&mut self, len: u64) {
        if len < self.len_bytes {
            self.blocks.split_off(&len.div_ceil(BLOCK_BYTES as u64));
            let inside = len as usize % BLOCK_BYTES;
            if inside != 0 && self.blocks.contains_key(&(len / BLOCK_BYTES as u64)) {
                self.block_mut(len / BLOCK_BYTES as u64)[inside..].fill(0);
            }
        }
        self.len_bytes = len;
    }

    /// Bytes of `[position, position + len)`, as far as the file goes.
    pub(super) fn read(&self, position: u64, len: usize) -> Vec<u8> {
        let end = self.len_bytes.min(position + len as u64);
        let mut out = Vec::with_capacity(end.saturating_sub(position) as usize);
        let mut at = position;
        while at < end {
            let inside = at as usize % BLOCK_BYTES;
            let n = (BLOCK_BYTES - inside).min((end - at) as usize);
            match self.blocks.get(&(at / BLOCK_BYTES as u64)) {
                Some(block) => out.extend_from_slice(&block[inside..inside + n]),
                None => out.resize(out.len() + n, 0),
            }
            at += n as u64;
        }
        out
    }

    /// Flips one bit.
    pub(super) fn flip_bit(&mut self, position: u64, bit: u32) {
        assert!(position < self.len_bytes, "there is no byte {position}");
        self.block_mut(position / BLOCK_BYTES as u64)[position as usize % BLOCK_BYTES] ^= 1 << bit;
    }
}
