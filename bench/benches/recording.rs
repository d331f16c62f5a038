//! What measuring costs per request, in nanoseconds: `cargo bench -p corelane-bench`.
//!
//! Each figure is the fastest of many short runs, which noise disturbs least.

use std::hint::black_box;
use std::time::Instant;

use corelane_bench::load::{Asked, Recorder, Window, Work};

const RUNS: usize = 300;
const STEPS: u64 = 10_000;

fn measure(name: &str, mut step: impl FnMut(u64)) {
    let mut best = f64::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        (0..STEPS).for_each(&mut step);
        best = best.min(start.elapsed().as_nanos() as f64 / STEPS as f64);
    }
    println!("{name:<60} {best:>8.1} ns");
}

fn main() {
    let window = Window { start_ns: 0, end_ns: u64::MAX };
    let work = Work { records: 600, bytes: 60_000 };
    let mut recorder = Recorder::new(window);
    // Latencies from 50 us to 16 ms, in no order that a cache or a branch predictor could learn.
    let latency_ns = |step: u64| 50_000 + (step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40);
    measure("an answer: latency, naive latency, counts", |step| {
        let asked = Asked { intended_ns: step, sent_ns: step + 10 };
        recorder.answered(asked, step, step + latency_ns(step), black_box(work));
    });
    measure("a request of the schedule: lateness", |step| {
        recorder.noticed(step, step + (latency_ns(step) >> 6));
    });
    let origin = Instant::now();
    measure("a look at the clock (one per read of a socket)", |_| {
        black_box(origin.elapsed().as_nanos() as u64);
    });
    black_box(&recorder);
}
