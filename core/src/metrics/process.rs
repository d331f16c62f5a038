//! What the kernel says of this process (proc(5)).

use std::fs;
use std::time::Duration;

/// What could not be read is `None`, and is not told.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessGauges {
    /// Seconds since 1970 at which it started.
    pub start_time_s: Option<f64>,
    /// Processor time of all its threads.
    pub cpu: Option<Duration>,
    /// Memory that it has in RAM, in bytes.
    pub resident_bytes: Option<u64>,
    /// Address space that it has, in bytes.
    pub virtual_bytes: Option<u64>,
    /// Descriptors that it has open.
    pub open_fds: Option<u64>,
    /// Descriptors that it may have open.
    pub max_fds: Option<u64>,
    /// Its threads.
    pub threads: Option<u64>,
}

/// Reads them; some tens of microseconds, more with many descriptors.
pub fn read() -> ProcessGauges {
    let stat = fs::read_to_string("/proc/self/stat").ok();
    let stat = stat.as_deref().and_then(Stat::parse);
    // SAFETY: sysconf(3) takes and returns numbers.
    let (ticks, page) =
        unsafe { (libc::sysconf(libc::_SC_CLK_TCK), libc::sysconf(libc::_SC_PAGESIZE)) };
    let positive = |number: i64| u64::try_from(number).ok().filter(|number| *number > 0);
    let (ticks, page) = (positive(ticks), positive(page));
    let seconds = |number: u64| Some(number as f64 / ticks? as f64);
    let limits = fs::read_to_string("/proc/self/limits").ok();
    ProcessGauges {
        start_time_s: stat.as_ref().and_then(|stat| {
            let boot = boot_time_s(&fs::read_to_string("/proc/stat").ok()?)?;
            Some(boot + seconds(stat.start_ticks)?)
        }),
        cpu: stat.as_ref().and_then(|s| seconds(s.cpu_ticks)).map(Duration::from_secs_f64),
        resident_bytes: stat.as_ref().and_then(|stat| stat.resident_pages.checked_mul(page?)),
        virtual_bytes: stat.as_ref().map(|stat| stat.virtual_bytes),
        open_fds: fs::read_dir("/proc/self/fd").ok().map(|dir| dir.count() as u64),
        max_fds: limits.as_deref().and_then(max_fds),
        threads: stat.map(|stat| stat.threads),
    }
}

/// What is read of /proc/PID/stat.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Stat> {
        // The name before may hold anything, parentheses and spaces included.
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        // Numbered from 1 in the manual; `state`, the first behind the name, is the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Stat {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

fn boot_time_s(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// The soft limit; none if it is unlimited.
fn max_fds(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_hold_anything() {
        let text = "7 (a ) 1 b) S 1 7 7 0 -1 4 1 0 0 0 150 50 0 0 20 0 9 0 1234 8192 3 184 1 1";
        let stat = Stat {
            cpu_ticks: 200,
            threads: 9,
            start_ticks: 1234,
            virtual_bytes: 8192,
            resident_pages: 3,
        };
        assert_eq!(Stat::parse(text), Some(stat));
        assert_eq!(Stat::parse("7 (a) S 1"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn limits_and_boot_time_are_found() {
        let limits =
            "Limit   Soft Limit  Hard Limit  Units\nMax open files    1024    4096   files\n";
        assert_eq!(max_fds(limits), Some(1024));
        assert_eq!(max_fds("Max open files  unlimited unlimited files"), None);
        assert_eq!(boot_time_s("cpu 1 2\nbtime 1700000000\n"), Some(1_700_000_000.0));
    }

    #[test]
    fn this_process_is_known() {
        let read = read();
        assert!(read.resident_bytes > Some(0) && read.threads > Some(0), "{read:?}");
        assert!(read.open_fds <= read.max_fds || read.max_fds.is_none(), "{read:?}");
        assert!(read.start_time_s > Some(1_600_000_000.0) && read.cpu.is_some(), "{read:?}");
    }
}
