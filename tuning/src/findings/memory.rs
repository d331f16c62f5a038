//! Memory.

use super::{Check, Finding};
use crate::facts::Facts;

/// What a broker needs besides the cache: data on its way to disks and clients, rings, code.
const BESIDES_CACHE_BYTES: u64 = 512 << 20;

pub(super) fn cache(facts: &Facts) -> Finding {
    let check = Check("memory");
    let usable = match facts.memory.usable_bytes() {
        Ok(usable) => usable,
        Err(reason) => return check.unknown(&reason),
    };
    let cache = facts.cache_bytes.unwrap_or(usable / 5);
    let limited =
        if facts.memory.limit_bytes.is_some() { " (limit of a control group)" } else { "" };
    let value = format!("{} MiB{limited}, cache {} MiB", usable >> 20, cache >> 20);
    if cache.saturating_add(BESIDES_CACHE_BYTES) <= usable {
        return check.fine(value);
    }
    let room = usable.saturating_sub(BESIDES_CACHE_BYTES).max(usable / 5) >> 20;
    check.slows(
        &value,
        format!(
            "a cache of {} MiB and what else a broker needs may exceed the {} MiB of memory{limited}: \
             it would be killed under load",
            cache >> 20,
            usable >> 20
        ),
        format!("corelane serve --cache-bytes {}MiB   (or more memory: systemd MemoryMax=, docker --memory)", room.max(1)),
    )
}

pub(super) fn huge_pages(facts: &Facts) -> Finding {
    let check = Check("huge-pages");
    match &facts.memory.huge_pages {
        Err(reason) => check.unknown(reason),
        Ok(mode) if mode == "always" => check.slows(
            mode,
            "transparent huge pages are on for everything: the kernel stops threads to make them",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        ),
        Ok(mode) => check.fine(mode),
    }
}

pub(super) fn swap(facts: &Facts) -> Finding {
    let check = Check("swap");
    /// Above it the kernel swaps out memory that is in use to keep more of the page cache, which
    /// a broker does not live from.
    const SWAPPINESS_MAX: u32 = 10;
    match (&facts.memory.swap_bytes, &facts.memory.swappiness) {
        (Ok(0), _) => check.fine("none"),
        (_, Err(reason)) | (Err(reason), _) => check.unknown(reason),
        (Ok(bytes), Ok(swappiness)) => {
            let value = format!("{} MiB, vm.swappiness {swappiness}", bytes >> 20);
            if *swappiness <= SWAPPINESS_MAX {
                return check.fine(value);
            }
            check.slows(
                value,
                format!("memory may be swapped out (vm.swappiness {swappiness}): what was in memory is then read from disk"),
                "sysctl -w vm.swappiness=1   (and in /etc/sysctl.d/ to keep it; or swapoff -a)",
            )
        }
    }
}
