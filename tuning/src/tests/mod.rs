//! Facts of machines that do not exist, and a look at the one that does.

mod fake_root;
mod judgement;

use crate::facts::{Plan, directory, gather};
use crate::limits::{Limit, raise_soft, read};
use crate::root::Root;

#[test]
fn this_machine_is_read_and_left_as_it_was() {
    let exe = std::env::current_exe().unwrap();
    let target = exe.ancestors().nth(3).unwrap();
    let dir = target.join(format!("tuning-tests-{}", std::process::id()));
    let plan = |name: &str, make_data_dir| Plan {
        data_dir: dir.join(name),
        make_data_dir,
        shards: 2,
        ports: Vec::new(),
        cache_bytes: None,
    };
    let root = Root::of_machine();
    let facts = gather(&root, &plan("new", false));
    assert_eq!(facts.data_dir.create_errno, None, "a place to make it is there");
    assert!(!dir.exists(), "and it was not made");
    let facts = gather(&root, &plan("new", true));
    assert_eq!((facts.data_dir.create_errno, facts.data_dir.has_data), (None, false));
    assert!(facts.kernel.is_ok() && facts.data_dir.free_bytes.is_ok());
    assert!(facts.data_dir.filesystem.is_ok() && facts.data_dir.direct_io.is_ok());
    assert!(facts.cpu.usable.is_ok_and(|cpus| !cpus.is_empty()));
    assert!(facts.memory.total_bytes.is_ok());
    assert_eq!(std::fs::read_dir(dir.join("new")).unwrap().count(), 0);
    std::fs::write(dir.join("file"), b"").unwrap();
    for make in [true, false] {
        let errno = gather(&root, &plan("file", make)).data_dir.create_errno;
        assert!(matches!(errno, Some(libc::ENOTDIR | libc::EEXIST)), "{errno:?}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn soft_limits_are_raised() {
    let raised = raise_soft(Limit::OpenFiles).unwrap();
    assert_eq!(raised.soft, raised.hard);
    assert_eq!(read(Limit::OpenFiles).unwrap(), raised);
}

/// A data directory on a healthy disk.
fn data_dir() -> directory::DirFacts {
    directory::DirFacts {
        path: "/data".into(),
        looked_at: "/data".into(),
        has_data: false,
        create_errno: None,
        filesystem: Ok("ext4".to_owned()),
        device: Ok((254, 1)),
        mount_point: Ok("/mnt".into()),
        source: Ok("/dev/vda1".to_owned()),
        direct_io: Ok(true),
        direct_align_bytes: Ok((4, 512)),
        reserves: Ok(true),
        free_bytes: Ok(1 << 40),
    }
}
