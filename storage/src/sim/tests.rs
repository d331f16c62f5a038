//! The simulator's own tests: that it really loses, tears, reorders and fails, and replays.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::*;
use crate::buffer::{AlignedBuf, AlignedSlice};
use crate::runtime::{BLOCK_BYTES, DiskError, File, OpenMode, Runtime};

const SEEDS: u64 = 200;

fn blocks(count: usize, byte: u8) -> AlignedSlice {
    let mut buf = AlignedBuf::with_capacity(count * BLOCK_BYTES);
    buf.put(&vec![byte; count * BLOCK_BYTES]);
    buf.slice(0, count * BLOCK_BYTES)
}

fn path() -> &'static Path {
    Path::new("/data/file")
}

/// A file whose name is durable, of two blocks of 1s that are durable too.
async fn file_of_ones(rt: &SimRuntime) -> SimFile {
    rt.create_dir_all(Path::new("/data")).await.unwrap();
    let file = rt.open(path(), OpenMode::Create).await.unwrap();
    file.write_at(0, blocks(2, 1)).await.unwrap();
    file.sync_data().await.unwrap();
    rt.sync_dir(Path::new("/data")).await.unwrap();
    file
}

/// How often each state occurred, as (sectors that are new, of all).
fn sectors_of(bytes: &[u8], byte: u8) -> usize {
    bytes.chunks(512).filter(|sector| sector.iter().all(|b| *b == byte)).count()
}

#[test]
fn a_kill_keeps_completed_writes() {
    for seed in 0..SEEDS {
        let sim = Simulation::new(seed);
        let rt = sim.runtime();
        sim.run_until(async {
            let file = file_of_ones(&rt).await;
            file.write_at(0, blocks(2, 2)).await.unwrap();
            let other = rt.open(Path::new("/data/other"), OpenMode::Create).await.unwrap();
            other.allocate(0, 8192).await.unwrap();
        });
        sim.crash(Crash::Kill);
        assert_eq!(sim.bytes_of(path()).unwrap(), vec![2; 8192]);
        assert_eq!(sim.bytes_of(Path::new("/data/other")).unwrap(), vec![0; 8192]);
    }
}

#[test]
fn a_kill_keeps_loses_or_tears_writes_in_flight() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let sim = Simulation::new(seed);
        let rt = sim.runtime();
        sim.run_until(async {
            let file = file_of_ones(&rt).await;
            rt.spawn(async move { file.write_at(0, blocks(2, 2)).await.unwrap() });
            rt.yield_now().await;
            sim.disk().crash_after_operations(1);
        });
        assert_eq!(sim.run_until_crash(std::future::pending::<()>()), None);
        sim.crash(Crash::Kill);
        let bytes = sim.bytes_of(path()).unwrap();
        assert_eq!(sectors_of(&bytes, 1) + sectors_of(&bytes, 2), 16, "whole sectors");
        seen.insert(sectors_of(&bytes, 2));
    }
    assert!(seen.contains(&0) && seen.contains(&16) && seen.len() > 8, "{seen:?}");
}

#[test]
fn a_power_loss_keeps_what_was_synced_and_may_lose_the_rest() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let sim = Simulation::new(seed);
        let rt = sim.runtime();
        sim.run_until(async {
            let file = file_of_ones(&rt).await;
            file.write_at(4096, blocks(2, 2)).await.unwrap();
        });
        sim.crash(Crash::PowerLoss);
        let bytes = sim.bytes_of(path()).unwrap();
        assert_eq!(bytes[..4096], [1; 4096], "synced");
        seen.insert((bytes.len(), sectors_of(&bytes, 2)));
    }
    assert!(seen.contains(&(8192, 0)), "never lost: {seen:?}");
    assert!(seen.contains(&(12288, 16)), "never kept: {seen:?}");
    assert!(seen.len() > 8, "hardly ever torn: {seen:?}");
}

#[test]
fn unsynced_writes_survive_in_any_order() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let sim = Simulation::new(seed);
        let rt = sim.runtime();
        sim.run_until(async {
            let file = file_of_ones(&rt).await;
            file.write_at(0, blocks(1, 2)).await.unwrap();
            file.write_at(4096, blocks(1, 2)).await.unwrap();
        });
        sim.crash(Crash::PowerLoss);
        let bytes = sim.bytes_of(path()).unwrap();
        seen.insert((sectors_of(&bytes[..4096], 2), sectors_of(&bytes[4096..], 2)));
    }
    assert!(seen.contains(&(0, 8)), "the second without the first: {seen:?}");
    assert!(seen.contains(&(8, 0)) && seen.contains(&(0, 0)) && seen.contains(&(8, 8)));
}

#[test]
fn a_sync_covers_only_what_completed_before_it_began() {
    let mut lost = 0;
    for seed in 0..SEEDS {
        let sim = Simulation::new(seed);
        let rt = sim.runtime();
        sim.run_until(async {
            let file = file_of_ones(&rt).await;
            let writer = file.clone();
            let done = Rc::new(RefCell::new(false));
            let flag = done.clone();
            rt.spawn(async move {
                writer.write_at(0, blocks(1, 2)).await.unwrap();
                *flag.borrow_mut() = true;
            });
            while sim.disk().counters().writes < 2 {
                rt.yield_now().await;
            }
            file.sync_data().await.unwrap();
            while !*done.borrow() {
                rt.yield_now().await;
            }
        });
        sim.crash(Crash::PowerLoss);
        lost += u32::from(sectors_of(&sim.bytes_of(path()).unwrap()[..4096], 2) < 8);
    }
    assert!(lost > 50, "{lost}");
}

#[test]
fn names_are_durable_only_after_sync_dir() {
    let (mut vanished, mut came_back) = (0, 0);
    for seed in 0..SEEDS {
        let sim = Simulation::new(seed);
        let rt = sim.runtime();
        let new = Path::new("/data/new");
        sim.run_until(async {
            let _ = file_of_ones(&rt).await;
            let file = rt.open(new, OpenMode::Create).await.unwrap();
            file.write_at(0, blocks(1, 3)).await.unwrap();
            file.sync_data().await.unwrap();
            rt.remove_file(path()).await.unwrap();
            assert!(rt.open(path(), OpenMode::Read).await.unwrap_err().is_not_found());
        });
        sim.crash(Crash::PowerLoss);
        vanished += u32::from(sim.bytes_of(new).is_none());
        match sim.bytes_of(path()) {
            Some(bytes) => {
                assert_eq!(bytes, vec![1; 8192]);
                came_back += 1;
            }
            None => assert!(sim.bytes_of(new).is_none_or(|bytes| bytes == vec![3; 4096])),
        }
        let rt = sim.runtime();
        sim.run_until(async {
            rt.open(new, OpenMode::Create).await.unwrap();
            rt.remove_file(path()).await.unwrap();
            rt.sync_dir(Path::new("/data")).await.unwrap();
        });
        sim.crash(Crash::PowerLoss);
        assert!(sim.bytes_of(new).is_some() && sim.bytes_of(path()).is_none());
    }
    assert!(vanished > 50 && came_back > 50, "{vanished} {came_back}");
}

#[test]
fn sizes_that_were_not_synced_may_be_lost() {
    let mut lengths = BTreeSet::new();
    for seed in 0..SEEDS {
        let sim = Simulation::new(seed);
        let rt = sim.runtime();
        sim.run_until(async {
            let file = file_of_ones(&rt).await;
            file.truncate(4096).await.unwrap();
            file.allocate(0, 1 << 30).await.unwrap();
            assert_eq!(file.len().await.unwrap(), 1 << 30);
            assert_eq!(file.read_at(0, 8192).await.unwrap().as_bytes()[4096..], [0; 4096]);
        });
        sim.crash(Crash::PowerLoss);
        let rt = sim.runtime();
        let bytes = sim.run_until(async {
            let file = rt.open(path(), OpenMode::Read).await.unwrap();
            (file.len().await.unwrap(), file.read_at(4096, 4096).await.unwrap().as_bytes().to_vec())
        });
        lengths.insert((bytes.0, sectors_of(&bytes.1, 1)));
    }
    assert_eq!(lengths, BTreeSet::from([(4096, 0), (8192, 8), (1 << 30, 0), (1 << 30, 8)]));
}

#[test]
fn operations_complete_in_any_order() {
    let mut orders = BTreeSet::new();
    for seed in 0..SEEDS {
        let sim = Simulation::new(seed);
        let rt = sim.runtime();
        let order = Rc::new(RefCell::new(Vec::new()));
        sim.run_until(async {
            let file = file_of_ones(&rt).await;
            for i in 0..3u8 {
                let (file, order) = (file.clone(), order.clone());
                rt.spawn(async move {
                    file.write_at(u64::from(i) * 4096, blocks(1, i)).await.unwrap();
                    order.borrow_mut().push(i);
                });
            }
            while order.borrow().len() < 3 {
                rt.sleep(Duration::from_millis(1)).await;
            }
        });
        orders.insert(order.take());
    }
    assert_eq!(orders.len(), 6, "{orders:?}");
}

#[test]
fn a_dropped_future_does_not_end_its_operation() {
    let sim = Simulation::new(1);
    let rt = sim.runtime();
    sim.run_until(async {
        let file = file_of_ones(&rt).await;
        let mut write = Box::pin(file.write_at(0, blocks(2, 2)));
        std::future::poll_fn(|cx| {
            assert!(write.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        drop(write);
        rt.sleep(Duration::from_secs(1)).await;
    });
    assert_eq!(sim.bytes_of(path()).unwrap(), vec![2; 8192]);
}

#[test]
fn operations_fail_where_told_and_by_rate() {
    let sim = Simulation::new(3);
    let rt = sim.runtime();
    let eio = |error: DiskError| error.source.raw_os_error() == Some(5);
    sim.run_until(async {
        let file = file_of_ones(&rt).await;
        sim.disk().fail_nth(Kind::Read, 2);
        sim.disk().fail_nth(Kind::Sync, 1);
        sim.disk().fail_nth(Kind::Write, 1);
        assert!(file.read_at(0, 4096).await.is_ok());
        assert!(eio(file.read_at(0, 4096).await.unwrap_err()));
        assert!(eio(file.sync_data().await.unwrap_err()));
        let error = file.write_at(4096, blocks(1, 2)).await.unwrap_err();
        assert_eq!((error.operation, error.position, &*error.path), ("write", 4096, path()));
        file.write_at(4096, blocks(1, 2)).await.unwrap();
        sim.disk().set_fault_rates(FaultRates { write_eio: 500_000, ..FaultRates::default() });
        let mut failed = 0;
        for _ in 0..100 {
            failed += u32::from(file.write_at(0, blocks(1, 2)).await.is_err());
        }
        assert!((20..80).contains(&failed), "{failed}");
    });
    let counters = sim.disk().counters();
    assert_eq!((counters.eio_reads, counters.eio_syncs), (1, 1));
    assert!(counters.eio_writes > 20);
}

#[test]
fn after_a_failed_sync_the_next_one_may_cover_nothing() {
    let mut lost = 0;
    for seed in 0..SEEDS {
        let sim = Simulation::new(seed);
        let rt = sim.runtime();
        sim.run_until(async {
            let file = file_of_ones(&rt).await;
            file.write_at(0, blocks(1, 2)).await.unwrap();
            sim.disk().fail_nth(Kind::Sync, 1);
            file.sync_data().await.unwrap_err();
            file.sync_data().await.unwrap();
            assert_eq!(file.read_at(0, 4096).await.unwrap().as_bytes(), [2; 4096]);
        });
        sim.crash(Crash::PowerLoss);
        lost += u32::from(sectors_of(&sim.bytes_of(path()).unwrap(), 2) == 0);
    }
    assert!((20..150).contains(&lost), "{lost}");
}

#[test]
fn a_full_disk_refuses_growth_only_until_there_is_room() {
    let sim = Simulation::new(4);
    let rt = sim.runtime();
    sim.run_until(async {
        let file = file_of_ones(&rt).await;
        sim.disk().set_space_bytes(8192);
        assert_eq!(sim.disk().used_bytes(), 8192);
        file.write_at(0, blocks(2, 2)).await.unwrap();
        assert!(file.write_at(8192, blocks(1, 2)).await.unwrap_err().is_no_space());
        assert!(file.allocate(0, 12288).await.unwrap_err().is_no_space());
        assert_eq!(file.len().await.unwrap(), 8192);
        sim.disk().set_space_bytes(12288);
        file.write_at(8192, blocks(1, 2)).await.unwrap();
    });
    assert_eq!(sim.disk().counters().no_space, 2);
}

#[test]
fn bits_rot_on_demand() {
    let sim = Simulation::new(5);
    let rt = sim.runtime();
    sim.run_until(async { file_of_ones(&rt).await });
    sim.disk().rot(path(), 5000, 1);
    sim.crash(Crash::PowerLoss);
    assert_eq!(sim.bytes_of(path()).unwrap()[5000], 3);
}

#[test]
fn recursive_removal_and_creation_may_be_interrupted() {
    let mut left = BTreeSet::new();
    for seed in 0..SEEDS {
        let sim = Simulation::new(seed);
        let rt = sim.runtime();
        sim.run_until(async {
            let _ = file_of_ones(&rt).await;
            rt.create_dir_all(Path::new("/data/a/b")).await.unwrap();
            rt.open(Path::new("/data/a/b/c"), OpenMode::Create).await.unwrap();
            let remover = rt.clone();
            rt.spawn(async move { remover.remove_dir_all(Path::new("/data")).await.unwrap() });
            rt.yield_now().await;
            sim.disk().crash_after_operations(1);
        });
        assert_eq!(sim.run_until_crash(std::future::pending::<()>()), None);
        sim.crash(Crash::Kill);
        let rt = sim.runtime();
        let names = sim.run_until(async { rt.list(Path::new("/data")).await.unwrap() });
        left.insert(names.into_iter().map(|e| (e.name, e.is_dir)).collect::<Vec<_>>());
    }
    assert_eq!(left.len(), 4, "{left:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let sim = Simulation::new(seed);
        let rates = FaultRates { read_eio: 10_000, write_eio: 10_000, sync_eio: 10_000 };
        sim.disk().set_fault_rates(rates);
        let mut found = Vec::new();
        for round in 0..5u8 {
            sim.disk().crash_after_operations(sim.rng().within(20..200));
            let rt = sim.runtime();
            let ended: Option<()> = sim.run_until_crash(async {
                rt.create_dir_all(Path::new("/data")).await.unwrap();
                let file = rt.open(path(), OpenMode::Create).await.unwrap();
                let _ = rt.sync_dir(Path::new("/data")).await;
                loop {
                    for i in 0..4 {
                        let position = (sim.rng().within(0..10) * 4 + i) * 4096;
                        let file = file.clone();
                        rt.spawn(async move {
                            let _ = file.write_at(position, blocks(1, round + 1)).await;
                        });
                    }
                    rt.sleep(Duration::from_millis(30)).await;
                    let _ = file.sync_data().await;
                }
            });
            assert_eq!(ended, None);
            sim.crash(if sim.rng().coin() { Crash::Kill } else { Crash::PowerLoss });
            found.push(sim.bytes_of(path()));
        }
        (found, sim.disk().counters())
    };
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed));
    }
    assert_ne!(run(1), run(2));
}

#[test]
#[should_panic(expected = "unaligned")]
fn unaligned_positions_panic() {
    let sim = Simulation::new(0);
    let rt = sim.runtime();
    sim.run_until(async { file_of_ones(&rt).await.write_at(512, blocks(1, 0)).await.unwrap() });
}

#[test]
#[should_panic(expected = "unaligned memory")]
fn unaligned_memory_panics() {
    let sim = Simulation::new(0);
    let rt = sim.runtime();
    let slice = blocks(2, 0).slice(512, 4608);
    sim.run_until(async { file_of_ones(&rt).await.write_at(0, slice).await.unwrap() });
}

/// Begins a write of the first block and reads it at once.
fn read_behind_a_write(sim: &Simulation) -> Vec<u8> {
    let rt = sim.runtime();
    sim.run_until(async {
        let file = file_of_ones(&rt).await;
        let writer = file.clone();
        rt.spawn(async move { writer.write_at(0, blocks(2, 2)).await.unwrap() });
        while sim.disk().counters().writes < 2 {
            rt.yield_now().await;
        }
        file.read_at(0, 4096).await.unwrap().as_bytes().to_vec()
    })
}

#[test]
#[should_panic(expected = "races with")]
fn reading_what_is_being_written_panics() {
    read_behind_a_write(&Simulation::new(0));
}

#[test]
fn reading_what_is_being_written_sees_any_mix_where_allowed() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let sim = Simulation::new(seed);
        sim.disk().allow_races(true);
        seen.insert(sectors_of(&read_behind_a_write(&sim), 2));
    }
    assert!(seen.len() > 5, "{seen:?}");
}

#[test]
#[should_panic(expected = "crashed process")]
fn files_do_not_outlive_their_process() {
    let sim = Simulation::new(0);
    let rt = sim.runtime();
    let file = sim.run_until(async { file_of_ones(&rt).await });
    sim.crash(Crash::Kill);
    sim.run_until(async { file.sync_data().await.unwrap() });
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_deadlock_panics() {
    Simulation::new(0).run_until(std::future::pending::<()>());
}

#[test]
fn tasks_run_in_an_order_of_the_seed_and_die_in_a_crash() {
    let mut orders = BTreeSet::new();
    for seed in 0..50 {
        let sim = Simulation::new(seed);
        let rt = sim.runtime();
        let order = Rc::new(RefCell::new(Vec::new()));
        for i in 0..3 {
            let (order, rt2) = (order.clone(), rt.clone());
            rt.spawn(async move {
                order.borrow_mut().push(i);
                rt2.sleep(Duration::from_secs(1)).await;
                order.borrow_mut().push(i + 10);
            });
        }
        let before = rt.monotonic();
        sim.run_until(rt.sleep(Duration::from_millis(500)));
        let slept = rt.monotonic() - before;
        assert!(slept >= Duration::from_millis(500) && slept < Duration::from_millis(501));
        sim.crash(Crash::Kill);
        assert_eq!(Rc::strong_count(&order), 1, "tasks are dropped");
        orders.insert(order.take());
    }
    assert_eq!(orders.len(), 6, "{orders:?}");
}
