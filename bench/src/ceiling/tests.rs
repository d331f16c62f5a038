//! The yardstick itself.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::{CeilingArgs, CeilingReport, run, tcp_client, tcp_server};
use crate::error::BenchError;
use crate::spread::Spread;
use crate::stop::Stop;

fn target_dir(name: &str) -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let dir = exe.ancestors().nth(3).unwrap().join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn small(name: &str) -> CeilingArgs {
    let mut args = CeilingArgs::new(&target_dir(name));
    args.bytes = 16 << 20;
    args.sync_samples = 20;
    args.duration = Duration::from_millis(10);
    args.repeats = 2;
    args
}

#[test]
fn all_bytes_are_moved_and_nothing_is_left() {
    let args = small("ceiling");
    let report = run(&args, &Stop::new()).unwrap();
    assert!(report.complete && report.rounds().len() == 2, "{report}");
    for (disk, network, memory) in report.rounds() {
        assert_eq!((disk.written_bytes, disk.read_bytes), (16 << 20, 16 << 20));
        let sync = disk.sync;
        assert_eq!(sync.samples, 20);
        // No system call answers faster.
        assert!(0.1 < sync.p50_us && sync.p50_us <= sync.p99_us && sync.p99_us <= sync.max_us);
        assert!(network.bytes > 0 && network.gb_per_s > 0.0, "{network:?}");
        assert!(memory.memcpy_gb_per_s > 0.0 && memory.crc32c_gb_per_s > 0.0, "{memory:?}");
    }
    let yardstick = report.yardstick();
    assert!(yardstick.network_gb_per_s.is_some() && yardstick.disk_write_gb_per_s.is_some());
    assert_eq!(std::fs::read_dir(&args.dir).unwrap().count(), 0);
    std::fs::remove_dir(&args.dir).unwrap();
    let json = serde_json::to_string(&report).unwrap();
    let read: CeilingReport = serde_json::from_str(&json).unwrap();
    assert_eq!((read.kind.as_str(), read.block_bytes), ("ceiling", 1 << 20));
}

#[test]
fn the_time_limit_ends_each_phase_after_at_least_one_operation() {
    let mut args = small("ceiling-time");
    (args.duration_max, args.duration, args.repeats) = (Duration::ZERO, Duration::ZERO, 1);
    let report = run(&args, &Stop::new()).unwrap();
    let (disk, ..) = report.rounds()[0];
    let (written, read) = (disk.written_bytes >> 20, disk.read_bytes >> 20);
    assert!((1..=args.depth as u64).contains(&written), "{written} MiB");
    assert!((1..=written).contains(&read), "{read} MiB");
    assert_eq!(disk.sync.samples, 1);
    std::fs::remove_dir(&args.dir).unwrap();
}

#[test]
fn a_wish_to_end_is_obeyed_and_told() {
    let (args, stop) = (small("ceiling-stop"), Stop::new());
    stop.set();
    let report = run(&args, &stop).unwrap();
    assert!(!report.complete && report.disk_write_gb_per_s.is_none());
    assert!(report.to_string().contains("PARTIAL"), "{report}");
    std::fs::remove_dir(&args.dir).unwrap();
}

#[test]
fn what_makes_no_sense_is_refused() {
    for change in [
        (|args| args.block_bytes = 0) as fn(&mut CeilingArgs),
        |args| args.block_bytes = 1000,
        |args| args.block_bytes = 1 << 40,
        |args| args.depth = 0,
        |args| args.depth = 100_000,
        |args| args.bytes = u64::MAX,
    ] {
        let mut args = CeilingArgs::new(&std::env::temp_dir());
        change(&mut args);
        let refused = run(&args, &Stop::new());
        assert!(matches!(refused, Err(BenchError::Argument(_))), "{args:?}");
    }
    let error = run(&CeilingArgs::new(&PathBuf::from("/absent")), &Stop::new()).unwrap_err();
    assert!(error.to_string().contains("/absent"), "{error}");
}

#[test]
fn a_disk_that_is_too_small_is_told_before_anything_is_written() {
    let mut args = small("ceiling-full");
    args.bytes = 1 << 50;
    args.is_confirmed = true;
    let error = run(&args, &Stop::new()).unwrap_err().to_string();
    // ext4 knows how much a file can hold, others how much is free.
    assert!(error.contains("reserving space"), "{error}");
    assert_eq!(std::fs::read_dir(&args.dir).unwrap().count(), 0);
    std::fs::remove_dir(&args.dir).unwrap();
}

#[test]
fn another_host_counts_what_has_arrived() {
    let (tell, told) = mpsc::channel();
    let stop = Stop::new();
    let its_stop = stop.clone();
    let ready = move |address: SocketAddr| tell.send(address).unwrap();
    let server = thread::spawn(move || tcp_server("127.0.0.1:0", None, &its_stop, ready));
    let address = told.recv().unwrap().to_string();
    let sent = tcp_client(&address, Duration::from_millis(30), &Stop::new()).unwrap();
    assert!(sent.bytes > 0, "{sent:?}");
    stop.set();
    server.join().unwrap().unwrap();
    let refused = tcp_client(&address, Duration::from_millis(30), &Stop::new());
    assert!(matches!(refused, Err(BenchError::Client(_))), "{refused:?}");
}

#[test]
fn reports_read_well() {
    let mut report = CeilingReport::new(&CeilingArgs::new(&PathBuf::from("/da\"ta")));
    report.complete = true;
    let spread = |median| Some(Spread { min: median - 1.0, median, max: median + 1.0, count: 3 });
    report.disk_write_gb_per_s = spread(2.0);
    report.sync_p50_us = spread(76.04);
    report.network_gb_per_s = spread(5.5);
    let text = report.to_string();
    for told in ["2.000 GB/s (1.000 .. 3.000)", "76 us", "4 at once", "TCP", "/da\"ta"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    assert!(!text.contains("memcpy") && !text.contains("PARTIAL"), "{text}");
    let yardstick = report.yardstick();
    assert_eq!((yardstick.network_gb_per_s, yardstick.memcpy_gb_per_s), (Some(5.5), None));
}
