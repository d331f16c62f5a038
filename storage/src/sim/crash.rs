//! What a crash does to the disk (the model is stated in `disk.rs`).

use std::collections::BTreeMap;

use super::content::Change;
use super::disk::Disk;
use super::faults::Counters;
use super::namespace::{DirNode, FileNode, Inode, Node, names};
use super::operation::Operation;
use super::rng::Rng;

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// kill -9, panic, out of memory.
    Kill,
    /// The whole machine.
    PowerLoss,
}

/// What becomes of a change that may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    Lost,
    Torn,
}

/// How a crash deals out fates: extremes find what a fair coin hardly ever does.
#[derive(Clone, Copy, Debug)]
struct Dealer<'a> {
    rng: &'a Rng,
    all: Option<Fate>,
}

impl<'a> Dealer<'a> {
    fn new(rng: &'a Rng) -> Self {
        let all = match rng.within(0..8) {
            0 => Some(Fate::Kept),
            1 => Some(Fate::Lost),
            _ => None,
        };
        Dealer { rng, all }
    }

    fn fate(&self) -> Fate {
        self.all.unwrap_or_else(|| match self.rng.within(0..3) {
            0 => Fate::Kept,
            1 => Fate::Lost,
            _ => Fate::Torn,
        })
    }

    fn happens(&self) -> bool {
        self.all.map_or_else(|| self.rng.coin(), |fate| fate == Fate::Kept)
    }

    /// The change as far as it survives.
    fn survivor(&self, change: Change, counters: &mut Counters) -> Option<Change> {
        if !matches!(change, Change::Write { .. }) {
            let kept = self.happens();
            counters.resizes_lost += u64::from(!kept);
            return kept.then_some(change);
        }
        match self.fate() {
            Fate::Kept => {
                counters.writes_kept += 1;
                Some(change)
            }
            Fate::Lost => {
                counters.writes_lost += 1;
                None
            }
            Fate::Torn => {
                counters.writes_torn += 1;
                Some(change.torn(self.rng))
            }
        }
    }
}

impl Disk {
    /// Ends all operations in flight and loses what `crash` may lose. No task may be alive.
    pub(super) fn crash(&self, crash: Crash) {
        let dealer = Dealer::new(&self.rng);
        let mut counters = self.counters.get();
        let mut in_flight: Vec<Operation> = self.in_flight.take().into_values().collect();
        while !in_flight.is_empty() {
            let at = self.rng.within(0..in_flight.len() as u64) as usize;
            self.interrupt(in_flight.swap_remove(at), dealer, &mut counters);
        }
        match crash {
            Crash::Kill => counters.kills += 1,
            Crash::PowerLoss => {
                counters.power_losses += 1;
                let dealer = Dealer::new(&self.rng);
                for node in self.tree.borrow_mut().nodes.values_mut() {
                    match node {
                        Node::File(file) => lose_changes(file, dealer, &mut counters),
                        Node::Dir(dir) => lose_names(dir, dealer, &mut counters),
                    }
                }
            }
        }
        self.tree.borrow_mut().collect_garbage();
        self.counters.set(counters);
    }

    fn interrupt(&self, operation: Operation, dealer: Dealer<'_>, counters: &mut Counters) {
        let mut tree = self.tree.borrow_mut();
        match operation {
            Operation::Change { inode, change } => {
                if let Some(change) = dealer.survivor(change, counters) {
                    tree.change_file(inode, change);
                }
            }
            // Nobody was told of a result, so an error is as good as none.
            Operation::CreateDirAll { path } => {
                let depth = self.rng.within(0..names(&path).len() as u64 + 1);
                let _ = tree.create_dirs(&path, depth as usize, false);
            }
            Operation::RemoveDirAll { path } => {
                let _ = tree.remove_dir(&path, &|| dealer.happens());
            }
            other => {
                if dealer.happens() {
                    let _ = other.apply(&mut tree);
                }
            }
        }
    }
}

fn lose_changes(file: &mut FileNode, dealer: Dealer<'_>, counters: &mut Counters) {
    for (_, change) in std::mem::take(&mut file.unsynced) {
        if let Some(change) = dealer.survivor(change, counters) {
            file.durable.apply(&change);
        }
    }
    file.current = file.durable.clone();
}

fn lose_names(dir: &mut DirNode, dealer: Dealer<'_>, counters: &mut Counters) {
    let before = std::mem::take(&mut dir.current);
    for (_, change) in std::mem::take(&mut dir.unsynced) {
        if dealer.happens() {
            change.apply(&mut dir.durable);
        }
    }
    dir.current = dir.durable.clone();
    let missing = |a: &BTreeMap<String, Inode>, b: &BTreeMap<String, Inode>| {
        a.keys().filter(|name| !b.contains_key(*name)).count() as u64
    };
    counters.names_vanished += missing(&before, &dir.current);
    counters.names_come_back += missing(&dir.current, &before);
}
