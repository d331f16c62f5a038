use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use corelane_storage::ids::{PartitionId, TopicId};
use futures_executor::{LocalPool, LocalSpawner};
use futures_util::task::LocalSpawnExt;

use super::budget::FetchBudget;
use super::controller::on_each;
use super::mailbox::{CallError, Mailbox, inboxes};
use super::placement::shard_of;
use super::semaphore::Semaphore;
use super::turns::Turns;
use crate::seeded::Rng;

#[test]
fn a_topics_partitions_spread_evenly() {
    for shards in 1..=9usize {
        for topic in 0..50u8 {
            let mut counts = BTreeMap::new();
            for index in 0..36 {
                let id = PartitionId { topic_id: TopicId([topic; 16]), index };
                let shard = shard_of(id, shards);
                assert!(shard < shards);
                *counts.entry(shard).or_insert(0usize) += 1;
            }
            let (min, max) = (counts.values().min(), counts.values().max());
            assert_eq!(counts.len(), shards);
            assert!(max.unwrap() - min.unwrap() <= 1, "{shards} shards: {counts:?}");
        }
    }
}

#[test]
fn topics_spread_over_shards() {
    let mut rng = Rng::new(1);
    let mut counts = [0usize; 8];
    for _ in 0..8_000 {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&rng.next().to_le_bytes());
        counts[shard_of(PartitionId { topic_id: TopicId(id), index: 0 }, 8)] += 1;
    }
    assert!(counts.iter().all(|n| (800..1_200).contains(n)), "{counts:?}");
}

#[test]
fn a_semaphore_serves_in_order_of_acquire_not_of_poll() {
    let mut pool = LocalPool::new();
    let semaphore = Semaphore::new(2);
    let order = Rc::new(RefCell::new(Vec::new()));
    let first = pool.run_until(semaphore.acquire(2));
    // The large request queues first, and is polled last.
    let waits = [(0, semaphore.acquire(2)), (1, semaphore.acquire(1)), (2, semaphore.acquire(1))];
    for (name, wait) in waits.into_iter().rev() {
        let order = order.clone();
        let task = async move {
            let _permit = wait.await;
            order.borrow_mut().push(name);
        };
        pool.spawner().spawn_local(task).unwrap();
    }
    pool.run_until_stalled();
    assert!(order.borrow().is_empty());
    drop(first);
    pool.run_until_stalled();
    assert_eq!(order.borrow().first(), Some(&0));
    assert_eq!(order.borrow().len(), 3);
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn a_permit_that_was_free_at_once_is_given_back_if_nobody_takes_it() {
    let semaphore = Semaphore::new(2);
    let free = semaphore.acquire(2);
    assert_eq!(semaphore.available(), 0, "it is taken by the call");
    let behind = semaphore.acquire(1);
    drop(free);
    assert_eq!(semaphore.available(), 1, "who queued has it");
    let mut pool = LocalPool::new();
    let permit = pool.run_until(behind);
    drop(permit);
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn leaving_a_semaphores_queue_lets_others_pass_and_loses_nothing() {
    let mut rng = Rng::new(7);
    for _ in 0..2_000 {
        let semaphore = Semaphore::new(4);
        let mut pool = LocalPool::new();
        let mut waits: Vec<_> = (0..6).map(|_| semaphore.acquire(rng.below(7) as usize)).collect();
        while !waits.is_empty() {
            let wait = waits.swap_remove(rng.below(waits.len() as u64) as usize);
            match rng.below(2) {
                0 => drop(wait),
                _ => {
                    let task = async move { drop(wait.await) };
                    pool.spawner().spawn_local(task).unwrap();
                }
            }
        }
        pool.run();
        assert_eq!(semaphore.available(), 4);
    }
}

/// Shards on one thread: what a job sees.
#[derive(Clone)]
struct TestShard {
    id: usize,
    seen: Rc<RefCell<Vec<(usize, u64)>>>,
    mailbox: Rc<Mailbox<TestShard>>,
}

fn start_shards(spawner: &LocalSpawner, shards: usize, calls_max: usize) -> Vec<TestShard> {
    let mut started = Vec::new();
    for (id, inbox) in inboxes::<TestShard>(shards, calls_max).into_iter().enumerate() {
        let (mailbox, inbox) = (Rc::new(inbox.mailbox()), Rc::new(inbox));
        let shard = TestShard { id, seen: Rc::default(), mailbox: mailbox.clone() };
        let (jobs, context, tasks) = (inbox.clone(), shard.clone(), spawner.clone());
        let run = async move {
            jobs.run_jobs(&context, |rest| tasks.spawn_local(rest).unwrap()).await;
        };
        spawner.spawn_local(run).unwrap();
        spawner.spawn_local(async move { inbox.run_replies(&mailbox).await }).unwrap();
        started.push(shard);
    }
    started
}

#[test]
fn two_full_mailboxes_do_not_deadlock() {
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let mut pool = LocalPool::new();
        let calls_max = 1 + rng.below(4) as usize;
        let shards = start_shards(&pool.spawner(), 2, calls_max);
        let (answered, calls) = (Rc::new(Cell::new(0u64)), 40u64);
        // Every call goes in before any consumer has run once: both sides are full.
        for number in 0..calls {
            for shard in &shards {
                let (mailbox, to) = (shard.mailbox.clone(), 1 - shard.id);
                let (from, answered, later) = (shard.id, answered.clone(), rng.below(2) == 0);
                let task = async move {
                    let answer = if later {
                        let job = move |shard: &TestShard| {
                            shard.seen.borrow_mut().push((from, number));
                            async move { number }
                        };
                        mailbox.send_async(to, job).await.unwrap()
                    } else {
                        let job = move |shard: &TestShard| {
                            shard.seen.borrow_mut().push((from, number));
                            number
                        };
                        mailbox.send(to, job).await.unwrap()
                    };
                    assert_eq!(answer.await, Ok(number));
                    answered.set(answered.get() + 1);
                };
                pool.spawner().spawn_local(task).unwrap();
            }
        }
        pool.run_until_stalled();
        assert_eq!(answered.get(), 2 * calls, "seed {seed}");
        for shard in &shards {
            let expected: Vec<_> = (0..calls).map(|number| (1 - shard.id, number)).collect();
            assert_eq!(*shard.seen.borrow(), expected, "seed {seed}: out of order");
        }
    }
}

#[test]
fn the_controller_may_call_back_while_everybody_calls_it() {
    let mut pool = LocalPool::new();
    let shards = start_shards(&pool.spawner(), 3, 2);
    let answered = Rc::new(Cell::new(0));
    for _ in 0..50 {
        for from in [1, 2] {
            let (mailbox, answered) = (shards[from].mailbox.clone(), answered.clone());
            let job = |controller: &TestShard| {
                let mailbox = controller.mailbox.clone();
                async move {
                    for peer in [1, 2] {
                        mailbox.send(peer, |shard| shard.id).await.unwrap().await.unwrap();
                    }
                }
            };
            let task = async move {
                mailbox.send_async(0, job).await.unwrap().await.unwrap();
                answered.set(answered.get() + 1);
            };
            pool.spawner().spawn_local(task).unwrap();
        }
    }
    pool.run_until_stalled();
    assert_eq!(answered.get(), 100);
}

#[test]
fn a_panic_in_a_job_is_an_error_of_its_caller_only() {
    let mut pool = LocalPool::new();
    let shards = start_shards(&pool.spawner(), 2, 1);
    let mailbox = shards[0].mailbox.clone();
    let calls = async move {
        let first = mailbox.send(1, |_| -> u32 { panic!("in the first half") }).await.unwrap();
        assert_eq!(first.await, Err(CallError::Panicked));
        let job = |_: &TestShard| async {
            if true {
                panic!("in the second half")
            }
        };
        assert_eq!(mailbox.send_async(1, job).await.unwrap().await, Err(CallError::Panicked));
        assert_eq!(mailbox.send(1, |shard| shard.id).await.unwrap().await, Ok(1));
    };
    pool.run_until(calls);
}

#[test]
fn what_is_durable_is_carried_out_on_every_shard_also_behind_one_that_panics() {
    let mut pool = LocalPool::new();
    let shards = start_shards(&pool.spawner(), 4, 1);
    let mailbox = shards[0].mailbox.clone();
    let carried_out = on_each(4, async |to| {
        // The controller is shard 0, and its mailbox has no way to itself.
        let Some(to) = (to > 0).then_some(to) else { return Ok(()) };
        let job = |shard: &TestShard| {
            assert!(shard.id != 1, "a shard that can't");
            shard.seen.borrow_mut().push((0, 7));
        };
        mailbox.send(to, job).await?.await
    });
    assert_eq!(pool.run_until(carried_out), Err(CallError::Panicked));
    let seen: Vec<_> = shards.iter().map(|shard| shard.seen.borrow().len()).collect();
    assert_eq!(seen, [0, 0, 1, 1]);
}

#[test]
fn an_abandoned_call_keeps_its_slot_until_it_is_answered() {
    let mut pool = LocalPool::new();
    let shards = start_shards(&pool.spawner(), 2, 1);
    let (release, gate) = flume::bounded::<()>(1);
    let mailbox = shards[0].mailbox.clone();
    let job = move |_: &TestShard| async move { gate.recv_async().await };
    let abandoned = pool.run_until(mailbox.send_async(1, job));
    drop(abandoned);
    let done = Rc::new(Cell::new(false));
    let (flag, second) = (done.clone(), shards[0].mailbox.clone());
    let task = async move {
        second.send(1, |_| ()).await.unwrap().await.unwrap();
        flag.set(true);
    };
    pool.spawner().spawn_local(task).unwrap();
    pool.run_until_stalled();
    assert!(!done.get(), "the only slot is still taken");
    release.send(()).unwrap();
    pool.run_until_stalled();
    assert!(done.get());
}

#[test]
fn turns_come_one_after_another_whoever_asks_first() {
    let mut pool = LocalPool::new();
    let turns = Turns::default();
    let taken: Vec<_> = (0..3).map(|_| turns.take()).collect();
    let order = Rc::new(RefCell::new(Vec::new()));
    for (place, mut turn) in taken.into_iter().enumerate().rev() {
        let order = order.clone();
        let task = async move {
            turn.come().await;
            order.borrow_mut().push(place);
        };
        pool.spawner().spawn_local(task).unwrap();
    }
    pool.run_until_stalled();
    assert_eq!(*order.borrow(), [0, 1, 2]);
}

#[test]
fn an_answer_takes_a_share_of_the_budget_and_gives_it_back() {
    let mut pool = LocalPool::new();
    let (budget, turns) = (FetchBudget::new(8 << 20), Turns::default());
    let collected = budget.clone();
    pool.spawner().spawn_local(async move { collected.collect().await }).unwrap();
    assert_eq!(budget.share_bytes(), 1 << 20);
    let credit = pool.run_until(budget.acquire(4 << 20, turns.take()));
    assert_eq!(budget.share_bytes(), 512 << 10, "less is free, so a share is less");
    let large = budget.clone();
    let (done, turn) = (Rc::new(Cell::new(false)), turns.take());
    let flag = done.clone();
    let task = async move {
        let _all = large.acquire(usize::MAX, turn).await;
        flag.set(true);
    };
    pool.spawner().spawn_local(task).unwrap();
    pool.run_until_stalled();
    assert!(!done.get(), "more than there is waits for all of it");
    // Credits travel with an answer's slices, and may be dropped on another thread.
    std::thread::spawn(move || drop(credit)).join().unwrap();
    pool.run_until_stalled();
    assert!(done.get());
    assert_eq!(budget.share_bytes(), 1 << 20);
}
