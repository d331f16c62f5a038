//! The judgement on a machine's facts: a pure function.

use std::fmt;
use std::io;

use crate::facts::{DirFacts, Facts};

/// The executor refuses to start below this RLIMIT_MEMLOCK, whoever runs it.
pub const LOCKED_MEMORY_BYTES_MIN: u64 = 512 << 10;

/// Locked memory that one shard's rings may need.
pub const LOCKED_MEMORY_BYTES_PER_SHARD: u64 = 512 << 10;

/// Descriptors below which partitions and connections soon compete.
pub const OPEN_FILES_MIN: u64 = 65_536;

/// Descriptors without which not even a start is worthwhile.
pub const OPEN_FILES_START_MIN: u64 = 256;

/// Free space below which a broker should not be left alone.
pub const FREE_BYTES_MIN: u64 = 1 << 30;

/// Positions and lengths on disk are multiples of this.
const BLOCK_BYTES: u32 = 4096;

/// The oldest Linux on which the rings have what is used (the executor's requirement).
const KERNEL_MIN: (u32, u32) = (5, 8);

/// From this Linux on, rings count as memory of their cgroup and not as locked memory.
const KERNEL_UNLOCKED_RINGS: (u32, u32) = (5, 12);

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A broker does not start.
    PreventsStart,
    /// It runs, slower or with less in reserve than it could.
    Slows,
}

/// Something to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How grave it is.
    pub severity: Severity,
    /// What is found, in a sentence.
    pub what: String,
    /// The command, or the change, that mends it.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  -> {}", self.what, self.remedy)
    }
}

fn finding(severity: Severity, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { severity, what: what.into(), remedy: remedy.into() }
}

/// What `facts` mean for a broker, gravest first.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(judge_kernel(facts));
    findings.extend(judge_io_uring(facts));
    findings.extend(judge_locked_memory(facts));
    findings.extend(judge_open_files(facts));
    findings.extend(judge_dir(&facts.data_dir));
    findings.sort_by_key(|finding| finding.severity);
    findings
}

fn judge_kernel(facts: &Facts) -> Option<Finding> {
    let (major, minor) = facts.kernel.filter(|kernel| *kernel < KERNEL_MIN)?;
    Some(finding(
        Severity::PreventsStart,
        format!(
            "Linux {major}.{minor} is too old: io_uring needs {}.{}",
            KERNEL_MIN.0, KERNEL_MIN.1
        ),
        "install a newer kernel (Linux 6.1 or later is best), for example: apt-get install linux-image-amd64",
    ))
}

fn judge_io_uring(facts: &Facts) -> Option<Finding> {
    let prevents = |what: &str, remedy: &str| Some(finding(Severity::PreventsStart, what, remedy));
    let errno = facts.io_uring_errno?;
    if matches!(facts.io_uring_disabled, Some(1 | 2)) && errno == libc::EPERM {
        return prevents(
            "io_uring is switched off on this machine (sysctl kernel.io_uring_disabled)",
            "sysctl -w kernel.io_uring_disabled=0   (and in /etc/sysctl.d/ to keep it)",
        );
    }
    if matches!(errno, libc::EPERM | libc::ENOSYS | libc::EACCES) && facts.seccomp {
        return prevents(
            "io_uring is forbidden to this process by a seccomp filter, as containers have it",
            "docker run --security-opt seccomp=unconfined ... (or a profile that allows \
             io_uring_setup, io_uring_enter and io_uring_register)",
        );
    }
    match errno {
        libc::EPERM | libc::EACCES => prevents(
            "io_uring is forbidden to this process (by SELinux, AppArmor or another policy)",
            "ausearch -m avc -ts recent   (and allow io_uring to this program)",
        ),
        libc::ENOSYS => prevents(
            "this kernel was built without io_uring",
            "boot a kernel with CONFIG_IO_URING=y",
        ),
        libc::ENOMEM => prevents(
            "no memory may be locked for io_uring",
            "ulimit -l unlimited   (systemd: LimitMEMLOCK=infinity; docker: --ulimit memlock=-1)",
        ),
        libc::EMFILE | libc::ENFILE => prevents(
            "no file descriptor is left for io_uring",
            "ulimit -n 1048576   (systemd: LimitNOFILE=1048576)",
        ),
        errno => prevents(
            &format!("io_uring can't be set up: {}", io::Error::from_raw_os_error(errno)),
            "dmesg | tail",
        ),
    }
}

fn judge_locked_memory(facts: &Facts) -> Option<Finding> {
    let soft = facts.locked_memory?.soft;
    let shards = facts.shards.max(1) as u64;
    let wanted = shards.saturating_mul(LOCKED_MEMORY_BYTES_PER_SHARD);
    let remedy = format!(
        "ulimit -l {}   (systemd: LimitMEMLOCK=infinity; docker: --ulimit memlock=-1)",
        wanted.max(LOCKED_MEMORY_BYTES_MIN) >> 10
    );
    let what = format!(
        "only {} KiB of memory may be locked (RLIMIT_MEMLOCK), {shards} shards want {} KiB",
        soft >> 10,
        wanted >> 10
    );
    if soft < LOCKED_MEMORY_BYTES_MIN {
        return Some(finding(Severity::PreventsStart, what, remedy));
    }
    if soft >= wanted || facts.may_lock_memory {
        return None;
    }
    let counted = facts.kernel.is_some_and(|kernel| kernel < KERNEL_UNLOCKED_RINGS);
    let severity = if counted { Severity::PreventsStart } else { Severity::Slows };
    Some(finding(severity, what, remedy))
}

fn judge_open_files(facts: &Facts) -> Option<Finding> {
    let soft = facts.open_files?.soft;
    if soft >= OPEN_FILES_MIN {
        return None;
    }
    let severity =
        if soft < OPEN_FILES_START_MIN { Severity::PreventsStart } else { Severity::Slows };
    Some(finding(
        severity,
        format!("only {soft} files and connections may be open at once (RLIMIT_NOFILE)"),
        "ulimit -n 1048576   (systemd: LimitNOFILE=1048576; docker: --ulimit nofile=1048576)",
    ))
}

fn judge_dir(dir: &DirFacts) -> Vec<Finding> {
    let path = dir.path.display();
    let mut findings = Vec::new();
    if let Some(errno) = dir.create_errno {
        findings.push(finding(
            Severity::PreventsStart,
            format!("no file can be made in {path}: {}", io::Error::from_raw_os_error(errno)),
            match errno {
                libc::ENOSPC | libc::EDQUOT => format!("df -h {path}   (and make room)"),
                libc::EROFS => format!("mount -o remount,rw {path}   (or another --data-dir)"),
                _ => format!("chown -R $(id -u) {path}   (or another --data-dir)"),
            },
        ));
    }
    let refused = matches!(dir.direct_align_bytes, Some((0, _) | (_, 0)));
    if dir.direct_io == Some(false) || refused {
        findings.push(finding(
            Severity::Slows,
            format!("the filesystem of {path} does not do direct I/O (O_DIRECT)"),
            format!("findmnt -T {path}   (and put the data on ext4 or XFS on a local disk)"),
        ));
    }
    match dir.direct_align_bytes {
        Some((memory, position)) if memory > BLOCK_BYTES || position > BLOCK_BYTES => {
            findings.push(finding(
                Severity::PreventsStart,
                format!(
                    "direct I/O on {path} must be aligned to {} bytes, Corelane aligns to \
                     {BLOCK_BYTES}",
                    memory.max(position)
                ),
                "use a filesystem with blocks of at most 4096 bytes: mkfs.ext4 -b 4096 ...",
            ));
        }
        _ => {}
    }
    if let Some(free) = dir.free_bytes.filter(|free| *free < FREE_BYTES_MIN) {
        findings.push(finding(
            Severity::Slows,
            format!("only {} MiB are free in {path}", free >> 20),
            format!("df -h {path}   (and make room, or another --data-dir)"),
        ));
    }
    findings
}
