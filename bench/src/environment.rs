//! Where a measurement was made: figures of two machines are no comparison.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::system::uname;
use serde::{Deserialize, Serialize};

/// The machine and the command.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Environment {
    /// The command line, word by word.
    pub command_line: Vec<String>,
    /// This program's version.
    pub program_version: String,
    /// Name and release of the kernel.
    pub kernel: String,
    /// The processor, as the kernel calls it.
    pub cpu: String,
    /// How the first core's speed is governed: `performance`, `powersave` and so on; empty where the
    /// kernel does not govern it.
    #[serde(default)]
    pub governor: String,
    /// Cores that this program may use.
    pub cores: usize,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Processes that wanted to run, on average over the minute before.
    pub load_average_1_min: f64,
    /// Seconds since 1970.
    pub began_unix_s: u64,
}

impl Environment {
    /// This machine, now. What the kernel does not tell is empty or 0.
    pub fn here() -> Environment {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let (name, load) = (uname(), read("/proc/loadavg"));
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        Environment {
            command_line: std::env::args_os().map(|arg| arg.to_string_lossy().into()).collect(),
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: format!("{} {}", text(name.sysname()), text(name.release())),
            cpu: cpu_name(&read("/proc/cpuinfo")),
            governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
                .trim()
                .to_owned(),
            cores: std::thread::available_parallelism().map_or(0, |cores| cores.get()),
            memory_bytes: memory_bytes(&read("/proc/meminfo")),
            load_average_1_min: first_number(&load).unwrap_or(0.0),
            began_unix_s: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        }
    }
}

fn cpu_name(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()));
    name.unwrap_or_default()
}

fn memory_bytes(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    line.and_then(first_number).map_or(0, |kib| kib as u64 * 1024)
}

fn first_number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Environment, cpu_name, memory_bytes};

    #[test]
    fn the_machine_is_described() {
        assert_eq!(cpu_name("processor\t: 0\nmodel name\t: Some CPU @ 2\n"), "Some CPU @ 2");
        assert_eq!(memory_bytes("MemTotal:       1000 kB\nMemFree: 1 kB\n"), 1_024_000);
        let here = Environment::here();
        assert!(here.kernel.starts_with("Linux "), "{here:?}");
        assert!(here.cores > 0 && here.memory_bytes > 0 && !here.command_line.is_empty());
    }
}
