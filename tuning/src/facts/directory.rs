//! The data directory, looked at by making a file there that has no name, or one for a moment.

use std::collections::hash_map::RandomState;
use std::fs::{self, File, OpenOptions};
use std::hash::BuildHasher;
use std::io;
use std::mem;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::mounts;
use crate::root::{Fact, Root, Unknown};
use crate::space::space;

/// The state of a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirFacts {
    /// Where it is, as it was given.
    pub path: PathBuf,
    /// What was really looked at: `path`, or the nearest directory above it that exists.
    pub looked_at: PathBuf,
    /// It has a manifest: there may be data in it.
    pub has_data: bool,
    /// Why no file can be made there (errno); `None` if one can.
    pub create_errno: Option<i32>,
    /// The file system's type, "ext4".
    pub filesystem: Fact<String>,
    /// Device number, major and minor; major 0 of a file system without a device of its own.
    pub device: Fact<(u32, u32)>,
    /// Where that file system is mounted.
    pub mount_point: Fact<PathBuf>,
    /// What is mounted, "/dev/sda1".
    pub source: Fact<String>,
    /// Whether files may be opened with O_DIRECT.
    pub direct_io: Fact<bool>,
    /// Alignment of direct I/O in bytes, of memory and of file positions (statx(2),
    /// STATX_DIOALIGN, Linux 6.1); zeros where there is none.
    pub direct_align_bytes: Fact<(u32, u32)>,
    /// Whether room can be reserved in a file (fallocate(2)).
    pub reserves: Fact<bool>,
    /// Bytes free for this user.
    pub free_bytes: Fact<u64>,
}

/// Looks at `dir`; makes it if `make` says so and it is missing.
pub(crate) fn gather(root: &Root, dir: &Path, make: bool) -> DirFacts {
    let made = if make { fs::create_dir_all(dir) } else { Ok(()) };
    let looked_at = nearest(dir);
    let not_tried = || Unknown::because("no file can be made there");
    let mut facts = DirFacts {
        path: dir.to_owned(),
        has_data: dir.join("manifest").exists(),
        create_errno: None,
        filesystem: Err(not_tried()),
        device: Err(not_tried()),
        mount_point: Err(not_tried()),
        source: Err(not_tried()),
        direct_io: Err(not_tried()),
        direct_align_bytes: Err(not_tried()),
        reserves: Err(not_tried()),
        free_bytes: space(&looked_at)
            .map(|space| space.usable_bytes)
            .map_err(|cause| Unknown(format!("statvfs: {cause}"))),
        looked_at,
    };
    note_mount(root, &mut facts);
    if let Err(cause) = made.and_then(|()| probe(&mut facts)) {
        facts.create_errno = Some(cause.raw_os_error().unwrap_or(0));
    }
    facts
}

/// `dir` if it exists (as whatever), else the nearest path above it that does.
fn nearest(dir: &Path) -> PathBuf {
    let above = dir.ancestors().find(|path| path.symlink_metadata().is_ok());
    above.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn note_mount(root: &Root, facts: &mut DirFacts) {
    let mount = root.text("/proc/self/mountinfo").and_then(|text| {
        let real =
            fs::canonicalize(&facts.looked_at).map_err(|cause| Unknown(cause.to_string()))?;
        mounts::mount_of(&text, &real).ok_or_else(|| Unknown::because("no mount has it"))
    });
    let of_mount = || mount.as_ref().map_err(Clone::clone);
    facts.filesystem = of_mount().map(|mount| mount.filesystem.clone());
    facts.source = of_mount().map(|mount| mount.source.clone());
    facts.mount_point = of_mount().map(|mount| mount.point.clone());
    facts.device = of_mount().map(|mount| mount.device);
}

fn probe(facts: &mut DirFacts) -> io::Result<()> {
    match unnamed(&facts.looked_at, 0) {
        Ok(file) => {
            note_file(&file, unnamed(&facts.looked_at, libc::O_DIRECT), facts);
            Ok(())
        }
        Err(cause) if has_no_unnamed(&cause) => {
            let named = Named::create(&facts.looked_at)?;
            let direct =
                OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(&named.path);
            note_file(&named.file, direct, facts);
            Ok(())
        }
        Err(cause) => Err(cause),
    }
}

/// A file without a name (open(2), O_TMPFILE): the directory is not changed, whatever happens.
fn unnamed(dir: &Path, flags: i32) -> io::Result<File> {
    OpenOptions::new().write(true).mode(0o600).custom_flags(libc::O_TMPFILE | flags).open(dir)
}

/// True if the file system has no such files: NFS, 9p, some of FUSE.
fn has_no_unnamed(cause: &io::Error) -> bool {
    matches!(cause.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL))
}

/// A file that was made here, and is removed when dropped.
struct Named {
    path: PathBuf,
    file: File,
}

impl Named {
    /// A process id would not do for a name: that of a container is often 1, again and again.
    fn create(dir: &Path) -> io::Result<Named> {
        let path = dir.join(format!(".preflight-{:016x}", RandomState::new().hash_one(0)));
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Named { path, file })
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        // What is left is empty, and in nobody's way.
        let _ = fs::remove_file(&self.path);
    }
}

fn note_file(file: &File, direct: io::Result<File>, facts: &mut DirFacts) {
    facts.direct_io = match direct {
        Ok(_) => Ok(true),
        Err(cause) if cause.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        Err(cause) => Err(Unknown(format!("open with O_DIRECT: {cause}"))),
    };
    facts.direct_align_bytes = direct_align(file);
    facts.reserves = reserves(file);
}

fn reserves(file: &File) -> Fact<bool> {
    // SAFETY: the descriptor is open; fallocate takes no pointers.
    if unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, 4096) } == 0 {
        return Ok(true);
    }
    let cause = io::Error::last_os_error();
    match cause.raw_os_error() {
        Some(libc::EOPNOTSUPP | libc::ENOSYS) => Ok(false),
        _ => Err(Unknown(format!("fallocate: {cause}"))),
    }
}

fn direct_align(file: &File) -> Fact<(u32, u32)> {
    // SAFETY: `statx` is plain data, for which zeros are valid.
    let mut stat: libc::statx = unsafe { mem::zeroed() };
    let flags = libc::AT_EMPTY_PATH;
    // SAFETY: the descriptor is open, the path an empty C string, `stat` valid for the call.
    let result = unsafe {
        libc::statx(file.as_raw_fd(), c"".as_ptr(), flags, libc::STATX_DIOALIGN, &mut stat)
    };
    if result != 0 {
        return Err(Unknown(format!("statx: {}", io::Error::last_os_error())));
    }
    if stat.stx_mask & libc::STATX_DIOALIGN == 0 {
        return Err(Unknown::because("this file system does not tell (STATX_DIOALIGN)"));
    }
    Ok((stat.stx_dio_mem_align, stat.stx_dio_offset_align))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of one test.
    struct Home(PathBuf);

    impl Home {
        fn new(name: &str) -> Home {
            let home = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
            fs::create_dir_all(&home).unwrap();
            Home(home)
        }

        fn names(&self) -> Vec<std::ffi::OsString> {
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name()).collect()
        }
    }

    impl Drop for Home {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// In a container every broker may have the same process id as the one that was killed before.
    #[test]
    fn what_lies_there_is_neither_in_the_way_nor_removed() {
        let home = Home::new("preflight-left");
        let left = format!(".preflight-{}", std::process::id());
        fs::write(home.0.join(&left), b"mine").unwrap();
        let facts = gather(&Root::of_machine(), &home.0, false);
        assert_eq!(facts.create_errno, None);
        assert!(facts.direct_io.is_ok() && facts.reserves.is_ok(), "{facts:?}");
        assert_eq!(home.names(), [left.as_str()]);
        assert_eq!(fs::read(home.0.join(&left)).unwrap(), b"mine");
    }

    #[test]
    fn a_named_file_is_new_and_does_not_stay() {
        let home = Home::new("preflight-named");
        let (one, other) = (Named::create(&home.0).unwrap(), Named::create(&home.0).unwrap());
        assert_eq!(home.names().len(), 2);
        drop(one);
        assert_eq!(home.names(), [other.path.file_name().unwrap()]);
        drop(other);
        assert!(home.names().is_empty());
    }
}
