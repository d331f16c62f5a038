//! `corelane tune check` as a program: what it prints, its exit codes, what it leaves behind; and what
//! `corelane serve` says of a machine that it can't run on.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;

/// A directory on a disk, removed when the test ends.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Home {
        let name = format!("tune-{name}-{}", std::process::id());
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&home).unwrap();
        Home(home)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn corelane(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_corelane"));
    command.args(arguments).env_remove("CORELANE_LISTEN").env_remove("CORELANE_DATA_DIR");
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_machine_that_serves_is_fit_to_serve() {
    let home = Home::new("fit");
    let dir = home.0.join("new/data");
    let listen = format!("127.0.0.1:{}", free_port());
    let arguments = [
        "tune",
        "check",
        "--data-dir",
        dir.to_str().unwrap(),
        "--listen",
        &listen,
        "--shards",
        "1",
    ];
    let output = corelane(&arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines: Vec<Vec<&str>> =
        text(&output.stdout).lines().map(|line| line.split('\t').collect()).collect();
    for columns in &lines {
        assert!(matches!(columns[1], "ok" | "slows" | "unknown"), "{columns:?}");
        assert_eq!(columns.len(), if columns[1] == "slows" { 5 } else { 3 }, "{columns:?}");
    }
    let value = |id| lines.iter().find(|columns| columns[0] == id).map(|columns| columns[2]);
    assert_eq!(value("port"), Some(&*format!("{listen} is free")));
    assert!(value("kernel").is_some_and(|value| value.starts_with("Linux ")));
    assert!(!home.0.join("new").exists(), "nothing was made");
    assert_eq!(fs::read_dir(&home.0).unwrap().count(), 0, "nothing was left");

    let output = corelane(&[&arguments[..], &["--json"]].concat());
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["starts"], true);
    assert_eq!(json["findings"].as_array().unwrap().len(), lines.len());
}

#[test]
fn what_prevents_a_start_is_told_with_what_mends_it() {
    let home = Home::new("prevented");
    let file = home.0.join("file");
    fs::write(&file, b"mine").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let dir = file.to_str().unwrap();
    let output = corelane(&["tune", "check", "--json", "--data-dir", dir, "--listen", &listen]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["starts"], false);
    let findings = json["findings"].as_array().unwrap();
    let prevents = |found: &&Value| found["status"] == "prevents start";
    let ids: Vec<_> = findings.iter().filter(prevents).map(|found| &found["check"]).collect();
    assert_eq!(ids, ["data-dir", "port"]);
    assert!(findings[0]["problem"].as_str().unwrap().ends_with("file is a file"), "{json}");
    assert!(findings[1]["remedy"].as_str().unwrap().contains("ss -ltnp"), "{json}");
    assert_eq!(fs::read(&file).unwrap(), b"mine");

    let output = corelane(&["serve", "--data-dir", dir, "--listen", "127.0.0.1:0"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{output:?}");
    assert!(text(&output.stderr).contains("is a file"), "{output:?}");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn options_are_checked() {
    for wrong in [&["tune"][..], &["tune", "nonsense"], &["tune", "check", "--nonsense"]] {
        assert_eq!(corelane(wrong).status.code(), Some(2), "{wrong:?}");
    }
    // What a value may be is judged as for `serve`.
    for (option, value) in [("--listen", "nowhere"), ("--shards", "0")] {
        let output = corelane(&["tune", "check", option, value]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{output:?}");
        assert!(text(&output.stderr).contains(option), "{output:?}");
    }
}
