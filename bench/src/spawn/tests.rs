//! Processes that are started, and what is left of them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Contender, Scratch, SpawnArgs};
use crate::error::BenchError;
use crate::stop::Stop;

fn dir(name: &str) -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let dir = exe.ancestors().nth(3).unwrap().join(format!("{name}-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    dir
}

fn args(dir: &Path) -> SpawnArgs {
    SpawnArgs { dir: dir.to_owned(), cores: vec![0], args: vec!["--word".to_owned()] }
}

#[test]
fn contenders_have_names() {
    for name in ["corelane", "null", "null-write", "cmd:FOO=1 ./kafka.sh", "[::1]:9092", "h:1,i:2"]
    {
        let contender: Contender = name.parse().unwrap();
        assert_eq!(contender.to_string(), name);
    }
    for wrong in ["", "cmd:", "cmd:  ", "kafka", "9092"] {
        assert!(wrong.parse::<Contender>().is_err(), "{wrong}");
    }
}

#[test]
fn what_killed_runs_have_left_is_removed_and_nothing_else() {
    let dir = dir("scratch");
    let used = Scratch::create(&dir).unwrap();
    // Ours, and nobody holds its lock any more.
    let left = dir.join("corelane-bench-scratch-1-0");
    fs::create_dir_all(left.join("run-0")).unwrap();
    File::create(left.join(".corelane-bench-lock")).unwrap();
    // Of the same name, but without a lock: not ours.
    let foreign = dir.join("corelane-bench-scratch-notes");
    fs::create_dir_all(&foreign).unwrap();
    fs::write(dir.join("corelane-bench-scratch-file"), "").unwrap();
    let next = Scratch::create(&dir).unwrap();
    assert!(!left.exists() && foreign.exists() && used.path().exists());
    let paths = [used.path().to_owned(), next.path().to_owned()];
    drop((used, next));
    assert!(paths.iter().all(|path| !path.exists()));
    let error = Scratch::create(&dir.join("absent")).unwrap_err();
    assert!(error.to_string().contains("absent"), "{error}");
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_broker_that_does_not_start_is_heard() {
    let dir = dir("spawn-fails");
    let scratch = Scratch::create(&dir).unwrap();
    // The words behind the command are those of `serve`.
    let command = "sh -c 'echo the port is \"$4\" is it >&2; echo \"$0 $1 $2 $3 ${10}\"; exit 7'";
    let contender = Contender::Command(command.to_owned());
    let error = contender.start(&args(&dir), &scratch, 0, &Stop::new()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, BenchError::Spawn { .. }), "{text}");
    for told in ["exit status: 7", "| the port is", "serve --listen 127.0.0.1:"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let absent = Contender::Command("/absent/broker".to_owned());
    let text = absent.start(&args(&dir), &scratch, 1, &Stop::new()).unwrap_err().to_string();
    assert!(text.contains("/absent/broker"), "{text}");
    let mut wrong = args(&dir);
    wrong.cores = vec![1_000_000];
    let error = absent.start(&wrong, &scratch, 2, &Stop::new()).unwrap_err();
    assert!(matches!(error, BenchError::Argument(_)), "{error}");
    drop(scratch);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    fs::remove_dir(&dir).unwrap();
}

#[test]
fn a_broker_that_never_serves_is_ended_with_the_wish_to_end() {
    let dir = dir("spawn-waits");
    let scratch = Scratch::create(&dir).unwrap();
    let stop = Stop::new();
    let its_stop = stop.clone();
    let waiter = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        its_stop.set();
    });
    let pid = dir.join("pid");
    let command = format!("sh -c 'echo $$ > {}; exec sleep 600'", pid.display());
    let began = Instant::now();
    let started = Contender::Command(command).start(&args(&dir), &scratch, 0, &stop);
    assert!(matches!(started, Err(BenchError::Interrupted)), "{started:?}");
    assert!(began.elapsed() < Duration::from_secs(20));
    waiter.join().unwrap();
    // It is not only told to end: it has ended.
    let pid: u32 = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    let cmdline = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&cmdline).contains("sleep"), "{pid} lives");
    drop(scratch);
    fs::remove_dir_all(&dir).unwrap();
}
