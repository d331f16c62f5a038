//! The whole machine, and the kernel's own threads.

use std::fs;

use rustix::param::clock_ticks_per_second;

use super::process::{process_ids, stat_fields};

/// `flags` of a kernel thread (PF_KTHREAD of the kernel's sched.h).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// CPU seconds since the start of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Machine {
    pub(super) busy_s: f64,
    pub(super) interrupts_s: f64,
    pub(super) kernel_threads_s: f64,
}

impl Machine {
    pub(super) fn now() -> Machine {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let (busy, interrupts) = machine_ticks(&stat);
        let threads = process_ids().filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            kernel_thread_ticks(&stat)
        });
        let seconds = |ticks: u64| ticks as f64 / clock_ticks_per_second() as f64;
        Machine {
            busy_s: seconds(busy),
            interrupts_s: seconds(interrupts),
            kernel_threads_s: seconds(threads.sum()),
        }
    }
}

/// Busy ticks of all cores, and those of them that were interrupts', of the line
/// `cpu user nice system idle iowait irq softirq ...`.
pub(super) fn machine_ticks(stat: &str) -> (u64, u64) {
    let line = stat.lines().find(|line| line.starts_with("cpu ")).unwrap_or_default();
    let fields: Vec<u64> =
        line.split_whitespace().skip(1).map(|field| field.parse().unwrap_or(0)).collect();
    let sum = |indexes: &[usize]| indexes.iter().filter_map(|index| fields.get(*index)).sum();
    (sum(&[0, 1, 2, 5, 6]), sum(&[5, 6]))
}

/// User and system ticks, if this is the /proc/PID/stat of a kernel thread.
pub(super) fn kernel_thread_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat_fields(stat)?;
    let flags: u64 = fields.nth(6)?.parse().ok()?;
    let ticks = || fields.skip(4).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    (flags & KERNEL_THREAD != 0).then(ticks)
}
