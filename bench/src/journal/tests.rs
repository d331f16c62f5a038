//! The bound itself.

use std::time::Duration;

use super::{JournalArgs, JournalReport, run};
use crate::error::BenchError;
use crate::stop::Stop;

fn small(name: &str) -> JournalArgs {
    let exe = std::env::current_exe().unwrap();
    let dir = exe.ancestors().nth(3).unwrap().join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    JournalArgs { duration: Duration::from_millis(20), repeats: 2, ..JournalArgs::new(&dir) }
}

#[test]
fn every_record_is_synced_then_moved_and_nothing_is_left() {
    let args = JournalArgs { producers: 300, partitions: 2, ..small("journal") };
    let measured = super::measure(&args, &Stop::new()).unwrap();
    let commits = measured.commits.len();
    assert_eq!(measured.appends, commits * 300);
    // Each partition has the half; what fills no run of 128 KiB stays behind.
    let runs_bytes = measured.appends / 2 * 1024 / (128 << 10) * (128 << 10);
    assert_eq!(measured.segment_bytes, 2 * runs_bytes);
    // No write and sync is faster.
    assert!(measured.commits.min() > 1_000, "{} ns", measured.commits.min());
    let report = run(&args, &Stop::new()).unwrap();
    assert!(report.complete && report.appends_per_s.unwrap().count == 2, "{report}");
    assert!(report.commit_p50_us.unwrap().median <= report.commit_p99_us.unwrap().median);
    assert_eq!(std::fs::read_dir(&args.dir).unwrap().count(), 0);
    std::fs::remove_dir(&args.dir).unwrap();
    let json = serde_json::to_string(&report).unwrap();
    let read: JournalReport = serde_json::from_str(&json).unwrap();
    assert_eq!((read.kind.as_str(), read.producers), ("journal", 300));
}

#[test]
fn what_no_journal_could_do_is_refused_and_an_interrupted_one_says_so() {
    let good = small("journal-refused");
    for (producers, record_bytes, partitions) in
        [(0, 1, 1), (1, 0, 1), (1, 1, 0), (usize::MAX, 1024, 1), (1, usize::MAX, 1), (1, 1, 5000)]
    {
        let args = JournalArgs { producers, record_bytes, partitions, ..good.clone() };
        let error = run(&args, &Stop::new()).unwrap_err();
        assert!(matches!(error, BenchError::Argument(_)), "{producers} {record_bytes}: {error}");
    }
    let absent = JournalArgs { dir: good.dir.join("absent"), ..good.clone() };
    assert!(matches!(run(&absent, &Stop::new()), Err(BenchError::File { .. })));
    let stop = Stop::new();
    stop.set();
    let report = run(&good, &stop).unwrap();
    assert!(!report.complete && report.appends_per_s.is_none(), "{report}");
    assert!(report.to_string().contains("PARTIAL"), "{report}");
    std::fs::remove_dir(&good.dir).unwrap();
}
