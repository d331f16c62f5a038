//! A broker of one shard, its neighbours, and guests who come and go.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::broker::Broker;
use crate::harness::http::Samples;
use crate::harness::options::Options;
use crate::harness::process::{raise_open_file_limit, resident_bytes};
use crate::harness::requests::create_ready_topic;
use crate::neighbours::{self, Service};

const ROUNDS: usize = 2;
const ALONE: Duration = Duration::from_secs(3);
const BESIDE: Duration = Duration::from_secs(5);
/// After guests have come or gone, this long is not counted: connections end.
const CHANGE: Duration = Duration::from_millis(500);

/// A broker with its neighbours' topic.
pub fn broker() -> Broker {
    raise_open_file_limit();
    let broker = Broker::start(Options {
        shards: 1,
        max_request_bytes: 100 << 20,
        cache_bytes: 256 << 20,
        http_listen: Some("127.0.0.1:0"),
        ..Options::default()
    });
    leave_the_first_core();
    let mut connection = broker.connect();
    create_ready_topic(&mut connection, neighbours::TOPIC, neighbours::PARTITIONS);
    neighbours::prepare(&broker);
    broker
}

/// What guests are told.
pub struct Visit<'a> {
    pub broker: &'a Broker,
    stop: &'a AtomicBool,
    /// What they count: requests answered, say.
    pub done: &'a AtomicU64,
}

impl Visit<'_> {
    pub fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sleeps, but not beyond the visit's end.
    pub fn sleep(&self, duration: Duration) {
        let until = Instant::now() + duration;
        while !self.is_over() && Instant::now() < until {
            thread::sleep(Duration::from_millis(20).min(duration));
        }
    }
}

/// Measures the neighbours alone and beside `guests` guests in turn, and prints a row for each.
pub fn beside(
    name: &str,
    broker: &Broker,
    guests: usize,
    guest: impl Fn(&Visit<'_>, usize) + Sync,
) {
    let done = AtomicU64::new(0);
    let resident = || resident_bytes(broker.pid().expect("our own")) >> 20;
    let (before, mut most) = (resident(), 0);
    let services = neighbours::run(broker, || {
        let mut stretches = Vec::new();
        let mut stretch = |length| {
            let from = Instant::now();
            thread::sleep(length);
            stretches.push((from, Instant::now()));
        };
        thread::sleep(CHANGE);
        for _ in 0..ROUNDS {
            stretch(ALONE);
            let stop = AtomicBool::new(false);
            let visit = Visit { broker, stop: &stop, done: &done };
            thread::scope(|scope| {
                for number in 0..guests {
                    let (visit, guest) = (&visit, &guest);
                    scope.spawn(move || {
                        give_way_to_the_neighbours();
                        guest(visit, number);
                    });
                }
                stretch(BESIDE);
                most = most.max(resident());
                stop.store(true, Ordering::Relaxed);
            });
            thread::sleep(CHANGE);
        }
        stretches
    });
    let (mut alone, mut beside) = (Service::default(), Service::default());
    for (number, service) in services.iter().enumerate() {
        if number % 2 == 0 { &mut alone } else { &mut beside }.add(service);
    }
    let mut row = |of: f64| (alone.quantile_ms(of), beside.quantile_ms(of));
    let [(p50, p50_beside), (p99, p99_beside), (max, max_beside)] = [0.5, 0.99, 1.0].map(&mut row);
    println!(
        "{name:<34} answered {:5.1} % -> {:5.1} %, p50 {p50:.2} -> {p50_beside:.2} ms (x{:.1}), p99 {p99:.2} -> \
         {p99_beside:.2} ms (x{:.1}), max {max:.1} -> {max_beside:.1} ms; resident {before} -> {most} -> {} MiB; \
         guests did {}",
        alone.answered_percent(),
        beside.answered_percent(),
        p50_beside / p50,
        p99_beside / p99,
        resident(),
        done.load(Ordering::Relaxed)
    );
    if broker.is_corelane() || std::env::var_os("NEIGHBOURS_POOLS").is_some() {
        let pools = Samples::of(broker);
        let pools = pools.0.iter().filter(|(name, _)| name.starts_with("corelane_memory_used"));
        pools.for_each(|(name, bytes)| println!("    {name} {:.1} MiB", bytes / 1048576.0));
    }
}

/// The only shard has the first core: whoever measures has the others.
fn leave_the_first_core() {
    // SAFETY: the set is plain data, for which zeros are valid; the calls read and write only it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        let size = size_of_val(&set);
        assert_eq!(libc::sched_getaffinity(0, size, &mut set), 0);
        if libc::CPU_COUNT(&set) > 1 {
            let first = (0..libc::CPU_SETSIZE as usize).find(|core| libc::CPU_ISSET(*core, &set));
            libc::CPU_CLR(first.expect("at least one"), &mut set);
            assert_eq!(libc::sched_setaffinity(0, size, &set), 0);
        }
    }
}

/// Guests take what the neighbours leave of the measuring core, or they would slow them on this side, too.
fn give_way_to_the_neighbours() {
    // SAFETY: setpriority(2) takes no pointers; 0 is this thread.
    assert_eq!(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 15) }, 0);
}
