//! `corelane consume`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use super::harness::broker::Broker;
use super::run::{broker, command, end, fed, interrupt, run};

/// A topic with one partition of a hundred numbers.
fn numbers(broker: &Broker, topic: &str) -> String {
    let b = broker.bootstrap();
    run(&b, &format!("topic create {topic} --partitions 1")).succeeds();
    let input: String = (0..100).map(|n| format!("{n}\n")).collect();
    fed(&b, &["produce", topic], input.as_bytes()).succeeds();
    input
}

#[test]
fn reading_starts_and_ends_where_told() {
    let broker = broker();
    let b = broker.bootstrap();
    let all = numbers(&broker, "cmd-read");
    assert_eq!(run(&b, "consume cmd-read").succeeds().text(), all);
    for (options, expected) in [
        ("--from-beginning --count 2", "0\n1\n"),
        ("--offset 98", "98\n99\n"),
        ("--offset -1", "99\n"),
        ("--offset -1000 --count 1", "0\n"),
        ("--offset 100", ""),
        ("--count 0", ""),
        ("--timestamp 2001-01-01 --count 1", "0\n"),
        ("--timestamp 2100-01-01T00:00:00Z", ""),
        ("--timestamp -1h --count 1", "0\n"),
        ("--partition 0 --offset 99 --read-committed", "99\n"),
        ("--offset 99 --delimiter |", "99|"),
    ] {
        let read = run(&b, &format!("consume cmd-read {options}")).succeeds();
        assert_eq!(read.text(), expected, "{options}");
    }
    run(&b, "consume cmd-read --offset 101").says(1, &["no offset 101", "0 up to 100"]);
    run(&b, "consume cmd-read --partition 0,1").says(1, &["no partition 1", "are 0 to 0"]);
    for (options, word) in [
        ("--offset x", "expected an offset"),
        ("--timestamp yesterday", "expected a time such as"),
        ("--from-beginning --offset 1", "cannot be used with"),
        ("--format yaml", "expected raw, json"),
        ("--format %q", "unknown %q"),
        ("--json --format raw", "cannot be used with"),
    ] {
        run(&b, &format!("consume cmd-read {options}")).says(2, &[word]);
    }
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let broker = broker();
    let b = broker.bootstrap();
    run(&b, "topic create cmd-head --partitions 1").succeeds();
    let input: String = (0..100_000).map(|n| format!("{n}\n")).collect();
    fed(&b, &["produce", "cmd-head"], input.as_bytes()).succeeds();
    let mut child = command(&b, &["consume", "cmd-head"]).spawn().expect("it runs");
    let mut first = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    stdout.read_line(&mut first).expect("a line");
    drop(stdout);
    let ran = end(child);
    assert_eq!((first.as_str(), ran.code, ran.stderr.as_str()), ("0\n", 0, ""));
    // A full disk is one.
    let full = File::options().write(true).open("/dev/full").expect("Linux has it");
    let child = command(&b, &["consume", "cmd-head"]).stdout(full).spawn().expect("it runs");
    end(child).says(1, &["writing to standard output", "No space left"]);
}

#[test]
fn what_is_produced_meanwhile_is_followed_until_ctrl_c() {
    let broker = broker();
    let b = broker.bootstrap();
    numbers(&broker, "cmd-follow");
    let follow = ["consume", "cmd-follow", "--follow", "--offset", "-1"];
    let mut child = command(&b, &follow).spawn().expect("it runs");
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    fed(&b, &["produce", "cmd-follow"], b"later\n").succeeds();
    stdout.read_line(&mut line).expect("a line");
    assert_eq!(line, "99\nlater\n");
    interrupt(&child);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("its end");
    let ran = end(child);
    assert_eq!((rest.as_str(), ran.code, ran.stderr.as_str()), ("", 130, ""));
}

#[test]
fn closed_standard_streams_are_survived() {
    let broker = broker();
    let b = broker.bootstrap();
    numbers(&broker, "cmd-closed");
    for line in ["produce cmd-closed <&-", "consume cmd-closed >&-", "topic list >&- 2>&-"] {
        let script = format!("'{}' {line}", env!("CARGO_BIN_EXE_corelane"));
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &script]).env("CORELANE_BOOTSTRAP", &b);
        let child = shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("sh");
        end(child).succeeds();
    }
}
