//! Starting, panicking, idling and ending of shards.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use corelane_storage::runtime::Runtime;

use super::{on_shard, on_shards};
use crate::runtime::{ShardError, ShardRuntime, Shards, ShardsConfig, usable_cores};

fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid for the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn every_shard_knows_its_number_and_runs_on_its_core() {
    let cores = usable_cores().unwrap();
    let seen =
        on_shards(
            cores.len(),
            |rt| async move { (rt.index(), rt.shards(), usable_cores().unwrap()) },
        );
    for (index, (number, shards, own)) in seen.into_iter().enumerate() {
        assert_eq!((number, shards, own), (index, cores.len(), vec![cores[index]]));
    }
}

#[test]
fn more_shards_than_cores_share_them() {
    let cores = usable_cores().unwrap();
    let seen = on_shards(cores.len() + 3, |_| async { usable_cores().unwrap() });
    assert_eq!(seen, vec![cores.clone(); cores.len() + 3]);
}

#[test]
fn spawn_never_runs_the_task_inside_the_caller() {
    on_shard(|rt| async move {
        let ran = Rc::new(Cell::new(false));
        let seen = ran.clone();
        rt.spawn(async move { seen.set(true) });
        assert!(!ran.get());
        rt.yield_now().await;
        assert!(ran.get());
    });
}

#[test]
fn a_panicking_task_harms_no_other() {
    on_shard(|rt| async move {
        for round in 0..100 {
            let asleep = rt.clone();
            rt.spawn(async move {
                if round % 2 == 0 {
                    asleep.yield_now().await;
                }
                panic!("expected by the test");
            });
        }
        rt.sleep(Duration::from_millis(5)).await;
    });
}

#[test]
fn a_panicking_main_is_reported_and_the_others_go_on() {
    let config = ShardsConfig { shards: 2, ..Default::default() };
    let running = Shards::start(&config, |rt: ShardRuntime| async move {
        if rt.index() == 1 {
            panic!("expected by the test");
        }
        rt.sleep(Duration::from_millis(5)).await;
        7
    });
    let mut results = running.unwrap().join();
    let second = results.pop().unwrap();
    assert!(matches!(results.pop(), Some(Ok(7))));
    let Err(ShardError::Panicked { shard: 1, message }) = second else { panic!("{second:?}") };
    assert!(message.contains("expected by the test"));
}

#[test]
fn shards_come_and_go() {
    for _ in 0..40 {
        on_shards(2, |rt| async move { rt.yield_now().await });
    }
}

#[test]
fn an_idle_shard_uses_no_cpu() {
    let used = on_shards(2, |rt| async move {
        rt.sleep(Duration::from_millis(100)).await;
        let (cpu, clock) = (thread_cpu(), Instant::now());
        rt.sleep(Duration::from_secs(1)).await;
        (thread_cpu() - cpu).as_secs_f64() / clock.elapsed().as_secs_f64()
    });
    println!("idle shards use {used:?} of a core");
    assert!(used.iter().sum::<f64>() < 0.01, "{used:?}");
}

#[test]
fn starting_is_measured() {
    let started = Instant::now();
    let config = ShardsConfig { shards: 2, ..Default::default() };
    let running = Shards::start(&config, |rt: ShardRuntime| async move { rt.monotonic() });
    let up = started.elapsed();
    let mains: Vec<_> = running.unwrap().join().into_iter().map(Result::unwrap).collect();
    println!(
        "two shards up after {up:?}, their mains ran at {mains:?}, ended {:?}",
        started.elapsed()
    );
}
