//! Results against results.

use std::path::Path;

use serde_json::{Value, json};

use super::{ComparisonArgs, ComparisonError, Document, DocumentError, Verdict, compare};

fn run(mb_per_s: f64, p99_us: f64) -> Value {
    json!({
        "schema_version": 1, "kind": "run", "workload": "produce", "complete": true,
        "ended_by": null, "left_behind": null,
        "settings": {"partitions": 4, "acks": -1},
        "environment": environment(),
        "result": {
            "seconds": 10.0, "requests": 100, "requests_per_s": mb_per_s, "records": 1000,
            "records_per_s": 10.0 * mb_per_s, "bytes": 1_000_000, "mb_per_s": mb_per_s,
            "unanswered": 0, "refusals": {}, "throttled": 0, "throttle_ms_max": 0,
            "latency": {
                "samples": 100, "mean_us": p99_us, "p50_us": p99_us, "p90_us": p99_us,
                "p99_us": p99_us, "p99_9_us": p99_us, "p99_99_us": p99_us, "max_us": p99_us
            },
            "naive_latency": null, "schedule_lateness": null, "generator_busy_share": 0.5,
            "generator_was_bottleneck": false,
            "usage": {"client_cpu_s": 1.0, "machine_cpu_s": 2.0, "broker": null},
            "broker_cpu_s_per_gb": null, "broker_cpu_s_per_million_requests": null,
            "machine_cpu_s_per_gb": 1.0
        }
    })
}

fn environment() -> Value {
    json!({
        "command_line": ["corelane"], "program_version": "0.1.0", "kernel": "Linux 6", "cpu": "x",
        "cores": 2, "memory_bytes": 1, "load_average_1_min": 0.0, "began_unix_s": 1
    })
}

fn series(name: &str, throughputs: &[f64]) -> Value {
    let runs = throughputs.iter().enumerate().map(|(round, mb_per_s)| {
        let report = run(*mb_per_s, 100.0);
        json!({"contender": 0, "round": round + 1, "percent_of_null": null, "report": report})
    });
    let settings = json!({"partitions": 4, "acks": -1});
    json!({
        "schema_version": 1, "kind": "series", "workload": "produce", "complete": true,
        "ended_by": null, "settings": settings, "environment": environment(), "repeats": 3,
        "contenders": [{"name": name, "is_started": true, "is_null": false}],
        "runs": runs.collect::<Vec<_>>(), "ratios": []
    })
}

fn document(json: &Value) -> Document {
    Document::parse(Path::new("result.json"), json.to_string().as_bytes()).unwrap()
}

fn args() -> ComparisonArgs {
    ComparisonArgs { tolerance: 0.05, is_forced: false, figures: Vec::new() }
}

fn verdict(before: &Value, after: &Value, figure: &str) -> Verdict {
    let report = compare(&document(before), &document(after), &args()).unwrap();
    let change = report.changes.iter().find(|change| change.figure == figure);
    assert_eq!(
        report.has_regression(),
        report.changes.iter().any(|change| change.verdict == Verdict::Worse)
    );
    change.unwrap_or_else(|| panic!("{figure}: {report}")).verdict
}

#[test]
fn single_runs_differ_beyond_the_tolerance_only() {
    let before = run(100.0, 1000.0);
    for (mb_per_s, expected) in [
        (100.0, Verdict::Same),
        (104.0, Verdict::Same),
        (96.0, Verdict::Same),
        (106.0, Verdict::Better),
        (94.0, Verdict::Worse),
    ] {
        assert_eq!(verdict(&before, &run(mb_per_s, 1000.0), "mb_per_s"), expected, "{mb_per_s}");
    }
    for (p99_us, expected) in
        [(1040.0, Verdict::Same), (1060.0, Verdict::Worse), (900.0, Verdict::Better)]
    {
        assert_eq!(verdict(&before, &run(100.0, p99_us), "latency_p99_us"), expected, "{p99_us}");
    }
}

#[test]
fn what_lies_within_the_noise_of_the_runs_is_no_change() {
    let before = series("corelane", &[90.0, 100.0, 110.0]);
    for (after, expected) in [
        (&[80.0, 85.0, 89.0][..], Verdict::Worse),
        (&[80.0, 85.0, 91.0], Verdict::Noise),
        (&[111.0, 130.0, 150.0], Verdict::Better),
        (&[50.0, 99.0, 150.0], Verdict::Same),
        (&[85.0], Verdict::Worse),
    ] {
        assert_eq!(verdict(&before, &series("corelane", after), "mb_per_s"), expected, "{after:?}");
    }
    // Of one broker each: whatever they are called.
    assert_eq!(verdict(&run(100.0, 1.0), &before, "mb_per_s"), Verdict::Same);
    assert_eq!(verdict(&before, &series("kafka", &[1.0]), "mb_per_s"), Verdict::Worse);
}

#[test]
fn only_the_same_load_is_compared() {
    let mut other = run(100.0, 1.0);
    other["settings"]["acks"] = json!(1);
    other["settings"]["topic"] = json!("t");
    other["workload"] = json!("consume");
    let (before, after) = (document(&run(100.0, 1.0)), document(&other));
    let Err(ComparisonError::Different(lines)) = compare(&before, &after, &args()) else {
        panic!("compared")
    };
    let expected = [
        "workload: produce and consume",
        "settings.acks: -1 and 1",
        "settings.topic: null and \"t\"",
    ];
    assert_eq!(lines, expected);
    let forced = ComparisonArgs { is_forced: true, ..args() };
    let report = compare(&before, &after, &forced).unwrap();
    assert_eq!(report.notes.len(), 3, "{report}");
    assert!(!report.has_regression());
}

#[test]
fn partial_results_and_other_machines_are_told() {
    let mut partial = run(50.0, 1.0);
    partial["complete"] = json!(false);
    partial["ended_by"] = json!("interrupted");
    partial["environment"]["kernel"] = json!("Linux 7");
    partial["result"]["generator_was_bottleneck"] = json!(true);
    let report = compare(&document(&run(100.0, 1.0)), &document(&partial), &args()).unwrap();
    assert!(report.is_partial && report.has_regression(), "{report}");
    let text = report.to_string();
    for told in ["result.json is PARTIAL", "another kernel", "generator", "WORSE", "-50.0 %"] {
        assert!(text.contains(told), "{told}: {text}");
    }
}

#[test]
fn figures_can_be_chosen() {
    let (before, after) = (document(&run(100.0, 100.0)), document(&run(100.0, 500.0)));
    let only = |names: &[&str]| ComparisonArgs {
        figures: names.iter().map(|name| (*name).to_owned()).collect(),
        ..args()
    };
    let report = compare(&before, &after, &only(&["mb_per_s"])).unwrap();
    assert!(!report.has_regression() && report.changes.len() == 1, "{report}");
    let error = compare(&before, &after, &only(&["speed"])).unwrap_err();
    assert!(error.to_string().contains("latency_p99_us"), "{error}");
}

#[test]
fn what_is_no_result_is_refused_with_its_reason() {
    let parse = |json: &str| Document::parse(Path::new("x.json"), json.as_bytes());
    let mut newer = run(1.0, 1.0);
    newer["schema_version"] = json!(2);
    let error = parse(&newer.to_string()).unwrap_err();
    assert!(matches!(error, DocumentError::Version { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("version 2") && text.contains("corelane 0.1.0"), "{text}");
    let mut sweep = run(1.0, 1.0);
    sweep["kind"] = json!("sweep");
    assert!(matches!(parse(&sweep.to_string()), Err(DocumentError::Kind { .. })));
    for wrong in ["", "{", "[]", "{}", "null", "7", "{\"schema_version\": 1}"] {
        assert!(matches!(parse(wrong), Err(DocumentError::Json { .. })), "{wrong}");
    }
    let absent = Document::read(Path::new("/absent.json")).unwrap_err();
    assert!(absent.to_string().contains("/absent.json"), "{absent}");
    // Contenders that the other side lacks are no comparison.
    let mut two = series("corelane", &[1.0]);
    two["contenders"] = json!([
        {"name": "corelane", "is_started": true, "is_null": false},
        {"name": "null", "is_started": true, "is_null": true}
    ]);
    let error = compare(&document(&two), &document(&run(1.0, 1.0)), &args()).unwrap_err();
    assert!(matches!(error, ComparisonError::Nothing(..)), "{error}");
}

#[test]
fn a_figure_that_is_absent_is_missing_and_not_the_same() {
    let whole = run(100.0, 100.0);
    let mut silent = whole.clone();
    silent["result"]["latency"] = json!(null);
    let only = |name: &str| ComparisonArgs { figures: vec![name.to_owned()], ..args() };
    let report = compare(&document(&whole), &document(&silent), &args()).unwrap();
    assert!(report.lacks_figures() && !report.has_regression(), "{report}");
    assert_eq!(verdict(&whole, &silent, "latency_p99_us"), Verdict::Missing);
    assert_eq!(verdict(&whole, &silent, "mb_per_s"), Verdict::Same);
    assert!(report.to_string().contains("3 MISSING"), "{report}");
    // What the first result did not have either is missed only if it was asked for.
    let report = compare(&document(&silent), &document(&whole), &args()).unwrap();
    assert!(!report.lacks_figures(), "{report}");
    for (before, after) in [(&whole, &silent), (&silent, &whole), (&silent, &silent)] {
        let named = only("latency_p99_us");
        assert!(compare(&document(before), &document(after), &named).unwrap().lacks_figures());
    }
    let named = compare(&document(&whole), &document(&whole), &only("latency_p99_us")).unwrap();
    assert!(!named.lacks_figures() && named.changes.len() == 1, "{named}");
}
