//! What is read from the machine. Nothing is judged here.

use std::fs::{self, OpenOptions};
use std::io;
use std::mem;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use io_uring::IoUring;

use crate::limits::{self, Limit, Range};
use crate::space::space;

/// Bit of CAP_IPC_LOCK in a capability set (capabilities(7)).
const CAP_IPC_LOCK: u64 = 1 << 14;

/// The state of a machine, as far as a broker depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Shards that are to run.
    pub shards: usize,
    /// Linux version, major and minor.
    pub kernel: Option<(u32, u32)>,
    /// errno of setting up a tiny io_uring; `None` if it worked.
    pub io_uring_errno: Option<i32>,
    /// sysctl `kernel.io_uring_disabled`: 0 all may, 1 only CAP_SYS_ADMIN or a group, 2 nobody.
    pub io_uring_disabled: Option<u8>,
    /// A seccomp filter is active, as in containers.
    pub seccomp: bool,
    /// May lock any amount of memory (CAP_IPC_LOCK).
    pub may_lock_memory: bool,
    /// RLIMIT_MEMLOCK, bytes.
    pub locked_memory: Option<Range>,
    /// RLIMIT_NOFILE, descriptors.
    pub open_files: Option<Range>,
    /// The data directory.
    pub data_dir: DirFacts,
}

/// The state of a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirFacts {
    /// Where it is.
    pub path: PathBuf,
    /// Why no file can be made there (errno); `None` if one can.
    pub create_errno: Option<i32>,
    /// Whether files may be opened with O_DIRECT; `None` if it was not found out.
    pub direct_io: Option<bool>,
    /// Alignment of direct I/O in bytes, of memory and of file positions (statx(2),
    /// STATX_DIOALIGN, Linux 6.1); `None` where the system does not tell.
    pub direct_align_bytes: Option<(u32, u32)>,
    /// Bytes free for unprivileged users.
    pub free_bytes: Option<u64>,
}

/// Reads all facts. Creates `data_dir` if it is missing, and for a moment a small file in it.
pub fn gather(data_dir: &Path, shards: usize) -> Facts {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let capabilities = status_field(&status, "CapEff:");
    let capabilities = capabilities.and_then(|hex| u64::from_str_radix(hex, 16).ok());
    Facts {
        shards,
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
            .ok()
            .and_then(|release| parse_release(&release)),
        io_uring_errno: IoUring::new(2).err().map(|cause| cause.raw_os_error().unwrap_or(0)),
        io_uring_disabled: fs::read_to_string("/proc/sys/kernel/io_uring_disabled")
            .ok()
            .and_then(|text| text.trim().parse().ok()),
        seccomp: status_field(&status, "Seccomp:").is_some_and(|mode| mode != "0"),
        may_lock_memory: capabilities.is_some_and(|set| set & CAP_IPC_LOCK != 0),
        locked_memory: limits::read(Limit::LockedMemory).ok(),
        open_files: limits::read(Limit::OpenFiles).ok(),
        data_dir: gather_dir(data_dir),
    }
}

/// "6.18.44-generic" is (6, 18).
pub(crate) fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.trim().split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The value of one line of /proc/self/status.
pub(crate) fn status_field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn gather_dir(dir: &Path) -> DirFacts {
    let mut facts = DirFacts {
        path: dir.to_owned(),
        create_errno: None,
        direct_io: None,
        direct_align_bytes: None,
        free_bytes: None,
    };
    let probe = dir.join(format!(".preflight-{}", std::process::id()));
    if let Err(cause) = fs::create_dir_all(dir).and_then(|()| probe_file(&probe, &mut facts)) {
        facts.create_errno = Some(cause.raw_os_error().unwrap_or(0));
    }
    // The file may not exist; the directory's other facts hold all the same.
    let _ = fs::remove_file(&probe);
    facts.free_bytes = space(dir).ok().map(|space| space.usable_bytes);
    facts
}

fn probe_file(path: &Path, facts: &mut DirFacts) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let direct = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path);
    facts.direct_io = match direct {
        Ok(_) => Some(true),
        Err(cause) if cause.raw_os_error() == Some(libc::EINVAL) => Some(false),
        Err(_) => None,
    };
    facts.direct_align_bytes = direct_align(&file);
    Ok(())
}

fn direct_align(file: &fs::File) -> Option<(u32, u32)> {
    // SAFETY: `statx` is plain data, for which zeros are valid.
    let mut stat: libc::statx = unsafe { mem::zeroed() };
    let flags = libc::AT_EMPTY_PATH;
    // SAFETY: the descriptor is open, the path an empty C string, `stat` valid for the call.
    let result = unsafe {
        libc::statx(file.as_raw_fd(), c"".as_ptr(), flags, libc::STATX_DIOALIGN, &mut stat)
    };
    let told = result == 0 && stat.stx_mask & libc::STATX_DIOALIGN != 0;
    told.then_some((stat.stx_dio_mem_align, stat.stx_dio_offset_align))
}
