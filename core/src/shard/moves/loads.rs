//! How busy the shards are, and which of them take connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::affinity::Wish;

/// A shard that is busy for no more than this share of the time takes the connections whose work it
/// does anyway. (Thousandths, as all of these.)
const HAS_ROOM: u32 = 700;
/// A busier one does so only if it is busier than the shard that they leave by no more than this. So
/// shards that are all busy exchange what is in the wrong place, and none gets more than its part.
const BUSIER_BY_MAX: u32 = 50;
/// A shard as busy as this sends connections away that have moved to it,
const FULL: u32 = 900;
/// to one that is no busier than this.
const IDLE: u32 = 500;

/// Connections that a shard takes between two measurements: these, or one in so many of what it has,
/// so that what they bring is seen before more come.
const ARRIVALS_MIN: u32 = 16;
const ARRIVALS_PART: usize = 16;

/// The loads of all shards; clones are handles to the same ones.
#[derive(Clone)]
pub struct Loads(Arc<[Load]>);

#[derive(Default)]
struct Load {
    busy: AtomicU32,
    arrivals_left: AtomicU32,
}

impl Loads {
    /// Of so many shards, of which nothing is known: no connection moves.
    pub fn new(shards: usize) -> Loads {
        Loads((0..shards).map(|_| Load::default()).collect())
    }

    /// Shard `shard` was busy for so many thousandths of the time since it was measured last, and has
    /// so many connections.
    pub fn measured(&self, shard: usize, busy: u32, connections: usize) {
        let Some(load) = self.0.get(shard) else { return };
        load.busy.store(busy, Ordering::Relaxed);
        let part = u32::try_from(connections / ARRIVALS_PART).unwrap_or(u32::MAX);
        load.arrivals_left.store(part.max(ARRIVALS_MIN), Ordering::Relaxed);
    }

    /// Where a connection of shard `from` goes that has this wish, counted as one of its arrivals;
    /// `None`: it stays.
    pub fn admit(&self, wish: Wish, from: usize) -> Option<usize> {
        let busy: Vec<u32> = self.0.iter().map(|load| load.busy.load(Ordering::Relaxed)).collect();
        let to = target(wish, from, &busy)?;
        let less = |left: u32| left.checked_sub(1);
        let arrivals_left = &self.0[to].arrivals_left;
        arrivals_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok().map(|_| to)
    }
}

/// Where a connection of shard `from` goes, if each shard is so busy.
pub(super) fn target(wish: Wish, from: usize, busy: &[u32]) -> Option<usize> {
    let here = *busy.get(from)?;
    match wish {
        Wish::At(to) => {
            let there = *busy.get(to)?;
            (there <= HAS_ROOM || there <= here + BUSIER_BY_MAX).then_some(to)
        }
        // Its work stays where it is, but what the socket takes can be done by another.
        Wish::Here => {
            let (idlest, load) = busy.iter().enumerate().min_by_key(|(_, load)| **load)?;
            (here >= FULL && *load <= IDLE).then_some(idlest)
        }
    }
}
