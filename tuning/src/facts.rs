//! What is read from the machine. Nothing is judged here.

pub mod block_device;
mod cgroup;
pub mod cpu;
pub mod directory;
pub mod memory;
mod mounts;
pub mod rings;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use block_device::BlockDevice;
pub use cpu::CpuFacts;
pub use directory::DirFacts;
pub use memory::MemoryFacts;
pub use rings::RingFacts;

use crate::limits::{self, Limit, Range};
use crate::root::{Fact, Root, Unknown};

/// Bit of CAP_IPC_LOCK in a capability set (capabilities(7)).
const CAP_IPC_LOCK: u64 = 1 << 14;

/// Whether an address can be listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortFacts {
    /// The address and port.
    pub address: SocketAddr,
    /// errno of listening there; `None` if it works.
    pub errno: Option<i32>,
}

/// What a broker is going to do here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where its data is or will be.
    pub data_dir: PathBuf,
    /// Whether a missing data directory is to be made. If not, the place for it is looked at.
    pub make_data_dir: bool,
    /// Shards that are to run.
    pub shards: usize,
    /// Each address to listen on, as whoever will listen has tried it.
    pub ports: Vec<PortFacts>,
    /// Memory for the newest data, bytes; `None`: a fifth of what there is.
    pub cache_bytes: Option<u64>,
}

/// The state of a machine, as far as a broker depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Shards that are to run.
    pub shards: usize,
    /// Linux version, major and minor.
    pub kernel: Fact<(u32, u32)>,
    /// io_uring.
    pub rings: RingFacts,
    /// May lock any amount of memory (CAP_IPC_LOCK).
    pub may_lock_memory: Fact<bool>,
    /// RLIMIT_MEMLOCK, bytes.
    pub locked_memory: Fact<Range>,
    /// RLIMIT_NOFILE, descriptors.
    pub open_files: Fact<Range>,
    /// The data directory.
    pub data_dir: DirFacts,
    /// The device below it.
    pub device: Fact<BlockDevice>,
    /// Each address to listen on.
    pub ports: Vec<PortFacts>,
    /// Cores.
    pub cpu: CpuFacts,
    /// Memory.
    pub memory: MemoryFacts,
    /// Memory for the newest data, bytes.
    pub cache_bytes: Option<u64>,
    /// What the kernel measures time with.
    pub clock_source: Fact<String>,
}

/// Reads all facts. For a moment there is a small file in the data directory (or in the nearest
/// directory above it that exists, if it is not to be made).
pub fn gather(root: &Root, plan: &Plan) -> Facts {
    let status = root.text("/proc/self/status");
    let release = root.text("/proc/sys/kernel/osrelease");
    let data_dir = directory::gather(root, &plan.data_dir, plan.make_data_dir);
    let limit = |limit| limits::read(limit).map_err(|cause| Unknown(format!("getrlimit: {cause}")));
    Facts {
        shards: plan.shards,
        kernel: release.and_then(|release| {
            parse_release(&release).ok_or_else(|| Unknown(format!("\"{release}\" is no version")))
        }),
        rings: rings::gather(root, &status),
        may_lock_memory: field(&status, "CapEff:").and_then(|hex| {
            let set = u64::from_str_radix(&hex, 16);
            set.map(|set| set & CAP_IPC_LOCK != 0).map_err(|_| Unknown("CapEff: no number".into()))
        }),
        locked_memory: limit(Limit::LockedMemory),
        open_files: limit(Limit::OpenFiles),
        device: block_device::below(root, &data_dir),
        data_dir,
        ports: plan.ports.clone(),
        cpu: cpu::gather(root, &status),
        memory: memory::gather(root),
        cache_bytes: plan.cache_bytes,
        clock_source: root.text("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
    }
}

/// "6.18.44-generic" is (6, 18).
pub(crate) fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.trim().split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The value of one line of /proc/self/status.
pub(crate) fn field(status: &Fact<String>, name: &str) -> Fact<String> {
    let text = status.as_ref().map_err(Clone::clone)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value
        .map(|value| value.trim().to_owned())
        .ok_or_else(|| Unknown(format!("/proc/self/status has no {}", name.trim_end_matches(':'))))
}
