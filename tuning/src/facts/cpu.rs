//! Cores: which this process may use, how much of them, and how fast they are allowed to be.

use std::collections::BTreeSet;

use super::{cgroup, field};
use crate::root::{Fact, Root, Unknown, number_list};

/// What there is to compute with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuFacts {
    /// Hardware threads that this process may run on.
    pub usable: Fact<Vec<usize>>,
    /// Of how many cores they are the threads.
    pub cores: Fact<usize>,
    /// CPU time that a control group grants, thousandths of one core; `None`: no limit.
    pub quota_millicores: Option<u64>,
    /// Frequency governors in use, of the usable threads.
    pub governors: Fact<BTreeSet<String>>,
}

pub(crate) fn gather(root: &Root, status: &Fact<String>) -> CpuFacts {
    let usable = field(status, "Cpus_allowed_list:").and_then(|text| {
        number_list(&text).ok_or_else(|| Unknown(format!("Cpus_allowed_list: {text}")))
    });
    let cpus = || usable.as_ref().map_err(Clone::clone);
    CpuFacts {
        cores: cpus().and_then(|cpus| cores(root, cpus)),
        governors: cpus().and_then(|cpus| governors(root, cpus)),
        quota_millicores: quota(root),
        usable,
    }
}

fn cores(root: &Root, cpus: &[usize]) -> Fact<usize> {
    let siblings = cpus.iter().map(|cpu| {
        root.text(&format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"))
    });
    Ok(siblings.collect::<Fact<BTreeSet<String>>>()?.len())
}

fn governors(root: &Root, cpus: &[usize]) -> Fact<BTreeSet<String>> {
    if !root.path("/sys/devices/system/cpu/cpu0/cpufreq").exists() {
        return Err(Unknown::because(
            "the kernel does not set the frequency (virtual machine, or firmware does)",
        ));
    }
    let governor =
        |cpu| root.text(&format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"));
    cpus.iter().map(governor).collect()
}

/// The lowest quota of all groups.
fn quota(root: &Root) -> Option<u64> {
    let version_2 = cgroup::version_2(root, "cpu.max");
    let of_2 = version_2.iter().filter_map(|text| {
        let (quota, period) = text.split_once(' ')?;
        millicores(quota, period)
    });
    let quotas = cgroup::version_1(root, "cpu", "cpu.cfs_quota_us");
    let periods = cgroup::version_1(root, "cpu", "cpu.cfs_period_us");
    let of_1 = quotas.iter().zip(&periods).filter_map(|(quota, period)| millicores(quota, period));
    of_2.chain(of_1).min()
}

/// "max" and -1 are no quota.
fn millicores(quota_us: &str, period_us: &str) -> Option<u64> {
    let (quota, period): (u64, u64) = (quota_us.parse().ok()?, period_us.parse().ok()?);
    quota.checked_mul(1000)?.checked_div(period)
}
