//! `corelane produce`.

use std::io::Write;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use corelane_net::client::partition_of_key;

use super::harness::broker::Broker;
use super::harness::options::Options;
use super::run::{broker, command, end, fed, interrupt, run};

fn lines(count: usize) -> Vec<u8> {
    (0..count).flat_map(|n| format!("line {n}\n").into_bytes()).collect()
}

#[test]
fn a_hundred_thousand_lines_come_back_in_every_codec() {
    let broker = broker();
    let b = broker.bootstrap();
    let input = lines(100_000);
    for codec in ["none", "gzip:1", "snappy", "lz4", "zstd"] {
        let topic = format!("cmd-{}", codec.split(':').next().expect("a name"));
        run(&b, &format!("topic create {topic} --partitions 1")).succeeds();
        let sent = fed(&b, &["produce", &topic, "-z", codec, "--json"], &input).succeeds().json();
        assert_eq!((&sent["records"], &sent["complete"]), (&100_000.into(), &true.into()));
        let back = run(&b, &format!("consume {topic}")).succeeds();
        assert!(back.stdout == input, "{codec}: {} bytes came back", back.stdout.len());
    }
}

#[test]
fn nothing_is_lost_repeated_or_reordered_when_the_broker_is_killed() {
    if Broker::must_skip("a kill while lines are produced") {
        return;
    }
    let mut broker = Broker::start(Options::default());
    let b = broker.bootstrap();
    run(&b, "topic create cmd-kill --partitions 1").succeeds();
    let input = lines(60_000);
    let arguments = ["produce", "cmd-kill", "--rate", "30000", "--batch-bytes", "4KiB"];
    let mut child = command(&b, &arguments).stdin(Stdio::piped()).spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    let feeding = {
        let input = input.clone();
        thread::spawn(move || stdin.write_all(&input).expect("all of it is read"))
    };
    for _ in 0..2 {
        thread::sleep(Duration::from_millis(500));
        broker.kill();
        broker.start_again();
    }
    feeding.join().expect("no panic");
    end(child).says(0, &["60000 records"]);
    assert!(run(&b, "consume cmd-kill").succeeds().stdout == input);
}

#[test]
fn keys_go_where_kafka_puts_them() {
    let broker = broker();
    let b = broker.bootstrap();
    run(&b, "topic create cmd-keys --partitions 7").succeeds();
    let input: String = (0..100).map(|n| format!("key-{n}:{n}\n")).collect();
    fed(&b, &["produce", "cmd-keys", "-k", ":"], input.as_bytes()).succeeds();
    let back = end(command(&b, &["consume", "cmd-keys", "-F", "%p %k\\n"]).spawn().unwrap());
    assert_eq!(back.text().lines().count(), 100);
    for line in back.text().lines() {
        let (partition, key) = line.split_once(' ').expect("two fields");
        assert_eq!(partition, partition_of_key(key.as_bytes(), 7).to_string(), "{key}");
    }
}

#[test]
fn records_are_cut_keyed_and_marked_as_told() {
    let broker = broker();
    let b = broker.bootstrap();
    run(&b, "topic create cmd-shape --partitions 1").succeeds();
    let shape = ["produce", "cmd-shape", "--delimiter", "\\0", "--key-separator", "=>"];
    let more = ["--null-marker", "", "--header", "a=1", "--header", "a=2"];
    fed(&b, &[&shape[..], &more].concat(), b"k=>v\nw\0gone=>\0=>x").succeeds();
    fed(&b, &["produce", "cmd-shape", "--whole"], b"one\ntwo\n\xff").succeeds();
    let back = run(&b, "consume cmd-shape --json").succeeds();
    let records: Vec<serde_json::Value> =
        back.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((&records[0]["key"], &records[0]["value"]), (&"k".into(), &"v\nw".into()));
    assert_eq!(records[0]["headers"][1], serde_json::json!({"name": "a", "value": "2"}));
    assert_eq!((&records[1]["key"], &records[1]["value"]), (&"gone".into(), &().into()));
    assert_eq!((&records[2]["key"], &records[2]["value"]), (&().into(), &"x".into()));
    assert_eq!(records[3]["value_base64"], "b25lCnR3bwr/");
    assert_eq!(records.len(), 4);
    // An empty input is no record; with --whole it is an empty one.
    run(&b, "produce cmd-shape").says(0, &["0 records"]);
    run(&b, "produce cmd-shape --whole").says(0, &["1 record ("]);
}

#[test]
fn a_record_too_large_is_named_and_those_before_it_are_counted() {
    let broker = broker();
    let b = broker.bootstrap();
    run(&b, "topic create cmd-large --partitions 1 --config max.message.bytes=2000").succeeds();
    let large = "x".repeat(5000);
    let input = format!("one\ntwo\n{large}\nfour\n");
    // One batch: it is halved until the one record is found.
    fed(&b, &["produce", "cmd-large", "--linger", "1s"], input.as_bytes()).says(
        3,
        &["line 3: a record of about 50", "max.message.bytes = 2000", "2 of the 4 records read"],
    );
    assert!(run(&b, "consume cmd-large").succeeds().text().starts_with("one\ntwo\n"));
    // A batch too large of records that are not is cut by itself.
    let many = lines(2000);
    fed(&b, &["produce", "cmd-large", "--linger", "1s"], &many).says(0, &["2000 records"]);
    let bad = fed(&b, &["produce", "cmd-large", "-k", ":"], b"a:1\nb:2\nc\n");
    bad.says(3, &["line 3 has no key separator", "2 of the 3 records"]);
}

#[test]
fn ctrl_c_sends_what_was_read_and_says_how_much() {
    let broker = broker();
    let b = broker.bootstrap();
    run(&b, "topic create cmd-break --partitions 1").succeeds();
    let mut child =
        command(&b, &["produce", "cmd-break"]).stdin(Stdio::piped()).spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(b"one\ntwo\nthree").expect("it reads");
    // Until the whole lines are there, so that the signal finds them read.
    while run(&b, "consume cmd-break").succeeds().text() != "one\ntwo\n" {}
    interrupt(&child);
    end(child).says(130, &["interrupted: 2 records"]);
    assert_eq!(run(&b, "consume cmd-break").succeeds().text(), "one\ntwo\n");
}

#[test]
fn acknowledgements_may_be_fewer() {
    let broker = broker();
    let b = broker.bootstrap();
    run(&b, "topic create cmd-acks --partitions 1").succeeds();
    fed(&b, &["produce", "cmd-acks", "--acks", "1"], b"one\n").says(0, &["1 record ("]);
    fed(&b, &["produce", "cmd-acks", "--acks", "0"], b"two\n").says(0, &["not acknowledged"]);
    let follow = ["consume", "cmd-acks", "--from-beginning", "--follow", "--count", "2"];
    assert_eq!(end(command(&b, &follow).spawn().unwrap()).text(), "one\ntwo\n");
    run(&b, "produce cmd-acks --partition 4").says(1, &["no partition 4", "are 0 to 0"]);
    for (line, word) in [
        ("produce cmd-acks --acks 2", "expected -1, all, 1 or 0"),
        ("produce cmd-acks -z brotli", "unknown codec 'brotli'"),
        ("produce cmd-acks -z gzip:12", "its levels are 1 to 9"),
        ("produce cmd-acks --whole --key-separator :", "cannot be used with"),
        ("produce cmd-acks --rate 0", "0 is not in 1.."),
        ("produce cmd-acks --delimiter \\q", "unknown escape"),
    ] {
        run(&b, line).says(2, &[word]);
    }
}
