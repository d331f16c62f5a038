//! What a run costs: CPU time, memory, context switches, bytes to the disk, as the kernel counts
//! them (proc(5)).
//!
//! - [`observer`]: two looks at the machine, and samples of the broker's memory between them
//! - [`process`]: one process, or a family of them
//! - `machine`: the whole machine, and the kernel's own threads

mod machine;
mod observer;
mod process;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub(crate) use observer::Observer;
pub(crate) use process::{family, process_ids};

/// What was used between two looks.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Usage {
    /// CPU seconds of this program, and of the programs that it has started and waited for.
    pub client_cpu_s: f64,
    /// CPU seconds of the whole machine, interrupts and kernel threads included.
    pub machine_cpu_s: f64,
    /// CPU seconds of kernel threads: write-back, network and block queues. What io_uring's workers
    /// use is part of the process that they work for.
    #[serde(default)]
    pub kernel_threads_cpu_s: f64,
    /// CPU seconds of interrupts, hard and soft, where the kernel counts them apart.
    #[serde(default)]
    pub interrupts_cpu_s: f64,
    /// What the broker's processes used, if they were watched and lived to the end.
    pub broker: Option<BrokerUsage>,
}

impl Usage {
    /// CPU seconds of all that is not this program: the broker, and what the kernel did for it in
    /// other threads; and whatever else ran on the machine.
    pub fn machine_minus_client_cpu_s(&self) -> f64 {
        (self.machine_cpu_s - self.client_cpu_s).max(0.0)
    }
}

/// What the broker's process and its descendants used.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct BrokerUsage {
    /// CPU seconds, user and system.
    pub cpu_s: f64,
    /// The part of them that was spent in the kernel.
    #[serde(default)]
    pub system_cpu_s: f64,
    /// Resident memory at the end, bytes.
    pub resident_bytes: u64,
    /// The most resident memory of a sample, bytes.
    #[serde(default)]
    pub resident_bytes_max: u64,
    /// Context switches, wished and forced.
    pub context_switches: u64,
    /// Bytes that went to disks.
    pub disk_write_bytes: u64,
    /// Bytes that came from disks.
    pub disk_read_bytes: u64,
}
