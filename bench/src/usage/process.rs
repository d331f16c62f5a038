//! One process, or a family of them.

use std::fs;
use std::io;

use rustix::param::{clock_ticks_per_second, page_size};

/// One process, all its threads together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    pub(super) cpu_s: f64,
    pub(super) system_cpu_s: f64,
    pub(super) resident_bytes: u64,
    pub(super) context_switches: u64,
    pub(super) disk_write_bytes: u64,
    pub(super) disk_read_bytes: u64,
}

/// Every process that can be seen.
pub(crate) fn process_ids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// A process and its descendants, now.
pub(crate) fn family(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = process_ids()
        .filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, stat_fields(&stat)?.nth(1)?.parse().ok()?))
        })
        .collect();
    descendants(root, &parents)
}

pub(super) fn descendants(root: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut family = vec![root];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        let children = parents.iter().filter(|(pid, of)| *of == parent && *pid != parent);
        let children: Vec<_> = children.map(|(pid, _)| *pid).collect();
        family.extend(children.into_iter().filter(|pid| *pid != root));
        next += 1;
    }
    family
}

/// The fields of /proc/PID/stat behind the command's name, which may hold anything: state, parent
/// and so on.
pub(super) fn stat_fields(stat: &str) -> Option<std::str::SplitWhitespace<'_>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace())
}

impl Process {
    pub(super) fn now(pid: u32) -> io::Result<Process> {
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}"));
        let (stat, status, io) = (read("stat")?, read("status")?, read("io")?);
        let mut process = Process::of(&stat, &status, &io);
        // `status` tells the main thread's switches only.
        process.context_switches = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
            // A thread may end between the two.
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            process.context_switches += switches(&status);
        }
        Ok(process)
    }

    pub(super) fn of(stat: &str, status: &str, io: &str) -> Process {
        let seconds = |ticks: u64| ticks as f64 / clock_ticks_per_second() as f64;
        let ticks = |index| stat_ticks(stat, index);
        Process {
            cpu_s: seconds(ticks(11) + ticks(12)),
            system_cpu_s: seconds(ticks(12)),
            resident_bytes: value(status, "VmRSS:") * 1024,
            context_switches: switches(status),
            disk_write_bytes: value(io, "write_bytes:"),
            disk_read_bytes: value(io, "read_bytes:"),
        }
    }
}

/// CPU seconds of this program's children that have ended and were waited for.
pub(super) fn ended_children_cpu_s() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    (stat_ticks(&stat, 13) + stat_ticks(&stat, 14)) as f64 / clock_ticks_per_second() as f64
}

/// Resident memory of a process, bytes; 0 if it is gone. Cheap: to be asked often.
pub(super) fn resident_bytes(pid: u32) -> u64 {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0).saturating_mul(page_size() as u64)
}

fn stat_ticks(stat: &str, index: usize) -> u64 {
    let field = stat_fields(stat).and_then(|mut fields| fields.nth(index));
    field.and_then(|ticks| ticks.parse().ok()).unwrap_or(0)
}

fn switches(status: &str) -> u64 {
    value(status, "voluntary_ctxt_switches:") + value(status, "nonvoluntary_ctxt_switches:")
}

/// The number behind `key` at the start of a line; 0 if it is missing.
fn value(text: &str, key: &str) -> u64 {
    let rest = text.lines().find_map(|line| line.strip_prefix(key));
    rest.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
