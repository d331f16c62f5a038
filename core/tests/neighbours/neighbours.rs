//! Those who do nothing out of the ordinary, and count how they are served.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::batch::Batch;
use crate::harness::broker::Broker;
use crate::harness::requests::{FetchLimits, fetch, produce};

/// Their topic, and its partitions: each of the first sixteen has a neighbour.
pub const TOPIC: &str = "quiet";
pub const PARTITIONS: i32 = 100;

const PRODUCERS: i32 = 8;
const FETCHERS: i32 = 8;

/// Between two requests of one connection.
const INTERVAL: Duration = Duration::from_millis(10);

/// What was due in a while, and what came of it.
#[derive(Clone, Default)]
pub struct Service {
    /// From the moment when a request was due to its answer, of those answered within the while.
    times: Vec<Duration>,
    due: usize,
}

/// What a connection tells of each request: when it was due, and how long its answer took from then.
type Told = Mutex<Vec<(Instant, Duration)>>;

/// Runs the neighbours while `director` runs, who says of which stretches of time he wants to know.
pub fn run(broker: &Broker, director: impl FnOnce() -> Vec<(Instant, Instant)>) -> Vec<Service> {
    let (stop, told) = (AtomicBool::new(false), Told::default());
    let stretches = thread::scope(|scope| {
        for number in 0..PRODUCERS + FETCHERS {
            let (stop, told) = (&stop, &told);
            let frame = frame(number);
            scope.spawn(move || {
                let seen = neighbour(broker, &frame, number as u32, stop);
                told.lock().expect("no panic").extend(seen);
            });
        }
        let stretches = director();
        stop.store(true, Ordering::Relaxed);
        stretches
    });
    let told = told.into_inner().expect("no panic");
    stretches.into_iter().map(|stretch| Service::of(&told, stretch)).collect()
}

/// Puts one small batch into each partition.
pub fn prepare(broker: &Broker) {
    let mut connection = broker.connect();
    let batch = small();
    let all: Vec<(i32, &[u8])> = (0..PARTITIONS).map(|number| (number, &batch[..])).collect();
    connection.call(&produce(1, TOPIC, &all)).expect("an answer");
}

fn small() -> Vec<u8> {
    Batch::of(&[&[b'x'; 1_000]]).encode()
}

/// A produce of a small batch, or a fetch of one.
fn frame(number: i32) -> Vec<u8> {
    if number < PRODUCERS {
        return produce(1, TOPIC, &[(number, &small())]).frame(1);
    }
    let limits = FetchLimits { max_wait_ms: 0, min_bytes: 1, max_bytes: 1 };
    fetch(TOPIC, &[(number, 0)], limits).frame(1)
}

/// Sends a frame again and again, each when it is due, whatever became of the one before.
fn neighbour(
    broker: &Broker,
    frame: &[u8],
    number: u32,
    stop: &AtomicBool,
) -> Vec<(Instant, Duration)> {
    let mut connection = broker.connect();
    let mut due = Instant::now() + INTERVAL * number / (PRODUCERS + FETCHERS) as u32;
    let mut seen = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        connection.send_raw(frame).expect("sent");
        let (_, body) = connection.receive().expect("an answer");
        assert!(body.len() > 20);
        seen.push((due, due.elapsed()));
        due += INTERVAL;
    }
    seen
}

impl Service {
    fn of(told: &[(Instant, Duration)], (from, to): (Instant, Instant)) -> Service {
        let due = told.iter().filter(|(due, _)| (from..to).contains(due));
        let answered = due.clone().filter(|(due, took)| *due + *took < to + INTERVAL);
        Service { times: answered.map(|(_, took)| *took).collect(), due: due.count() }
    }

    /// Adds what another stretch brought.
    pub fn add(&mut self, other: &Service) {
        self.times.extend(&other.times);
        self.due += other.due;
    }

    /// Requests that were answered within the while, of a hundred that were due.
    pub fn answered_percent(&self) -> f64 {
        self.times.len() as f64 * 100.0 / self.due as f64
    }

    /// The time in ms within which this share of those answered was.
    pub fn quantile_ms(&mut self, share: f64) -> f64 {
        self.times.sort_unstable();
        self.times[((self.times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3
    }
}
