//! Cores, their speed, and the clock.

use super::{Check, Finding};
use crate::facts::Facts;

pub(super) fn cores(facts: &Facts) -> Finding {
    let check = Check("cores");
    let usable = match &facts.cpu.usable {
        Ok(usable) => usable.len(),
        Err(reason) => return check.unknown(reason),
    };
    let threads = if usable == 1 { "thread" } else { "threads" };
    let value = match facts.cpu.cores {
        Ok(cores) if cores < usable => format!("{usable} {threads} of {cores} cores"),
        Ok(_) => format!("{usable}"),
        Err(_) => format!("{usable} (or threads of fewer: the kernel does not tell)"),
    };
    let shards = facts.shards;
    if shards <= usable {
        return check.fine(format!("{value}, {shards} shards"));
    }
    check.slows(
        value,
        format!("{shards} shards share {usable} usable cores: they wait for one another"),
        format!("corelane serve --shards {usable}   (or allow more cores: taskset, cpuset, docker --cpuset-cpus)"),
    )
}

pub(super) fn quota(facts: &Facts) -> Finding {
    let check = Check("cpu-quota");
    let Some(millicores) = facts.cpu.quota_millicores else { return check.fine("none") };
    let value = format!("{}.{:02} cores", millicores / 1000, millicores % 1000 / 10);
    if millicores >= (facts.shards as u64).saturating_mul(1000) {
        return check.fine(value);
    }
    check.slows(
        &value,
        format!(
            "a control group grants {value} of CPU time to {} shards: when it is used up, all of \
             them stand still for the rest of its period",
            facts.shards
        ),
        format!(
            "corelane serve --shards {}   (or a higher quota: systemd CPUQuota=, docker --cpus)",
            (millicores / 1000).max(1)
        ),
    )
}

pub(super) fn governor(facts: &Facts) -> Finding {
    let check = Check("governor");
    let governors = match &facts.cpu.governors {
        Ok(governors) => governors,
        Err(reason) => return check.unknown(reason),
    };
    let value = governors.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let slow: Vec<_> = governors.iter().filter(|name| *name != "performance").collect();
    if slow.is_empty() {
        return check.fine(value);
    }
    check.slows(
        &value,
        format!("cores clock down when idle (governor {value}), which costs latency"),
        "cpupower frequency-set -g performance",
    )
}

pub(super) fn clock(facts: &Facts) -> Finding {
    let check = Check("clock-source");
    match &facts.clock_source {
        Err(reason) => check.unknown(reason),
        // Those that user space reads without a system call.
        Ok(name)
            if matches!(name.as_str(), "tsc" | "kvm-clock" | "arch_sys_counter")
                || name.starts_with("hyperv_clocksource") =>
        {
            check.fine(name)
        }
        Ok(name) => check.slows(
            name,
            format!("time is read from {name}, with a system call each time"),
            "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource   (if it \
             is in available_clocksource; at boot: clocksource=tsc)",
        ),
    }
}
