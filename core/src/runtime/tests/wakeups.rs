//! Wake-ups across threads: the mailboxes depend on them. A lost one shows as a hang, which the
//! deadline turns into a failure.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use corelane_storage::runtime::{File, OpenMode, Runtime};

use super::{ShardsConfig, TempDir, on_shard, on_shards, on_shards_of};

/// Far beyond what a loaded machine needs.
const DEADLINE: Duration = Duration::from_secs(240);

/// Ends the process if the test hangs.
struct Watchdog(#[allow(dead_code)] flume::Sender<()>);

impl Watchdog {
    fn start(what: &'static str, progress: Arc<AtomicU64>) -> Self {
        let (alive, gone) = flume::bounded(0);
        std::thread::spawn(move || {
            if gone.recv_timeout(DEADLINE) == Err(flume::RecvTimeoutError::Timeout) {
                eprintln!("{what}: hangs after {}", progress.load(Ordering::Relaxed));
                std::process::abort();
            }
        });
        Watchdog(alive)
    }
}

/// Messages that cross back and forth, each only when the one before has come: every hop finds the
/// other executor parked or about to park.
fn ping_pong(spin: Duration, messages: u64, in_flight: u64) {
    let progress = Arc::new(AtomicU64::new(0));
    let _watchdog = Watchdog::start("ping-pong", progress.clone());
    let (to_second, at_second) = flume::bounded::<u64>(in_flight as usize);
    let (to_first, at_first) = flume::bounded::<u64>(in_flight as usize);
    let config = ShardsConfig { shards: 2, spin, ..Default::default() };
    on_shards_of(config, move |rt| {
        let (to_second, at_second) = (to_second.clone(), at_second.clone());
        let (to_first, at_first) = (to_first.clone(), at_first.clone());
        let progress = progress.clone();
        async move {
            if rt.index() == 1 {
                for expected in 0..messages {
                    let message = at_second.recv_async().await.unwrap();
                    assert_eq!(message, expected);
                    to_first.send_async(message).await.unwrap();
                }
                return;
            }
            let mut sent = 0;
            for expected in 0..messages {
                while sent < messages && sent - expected < in_flight {
                    to_second.send_async(sent).await.unwrap();
                    sent += 1;
                }
                assert_eq!(at_first.recv_async().await.unwrap(), expected);
                progress.store(expected, Ordering::Relaxed);
            }
        }
    });
}

#[test]
fn a_flume_receiver_is_woken_by_a_sender_on_another_shard() {
    ping_pong(Duration::ZERO, 50_000, 1);
}

#[test]
fn a_million_messages_lose_no_wake_up() {
    ping_pong(Duration::ZERO, 1_000_000, 64);
}

#[test]
fn shards_that_spin_before_they_sleep_lose_no_wake_up() {
    for spin_us in [1, 20, 1_000] {
        ping_pong(Duration::from_micros(spin_us), 20_000, 1);
    }
}

/// Spins for longer than the test may take: a write that was not submitted before would never end.
#[test]
fn what_was_begun_is_on_its_way_before_the_shard_spins() {
    let _watchdog = Watchdog::start("spinning", Arc::default());
    let dir = TempDir::new();
    let path = dir.path().join("data");
    let config = ShardsConfig { shards: 1, spin: 2 * DEADLINE, ..Default::default() };
    on_shards_of(config, move |rt| {
        let path = path.clone();
        async move {
            let file = rt.open(&path, OpenMode::Create).await.unwrap();
            file.allocate(0, 1 << 20).await.unwrap();
            file.sync_data().await.unwrap();
        }
    });
}

#[test]
fn a_waker_works_from_a_thread_that_is_no_shard() {
    let progress = Arc::new(AtomicU64::new(0));
    let _watchdog = Watchdog::start("plain waker", progress.clone());
    on_shard(move |_rt| {
        let progress = progress.clone();
        async move {
            let slot: Arc<Mutex<Option<Waker>>> = Arc::default();
            let turn = Arc::new(AtomicU64::new(0));
            let (thread_slot, thread_turn) = (slot.clone(), turn.clone());
            const ROUNDS: u64 = 20_000;
            let thread = std::thread::spawn(move || {
                for round in 1..=ROUNDS {
                    let waker = loop {
                        if let Some(waker) = thread_slot.lock().unwrap().take() {
                            break waker;
                        }
                        std::thread::yield_now();
                    };
                    thread_turn.store(round, Ordering::SeqCst);
                    waker.wake();
                }
            });
            for round in 1..=ROUNDS {
                let mut stored = false;
                std::future::poll_fn(|cx| {
                    if turn.load(Ordering::SeqCst) >= round {
                        return Poll::Ready(());
                    }
                    if !stored {
                        *slot.lock().unwrap() = Some(cx.waker().clone());
                        stored = true;
                    }
                    Poll::Pending
                })
                .await;
                progress.store(round, Ordering::Relaxed);
            }
            thread.join().unwrap();
        }
    });
}

/// Wakers that outlive their task, on another thread, are dropped without harm.
#[test]
fn wakers_may_be_dropped_elsewhere_after_their_task_ended() {
    let kept = on_shard(|rt| async move {
        let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
        for _ in 0..1000 {
            let wakers = wakers.clone();
            rt.spawn(std::future::poll_fn(move |cx| {
                wakers.lock().unwrap().push(cx.waker().clone());
                Poll::Ready(())
            }));
        }
        rt.sleep(Duration::from_millis(5)).await;
        let half: Vec<Waker> = wakers.lock().unwrap().drain(..500).collect();
        std::thread::spawn(move || half.into_iter().for_each(Waker::wake)).join().unwrap();
        rt.sleep(Duration::from_millis(5)).await;
        wakers
    });
    drop(kept);
}

/// While a shard is busy with tasks that never leave it idle, others' wake-ups still come through.
#[test]
fn a_busy_shard_hears_others() {
    let progress = Arc::new(AtomicU64::new(0));
    let _watchdog = Watchdog::start("busy shard", progress.clone());
    let (ping, pinged) = flume::bounded::<()>(1);
    let (pong, ponged) = flume::bounded::<()>(1);
    on_shards(2, move |rt| {
        let (ping, pinged, pong, ponged) =
            (ping.clone(), pinged.clone(), pong.clone(), ponged.clone());
        async move {
            if rt.index() == 0 {
                let spinner = rt.clone();
                rt.spawn(async move {
                    loop {
                        spinner.yield_now().await;
                    }
                });
                for _ in 0..200 {
                    pinged.recv_async().await.unwrap();
                    pong.send_async(()).await.unwrap();
                }
            } else {
                for _ in 0..200 {
                    ping.send_async(()).await.unwrap();
                    ponged.recv_async().await.unwrap();
                }
            }
        }
    });
}

/// A task that works in steps of 300 us must not keep the reactor from its sockets and timers for the 128
/// polls that other tasks have: a timer of 1 ms is seen after a few steps, however slow the machine is.
#[test]
fn timers_fire_between_the_steps_of_long_work() {
    let steps = on_shard(|rt| async move {
        let fired = Rc::new(Cell::new(false));
        let (flag, timer) = (fired.clone(), rt.clone());
        rt.spawn(async move {
            timer.sleep(Duration::from_millis(1)).await;
            flag.set(true);
        });
        let mut steps = 0;
        while !fired.get() {
            let begun = rt.monotonic();
            while rt.monotonic() - begun < Duration::from_micros(300) {
                std::hint::spin_loop();
            }
            steps += 1;
            rt.yield_now().await;
        }
        steps
    });
    assert!(steps < 40, "{steps} steps until the timer was seen");
}

/// Who works in many short steps meets one long step in a round, not one of each who works long.
#[test]
fn those_who_work_long_go_on_one_at_a_time() {
    const WORKERS: usize = 32;
    const HOPS: u64 = 100;
    let turns = on_shard(|rt| async move {
        let turns = Rc::new(Cell::new(0_u64));
        for _ in 0..WORKERS {
            let (worker, turns) = (rt.clone(), turns.clone());
            rt.spawn(async move {
                loop {
                    turns.set(turns.get() + 1);
                    worker.yield_now().await;
                }
            });
        }
        rt.sleep(Duration::from_millis(1)).await;
        let (there, at_there) = flume::bounded::<u64>(1);
        let (back, at_back) = flume::bounded::<u64>(1);
        rt.spawn(async move {
            while let Ok(hop) = at_there.recv_async().await {
                back.send_async(hop).await.unwrap();
            }
        });
        let before = turns.get();
        for hop in 0..HOPS {
            there.send_async(hop).await.unwrap();
            assert_eq!(at_back.recv_async().await.unwrap(), hop);
        }
        turns.get() - before
    });
    // Each hop is a round there and one back, at most.
    assert!(turns <= 2 * HOPS + 10, "{turns} long steps in {HOPS} hops");
}

#[test]
fn those_who_work_long_go_on_although_others_never_rest() {
    let turns = on_shard(|rt| async move {
        let turns = Rc::new(Cell::new([0_u64; 3]));
        for number in 0..3 {
            let (worker, turns) = (rt.clone(), turns.clone());
            rt.spawn(async move {
                loop {
                    let mut counts = turns.get();
                    counts[number] += 1;
                    turns.set(counts);
                    worker.yield_now().await;
                }
            });
        }
        // Up in every round, until all have had a few turns.
        std::future::poll_fn(|cx| {
            if turns.get().iter().all(|count| *count >= 5) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        turns.get()
    });
    let (least, most) = (turns.iter().min().unwrap(), turns.iter().max().unwrap());
    assert!(most - least <= 1, "{turns:?}: in turn");
}
