//! The block device below a directory, and the disks that it is made of.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::DirFacts;
use crate::root::{Fact, Root, Unknown};

/// Device mapper, md and partitions lie on one another; more layers than this nobody stacks.
const LAYERS_MAX: usize = 16;

/// A device and the disks that it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockDevice {
    /// Its name, "vda1".
    pub name: String,
    /// The disks at the bottom, by name.
    pub disks: Vec<Disk>,
}

/// A disk, as far as the kernel tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Its name, "nvme0n1".
    pub name: String,
    /// The scheduler in use, "none".
    pub scheduler: Fact<String>,
    /// It has a volatile write cache ("write back"): an fdatasync has to flush it.
    pub write_back: Fact<bool>,
    /// It rotates.
    pub rotates: Fact<bool>,
}

/// The device below the data directory.
pub(crate) fn below(root: &Root, dir: &DirFacts) -> Fact<BlockDevice> {
    let (major, minor) = dir.device.clone()?;
    let link = match major {
        // btrfs, and whatever else has no device number of its own, names its source.
        0 => by_source(root, dir)?,
        _ => root.path(&format!("/sys/dev/block/{major}:{minor}")),
    };
    let path =
        fs::canonicalize(&link).map_err(|cause| Unknown(format!("{}: {cause}", link.display())))?;
    let mut disks = BTreeSet::new();
    find_disks(&path, LAYERS_MAX, &mut disks);
    if disks.is_empty() {
        return Err(Unknown(format!("{}: no disk below it", path.display())));
    }
    Ok(BlockDevice { name: name_of(&path), disks: disks.iter().map(|disk| read(disk)).collect() })
}

fn by_source(root: &Root, dir: &DirFacts) -> Fact<PathBuf> {
    let filesystem = dir.filesystem.clone().unwrap_or_default();
    let source = dir.source.clone()?;
    let Some(name) = source.strip_prefix("/dev/") else {
        return Err(Unknown(format!("{filesystem} has no block device")));
    };
    // /dev/mapper/x is a link to /dev/dm-0.
    let real = fs::canonicalize(&source).ok().map(|path| name_of(&path));
    Ok(root.path(&format!("/sys/class/block/{}", real.as_deref().unwrap_or(name))))
}

fn find_disks(path: &Path, layers: usize, disks: &mut BTreeSet<PathBuf>) {
    if layers == 0 {
        return;
    }
    if path.join("partition").exists() {
        if let Some(parent) = path.parent() {
            find_disks(parent, layers - 1, disks);
        }
        return;
    }
    let slaves = fs::read_dir(path.join("slaves")).into_iter().flatten().flatten();
    let slaves: Vec<_> = slaves.filter_map(|entry| fs::canonicalize(entry.path()).ok()).collect();
    for slave in &slaves {
        find_disks(slave, layers - 1, disks);
    }
    if slaves.is_empty() && path.join("queue").exists() {
        disks.insert(path.to_owned());
    }
}

fn read(disk: &Path) -> Disk {
    let queue = Root::at(&disk.join("queue"));
    let prefixed = |fact: Fact<String>| {
        fact.map_err(|Unknown(reason)| Unknown(format!("{}/queue{reason}", name_of(disk))))
    };
    Disk {
        name: name_of(disk),
        scheduler: prefixed(queue.choice("/scheduler")),
        write_back: prefixed(queue.text("/write_cache")).map(|text| text == "write back"),
        rotates: prefixed(queue.text("/rotational")).map(|text| text == "1"),
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
