//! What the kernel says, read back.

use std::time::{Duration, Instant};

use rustix::param::clock_ticks_per_second;

use super::Observer;
use super::machine::{kernel_thread_ticks, machine_ticks};
use super::process::{Process, descendants};

#[test]
fn the_kernels_words_are_read() {
    let stat = "42 (a ) b (c) S 7 42 42 0 -1 4194304 100 0 0 0 200 300 5 6 20 0 9 0 100 1 2 3";
    let status = "Name:\ta\nVmRSS:\t   2048 kB\nvoluntary_ctxt_switches:\t10\n\
                  nonvoluntary_ctxt_switches:\t5\n";
    let io = "rchar: 1\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 1\n";
    let process = Process::of(stat, status, io);
    let hz = clock_ticks_per_second() as f64;
    assert_eq!((process.cpu_s, process.system_cpu_s), (500.0 / hz, 300.0 / hz));
    assert_eq!((process.resident_bytes, process.context_switches), (2 << 20, 15));
    assert_eq!((process.disk_read_bytes, process.disk_write_bytes), (4096, 8192));
    assert_eq!(Process::of("", "", ""), Process::default());
    assert_eq!(machine_ticks("cpu  1 2 4 1000 1000 8 16 0 0 0\ncpu0 9 9\n"), (31, 24));
    assert_eq!(kernel_thread_ticks(stat), None);
    let kernel_thread = "9 (kworker/0:1) I 2 0 0 0 -1 69238880 0 0 0 0 7 8 0 0 20 0 1 0 4";
    assert_eq!(kernel_thread_ticks(kernel_thread), Some(15));
}

#[test]
fn a_familys_loops_and_strangers_do_no_harm() {
    let parents = [(2, 1), (3, 2), (4, 2), (5, 9), (1, 0), (6, 4), (0, 0)];
    let mut family = descendants(2, &parents);
    family.sort_unstable();
    assert_eq!(family, [2, 3, 4, 6]);
    assert_eq!(descendants(77, &parents), [77]);
}

#[test]
fn this_process_is_seen_to_work() {
    let mut observer = Observer::new(Some(std::process::id())).unwrap();
    observer.begin();
    let mut memory = vec![1_u8; 64 << 20];
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(50) {
        memory[began.elapsed().subsec_nanos() as usize % (64 << 20)] += 1;
    }
    observer.sample();
    drop(memory);
    observer.end();
    let usage = observer.usage().unwrap();
    assert!(usage.client_cpu_s > 0.0, "{usage:?}");
    let broker = usage.broker.unwrap();
    assert!(broker.resident_bytes > 1 << 20, "{broker:?}");
    assert!(broker.resident_bytes_max >= 64 << 20, "{broker:?}");
    assert!(Observer::new(Some(u32::MAX)).is_err());
}
