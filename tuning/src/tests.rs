//! Facts of machines that do not exist, and a look at the one that does.

use std::path::PathBuf;

use crate::facts::{DirFacts, Facts, gather, parse_release, status_field};
use crate::findings::{Severity, judge};
use crate::limits::{Limit, Range, raise_soft, read};

fn healthy() -> Facts {
    let range = |limit| Some(Range { soft: limit, hard: limit });
    Facts {
        shards: 4,
        kernel: Some((6, 18)),
        io_uring_errno: None,
        io_uring_disabled: Some(0),
        seccomp: false,
        may_lock_memory: false,
        locked_memory: range(8 << 20),
        open_files: range(1 << 20),
        data_dir: DirFacts {
            path: PathBuf::from("/data"),
            create_errno: None,
            direct_io: Some(true),
            direct_align_bytes: Some((4, 512)),
            free_bytes: Some(1 << 40),
        },
    }
}

/// The one finding on `healthy` after `change`.
fn found(change: impl FnOnce(&mut Facts)) -> (Severity, String) {
    let mut facts = healthy();
    change(&mut facts);
    let mut findings = judge(&facts);
    assert_eq!(findings.len(), 1, "{findings:?}");
    let finding = findings.remove(0);
    assert!(!finding.remedy.is_empty());
    (finding.severity, finding.to_string())
}

#[test]
fn a_healthy_machine_has_no_findings() {
    assert_eq!(judge(&healthy()), []);
}

#[test]
fn each_way_of_forbidding_io_uring_is_told_apart() {
    let cases: [(i32, Option<u8>, bool, &str); 7] = [
        (libc::EPERM, Some(2), false, "kernel.io_uring_disabled=0"),
        (libc::EPERM, Some(1), true, "kernel.io_uring_disabled=0"),
        (libc::EPERM, Some(0), true, "seccomp"),
        (libc::ENOSYS, None, true, "seccomp"),
        (libc::EPERM, Some(0), false, "SELinux"),
        (libc::ENOSYS, None, false, "CONFIG_IO_URING"),
        (libc::ENOMEM, Some(0), true, "ulimit -l"),
    ];
    for (errno, disabled, seccomp, told) in cases {
        let (severity, text) = found(|facts| {
            facts.io_uring_errno = Some(errno);
            facts.io_uring_disabled = disabled;
            facts.seccomp = seccomp;
        });
        assert_eq!(severity, Severity::PreventsStart);
        assert!(text.contains(told), "{text}");
    }
    let (_, text) = found(|facts| facts.io_uring_errno = Some(libc::EIO));
    assert!(text.contains("Input/output error"), "{text}");
}

#[test]
fn locked_memory_grows_with_the_shards() {
    let locked = |bytes| Some(Range { soft: bytes, hard: bytes });
    let (severity, text) = found(|facts| facts.locked_memory = locked(64 << 10));
    assert_eq!(severity, Severity::PreventsStart);
    assert!(text.contains("ulimit -l 2048"), "{text}");
    // Even root: the executor itself refuses.
    let (severity, _) = found(|facts| {
        facts.locked_memory = locked(64 << 10);
        facts.may_lock_memory = true;
    });
    assert_eq!(severity, Severity::PreventsStart);
    let many = |facts: &mut Facts| {
        facts.locked_memory = locked(8 << 20);
        facts.shards = 64;
    };
    assert_eq!(found(many).0, Severity::Slows);
    let old = |facts: &mut Facts| {
        many(facts);
        facts.kernel = Some((5, 10));
    };
    assert_eq!(found(old).0, Severity::PreventsStart);
    let mut privileged = healthy();
    many(&mut privileged);
    privileged.may_lock_memory = true;
    assert_eq!(judge(&privileged), []);
}

#[test]
fn open_files() {
    let files = |soft| Some(Range { soft, hard: soft });
    assert_eq!(found(|facts| facts.open_files = files(1024)).0, Severity::Slows);
    assert_eq!(found(|facts| facts.open_files = files(64)).0, Severity::PreventsStart);
}

#[test]
fn the_kernel_must_be_young_enough() {
    assert_eq!(found(|facts| facts.kernel = Some((5, 4))).0, Severity::PreventsStart);
    assert_eq!(parse_release("6.18.44-generic\n"), Some((6, 18)));
    assert_eq!(parse_release("5.10"), Some((5, 10)));
    assert_eq!(parse_release(""), None);
    assert_eq!(parse_release("six"), None);
}

#[test]
fn the_data_directory() {
    let (severity, text) = found(|facts| facts.data_dir.create_errno = Some(libc::EACCES));
    assert_eq!(severity, Severity::PreventsStart);
    assert!(text.contains("/data") && text.contains("chown"), "{text}");
    assert_eq!(found(|facts| facts.data_dir.direct_io = Some(false)).0, Severity::Slows);
    let align = |align| move |facts: &mut Facts| facts.data_dir.direct_align_bytes = Some(align);
    assert_eq!(found(align((0, 0))).0, Severity::Slows);
    assert_eq!(found(align((4, 16_384))).0, Severity::PreventsStart);
    assert_eq!(found(|facts| facts.data_dir.free_bytes = Some(1 << 20)).0, Severity::Slows);
    let mut unknown = healthy();
    unknown.data_dir.direct_align_bytes = None;
    unknown.data_dir.direct_io = None;
    unknown.data_dir.free_bytes = None;
    assert_eq!(judge(&unknown), []);
}

#[test]
fn the_gravest_comes_first() {
    let mut facts = healthy();
    facts.open_files = Some(Range { soft: 1024, hard: 1024 });
    facts.data_dir.create_errno = Some(libc::EROFS);
    let severities: Vec<_> = judge(&facts).iter().map(|finding| finding.severity).collect();
    assert_eq!(severities, [Severity::PreventsStart, Severity::Slows]);
}

#[test]
fn status_lines() {
    let status = "Name:\tx\nCapEff:\t000001ffffffffff\nSeccomp:\t2\n";
    assert_eq!(status_field(status, "CapEff:"), Some("000001ffffffffff"));
    assert_eq!(status_field(status, "Seccomp:"), Some("2"));
    assert_eq!(status_field(status, "Absent:"), None);
}

#[test]
fn this_machine_is_read_and_left_as_it_was() {
    let exe = std::env::current_exe().unwrap();
    let target = exe.ancestors().nth(3).unwrap();
    let dir = target.join(format!("tuning-tests-{}", std::process::id()));
    let facts = gather(&dir.join("new"), 2);
    assert_eq!(facts.data_dir.create_errno, None);
    assert!(facts.kernel.is_some() && facts.data_dir.free_bytes.is_some());
    assert_eq!(std::fs::read_dir(dir.join("new")).unwrap().count(), 0);
    std::fs::write(dir.join("file"), b"").unwrap();
    assert!(gather(&dir.join("file"), 2).data_dir.create_errno.is_some());
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn soft_limits_are_raised() {
    let raised = raise_soft(Limit::OpenFiles).unwrap();
    assert_eq!(raised.soft, raised.hard);
    assert_eq!(read(Limit::OpenFiles).unwrap(), raised);
}
