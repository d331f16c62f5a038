//! Two looks at the machine, and samples of the broker's memory between them.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use rustix::time::{ClockId, clock_gettime};

use super::machine::Machine;
use super::process::{Process, ended_children_cpu_s, family, resident_bytes};
use super::{BrokerUsage, Usage};
use crate::error::BenchError;

/// Looks at the machine twice, and at the broker's memory as often as it is told to.
pub(crate) struct Observer {
    pid: Option<u32>,
    begin: Option<Look>,
    end: Option<Look>,
    resident_bytes_max: u64,
}

#[derive(Clone, Debug, Default)]
struct Look {
    client_cpu_s: f64,
    machine: Machine,
    broker: Option<HashMap<u32, Process>>,
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
        Ok(Observer { pid, begin: None, end: None, resident_bytes_max: 0 })
    }

    pub(crate) fn begin(&mut self) {
        self.begin = Some(Look::now(self.pid));
    }

    /// Looks at the broker's memory; between the two looks, and a few times a second at most.
    pub(crate) fn sample(&mut self) {
        let broker = self.begin.as_ref().and_then(|look| look.broker.as_ref());
        let sum = broker.map_or(0, |broker| broker.keys().map(|pid| resident_bytes(*pid)).sum());
        self.resident_bytes_max = self.resident_bytes_max.max(sum);
    }

    pub(crate) fn end(&mut self) {
        self.sample();
        self.end = Some(Look::now(self.pid));
    }

    /// What was used between the looks; nothing if there were none.
    pub(crate) fn usage(&self) -> Result<Usage, BenchError> {
        let (Some(begin), Some(end)) = (&self.begin, &self.end) else {
            return Ok(Usage::default());
        };
        let broker = match (&begin.broker, &end.broker) {
            (Some(begin), Some(end)) if !end.is_empty() => {
                let used = difference(begin, end);
                let resident_bytes_max = self.resident_bytes_max.max(used.resident_bytes);
                Some(BrokerUsage { resident_bytes_max, ..used })
            }
            _ => None,
        };
        let since = |of: fn(&Machine) -> f64| of(&end.machine) - of(&begin.machine);
        Ok(Usage {
            client_cpu_s: end.client_cpu_s - begin.client_cpu_s,
            machine_cpu_s: since(|machine| machine.busy_s),
            // Threads of the kernel may end, too.
            kernel_threads_cpu_s: since(|machine| machine.kernel_threads_s).max(0.0),
            interrupts_cpu_s: since(|machine| machine.interrupts_s),
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
        used.system_cpu_s += (now.system_cpu_s - before.system_cpu_s).max(0.0);
        used.resident_bytes += now.resident_bytes;
        used.context_switches += now.context_switches.saturating_sub(before.context_switches);
        used.disk_write_bytes += now.disk_write_bytes.saturating_sub(before.disk_write_bytes);
        used.disk_read_bytes += now.disk_read_bytes.saturating_sub(before.disk_read_bytes);
    }
    used
}

impl Look {
    fn now(pid: Option<u32>) -> Look {
        let client = clock_gettime(ClockId::ProcessCPUTime);
        Look {
            client_cpu_s: client.tv_sec as f64
                + client.tv_nsec as f64 / 1e9
                + ended_children_cpu_s(),
            machine: Machine::now(),
            broker: pid.map(|pid| {
                let family = family(pid).into_iter();
                family.filter_map(|pid| Some((pid, Process::now(pid).ok()?))).collect()
            }),
        }
    }
}
