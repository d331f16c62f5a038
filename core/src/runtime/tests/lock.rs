//! The data directory's lock, against killed writers.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::sync::Arc;

use corelane_storage::buffer::AlignedBuf;
use corelane_storage::runtime::{File, OpenMode, Runtime};

use super::{TempDir, child};
use crate::runtime::{DataDirLock, LockError, ShardRuntime, Shards, ShardsConfig};

const WRITE_BYTES: usize = 1 << 20;
const WRITERS: usize = 32;
const SHARDS: usize = 2;

#[test]
#[ignore = "the child process of the tests below"]
fn locks_and_writes_until_killed() {
    let Some(dir) = std::env::var_os("CORELANE_TEST_DIR") else { return };
    let dir = std::path::PathBuf::from(dir);
    let lock = Arc::new(DataDirLock::acquire(&dir).unwrap());
    let config = ShardsConfig { shards: SHARDS, lock: Some(lock), ..Default::default() };
    let running = Shards::start(&config, move |rt: ShardRuntime| {
        let path = dir.join(format!("data-{}", rt.index()));
        async move {
            let file = rt.open(&path, OpenMode::Create).await.unwrap();
            for writer in 0..WRITERS {
                let file = file.clone();
                rt.spawn(async move {
                    let mut round = 0_u8;
                    loop {
                        round = round.wrapping_add(1);
                        let mut buf = AlignedBuf::with_capacity(WRITE_BYTES);
                        buf.put(&vec![round; WRITE_BYTES]);
                        let position = (writer * WRITE_BYTES) as u64;
                        file.write_at(position, buf.slice(0, WRITE_BYTES)).await.unwrap();
                    }
                });
            }
            rt.sleep(std::time::Duration::from_millis(50)).await;
            // Whoever reads may be gone.
            let _ = writeln!(std::io::stdout(), "writing");
            std::future::pending::<()>().await;
        }
    });
    running.unwrap().join();
}

/// Starts the child, and waits until all of its shards write.
fn start_writer(dir: &TempDir) -> Child {
    let mut writer = child("runtime::tests::lock::locks_and_writes_until_killed")
        .env("CORELANE_TEST_DIR", dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let writing = lines.map_while(Result::ok).filter(|line| line.contains("writing"));
    assert_eq!(writing.take(SHARDS).count(), SHARDS, "the child ended: {:?}", writer.wait());
    writer
}

#[test]
fn a_live_owner_is_named_at_once() {
    let dir = TempDir::new();
    let mut writer = start_writer(&dir);
    let pid = writer.id();
    let refused = DataDirLock::acquire(dir.path());
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert!(matches!(refused, Err(LockError::InUse { pid: owner, .. }) if owner == pid));
    assert!(refused.unwrap_err().to_string().contains(&format!("process {pid}")));
}

#[test]
fn after_a_kill_the_lock_comes_only_when_the_last_write_has_ended() {
    for _ in 0..5 {
        let dir = TempDir::new();
        let mut writer = start_writer(&dir);
        writer.kill().unwrap();
        // Not waited for: the corpse counts as dead.
        let lock = DataDirLock::acquire(dir.path()).unwrap();
        // Nobody writes any more: two looks at the disk agree.
        let contents = || {
            let read = |index| std::fs::read(dir.path().join(format!("data-{index}"))).unwrap();
            [read(0), read(1)]
        };
        let first = contents();
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(first == contents(), "a killed process's write came after the lock");
        writer.wait().unwrap();
        drop(lock);
    }
}

#[test]
fn a_directory_that_is_missing_is_an_error_with_its_path() {
    let dir = TempDir::new();
    let error = DataDirLock::acquire(&dir.path().join("absent")).unwrap_err();
    assert!(error.to_string().contains("absent/lock"), "{error}");
}
