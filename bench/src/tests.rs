//! The yardstick itself.

use std::path::PathBuf;
use std::time::Duration;

use crate::ceiling::{CeilingArgs, CeilingError, run};
use crate::report::{CeilingReport, Latency, Throughput, json_string};

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
    args
}

#[test]
fn all_bytes_are_moved_and_nothing_is_left() {
    let args = small("ceiling");
    let report = run(&args).unwrap();
    assert_eq!((report.write.bytes, report.read.bytes), (16 << 20, 16 << 20));
    assert!(report.write.seconds > 0.0 && report.read.seconds > 0.0);
    let Latency { samples, p50_us, p99_us, max_us } = report.sync;
    assert_eq!(samples, 20);
    // No system call answers faster.
    assert!(0.1 < p50_us && p50_us <= p99_us && p99_us <= max_us, "{:?}", report.sync);
    assert_eq!(std::fs::read_dir(&args.dir).unwrap().count(), 0);
    std::fs::remove_dir(&args.dir).unwrap();
}

#[test]
fn the_time_limit_ends_each_phase_after_at_least_one_operation() {
    let mut args = small("ceiling-time");
    args.duration_max = Duration::ZERO;
    let report = run(&args).unwrap();
    let (written, read) = (report.write.bytes >> 20, report.read.bytes >> 20);
    assert!((1..=args.depth as u64).contains(&written), "{written} MiB");
    assert!((1..=written).contains(&read), "{read} MiB");
    assert_eq!(report.sync.samples, 1);
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
        assert!(matches!(run(&args), Err(CeilingError::Argument(_))), "{args:?}");
    }
    let error = run(&CeilingArgs::new(&PathBuf::from("/absent"))).unwrap_err();
    assert!(error.to_string().contains("/absent"), "{error}");
}

#[test]
fn reports_read_well() {
    let report = CeilingReport {
        dir: PathBuf::from("/da\"ta"),
        direct: true,
        block_bytes: 1 << 20,
        depth: 4,
        write: Throughput { bytes: 2_000_000_000, seconds: 1.0 },
        read: Throughput { bytes: 3_000_000_000, seconds: 2.0 },
        sync: Latency { samples: 9, p50_us: 76.04, p99_us: 149.0, max_us: 1000.0 },
    };
    assert_eq!(
        report.to_json(),
        "{\"dir\":\"/da\\\"ta\",\"direct\":true,\"block_bytes\":1048576,\"depth\":4,\
         \"write_bytes\":2000000000,\"write_gb_per_s\":2.0000,\
         \"read_bytes\":3000000000,\"read_gb_per_s\":1.5000,\
         \"sync_samples\":9,\"sync_p50_us\":76.0,\"sync_p99_us\":149.0,\"sync_max_us\":1000.0}"
    );
    let text = report.to_string();
    for told in ["2.000 GB/s", "1.500 GB/s", "p50 76 us", "p99 149 us", "4 at once"] {
        assert!(text.contains(told), "{text}");
    }
    assert_eq!(Throughput { bytes: 1, seconds: 0.0 }.gb_per_s(), 0.0);
    assert_eq!(json_string("a\n\\"), "\"a\\u000a\\\\\"");
}
