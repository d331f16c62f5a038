//! The data directory, looked at by making a small file there.

use std::fs::{self, File, OpenOptions};
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
    let probe = facts.looked_at.join(format!(".preflight-{}", std::process::id()));
    if let Err(cause) = made.and_then(|()| probe_file(&probe, &mut facts)) {
        facts.create_errno = Some(cause.raw_os_error().unwrap_or(0));
    }
    // The file may not exist; the directory's other facts hold all the same.
    let _ = fs::remove_file(&probe);
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

fn probe_file(path: &Path, facts: &mut DirFacts) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let direct = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path);
    facts.direct_io = match direct {
        Ok(_) => Ok(true),
        Err(cause) if cause.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        Err(cause) => Err(Unknown(format!("open with O_DIRECT: {cause}"))),
    };
    facts.direct_align_bytes = direct_align(&file);
    facts.reserves = reserves(&file);
    Ok(())
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
