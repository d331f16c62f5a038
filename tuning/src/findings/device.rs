//! The disks below the data directory.

use super::{Check, Finding};
use crate::facts::Facts;
use crate::facts::block_device::Disk;
use crate::root::{Fact, Unknown};

pub(super) fn scheduler(facts: &Facts) -> Finding {
    let check = Check("io-scheduler");
    let judged = each(facts, |disk| disk.scheduler.clone());
    let schedulers = match judged {
        Ok(schedulers) => schedulers,
        Err(reason) => return check.unknown(&reason),
    };
    let value = listed(&schedulers, String::as_str);
    // A disk that rotates gains by being scheduled.
    let slow = schedulers.iter().find(|(disk, name)| {
        !matches!(name.as_str(), "none" | "noop") && disk.rotates == Ok(false)
    });
    match slow {
        None => check.fine(value),
        Some((disk, name)) => check.slows(
            value,
            format!(
                "the kernel reorders I/O of {} ({name}), which does it better itself",
                disk.name
            ),
            format!(
                "echo none > /sys/block/{}/queue/scheduler   (and a udev rule to keep it)",
                disk.name
            ),
        ),
    }
}

pub(super) fn write_cache(facts: &Facts) -> Finding {
    let check = Check("write-cache");
    let judged = each(facts, |disk| disk.write_back.clone());
    let caches = match judged {
        Ok(caches) => caches,
        Err(reason) => return check.unknown(&reason),
    };
    let value = listed(&caches, |back| if *back { "write back" } else { "write through" });
    match caches.iter().find(|(_, write_back)| *write_back) {
        None => check.fine(value),
        Some((disk, _)) => check.slows(
            value,
            format!(
                "{} has a volatile write cache: each fdatasync has to empty it (what is \
                 acknowledged is safe all the same)",
                disk.name
            ),
            "use a disk with power-loss protection, above all with --durability strict",
        ),
    }
}

fn each<T>(facts: &Facts, of: impl Fn(&Disk) -> Fact<T>) -> Fact<Vec<(&Disk, T)>> {
    let device = facts.device.as_ref().map_err(Unknown::clone)?;
    device.disks.iter().map(|disk| Ok((disk, of(disk)?))).collect()
}

fn listed<T>(disks: &[(&Disk, T)], word: impl Fn(&T) -> &str) -> String {
    let words = disks.iter().map(|(disk, value)| format!("{}: {}", disk.name, word(value)));
    words.collect::<Vec<_>>().join(", ")
}
