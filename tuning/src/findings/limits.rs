//! Resource limits.

use super::{Check, Finding, Severity};
use crate::facts::Facts;

/// The executor refuses to start below this RLIMIT_MEMLOCK, whoever runs it.
pub const LOCKED_MEMORY_BYTES_MIN: u64 = 512 << 10;

/// Locked memory that one shard's rings may need.
pub const LOCKED_MEMORY_BYTES_PER_SHARD: u64 = 512 << 10;

/// Descriptors below which partitions and connections soon compete.
pub const OPEN_FILES_MIN: u64 = 65_536;

/// Descriptors without which not even a start is worthwhile: of the process, and of each shard
/// (rings, events, its journal, a few logs and connections).
const OPEN_FILES_START: u64 = 128;
const OPEN_FILES_START_PER_SHARD: u64 = 32;

/// From this Linux on, rings count as memory of their cgroup and not as locked memory.
const KERNEL_UNLOCKED_RINGS: (u32, u32) = (5, 12);

pub(super) fn locked_memory(facts: &Facts) -> Finding {
    let check = Check("locked-memory");
    let soft = match &facts.locked_memory {
        Ok(range) => range.soft,
        Err(reason) => return check.unknown(reason),
    };
    let shards = facts.shards.max(1) as u64;
    let wanted = shards.saturating_mul(LOCKED_MEMORY_BYTES_PER_SHARD).max(LOCKED_MEMORY_BYTES_MIN);
    let value = match soft {
        u64::MAX => "unlimited".to_owned(),
        soft => format!("{} KiB", soft >> 10),
    };
    let privileged = facts.may_lock_memory == Ok(true) && soft >= LOCKED_MEMORY_BYTES_MIN;
    if soft >= wanted || privileged {
        return check.fine(value);
    }
    let counted = facts.kernel.as_ref().is_ok_and(|kernel| *kernel < KERNEL_UNLOCKED_RINGS);
    let prevents = soft < LOCKED_MEMORY_BYTES_MIN || counted;
    check.finding(
        if prevents { Severity::PreventsStart } else { Severity::Slows },
        &value,
        format!(
            "only {value} of memory may be locked (RLIMIT_MEMLOCK), {} {} {} KiB",
            shards,
            if shards == 1 { "shard wants" } else { "shards want" },
            wanted >> 10
        ),
        format!(
            "ulimit -l {}   (systemd: LimitMEMLOCK=infinity; docker: --ulimit memlock=-1)",
            wanted >> 10
        ),
    )
}

pub(super) fn open_files(facts: &Facts) -> Finding {
    let check = Check("open-files");
    let soft = match &facts.open_files {
        Ok(range) => range.soft,
        Err(reason) => return check.unknown(reason),
    };
    if soft >= OPEN_FILES_MIN {
        return check.fine(soft.to_string());
    }
    let shards = facts.shards as u64;
    let to_start =
        OPEN_FILES_START.saturating_add(shards.saturating_mul(OPEN_FILES_START_PER_SHARD));
    let severity = if soft < to_start { Severity::PreventsStart } else { Severity::Slows };
    check.finding(
        severity,
        soft.to_string(),
        format!("only {soft} files and connections may be open at once (RLIMIT_NOFILE)"),
        "ulimit -n 1048576   (systemd: LimitNOFILE=1048576; docker: --ulimit nofile=1048576)",
    )
}
