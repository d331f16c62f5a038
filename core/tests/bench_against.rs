//! `corelane bench` with brokers that it starts itself: series, sweeps, comparisons, the ceiling; what
//! their files hold, and what they leave behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A directory of one test's own; gone at its end unless the test failed.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let name = format!("{name}-{}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("a directory");
        Dir(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The names of all that is there.
    fn names(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(&self.0).expect("it is there").flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        if !thread::panicking() {
            fs::remove_dir_all(&self.0).expect("it is there");
        }
    }
}

fn bench(dir: &Dir, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_corelane"));
    command.arg("bench").args(arguments.split_whitespace()).current_dir(&dir.0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it; its exit code, its stdout and its stderr.
fn run(dir: &Dir, arguments: &str) -> (i32, String, String) {
    let output = bench(dir, arguments).output().expect("it runs");
    told(&output)
}

fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap_or_else(|| panic!("{output:?}"));
    (code, text(&output.stdout), text(&output.stderr))
}

fn json(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).expect("JSON")
}

/// A run's times: short, for nothing here is about speed.
const SHORT: &str = "--duration 300ms --warmup 50ms";

#[test]
fn runs_alternate_and_nothing_is_left_of_their_brokers() {
    let dir = Dir::new("against");
    let (code, out, err) = run(
        &dir,
        &format!("produce --spawn --null --repeats 2 --partitions 2 {SHORT} --json r.json"),
    );
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("corelane / null, per pair") && out.contains("% of null"), "{out}");
    assert_eq!(dir.names(), BTreeSet::from(["r.json".to_owned()]));
    let result = json(&dir.file("r.json"));
    assert_eq!((&result["kind"], &result["complete"]), (&"series".into(), &true.into()));
    let runs = result["runs"].as_array().expect("runs");
    let order: Vec<_> = runs.iter().map(|run| run["contender"].as_u64().expect("index")).collect();
    assert_eq!(order, [0, 1, 0, 1]);
    for run in runs {
        let (report, is_null) = (&run["report"], run["contender"] == 1);
        assert_eq!(run["percent_of_null"].is_null(), is_null, "{run}");
        assert!(report["result"]["bytes"].as_u64().expect("bytes") > 0, "{run}");
        // The process was found, and watched.
        assert!(report["result"]["usage"]["broker"]["resident_bytes_max"].as_u64() > Some(1 << 20));
        let words = report["broker"]["command_line"].as_array().expect("words");
        assert!(words.iter().any(|word| word == if is_null { "null-broker" } else { "serve" }));
    }
    let pids: BTreeSet<_> =
        runs.iter().map(|run| run["report"]["broker"]["pid"].as_u64().expect("a pid")).collect();
    assert_eq!(pids.len(), 4, "each run has a broker of its own");
    for pid in pids {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&words).contains("127.0.0.1:"), "{pid} lives");
    }
}

#[test]
fn what_can_not_be_done_is_told_before_anything_runs() {
    let dir = Dir::new("refused");
    let (code, out, err) = run(&dir, "ping-pong --spawn --spawn-arg=--nonsense");
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    assert!(err.contains("unexpected argument '--nonsense'") && err.contains("serve"), "{err}");
    let (code, _, err) = run(&dir, "ping-pong --spawn --spawn-dir absent");
    assert!(code == 1 && err.contains("absent"), "{err}");
    let (code, _, err) = run(&dir, "ping-pong --spawn --duration 1h --json absent/r.json");
    assert!(code == 1 && err.contains("absent/r.json"), "{err}");
    let (code, _, err) = run(&dir, "ping-pong --bootstrap 127.0.0.1:1 --json r.json");
    assert!(code == 1 && err.contains("127.0.0.1:1"), "{err}");
    fs::write(dir.file("no-ceiling.json"), "{}").expect("written");
    let (code, _, err) = run(&dir, "ping-pong --spawn --ceiling no-ceiling.json");
    assert!(code == 1 && err.contains("no-ceiling.json"), "{err}");
    for wrong in ["ping-pong --spawn --bootstrap h:1", "ping-pong --sweep", "compare a.json"] {
        assert_eq!(run(&dir, wrong).0, 2, "{wrong}");
    }
    assert_eq!(dir.names(), BTreeSet::from(["no-ceiling.json".to_owned()]));
}

#[test]
fn ctrl_c_keeps_the_finished_pairs_and_ends_the_brokers() {
    let dir = Dir::new("interrupted");
    let arguments =
        "ping-pong --spawn --null --repeats 500 --duration 200ms --warmup 0s --json r.json";
    let child = bench(&dir, arguments).stderr(Stdio::null()).spawn().expect("it runs");
    // Long enough for some pairs: it is looked for brokers that have come and gone.
    let scratch = || dir.names().into_iter().find(|name| name.contains("scratch"));
    let number = || {
        let runs = fs::read_dir(dir.file(&scratch()?)).ok()?.flatten();
        let names = runs.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter_map(|name| name.strip_prefix("run-")?.parse::<u64>().ok()).max()
    };
    let began = Instant::now();
    while number() < Some(3) {
        assert!(began.elapsed() < Duration::from_secs(120), "the third run does not begin");
        thread::sleep(Duration::from_millis(5));
    }
    // SAFETY: kill(2) touches no memory; the pid is a child that has not been reaped.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGINT) }, 0);
    let (code, out, _) = told(&child.wait_with_output().expect("it ends"));
    assert_eq!(code, 3, "{out}");
    assert!(out.contains("PARTIAL: ended early: interrupted"), "{out}");
    let result = json(&dir.file("r.json"));
    assert_eq!((&result["complete"], &result["ended_by"]), (&false.into(), &"interrupted".into()));
    assert!(result["runs"].as_array().is_some_and(|runs| runs.len() >= 2));
    assert!(result["ratios"][0]["figures"].as_array().is_some_and(|figures| !figures.is_empty()));
    assert_eq!(dir.names(), BTreeSet::from(["r.json".to_owned()]));
}

#[test]
fn a_result_is_better_worse_or_the_same() {
    let dir = Dir::new("compared");
    let (code, out, err) = run(&dir, &format!("ping-pong --spawn {SHORT} --json a.json"));
    assert_eq!(code, 0, "{out}{err}");
    let figure = "--figure requests_per_s";
    let (code, out, err) = run(&dir, &format!("compare a.json a.json {figure}"));
    assert!(code == 0 && out.contains("0 worse, 0 better, 1 the same"), "{out}{err}");

    let mut slower = json(&dir.file("a.json"));
    let rate = slower["result"]["requests_per_s"].as_f64().expect("a rate");
    slower["result"]["requests_per_s"] = (rate * 0.9).into();
    fs::write(dir.file("b.json"), slower.to_string()).expect("written");
    let (code, out, _) = run(&dir, &format!("compare a.json b.json {figure}"));
    assert!(code == 4 && out.contains("WORSE"), "{out}");
    assert_eq!(run(&dir, &format!("compare b.json a.json {figure}")).0, 0);
    assert_eq!(run(&dir, &format!("compare a.json b.json {figure} --tolerance 20%")).0, 0);

    slower["result"]["requests_per_s"] = rate.into();
    slower["complete"] = false.into();
    fs::write(dir.file("c.json"), slower.to_string()).expect("written");
    let (code, out, _) = run(&dir, &format!("compare a.json c.json {figure}"));
    assert!(code == 3 && out.contains("PARTIAL"), "{out}");
    slower["settings"]["connections"] = 77.into();
    fs::write(dir.file("d.json"), slower.to_string()).expect("written");
    let (code, _, err) = run(&dir, "compare a.json d.json");
    assert!(code == 1 && err.contains("settings.connections: 1 and 77"), "{err}");
    slower["schema_version"] = 999.into();
    fs::write(dir.file("e.json"), slower.to_string()).expect("written");
    let (code, _, err) = run(&dir, "compare a.json e.json");
    assert!(code == 1 && err.contains("schema version 999"), "{err}");
}

/// Keys of all objects, but for those whose keys are data.
fn keys(value: &Value, found: &mut BTreeSet<String>) {
    const MAPS: [&str; 6] =
        ["settings", "configs", "api_versions", "features", "refusals", "parts"];
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                found.insert(key.clone());
                if !MAPS.contains(&key.as_str()) {
                    keys(value, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

#[test]
fn the_page_on_results_names_what_is_in_them_and_nothing_else() {
    let dir = Dir::new("schema");
    let ceiling =
        "ceiling . --bytes 1MiB --syncs 5 --duration 10ms --repeats 1 --json ceiling.json";
    let (code, out, err) = run(&dir, ceiling);
    assert_eq!(code, 0, "{out}{err}");
    let load = "--rate 100000 --ceiling ceiling.json";
    let (code, out, err) =
        run(&dir, &format!("produce --spawn --null --repeats 1 {SHORT} {load} --json series.json"));
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("corelane / null"), "{out}");
    let sweep = "--sweep --p99-max 1us --rate-first 200 --rate-min 100";
    let (code, out, err) =
        run(&dir, &format!("ping-pong --spawn {SHORT} --repeats 1 {sweep} --json sweep.json"));
    // Nothing answers within a microsecond: that is found out, and no failure.
    assert!(code == 0 && out.contains("the bound holds at no rate"), "{out}{err}");
    assert!(json(&dir.file("sweep.json"))["knee_per_s"].is_null());
    let (code, out, err) = run(&dir, &format!("e2e --spawn {SHORT} --json e2e.json"));
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, err) =
        run(&dir, "journal . --duration 20ms --repeats 2 --partitions 3 --json journal.json");
    assert!(code == 0 && out.contains("appends"), "{out}{err}");
    let (_, compared, err) = run(&dir, "compare series.json series.json --json");

    let mut found = BTreeSet::new();
    for name in ["ceiling.json", "series.json", "sweep.json", "e2e.json", "journal.json"] {
        keys(&json(&dir.file(name)), &mut found);
    }
    keys(&serde_json::from_str(&compared).unwrap_or_else(|_| panic!("{err}")), &mut found);
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/bench-results.md"));
    let page = page.expect("docs/bench-results.md");
    let row = |line: &str| {
        let names = line.strip_prefix("| `")?.split_once(" | ")?.0.trim_end();
        Some(names.split("`, `").map(|name| name.trim_matches('`').to_owned()).collect::<Vec<_>>())
    };
    let documented: BTreeSet<String> = page.lines().filter_map(row).flatten().collect();
    let missing: Vec<_> = found.difference(&documented).collect();
    let gone: Vec<_> = documented.difference(&found).collect();
    assert!(missing.is_empty(), "not in docs/bench-results.md: {missing:?}");
    assert!(gone.is_empty(), "in docs/bench-results.md, but in no result: {gone:?}");
}

#[test]
fn a_sweep_finds_the_rate_that_the_null_broker_is_limited_to() {
    let dir = Dir::new("sweep");
    let null = Command::new(env!("CARGO_BIN_EXE_corelane"))
        .args(["bench", "null-broker", "--listen", "127.0.0.1:21590", "--duration", "60s"])
        .stdout(Stdio::null())
        .spawn();
    let mut null = null.expect("it runs");
    let began = Instant::now();
    while std::net::TcpStream::connect("127.0.0.1:21590").is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "it does not serve");
        thread::sleep(Duration::from_millis(10));
    }
    // A bound of a minute always holds: the end is the highest rate that may be tried.
    let sweep = "--sweep --p99-max 60s --rate-first 100 --rate-max 300 --json sweep.json";
    let (code, out, err) =
        run(&dir, &format!("ping-pong --bootstrap 127.0.0.1:21590 {SHORT} {sweep}"));
    null.kill().expect("it runs");
    null.wait().expect("it ends");
    assert!(code == 0 && out.contains("knee: at 300 /s or above"), "{out}{err}");
    let result = json(&dir.file("sweep.json"));
    assert_eq!((&result["knee_per_s"], &result["is_at_least"]), (&300.0.into(), &true.into()));
    let rates: Vec<_> = (result["points"].as_array().expect("points").iter())
        .map(|point| point["rate_per_s"].as_f64().expect("a rate"))
        .collect();
    assert!(rates.starts_with(&[100.0, 200.0, 300.0]) && rates.len() >= 4, "{rates:?}");
}
