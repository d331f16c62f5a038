//! What a run costs: CPU time, memory, context switches, bytes to the disk, as the kernel counts
//! them (proc(5)).

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use rustix::param::clock_ticks_per_second;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::error::BenchError;

/// What was used between two looks.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Usage {
    /// CPU seconds of this program.
    pub client_cpu_s: f64,
    /// CPU seconds of the whole machine, interrupts and kernel threads included.
    pub machine_cpu_s: f64,
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
    /// Resident memory at the end, bytes.
    pub resident_bytes: u64,
    /// Context switches, wished and forced.
    pub context_switches: u64,
    /// Bytes that went to disks.
    pub disk_write_bytes: u64,
    /// Bytes that came from disks.
    pub disk_read_bytes: u64,
}

/// Looks at the machine twice.
pub(crate) struct Observer {
    pid: Option<u32>,
    begin: Option<Look>,
    end: Option<Look>,
}

#[derive(Clone, Debug, Default)]
struct Look {
    client_cpu_s: f64,
    machine_cpu_s: f64,
    broker: Option<HashMap<u32, Process>>,
}

/// One process, all its threads together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Process {
    cpu_s: f64,
    resident_bytes: u64,
    context_switches: u64,
    disk_write_bytes: u64,
    disk_read_bytes: u64,
}

impl Observer {
    /// Watches this program, the machine, and a broker.
    ///
    /// # Errors
    /// [`BenchError::File`] if there is no such process, or it may not be looked at.
    pub(crate) fn new(pid: Option<u32>) -> Result<Observer, BenchError> {
        if let Some(pid) = pid {
            let path = PathBuf::from(format!("/proc/{pid}/io"));
            fs::read(&path).map_err(|source| BenchError::File {
                operation: "watching",
                path,
                source,
            })?;
        }
        Ok(Observer { pid, begin: None, end: None })
    }

    pub(crate) fn begin(&mut self) {
        self.begin = Some(look(self.pid));
    }

    pub(crate) fn end(&mut self) {
        self.end = Some(look(self.pid));
    }

    /// What was used between the looks; nothing if there were none.
    pub(crate) fn usage(&self) -> Result<Usage, BenchError> {
        let (Some(begin), Some(end)) = (&self.begin, &self.end) else {
            return Ok(Usage::default());
        };
        let broker = match (&begin.broker, &end.broker) {
            (Some(begin), Some(end)) if !end.is_empty() => Some(difference(begin, end)),
            _ => None,
        };
        Ok(Usage {
            client_cpu_s: end.client_cpu_s - begin.client_cpu_s,
            machine_cpu_s: end.machine_cpu_s - begin.machine_cpu_s,
            broker,
        })
    }
}

/// A process that was born meanwhile counts from nothing, one that died no more.
fn difference(begin: &HashMap<u32, Process>, end: &HashMap<u32, Process>) -> BrokerUsage {
    let mut used = BrokerUsage::default();
    for (pid, now) in end {
        let before = begin.get(pid).copied().unwrap_or_default();
        used.cpu_s += (now.cpu_s - before.cpu_s).max(0.0);
        used.resident_bytes += now.resident_bytes;
        used.context_switches += now.context_switches.saturating_sub(before.context_switches);
        used.disk_write_bytes += now.disk_write_bytes.saturating_sub(before.disk_write_bytes);
        used.disk_read_bytes += now.disk_read_bytes.saturating_sub(before.disk_read_bytes);
    }
    used
}

fn look(pid: Option<u32>) -> Look {
    let client = clock_gettime(ClockId::ProcessCPUTime);
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    Look {
        client_cpu_s: client.tv_sec as f64 + client.tv_nsec as f64 / 1e9,
        machine_cpu_s: machine_ticks(&stat) as f64 / clock_ticks_per_second() as f64,
        broker: pid.map(|pid| {
            let family = descendants(pid, &parents());
            family.into_iter().filter_map(|pid| Some((pid, process(pid).ok()?))).collect()
        }),
    }
}

/// Busy ticks of all cores: user, nice, system, interrupts of both kinds, of the line
/// `cpu user nice system idle iowait irq softirq ...`.
fn machine_ticks(stat: &str) -> u64 {
    let line = stat.lines().find(|line| line.starts_with("cpu ")).unwrap_or_default();
    let fields: Vec<u64> =
        line.split_whitespace().skip(1).map(|field| field.parse().unwrap_or(0)).collect();
    [0, 1, 2, 5, 6].iter().filter_map(|index| fields.get(*index)).sum()
}

/// Every process with its parent.
fn parents() -> Vec<(u32, u32)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some((pid, stat_fields(&stat)?.nth(1)?.parse().ok()?))
    })
    .collect()
}

fn descendants(root: u32, parents: &[(u32, u32)]) -> Vec<u32> {
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
fn stat_fields(stat: &str) -> Option<std::str::SplitWhitespace<'_>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace())
}

fn process(pid: u32) -> io::Result<Process> {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}"));
    let (stat, status, io) = (read("stat")?, read("status")?, read("io")?);
    let mut process = read_process(&stat, &status, &io);
    // `status` tells the main thread's switches only.
    process.context_switches = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        // A thread may end between the two.
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        process.context_switches += switches(&status);
    }
    Ok(process)
}

fn read_process(stat: &str, status: &str, io: &str) -> Process {
    let ticks: u64 = stat_fields(stat)
        .map_or(0, |fields| fields.skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum());
    Process {
        cpu_s: ticks as f64 / clock_ticks_per_second() as f64,
        resident_bytes: value(status, "VmRSS:") * 1024,
        context_switches: switches(status),
        disk_write_bytes: value(io, "write_bytes:"),
        disk_read_bytes: value(io, "read_bytes:"),
    }
}

fn switches(status: &str) -> u64 {
    value(status, "voluntary_ctxt_switches:") + value(status, "nonvoluntary_ctxt_switches:")
}

/// The number behind `key` at the start of a line; 0 if it is missing.
fn value(text: &str, key: &str) -> u64 {
    let rest = text.lines().find_map(|line| line.strip_prefix(key));
    rest.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use rustix::param::clock_ticks_per_second;

    use super::{Observer, descendants, machine_ticks, read_process};

    #[test]
    fn the_kernels_words_are_read() {
        let stat = "42 (a ) b (c) S 7 42 42 0 -1 4194304 100 0 0 0 200 300 5 6 20 0 9 0 100 1 2 3";
        let status = "Name:\ta\nVmRSS:\t   2048 kB\nvoluntary_ctxt_switches:\t10\n\
                      nonvoluntary_ctxt_switches:\t5\n";
        let io = "rchar: 1\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 1\n";
        let process = read_process(stat, status, io);
        assert_eq!(process.cpu_s, 500.0 / clock_ticks_per_second() as f64);
        assert_eq!((process.resident_bytes, process.context_switches), (2 << 20, 15));
        assert_eq!((process.disk_read_bytes, process.disk_write_bytes), (4096, 8192));
        assert_eq!(machine_ticks("cpu  1 2 4 1000 1000 8 16 0 0 0\ncpu0 9 9\n"), 31);
        assert_eq!(read_process("", "", "").resident_bytes, 0);
    }

    #[test]
    fn a_familys_loops_and_strangers_do_no_harm() {
        let parents = [(2, 1), (3, 2), (4, 2), (5, 9), (1, 0), (6, 4), (0, 0)];
        let mut family = descendants(2, &parents);
        family.sort_unstable();
        assert_eq!(family, [2, 3, 4, 6]);
        assert_eq!(descendants(77, &parents), [77]);
    }

    #[test]
    fn this_process_is_seen_to_work() {
        let mut observer = Observer::new(Some(std::process::id())).unwrap();
        observer.begin();
        let began = std::time::Instant::now();
        while began.elapsed().as_millis() < 50 {
            std::hint::spin_loop();
        }
        observer.end();
        let usage = observer.usage().unwrap();
        assert!(usage.client_cpu_s > 0.0, "{usage:?}");
        assert!(usage.broker.is_some_and(|broker| broker.resident_bytes > 1 << 20));
        assert!(Observer::new(Some(u32::MAX)).is_err());
    }
}
