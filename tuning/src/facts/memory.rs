//! Memory: how much, and what the kernel does with it.

use super::cgroup;
use crate::root::{Fact, Root, Unknown};

/// What there is to hold data in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryFacts {
    /// The machine's, bytes.
    pub total_bytes: Fact<u64>,
    /// What a control group grants, bytes; `None`: no limit.
    pub limit_bytes: Option<u64>,
    /// Swap space, bytes.
    pub swap_bytes: Fact<u64>,
    /// sysctl `vm.swappiness`, 0 to 200.
    pub swappiness: Fact<u32>,
    /// Transparent huge pages: "always", "madvise" or "never".
    pub huge_pages: Fact<String>,
}

impl MemoryFacts {
    /// What this process may use, bytes.
    pub fn usable_bytes(&self) -> Fact<u64> {
        match (&self.total_bytes, self.limit_bytes) {
            (Ok(total), limit) => Ok(limit.map_or(*total, |limit| limit.min(*total))),
            (Err(_), Some(limit)) => Ok(limit),
            (Err(reason), None) => Err(reason.clone()),
        }
    }
}

pub(crate) fn gather(root: &Root) -> MemoryFacts {
    let meminfo = root.text("/proc/meminfo");
    let version_2 = cgroup::version_2(root, "memory.max");
    let version_1 = cgroup::version_1(root, "memory", "memory.limit_in_bytes");
    let total_bytes = line_bytes(&meminfo, "MemTotal:");
    // Version 1 says "no limit" with a number that no machine has.
    let is_limit = |bytes: &u64| total_bytes.as_ref().is_ok_and(|total| bytes < total);
    let limits = version_2.iter().chain(&version_1).filter_map(|text| text.parse().ok());
    MemoryFacts {
        limit_bytes: limits.filter(is_limit).min(),
        total_bytes,
        swap_bytes: line_bytes(&meminfo, "SwapTotal:"),
        swappiness: root.number("/proc/sys/vm/swappiness"),
        huge_pages: root.choice("/sys/kernel/mm/transparent_hugepage/enabled"),
    }
}

fn line_bytes(meminfo: &Fact<String>, name: &str) -> Fact<u64> {
    let text = meminfo.as_ref().map_err(Clone::clone)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.and_then(|kib| kib.checked_mul(1024))
        .ok_or_else(|| Unknown(format!("/proc/meminfo has no {}", name.trim_end_matches(':'))))
}
