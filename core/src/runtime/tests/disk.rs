//! Files and directories through the disk ring.

use std::future::Future;
use std::time::Duration;

use corelane_storage::buffer::{AlignedBuf, AlignedSlice};
use corelane_storage::runtime::{File, OpenMode, Runtime};

use super::{TempDir, on_shard, on_shards};
use crate::runtime::ring::IN_FLIGHT_MAX;

const BLOCK: usize = 4096;

fn block_of(byte: u8, blocks: usize) -> AlignedSlice {
    let mut buf = AlignedBuf::with_capacity(blocks * BLOCK);
    buf.put(&vec![byte; blocks * BLOCK]);
    buf.slice(0, blocks * BLOCK)
}

#[test]
fn what_is_written_is_read() {
    let dir = TempDir::new();
    let path = dir.path().join("data");
    on_shard(move |rt| {
        let path = path.clone();
        async move {
            let file = rt.open(&path, OpenMode::Create).await.unwrap();
            file.write_at(0, block_of(1, 3)).await.unwrap();
            file.write_at(BLOCK as u64, block_of(2, 1)).await.unwrap();
            file.sync_data().await.unwrap();
            assert_eq!(file.len().await.unwrap(), 3 * BLOCK as u64);
            // More is asked than there is.
            let buf = file.read_at(0, 10 * BLOCK).await.unwrap();
            assert_eq!(buf.filled(), 3 * BLOCK);
            assert!(buf.as_bytes()[..BLOCK].iter().all(|byte| *byte == 1));
            assert!(buf.as_bytes()[BLOCK..2 * BLOCK].iter().all(|byte| *byte == 2));
            assert!(buf.as_bytes()[2 * BLOCK..].iter().all(|byte| *byte == 1));
            assert_eq!(file.read_at(1 << 40, BLOCK).await.unwrap().filled(), 0);
        }
    });
}

#[test]
fn a_file_that_ends_inside_a_block_is_read_to_its_last_byte() {
    let dir = TempDir::new();
    let path = dir.path().join("odd");
    std::fs::write(&path, vec![9; BLOCK + 100]).unwrap();
    on_shard(move |rt| {
        let path = path.clone();
        async move {
            let file = rt.open(&path, OpenMode::Read).await.unwrap();
            let buf = file.read_at(0, 4 * BLOCK).await.unwrap();
            assert_eq!(buf.as_bytes(), vec![9; BLOCK + 100]);
        }
    });
}

#[test]
fn allocated_bytes_read_as_zeros_and_truncate_cuts_and_extends() {
    let dir = TempDir::new();
    let path = dir.path().join("data");
    on_shard(move |rt| {
        let path = path.clone();
        async move {
            let file = rt.open(&path, OpenMode::Create).await.unwrap();
            file.write_at(0, block_of(5, 1)).await.unwrap();
            file.allocate(0, 1 << 20).await.unwrap();
            assert_eq!(file.len().await.unwrap(), 1 << 20);
            let buf = file.read_at(0, 1 << 20).await.unwrap();
            assert!(buf.as_bytes()[..BLOCK].iter().all(|byte| *byte == 5));
            assert!(buf.as_bytes()[BLOCK..].iter().all(|byte| *byte == 0));
            file.truncate(BLOCK as u64).await.unwrap();
            assert_eq!(file.len().await.unwrap(), BLOCK as u64);
            file.truncate(3 * BLOCK as u64).await.unwrap();
            let buf = file.read_at(0, 4 * BLOCK).await.unwrap();
            assert_eq!(buf.filled(), 3 * BLOCK);
            assert!(buf.as_bytes()[BLOCK..].iter().all(|byte| *byte == 0));
        }
    });
}

#[test]
fn what_is_not_aligned_is_refused_with_position_and_path() {
    let dir = TempDir::new();
    let path = dir.path().join("data");
    on_shard(move |rt| {
        let path = path.clone();
        async move {
            let file = rt.open(&path, OpenMode::Create).await.unwrap();
            let whole = block_of(1, 2);
            let error = file.write_at(512, whole.clone()).await.unwrap_err();
            assert_eq!((error.operation, error.position, &error.path), ("write", 512, &path));
            assert!(file.write_at(0, whole.slice(0, 100)).await.is_err());
            assert!(file.write_at(0, whole.slice(512, 512 + BLOCK)).await.is_err());
            assert!(file.read_at(1, BLOCK).await.is_err());
            assert!(file.read_at(0, 1).await.is_err());
            assert!(file.read_at(u64::MAX - 4095, BLOCK).await.is_err());
            assert_eq!(file.len().await.unwrap(), 0);
        }
    });
}

#[test]
fn kernel_errors_are_typed() {
    let dir = TempDir::new();
    let path = dir.path().join("data");
    on_shard(move |rt| {
        let path = path.clone();
        async move {
            assert!(rt.open(&path, OpenMode::Read).await.unwrap_err().is_not_found());
            rt.open(&path, OpenMode::Create).await.unwrap();
            let file = rt.open(&path, OpenMode::Read).await.unwrap();
            let error = file.write_at(0, block_of(1, 1)).await.unwrap_err();
            assert_eq!(error.source.raw_os_error(), Some(libc::EBADF));
            let error = file.allocate(0, u64::MAX).await.unwrap_err();
            assert_eq!(error.operation, "allocate");
        }
    });
}

#[test]
fn many_more_operations_than_fit_all_complete() {
    let dir = TempDir::new();
    let path = dir.path().join("data");
    let operations = 10 * IN_FLIGHT_MAX;
    let counters = on_shard(move |rt| {
        let path = path.clone();
        async move {
            let file = rt.open(&path, OpenMode::Create).await.unwrap();
            file.allocate(0, (operations * BLOCK) as u64).await.unwrap();
            let (done, all_done) = flume::unbounded();
            for index in 0..operations {
                let (file, done) = (file.clone(), done.clone());
                rt.spawn(async move {
                    let position = (index * BLOCK) as u64;
                    file.write_at(position, block_of(index as u8, 1)).await.unwrap();
                    done.send(()).unwrap();
                });
            }
            for _ in 0..operations {
                all_done.recv_async().await.unwrap();
            }
            let buf = file.read_at(0, operations * BLOCK).await.unwrap();
            for (index, block) in buf.as_bytes().chunks(BLOCK).enumerate() {
                assert!(block.iter().all(|byte| *byte == index as u8), "block {index}");
            }
            rt.ring_counters()
        }
    });
    assert_eq!(counters.operations, operations as u64 + 2);
    // Coalesced: far fewer system calls than operations.
    assert!(counters.enters < operations as u64 / 4, "{counters:?}");
}

#[test]
fn a_dropped_write_is_written_nevertheless_and_its_memory_lives_until_then() {
    let dir = TempDir::new();
    let path = dir.path().join("data");
    let checked = path.clone();
    on_shard(move |rt| {
        let path = path.clone();
        async move {
            let file = rt.open(&path, OpenMode::Create).await.unwrap();
            for index in 0..64_u8 {
                let data = block_of(index, 16);
                let mut write = Box::pin(file.write_at(u64::from(index) * 65_536, data));
                // Begun, then dropped: the only owners of the memory are the ring and the kernel.
                let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
                assert!(write.as_mut().poll(&mut cx).is_pending());
            }
            // The shard ends with all of that under way.
        }
    });
    let written = std::fs::read(checked).unwrap();
    assert_eq!(written.len(), 64 * 65_536);
    for (index, chunk) in written.chunks(65_536).enumerate() {
        assert!(chunk.iter().all(|byte| *byte == index as u8), "chunk {index}");
    }
}

#[test]
fn a_handle_opened_on_one_shard_is_read_on_another() {
    let dir = TempDir::new();
    let path = dir.path().join("data");
    let (send, receive) = flume::bounded(1);
    on_shards(2, move |rt| {
        let (path, send, receive) = (path.clone(), send.clone(), receive.clone());
        async move {
            if rt.index() == 0 {
                let file = rt.open(&path, OpenMode::Create).await.unwrap();
                file.write_at(0, block_of(3, 2)).await.unwrap();
                send.send_async(file).await.unwrap();
            } else {
                let file: crate::runtime::DiskFile = receive.recv_async().await.unwrap();
                let buf = file.read_at(BLOCK as u64, BLOCK).await.unwrap();
                assert!(buf.as_bytes().iter().all(|byte| *byte == 3));
                assert_eq!(rt.ring_counters().operations, 1);
            }
        }
    });
}

#[test]
fn a_handle_away_from_shards_fails_and_does_not_panic() {
    let dir = TempDir::new();
    let path = dir.path().join("data");
    let file = on_shard(move |rt| {
        let path = path.clone();
        async move { rt.open(&path, OpenMode::Create).await.unwrap() }
    });
    let mut sync = Box::pin(file.sync_data());
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = sync.as_mut().poll(&mut cx) else { panic!("error") };
    assert_eq!(error.operation, "sync");
}

#[test]
fn files_bypass_the_page_cache_where_the_filesystem_allows_it() {
    let dir = TempDir::new();
    let path = dir.path().join("data");
    on_shard(move |rt| {
        let path = path.clone();
        async move {
            let _file = rt.open(&path, OpenMode::Create).await.unwrap();
            let direct = std::fs::read_dir("/proc/self/fd").unwrap().flatten().any(|entry| {
                std::fs::read_link(entry.path()).is_ok_and(|target| target == path)
                    && std::fs::read_to_string(format!(
                        "/proc/self/fdinfo/{}",
                        entry.file_name().to_string_lossy()
                    ))
                    .unwrap()
                    .lines()
                    .any(|line| {
                        line.strip_prefix("flags:").is_some_and(|flags| {
                            let flags = i32::from_str_radix(flags.trim(), 8).unwrap();
                            flags & libc::O_DIRECT != 0 && flags & libc::O_CLOEXEC != 0
                        })
                    })
            });
            assert!(direct, "opened without O_DIRECT or O_CLOEXEC");
        }
    });
}

#[test]
fn directories() {
    let dir = TempDir::new();
    let root = dir.path().to_owned();
    on_shard(move |rt| {
        let root = root.clone();
        async move {
            let deep = root.join("a/b/c");
            rt.create_dir_all(&deep).await.unwrap();
            rt.create_dir_all(&deep).await.unwrap();
            rt.open(&root.join("a/z"), OpenMode::Create).await.unwrap();
            std::fs::write(root.join("a/y"), b"12345").unwrap();
            rt.sync_dir(&root.join("a")).await.unwrap();
            let names = rt.list(&root.join("a")).await.unwrap();
            let names: Vec<_> = names
                .iter()
                .map(|entry| (entry.name.as_str(), entry.is_dir, entry.len_bytes))
                .collect();
            assert_eq!(names, [("b", true, 0), ("y", false, 5), ("z", false, 0)]);
            assert!(rt.create_dir_all(&root.join("a/y")).await.is_err());
            assert!(rt.create_dir_all(&root.join("a/y/below")).await.is_err());
            rt.remove_file(&root.join("a/y")).await.unwrap();
            rt.remove_file(&root.join("a/y")).await.unwrap();
            rt.remove_dir_all(&root.join("a")).await.unwrap();
            rt.remove_dir_all(&root.join("a")).await.unwrap();
            assert_eq!(rt.list(&root.join("a")).await.unwrap(), []);
            assert!(rt.sync_dir(&root.join("a")).await.unwrap_err().is_not_found());
        }
    });
}

#[test]
fn sleeps_end_after_their_time_and_may_be_endless() {
    on_shard(|rt| async move {
        let before = rt.monotonic();
        rt.sleep(Duration::from_millis(20)).await;
        assert!(rt.monotonic() - before >= Duration::from_millis(20));
        assert!(rt.now_ms() > 1_700_000_000_000);
        // Forever is a valid duration.
        drop(rt.sleep(Duration::MAX));
        let mut forever = Box::pin(rt.sleep(Duration::MAX));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(forever.as_mut().poll(&mut cx).is_pending());
    });
}
