//! The data directory and its file system.

use std::io;
use std::path::Path;

use super::{Check, Finding};
use crate::facts::DirFacts;

/// Free space below which a broker should not be left alone.
pub const FREE_BYTES_MIN: u64 = 1 << 30;

/// Free space without which a new data directory can't even be laid out.
pub const FREE_BYTES_START_MIN: u64 = 1 << 20;

/// Positions and lengths on disk are multiples of this.
const BLOCK_BYTES: u32 = 4096;

pub(super) fn judge(dir: &DirFacts) -> Vec<Finding> {
    vec![writable(dir), filesystem(dir), direct_io(dir), reserve(dir), free_space(dir)]
}

fn writable(dir: &DirFacts) -> Finding {
    let check = Check("data-dir");
    let path = dir.path.display();
    let Some(errno) = dir.create_errno else {
        let value = match dir.path == dir.looked_at {
            true => format!("{path} is writable"),
            false => format!("{path} can be made in {}", dir.looked_at.display()),
        };
        return check.fine(value);
    };
    let cause = io::Error::from_raw_os_error(errno);
    let at = dir.looked_at.display();
    let (what, remedy) = match errno {
        libc::ENOSPC | libc::EDQUOT => (
            format!("no file can be made in {path}: {cause}"),
            format!("df -h {at}; df -i {at}   (and make room, or another --data-dir)"),
        ),
        libc::EROFS => (
            format!("no file can be made in {path}: {cause}"),
            format!("mount -o remount,rw {}   (or another --data-dir)", mount_point(dir).display()),
        ),
        libc::ENOTDIR | libc::EEXIST => (
            format!("{path} can't be a data directory: {at} is a file"),
            "choose another --data-dir".to_owned(),
        ),
        _ => (
            format!("no file can be made in {path}: {cause}"),
            format!("chown -R $(id -u) {at}   (or another --data-dir)"),
        ),
    };
    check.prevents(cause.to_string(), what, remedy)
}

fn mount_point(dir: &DirFacts) -> &Path {
    dir.mount_point.as_deref().unwrap_or(&dir.looked_at)
}

/// What some file systems mean for the promises of a broker. None of them prevents a start: each
/// is fit for something, and a test on tmpfs or a container's first minute is no mistake.
fn filesystem(dir: &DirFacts) -> Finding {
    let check = Check("filesystem");
    let name = match &dir.filesystem {
        Ok(name) => name.as_str(),
        Err(reason) => return check.unknown(reason),
    };
    let path = dir.path.display();
    let slows = |what: &str, remedy: &str| {
        check.slows(name, format!("{path} is on {name}: {what}"), remedy)
    };
    match name {
        "tmpfs" | "ramfs" | "devtmpfs" => slows(
            "it is memory, and all data is lost with a reboot",
            "put the data on ext4 or XFS on a local disk (another --data-dir)",
        ),
        "nfs" | "nfs4" | "cifs" | "smb3" | "9p" | "ceph" | "glusterfs" | "lustre" | "afs" => slows(
            "over a network, a write survives what the server and the mount's options make of it, \
             and the lock that keeps a second broker away is only as good",
            "put the data on ext4 or XFS on a local disk (or mount with hard,sync and never nolock)",
        ),
        "overlay" | "aufs" => slows(
            "that is a container's own layer, which is removed with the container",
            "mount a volume there: docker run -v corelane-data:/var/lib/corelane ...",
        ),
        "btrfs" | "zfs" | "bcachefs" => slows(
            "it copies what is written instead of writing in place, which costs direct I/O dearly",
            "put the data on ext4 or XFS (on btrfs at least: chattr +C on the empty directory)",
        ),
        "vfat" | "exfat" | "ntfs" | "ntfs3" | "fuse" | "fuseblk" => slows(
            "it makes few promises of what a power loss leaves",
            "put the data on ext4 or XFS on a local disk (another --data-dir)",
        ),
        name if name.starts_with("fuse.") => slows(
            "it makes few promises of what a power loss leaves",
            "put the data on ext4 or XFS on a local disk (another --data-dir)",
        ),
        _ => check.fine(name),
    }
}

fn direct_io(dir: &DirFacts) -> Finding {
    let check = Check("direct-io");
    let path = dir.path.display();
    let aligned = dir.direct_align_bytes.as_ref().ok();
    let refused = matches!(aligned, Some((0, _) | (_, 0)));
    match (&dir.direct_io, aligned) {
        (Err(reason), _) => check.unknown(reason),
        (Ok(false), _) => no_direct_io(dir),
        _ if refused => no_direct_io(dir),
        (Ok(true), Some(&(memory, position))) if memory.max(position) > BLOCK_BYTES => check
            .prevents(
                format!("aligned to {} bytes", memory.max(position)),
                format!(
                    "direct I/O on {path} must be aligned to {} bytes, Corelane aligns to \
                     {BLOCK_BYTES}",
                    memory.max(position)
                ),
                "use a filesystem with blocks of at most 4096 bytes: mkfs.ext4 -b 4096 ...",
            ),
        (Ok(true), Some((memory, position))) => {
            check.fine(format!("aligned to {position} bytes on disk, {memory} in memory"))
        }
        (Ok(true), None) => check.fine("works; its alignment is not told"),
    }
}

fn no_direct_io(dir: &DirFacts) -> Finding {
    let path = dir.path.display();
    Check("direct-io").slows(
        "not supported",
        format!("the filesystem of {path} does not do direct I/O (O_DIRECT)"),
        format!("findmnt -T {path}   (and put the data on ext4 or XFS on a local disk)"),
    )
}

fn reserve(dir: &DirFacts) -> Finding {
    let check = Check("fallocate");
    match &dir.reserves {
        Err(reason) => check.unknown(reason),
        Ok(true) => check.fine("works"),
        Ok(false) => check.prevents(
            "not supported",
            format!(
                "the filesystem of {} can't reserve room in a file (fallocate)",
                dir.path.display()
            ),
            "put the data on ext4 or XFS (another --data-dir)",
        ),
    }
}

fn free_space(dir: &DirFacts) -> Finding {
    let check = Check("free-space");
    let free = match &dir.free_bytes {
        Ok(free) => *free,
        Err(reason) => return check.unknown(reason),
    };
    let (path, value) = (dir.path.display(), format!("{} MiB", free >> 20));
    let remedy =
        format!("df -h {}   (and make room, or another --data-dir)", dir.looked_at.display());
    // Where no file can be made at all, that is what is told.
    if free < FREE_BYTES_START_MIN && !dir.has_data && dir.create_errno.is_none() {
        let what = format!(
            "only {} KiB are free in {path}: too little for a new data directory",
            free >> 10
        );
        return check.prevents(value, what, remedy);
    }
    if free < FREE_BYTES_MIN {
        return check.slows(&value, format!("only {value} are free in {path}"), remedy);
    }
    check.fine(value)
}
