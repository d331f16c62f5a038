//! One disk operation, from its start to what it does when it completes.

use std::path::PathBuf;

use super::content::Change;
use super::faults::Kind;
use super::namespace::{Errno, Inode, Tree};
use crate::runtime::DirEntry;

/// An operation in flight.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Read {
        inode: Inode,
        position: u64,
        len: usize,
    },
    Change {
        inode: Inode,
        change: Change,
    },
    /// Covers the changes that had completed (`mark`) when it began.
    Sync {
        inode: Inode,
        mark: u64,
    },
    Len {
        inode: Inode,
    },
    Open {
        path: PathBuf,
        create: bool,
    },
    List {
        path: PathBuf,
    },
    CreateDirAll {
        path: PathBuf,
    },
    RemoveFile {
        path: PathBuf,
    },
    RemoveDirAll {
        path: PathBuf,
    },
    /// As [`Operation::Sync`], of a directory's entries.
    SyncDir {
        path: PathBuf,
        mark: u64,
    },
}

/// What a completed operation gives.
#[derive(Debug)]
pub(super) enum Outcome {
    Done,
    Bytes(Vec<u8>),
    Len(u64),
    Opened(Inode),
    Names(Vec<DirEntry>),
}

impl Operation {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Operation::Read { .. } => Kind::Read,
            Operation::Change { change: Change::Write { .. }, .. } => Kind::Write,
            Operation::Change { .. } => Kind::Resize,
            Operation::Sync { .. } => Kind::Sync,
            Operation::SyncDir { .. } => Kind::SyncDir,
            _ => Kind::Name,
        }
    }

    /// Bytes by which it makes a file longer.
    pub(super) fn growth(&self, tree: &mut Tree) -> u64 {
        let Operation::Change { inode, change } = self else { return 0 };
        let end = match change {
            Change::Write { .. } => change.range().end,
            Change::Extend(len) | Change::SetLen(len) => *len,
        };
        end.saturating_sub(tree.file(*inode).current.len())
    }

    /// True if both touch the same bytes and one of them writes.
    pub(super) fn races_with(&self, other: &Operation) -> bool {
        let touched = |operation: &Operation| match operation {
            Operation::Read { inode, position, len } => {
                Some((*inode, *position..*position + *len as u64, false))
            }
            Operation::Change { inode, change } => Some((*inode, change.range(), true)),
            _ => None,
        };
        let (Some((a, a_range, a_writes)), Some((b, b_range, b_writes))) =
            (touched(self), touched(other))
        else {
            return false;
        };
        let overlap = a_range.start.max(b_range.start) < a_range.end.min(b_range.end);
        a == b && overlap && (a_writes || b_writes)
    }

    /// Does what it does when it completes without a fault.
    pub(super) fn apply(&self, tree: &mut Tree) -> Result<Outcome, Errno> {
        match self {
            Operation::Read { inode, position, len } => {
                return Ok(Outcome::Bytes(tree.file(*inode).current.read(*position, *len)));
            }
            Operation::Len { inode } => return Ok(Outcome::Len(tree.file(*inode).current.len())),
            Operation::Open { path, create } => {
                return tree.open(path, *create).map(Outcome::Opened);
            }
            Operation::List { path } => return tree.list(path).map(Outcome::Names),
            Operation::Change { inode, change } => tree.change_file(*inode, change.clone()),
            Operation::Sync { inode, mark } => tree.sync(*inode, *mark),
            Operation::SyncDir { path, mark } => tree.sync_dir(path, *mark)?,
            Operation::CreateDirAll { path } => tree.create_dirs(path, usize::MAX, true)?,
            Operation::RemoveFile { path } => tree.remove_file(path)?,
            Operation::RemoveDirAll { path } => tree.remove_dir(path, &|| true)?,
        }
        Ok(Outcome::Done)
    }
}
