//! `corelane bench` as a program: exit codes, what it prints and writes, what it leaves behind.

mod harness;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use harness::broker::Broker;
use harness::options::Options;

fn bench(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_corelane"));
    command.arg("bench").args(arguments.split_whitespace());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{output:?}"))
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

fn json_file(name: &str) -> PathBuf {
    let name = format!("{name}-{}.json", std::process::id());
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn a_broker_is_loaded_and_left_as_it_was() {
    let broker = Broker::any(Options::default());
    let (bootstrap, json) = (broker.bootstrap(), json_file("produce"));
    let common = format!("--bootstrap {bootstrap} --duration 300ms --warmup 50ms");
    let produce = format!(
        "produce {common} --partitions 3 --connections 2 --batch-bytes 16KiB --json {}",
        json.display()
    );
    let output = bench(&produce).output().expect("it runs");
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(text(&output.stdout).contains("records"), "{output:?}");
    let written = fs::read_to_string(&json).expect("it was written");
    fs::remove_file(&json).expect("it is there");
    for told in ["\"complete\": true", "\"left_behind\": null", "\"partitions\": 3"] {
        assert!(written.contains(told), "{told}: {written}");
    }
    let ping_pong = format!("ping-pong {common} --rate 500 --connections 3");
    let output = bench(&ping_pong).output().expect("it runs");
    assert_eq!(code(&output), 0, "{output:?}");

    let absent = format!("produce {common} --topic corelane-bench-absent");
    let output = bench(&absent).output().expect("it runs");
    assert_eq!((code(&output), output.stdout.len()), (1, 0), "{output:?}");
    assert!(text(&output.stderr).contains("does not exist"), "{output:?}");
    let output = bench("produce --rate 1 --in-flight 1").output().expect("it runs");
    assert_eq!(code(&output), 2, "{output:?}");
}

/// Runs it, expects it to be whole, and returns what it has printed.
fn whole(arguments: &str) -> String {
    let output = bench(arguments).output().expect("it runs");
    assert_eq!(code(&output), 0, "{arguments}: {output:?}");
    text(&output.stdout).to_owned()
}

#[test]
fn every_record_reaches_every_reader_once_and_in_order() {
    let broker = Broker::any(Options::default());
    let common = format!(
        "--bootstrap {} --duration 500ms --warmup 50ms --partitions 3 --connections 2 \
         --batch-bytes 2KiB --pool-bytes 1MiB --max-wait 100ms",
        broker.bootstrap()
    );
    for arguments in [
        format!("e2e {common} --rate 20000"),
        format!("e2e {common} --in-flight 2 --compression zstd --compressibility 0.5"),
        format!("fan-out {common} --rate 5000 --readers 3 --keys zipf:100 --acks 1"),
    ] {
        let told = whole(&arguments);
        assert!(told.contains("each once and in order"), "{arguments}: {told}");
        assert!(told.contains("acknowledged"), "{arguments}: {told}");
    }
}

#[test]
fn a_backlog_is_prepared_and_requests_are_mixed() {
    let broker = Broker::any(Options::default());
    let common = format!(
        "--bootstrap {} --duration 300ms --pool-bytes 1MiB --partitions 2",
        broker.bootstrap()
    );
    let told = whole(&format!("consume {common} --prepare 2MB --compression gzip:1"));
    assert!(told.contains("consume") && told.contains("different ones"), "{told}");
    let told = whole(&format!("mixed {common} --warmup 50ms --rate 300 --batch-bytes 4KiB"));
    for kind in ["produce", "fetch", "metadata"] {
        assert!(told.contains(kind), "{kind}: {told}");
    }
    let asked = format!("--bootstrap {} --duration 100ms --warmup 0s", broker.bootstrap());
    for api in ["metadata", "produce"] {
        whole(&format!("ping-pong {asked} --api {api} --connections 20"));
    }
    let missing = format!("produce {asked} --payload-file absent.bin");
    let output = bench(&missing).output().expect("it runs");
    assert_eq!(code(&output), 1, "{output:?}");
    assert!(text(&output.stderr).contains("absent.bin"), "{output:?}");
}

/// Connections of this machine that are established to a port.
fn connections_to(port: u16) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").expect("/proc");
    let is_meant = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields[2].ends_with(&format!(":{port:04X}")) && fields[3] == "01"
    };
    table.lines().skip(1).filter(is_meant).count()
}

#[test]
fn ctrl_c_keeps_what_was_measured() {
    let broker = Broker::any(Options::default());
    let json = json_file("interrupted");
    let arguments = format!(
        "produce --bootstrap {} --duration 60s --warmup 0s --rate 10000 --pool-bytes 1MiB --json {}",
        broker.bootstrap(),
        json.display()
    );
    let child = bench(&arguments).spawn().expect("it runs");
    // One connection asks, the next one loads: then there is something to measure. One that only
    // asks whether the topic is served is gone at the second look.
    let (began, mut looks) = (Instant::now(), 0);
    while looks < 2 {
        looks = if connections_to(broker.address().port()) < 2 { 0 } else { looks + 1 };
        assert!(began.elapsed() < Duration::from_secs(120), "it does not begin");
        std::thread::sleep(Duration::from_millis(50));
    }
    // SAFETY: kill(2) touches no memory; the pid is a child that has not been reaped.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGINT) }, 0);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(code(&output), 3, "{output:?}");
    assert!(text(&output.stdout).contains("PARTIAL: ended early: interrupted"), "{output:?}");
    let written = fs::read_to_string(&json).expect("it was written");
    fs::remove_file(&json).expect("it is there");
    for told in ["\"complete\": false", "\"ended_by\": \"interrupted\"", "\"left_behind\": null"] {
        assert!(written.contains(told), "{told}: {written}");
    }
}
