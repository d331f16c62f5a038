//! Files and directories: what a process sees, what the medium holds for certain, and what lies
//! between the two.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use super::content::{Change, Content};
use crate::runtime::DirEntry;

pub(super) type Inode = u64;

/// The system's reasons, as errno.
pub(super) type Errno = i32;
pub(super) const ENOENT: Errno = 2;
pub(super) const EIO: Errno = 5;
pub(super) const ENOTDIR: Errno = 20;
pub(super) const EISDIR: Errno = 21;
pub(super) const ENOSPC: Errno = 28;

const ROOT: Inode = 0;

/// `current` is `durable` with all of `unsynced` applied, but for what a failed sync forgot.
#[derive(Debug, Default)]
pub(super) struct FileNode {
    pub(super) current: Content,
    pub(super) durable: Content,
    pub(super) unsynced: Vec<(u64, Change)>,
    /// Wall clock of the last change.
    modified_ms: i64,
}

#[derive(Debug, Default)]
pub(super) struct DirNode {
    pub(super) current: BTreeMap<String, Inode>,
    pub(super) durable: BTreeMap<String, Inode>,
    pub(super) unsynced: Vec<(u64, EntryChange)>,
}

#[derive(Clone, Debug)]
pub(super) enum EntryChange {
    Add(String, Inode),
    Remove(String, Inode),
}

impl EntryChange {
    fn name(&self) -> &str {
        match self {
            EntryChange::Add(name, _) | EntryChange::Remove(name, _) => name,
        }
    }

    pub(super) fn apply(&self, entries: &mut BTreeMap<String, Inode>) {
        match self {
            EntryChange::Add(name, inode) => entries.insert(name.clone(), *inode),
            EntryChange::Remove(name, _) => entries.remove(name),
        };
    }
}

#[derive(Debug)]
pub(super) enum Node {
    File(FileNode),
    Dir(DirNode),
}

#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: BTreeMap<Inode, Node>,
    next_inode: Inode,
    /// Changes are numbered in the order in which they completed.
    next_change: u64,
    /// Wall clock of the operation being applied.
    pub(super) now_ms: i64,
}

impl Tree {
    pub(super) fn new() -> Self {
        let root = Node::Dir(DirNode::default());
        Tree {
            nodes: BTreeMap::from([(ROOT, root)]),
            next_inode: ROOT + 1,
            next_change: 0,
            now_ms: 0,
        }
    }

    fn add(&mut self, node: Node) -> Inode {
        let inode = self.next_inode;
        self.next_inode += 1;
        self.nodes.insert(inode, node);
        inode
    }

    fn number(&mut self) -> u64 {
        self.next_change += 1;
        self.next_change
    }

    /// Changes with this number or a lower one have completed.
    pub(super) fn completed(&self) -> u64 {
        self.next_change
    }

    pub(super) fn file(&mut self, inode: Inode) -> &mut FileNode {
        match self.nodes.get_mut(&inode) {
            Some(Node::File(file)) => file,
            _ => panic!("inode {inode} is no file"),
        }
    }

    fn dir(&mut self, inode: Inode) -> Result<&mut DirNode, Errno> {
        match self.nodes.get_mut(&inode) {
            Some(Node::Dir(dir)) => Ok(dir),
            _ => Err(ENOTDIR),
        }
    }

    pub(super) fn find(&self, path: &Path) -> Option<Inode> {
        names(path).into_iter().try_fold(ROOT, |inode, name| match self.nodes.get(&inode) {
            Some(Node::Dir(dir)) => dir.current.get(&name).copied(),
            _ => None,
        })
    }

    fn find_parent(&self, path: &Path) -> Result<(Inode, String), Errno> {
        let name = names(path).pop().ok_or(EISDIR)?;
        let parent = self.find(path.parent().unwrap_or(Path::new(""))).ok_or(ENOENT)?;
        Ok((parent, name))
    }

    fn change_entry(&mut self, dir: Inode, change: EntryChange) -> Result<(), Errno> {
        let number = self.number();
        let dir = self.dir(dir)?;
        change.apply(&mut dir.current);
        dir.unsynced.push((number, change));
        Ok(())
    }

    /// Opens a file, or creates it where missing.
    pub(super) fn open(&mut self, path: &Path, create: bool) -> Result<Inode, Errno> {
        if let Some(inode) = self.find(path) {
            let is_file = matches!(self.nodes[&inode], Node::File(_));
            return if is_file { Ok(inode) } else { Err(EISDIR) };
        }
        if !create {
            return Err(ENOENT);
        }
        let (parent, name) = self.find_parent(path)?;
        let inode = self.add(Node::File(FileNode::default()));
        self.change_entry(parent, EntryChange::Add(name, inode))?;
        Ok(inode)
    }

    /// Creates the first `depth` directories of `path` where missing.
    pub(super) fn create_dirs(
        &mut self,
        path: &Path,
        depth: usize,
        durably: bool,
    ) -> Result<(), Errno> {
        let mut at = ROOT;
        let mut parents = Vec::new();
        for name in names(path).into_iter().take(depth) {
            let parent = at;
            at = match self.dir(at)?.current.get(&name) {
                Some(inode) => *inode,
                None => {
                    let inode = self.add(Node::Dir(DirNode::default()));
                    self.change_entry(at, EntryChange::Add(name.clone(), inode))?;
                    inode
                }
            };
            parents.push((parent, name, at));
        }
        self.dir(at)?;
        for (parent, name, inode) in parents.into_iter().filter(|_| durably) {
            let parent = self.dir(parent)?;
            parent.unsynced.retain(|(_, change)| change.name() != name);
            parent.durable.insert(name, inode);
        }
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> Result<(), Errno> {
        let Some(inode) = self.find(path) else { return Ok(()) };
        if matches!(self.nodes[&inode], Node::Dir(_)) {
            return Err(EISDIR);
        }
        let (parent, name) = self.find_parent(path)?;
        self.change_entry(parent, EntryChange::Remove(name, inode))
    }

    /// Removes what `removes` agrees to, leaves first; a directory that keeps something stays.
    pub(super) fn remove_dir(
        &mut self,
        path: &Path,
        removes: &dyn Fn() -> bool,
    ) -> Result<(), Errno> {
        let Some(inode) = self.find(path) else { return Ok(()) };
        let children: Vec<String> = self.dir(inode)?.current.keys().cloned().collect();
        for name in children {
            let child = path.join(&name);
            match self.find(&child).map(|inode| &self.nodes[&inode]) {
                Some(Node::Dir(_)) => self.remove_dir(&child, removes)?,
                _ if removes() => self.remove_file(&child)?,
                _ => {}
            }
        }
        if self.dir(inode)?.current.is_empty() && removes() {
            let (parent, name) = self.find_parent(path)?;
            self.change_entry(parent, EntryChange::Remove(name, inode))?;
        }
        Ok(())
    }

    pub(super) fn list(&mut self, path: &Path) -> Result<Vec<DirEntry>, Errno> {
        let Some(inode) = self.find(path) else { return Ok(Vec::new()) };
        let entries = self.dir(inode)?.current.clone();
        let entry = |(name, inode): (String, Inode)| match &self.nodes[&inode] {
            Node::File(file) => DirEntry {
                name,
                is_dir: false,
                len_bytes: file.current.len(),
                modified_ms: file.modified_ms,
            },
            Node::Dir(_) => DirEntry { name, is_dir: true, len_bytes: 0, modified_ms: 0 },
        };
        Ok(entries.into_iter().map(entry).collect())
    }

    /// Makes changes of a file or directory with numbers up to `mark` durable.
    pub(super) fn sync(&mut self, inode: Inode, mark: u64) {
        match self.nodes.get_mut(&inode) {
            Some(Node::File(file)) => {
                let covered = file.unsynced.partition_point(|(number, _)| *number <= mark);
                for (_, change) in file.unsynced.drain(..covered) {
                    file.durable.apply(&change);
                }
            }
            Some(Node::Dir(dir)) => {
                let covered = dir.unsynced.partition_point(|(number, _)| *number <= mark);
                for (_, change) in dir.unsynced.drain(..covered) {
                    change.apply(&mut dir.durable);
                }
            }
            None => panic!("inode {inode} is gone"),
        }
    }

    pub(super) fn sync_dir(&mut self, path: &Path, mark: u64) -> Result<(), Errno> {
        let inode = self.find(path).ok_or(ENOENT)?;
        self.dir(inode)?;
        self.sync(inode, mark);
        Ok(())
    }

    /// Applies a completed change of a file.
    pub(super) fn change_file(&mut self, inode: Inode, change: Change) {
        let (number, now_ms) = (self.number(), self.now_ms);
        let file = self.file(inode);
        file.modified_ms = now_ms;
        file.current.apply(&change);
        file.unsynced.push((number, change));
    }

    /// Bytes of all files that have a name.
    pub(super) fn used_bytes(&self) -> u64 {
        let named = self.nodes.values().filter_map(|node| match node {
            Node::Dir(dir) => Some(dir.current.values()),
            Node::File(_) => None,
        });
        let len = |inode: &Inode| match &self.nodes[inode] {
            Node::File(file) => file.current.len(),
            Node::Dir(_) => 0,
        };
        named.flatten().map(len).sum()
    }

    /// Drops what no name, present or possibly coming back, leads to; no process may have it open.
    pub(super) fn collect_garbage(&mut self) {
        let mut kept = BTreeSet::new();
        let mut to_visit = vec![ROOT];
        while let Some(inode) = to_visit.pop() {
            if !kept.insert(inode) {
                continue;
            }
            if let Some(Node::Dir(dir)) = self.nodes.get(&inode) {
                to_visit.extend(dir.current.values().chain(dir.durable.values()));
                to_visit.extend(dir.unsynced.iter().map(|(_, change)| match change {
                    EntryChange::Add(_, inode) | EntryChange::Remove(_, inode) => *inode,
                }));
            }
        }
        self.nodes.retain(|inode, _| kept.contains(inode));
    }
}

/// Names on the way to `path`, from the root.
pub(super) fn names(path: &Path) -> Vec<String> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_str().expect("a UTF-8 name").to_owned()),
        Component::RootDir | Component::CurDir => None,
        _ => panic!("{} leads out of the simulated disk", path.display()),
    };
    path.components().filter_map(name).collect()
}
