//! What facts mean.

use std::net::SocketAddr;

use super::data_dir;
use crate::facts::block_device::{BlockDevice, Disk};
use crate::facts::{CpuFacts, Facts, MemoryFacts, PortFacts, RingFacts};
use crate::findings::{Finding, Severity, judge};
use crate::limits::Range;
use crate::root::{Fact, Unknown};

fn range(limit: u64) -> Fact<Range> {
    Ok(Range { soft: limit, hard: limit })
}

fn unknown<T>() -> Fact<T> {
    Err(Unknown::because("nobody knows"))
}

fn disk(name: &str) -> Disk {
    Disk {
        name: name.to_owned(),
        scheduler: Ok("none".to_owned()),
        write_back: Ok(false),
        rotates: Ok(false),
    }
}

fn healthy() -> Facts {
    Facts {
        shards: 4,
        kernel: Ok((6, 18)),
        rings: RingFacts {
            errno: None,
            missing: Ok(Vec::new()),
            disabled: Ok(0),
            seccomp: Ok(false),
        },
        may_lock_memory: Ok(false),
        locked_memory: range(8 << 20),
        open_files: range(1 << 20),
        data_dir: data_dir(),
        device: Ok(BlockDevice { name: "vda1".to_owned(), disks: vec![disk("vda")] }),
        ports: vec![PortFacts { address: address(), errno: None }],
        cpu: CpuFacts {
            usable: Ok((0..8).collect()),
            cores: Ok(4),
            quota_millicores: None,
            governors: Ok(["performance".to_owned()].into()),
        },
        memory: MemoryFacts {
            total_bytes: Ok(16 << 30),
            limit_bytes: None,
            swap_bytes: Ok(0),
            swappiness: Ok(60),
            huge_pages: Ok("madvise".to_owned()),
        },
        cache_bytes: None,
        clock_source: Ok("tsc".to_owned()),
    }
}

fn address() -> SocketAddr {
    "127.0.0.1:9092".parse().unwrap()
}

/// The one finding on `healthy` after `change` that is not fine.
fn only(change: impl FnOnce(&mut Facts)) -> Finding {
    let mut facts = healthy();
    change(&mut facts);
    let all = judge(&facts);
    assert_eq!(all.len(), judge(&healthy()).len(), "each check has one finding");
    let mut bad: Vec<_> =
        all.into_iter().filter(|found| found.severity != Severity::Fine).collect();
    assert_eq!(bad.len(), 1, "{bad:?}");
    bad.remove(0)
}

/// Its severity, and all that is said of it; which includes a remedy, on one line.
fn found(change: impl FnOnce(&mut Facts)) -> (Severity, String) {
    let finding = only(change);
    assert!(!finding.remedy.is_empty() && !finding.what.is_empty(), "{finding:?}");
    assert!(!finding.what.contains('\n') && !finding.remedy.contains('\n'), "{finding:?}");
    (finding.severity, format!("{} {finding}", finding.id))
}

fn slows(change: impl FnOnce(&mut Facts), told: &str) {
    let (severity, text) = found(change);
    assert!(severity == Severity::Slows && text.contains(told), "{severity:?} {text}");
}

fn prevents(change: impl FnOnce(&mut Facts), told: &str) {
    let (severity, text) = found(change);
    assert!(severity == Severity::PreventsStart && text.contains(told), "{severity:?} {text}");
}

#[test]
fn a_healthy_machine_is_fine_and_each_check_says_what_it_saw() {
    let findings = judge(&healthy());
    assert!(findings.iter().all(|found| found.severity == Severity::Fine), "{findings:?}");
    assert!(findings.iter().all(|found| !found.value.is_empty()), "{findings:?}");
    let mut ids: Vec<_> = findings.iter().map(|found| found.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), findings.len(), "ids are unique");
}

#[test]
fn each_way_of_forbidding_io_uring_is_told_apart() {
    let cases: [(i32, Fact<u8>, bool, &str); 7] = [
        (libc::EPERM, Ok(2), false, "kernel.io_uring_disabled=0"),
        (libc::EPERM, Ok(1), true, "kernel.io_uring_disabled=0"),
        (libc::EPERM, Ok(0), true, "seccomp"),
        (libc::ENOSYS, unknown(), true, "seccomp"),
        (libc::EPERM, Ok(0), false, "SELinux"),
        (libc::ENOSYS, unknown(), false, "CONFIG_IO_URING"),
        (libc::ENOMEM, Ok(0), true, "ulimit -l"),
    ];
    for (errno, disabled, seccomp, told) in cases {
        let change = |facts: &mut Facts| {
            facts.rings.errno = Some(errno);
            facts.rings.disabled = disabled;
            facts.rings.seccomp = Ok(seccomp);
        };
        prevents(change, told);
    }
    prevents(|facts| facts.rings.errno = Some(libc::EIO), "Input/output error");
    prevents(|facts| facts.rings.missing = Ok(vec!["statx"]), "lacks: statx");
}

#[test]
fn the_kernel_must_be_young_enough() {
    prevents(|facts| facts.kernel = Ok((5, 15)), "Linux 6.1");
    prevents(|facts| facts.kernel = Ok((6, 0)), "6.0 is too old");
    let mut facts = healthy();
    facts.kernel = Ok((6, 1));
    assert!(judge(&facts).iter().all(|found| found.severity == Severity::Fine));
}

#[test]
fn locked_memory_grows_with_the_shards() {
    prevents(|facts| facts.locked_memory = range(64 << 10), "ulimit -l 2048");
    // Even root: the executor itself refuses.
    let root = |facts: &mut Facts| {
        facts.locked_memory = range(64 << 10);
        facts.may_lock_memory = Ok(true);
    };
    prevents(root, "ulimit -l 2048");
    let many = |facts: &mut Facts| {
        facts.shards = 64;
        facts.cpu.usable = Ok((0..64).collect());
    };
    slows(many, "64 shards want 32768 KiB");
    let mut privileged = healthy();
    many(&mut privileged);
    privileged.may_lock_memory = Ok(true);
    assert!(judge(&privileged).iter().all(|found| found.severity == Severity::Fine));
}

#[test]
fn open_files() {
    slows(|facts| facts.open_files = range(1024), "only 1024 files");
    prevents(|facts| facts.open_files = range(255), "ulimit -n");
}

#[test]
fn the_data_directory() {
    let errno = |errno| move |facts: &mut Facts| facts.data_dir.create_errno = Some(errno);
    prevents(errno(libc::EACCES), "chown -R $(id -u) /data");
    prevents(errno(libc::EROFS), "mount -o remount,rw /mnt");
    prevents(errno(libc::ENOSPC), "df -h /data");
    prevents(errno(libc::ENOTDIR), "/data is a file");
    slows(|facts| facts.data_dir.direct_io = Ok(false), "O_DIRECT");
    let align = |align| move |facts: &mut Facts| facts.data_dir.direct_align_bytes = Ok(align);
    slows(align((0, 0)), "O_DIRECT");
    prevents(align((4, 16_384)), "16384");
    prevents(|facts| facts.data_dir.reserves = Ok(false), "fallocate");
    slows(|facts| facts.data_dir.free_bytes = Ok(1 << 29), "only 512 MiB are free");
    prevents(|facts| facts.data_dir.free_bytes = Ok(0), "too little for a new data directory");
    let full = |facts: &mut Facts| {
        facts.data_dir.free_bytes = Ok(0);
        facts.data_dir.has_data = true;
    };
    slows(full, "only 0 MiB are free");
}

#[test]
fn file_systems_that_keep_no_promise_are_named() {
    let on = |name: &str| {
        let name = name.to_owned();
        move |facts: &mut Facts| facts.data_dir.filesystem = Ok(name)
    };
    slows(on("tmpfs"), "lost with a reboot");
    slows(on("nfs4"), "local disk");
    slows(on("overlay"), "docker run -v");
    slows(on("btrfs"), "ext4 or XFS");
    slows(on("fuse.sshfs"), "power loss");
}

#[test]
fn ports() {
    let errno = |errno| move |facts: &mut Facts| facts.ports[0].errno = Some(errno);
    prevents(errno(libc::EADDRINUSE), "ss -ltnp 'sport = :9092'");
    prevents(errno(libc::EADDRNOTAVAIL), "ip -brief address");
    prevents(errno(libc::EACCES), "CAP_NET_BIND_SERVICE");
}

#[test]
fn cores_and_their_speed() {
    slows(|facts| facts.cpu.usable = Ok(vec![0, 1]), "corelane serve --shards 2");
    slows(|facts| facts.cpu.quota_millicores = Some(1500), "1.50 cores");
    let mut enough = healthy();
    enough.cpu.quota_millicores = Some(4000);
    assert!(judge(&enough).iter().all(|found| found.severity == Severity::Fine));
    slows(|facts| facts.cpu.governors = Ok(["powersave".to_owned()].into()), "cpupower");
    slows(|facts| facts.clock_source = Ok("hpet".to_owned()), "hpet");
}

#[test]
fn memory() {
    slows(|facts| facts.cache_bytes = Some(16 << 30), "--cache-bytes 15872MiB");
    slows(|facts| facts.memory.limit_bytes = Some(512 << 20), "control group");
    slows(|facts| facts.memory.huge_pages = Ok("always".to_owned()), "madvise");
    slows(|facts| facts.memory.swap_bytes = Ok(1 << 30), "vm.swappiness=1");
    slows(|facts| facts.cache_bytes = Some(u64::MAX), "killed");
}

#[test]
fn disks() {
    let device = |change: fn(&mut Disk)| {
        move |facts: &mut Facts| {
            let mut second = disk("sdb");
            change(&mut second);
            let disks = vec![disk("sda"), second];
            facts.device = Ok(BlockDevice { name: "dm-0".to_owned(), disks });
        }
    };
    slows(device(|disk| disk.scheduler = Ok("bfq".to_owned())), "/sys/block/sdb/queue/scheduler");
    slows(device(|disk| disk.write_back = Ok(true)), "power-loss protection");
    let mut rotating = healthy();
    let change = device(|disk| {
        disk.scheduler = Ok("mq-deadline".to_owned());
        disk.rotates = Ok(true);
    });
    change(&mut rotating);
    assert!(judge(&rotating).iter().all(|found| found.severity == Severity::Fine));
}

#[test]
fn what_is_not_known_is_said_to_be_and_why() {
    let changes: [fn(&mut Facts); 10] = [
        |facts| facts.kernel = unknown(),
        |facts| facts.rings.missing = unknown(),
        |facts| facts.open_files = unknown(),
        |facts| facts.locked_memory = unknown(),
        |facts| facts.data_dir.filesystem = unknown(),
        |facts| facts.data_dir.free_bytes = unknown(),
        |facts| facts.cpu.governors = unknown(),
        |facts| facts.memory.huge_pages = unknown(),
        |facts| facts.memory.total_bytes = unknown(),
        |facts| facts.clock_source = unknown(),
    ];
    for change in changes {
        let finding = only(change);
        assert_eq!((finding.severity, finding.value.as_str()), (Severity::Unknown, "nobody knows"));
    }
    let mut facts = healthy();
    facts.device = unknown();
    let unknown = judge(&facts).into_iter().filter(|found| found.severity == Severity::Unknown);
    assert_eq!(unknown.count(), 2, "scheduler and write cache");
}

#[test]
fn the_gravest_comes_first() {
    let mut facts = healthy();
    facts.open_files = range(1024);
    facts.data_dir.create_errno = Some(libc::EROFS);
    facts.clock_source = unknown();
    let severities: Vec<_> = judge(&facts).iter().map(|finding| finding.severity).collect();
    use Severity::{PreventsStart, Slows, Unknown};
    assert_eq!(severities[..3], [PreventsStart, Slows, Unknown]);
    assert!(severities[3..].iter().all(|severity| *severity == Severity::Fine));
}
