//! What is read from a /proc and a /sys made of files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::data_dir;
use crate::facts::{block_device, cpu, field, memory, parse_release};
use crate::root::{Root, number_list};

/// A directory that is removed when the test ends.
struct Fake {
    dir: PathBuf,
    root: Root,
}

impl Fake {
    fn new(name: &str, files: &[(&str, &str)]) -> Fake {
        let exe = std::env::current_exe().unwrap();
        let target = exe.ancestors().nth(3).unwrap();
        let dir = target.join(format!("tuning-root-{name}-{}", std::process::id()));
        let fake = Fake { root: Root::at(&dir), dir };
        files.iter().for_each(|(path, text)| fake.write(path, text));
        fake
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, at: &str, to: &str) {
        let at = self.root.path(at);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        symlink(self.root.path(to), at).unwrap();
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn cores_and_quotas() {
    let status = Ok("Name:\tx\nCpus_allowed_list:\t0-3\n".to_owned());
    let siblings = |cpu| format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    let governor = |cpu| format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor");
    let fake = Fake::new("cpu", &[]);
    for cpu in 0..4 {
        fake.write(&siblings(cpu), ["0,2\n", "1,3\n"][cpu % 2]);
        fake.write(&governor(cpu), ["powersave\n", "performance\n"][cpu % 2]);
    }
    let facts = cpu::gather(&fake.root, &status);
    assert_eq!((facts.usable, facts.cores), (Ok(vec![0, 1, 2, 3]), Ok(2)));
    let governors: Vec<_> = facts.governors.unwrap().into_iter().collect();
    assert_eq!(governors, ["performance", "powersave"]);
    assert_eq!(facts.quota_millicores, None);

    // A group's own quota, and a lower one above it.
    fake.write("/proc/self/cgroup", "0::/a/b\n");
    fake.write("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    fake.write("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
    assert_eq!(cpu::gather(&fake.root, &status).quota_millicores, Some(1500));
    // Version 1: -1 is none.
    fake.write("/proc/self/cgroup", "3:cpu,cpuacct:/\n0::/\n");
    fake.write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    fake.write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_eq!(cpu::gather(&fake.root, &status).quota_millicores, None);
    fake.write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n");
    assert_eq!(cpu::gather(&fake.root, &status).quota_millicores, Some(500));
    fake.write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "0\n");
    assert_eq!(cpu::gather(&fake.root, &status).quota_millicores, None, "no division by zero");

    let bare = Fake::new("cpu-bare", &[("/proc/self/status", "")]);
    let facts = cpu::gather(&bare.root, &status);
    assert!(facts.cores.is_err() && facts.governors.is_err());
    assert!(cpu::gather(&bare.root, &Ok(String::new())).usable.is_err());
}

#[test]
fn memory_and_its_limits() {
    let meminfo = "MemTotal:       16384 kB\nMemFree: 1 kB\nSwapTotal:   1024 kB\n";
    let fake = Fake::new(
        "memory",
        &[
            ("/proc/meminfo", meminfo),
            ("/proc/sys/vm/swappiness", "60\n"),
            ("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
            ("/proc/self/cgroup", "4:memory:/x/y\n0::/\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ],
    );
    let facts = memory::gather(&fake.root);
    assert_eq!(facts.usable_bytes(), Ok(16 << 20));
    assert_eq!((facts.limit_bytes, &facts.swap_bytes), (None, &Ok(1 << 20)));
    assert_eq!((facts.swappiness, facts.huge_pages), (Ok(60), Ok("madvise".to_owned())));
    fake.write("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "4194304\n");
    assert_eq!(memory::gather(&fake.root).usable_bytes(), Ok(4 << 20));
    fake.write("/proc/self/cgroup", "0::/\n");
    fake.write("/sys/fs/cgroup/memory.max", "max\n");
    assert_eq!(memory::gather(&fake.root).limit_bytes, None);
    fake.write("/sys/fs/cgroup/memory.max", "2097152\n");
    assert_eq!(memory::gather(&fake.root).usable_bytes(), Ok(2 << 20));

    let nothing = memory::gather(&Root::at(&fake.dir.join("absent")));
    assert!(nothing.usable_bytes().is_err() && nothing.swappiness.is_err());
    fake.write("/proc/meminfo", "MemTotal: many kB\n");
    fake.write("/proc/sys/vm/swappiness", "some\n");
    let nonsense = memory::gather(&fake.root);
    assert!(nonsense.total_bytes.is_err() && nonsense.swappiness.is_err());
}

#[test]
fn disks_below_partitions_and_mappings() {
    let fake = Fake::new("disks", &[]);
    let disk = |name: &str, scheduler: &str, cache: &str| {
        let queue = format!("/sys/devices/block/{name}/queue");
        fake.write(&format!("{queue}/scheduler"), scheduler);
        fake.write(&format!("{queue}/write_cache"), cache);
        fake.write(&format!("{queue}/rotational"), "0\n");
    };
    disk("sda", "none [mq-deadline]\n", "write back\n");
    disk("nvme0n1", "[none] mq-deadline\n", "write through\n");
    fake.write("/sys/devices/block/sda/sda1/partition", "1\n");
    fake.link("/sys/dev/block/8:1", "/sys/devices/block/sda/sda1");
    let mut dir = data_dir();
    dir.device = Ok((8, 1));
    let device = block_device::below(&fake.root, &dir).unwrap();
    assert_eq!((device.name.as_str(), device.disks.len()), ("sda1", 1));
    assert_eq!(device.disks[0].name, "sda");
    assert_eq!(device.disks[0].scheduler, Ok("mq-deadline".to_owned()));
    assert_eq!(device.disks[0].write_back, Ok(true));

    // LVM over a partition and a whole disk.
    fake.write("/sys/devices/virtual/dm-0/queue/scheduler", "none\n");
    fake.link("/sys/devices/virtual/dm-0/slaves/sda1", "/sys/devices/block/sda/sda1");
    fake.link("/sys/devices/virtual/dm-0/slaves/nvme0n1", "/sys/devices/block/nvme0n1");
    fake.link("/sys/dev/block/253:0", "/sys/devices/virtual/dm-0");
    dir.device = Ok((253, 0));
    let device = block_device::below(&fake.root, &dir).unwrap();
    let names: Vec<_> = device.disks.iter().map(|disk| disk.name.as_str()).collect();
    assert_eq!(names, ["nvme0n1", "sda"]);

    // btrfs has no device number of its own, tmpfs has no device at all.
    fake.link("/sys/class/block/nvme0n1", "/sys/devices/block/nvme0n1");
    dir.device = Ok((0, 40));
    dir.source = Ok("/dev/nvme0n1".to_owned());
    assert_eq!(block_device::below(&fake.root, &dir).unwrap().name, "nvme0n1");
    dir.source = Ok("tmpfs".to_owned());
    assert!(block_device::below(&fake.root, &dir).is_err());
    dir.device = Ok((9, 9));
    assert!(block_device::below(&fake.root, &dir).is_err());

    // A mapping that leads back to itself ends.
    fake.link("/sys/devices/virtual/dm-1/slaves/dm-1", "/sys/devices/virtual/dm-1");
    fake.link("/sys/dev/block/253:1", "/sys/devices/virtual/dm-1");
    dir.device = Ok((253, 1));
    assert!(block_device::below(&fake.root, &dir).is_err());
}

#[test]
fn words_and_numbers() {
    assert_eq!(parse_release("6.18.44-generic\n"), Some((6, 18)));
    assert_eq!(parse_release("5.10"), Some((5, 10)));
    assert_eq!(parse_release(""), None);
    assert_eq!(parse_release("six"), None);
    assert_eq!(number_list("0-2,8"), Some(vec![0, 1, 2, 8]));
    assert_eq!(number_list(""), Some(vec![]));
    for wrong in ["x", "3-1", "0-99999999999", "0-4294967295", "1-"] {
        assert_eq!(number_list(wrong), None, "{wrong}");
    }
    let status = Ok("Name:\tx\nCapEff:\t000001ffffffffff\nSeccomp:\t2\n".to_owned());
    assert_eq!(field(&status, "CapEff:").unwrap(), "000001ffffffffff");
    assert_eq!(field(&status, "Seccomp:").unwrap(), "2");
    assert!(field(&status, "Absent:").is_err());
}
