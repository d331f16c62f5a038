//! The judgement on a machine's facts: pure functions. Every check has exactly one finding, also
//! where all is well or nothing is known.

mod cpu;
mod device;
mod directory;
mod limits;
mod memory;
mod network;
mod rings;

pub use directory::{FREE_BYTES_MIN, FREE_BYTES_START_MIN};
pub use limits::{LOCKED_MEMORY_BYTES_MIN, LOCKED_MEMORY_BYTES_PER_SHARD, OPEN_FILES_MIN};
pub use rings::KERNEL_MIN;

use std::fmt;

use crate::facts::Facts;
use crate::root::Unknown;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A broker does not start.
    PreventsStart,
    /// It runs; slower, or with less in reserve or less safely than it could.
    Slows,
    /// It could not be found out.
    Unknown,
    /// All is well.
    Fine,
}

impl Severity {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Severity::PreventsStart => "prevents start",
            Severity::Slows => "slows",
            Severity::Unknown => "unknown",
            Severity::Fine => "ok",
        }
    }
}

/// The outcome of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Names the check, the same in every release: "open-files".
    pub id: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// What was seen: "1024", "Linux 6.18". Where nothing was, why.
    pub value: String,
    /// What is wrong, in a sentence; empty if nothing is.
    pub what: String,
    /// The command, or the change, that mends it; empty if there is nothing to mend.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  -> {}", self.what, self.remedy)
    }
}

/// One check; what it makes its findings with.
#[derive(Clone, Copy, Debug)]
struct Check(&'static str);

impl Check {
    fn fine(self, value: impl Into<String>) -> Finding {
        self.finding(Severity::Fine, value, "", "")
    }

    fn unknown(self, reason: &Unknown) -> Finding {
        self.finding(Severity::Unknown, reason.to_string(), "", "")
    }

    fn finding(
        self,
        severity: Severity,
        value: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        let (value, what, remedy) = (value.into(), what.into(), remedy.into());
        Finding { id: self.0, severity, value, what, remedy }
    }

    fn slows(
        self,
        value: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        self.finding(Severity::Slows, value, what, remedy)
    }

    fn prevents(
        self,
        value: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        self.finding(Severity::PreventsStart, value, what, remedy)
    }
}

/// What `facts` mean for a broker, gravest first.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![rings::kernel(facts), rings::io_uring(facts)];
    findings.extend([limits::locked_memory(facts), limits::open_files(facts)]);
    findings.extend(directory::judge(&facts.data_dir));
    findings.extend(network::ports(facts));
    findings.extend([cpu::cores(facts), cpu::quota(facts), cpu::governor(facts)]);
    findings.extend([memory::cache(facts), memory::huge_pages(facts), memory::swap(facts)]);
    findings.push(cpu::clock(facts));
    findings.extend([device::scheduler(facts), device::write_cache(facts)]);
    findings.sort_by_key(|finding| finding.severity);
    findings
}
