//! Debian's kcat, unmodified. Its librdkafka 2.0.2 silently drops compression when a broker's lowest Produce version
//! is above 0 (KAFKA-18659), so the codec is read from the stored batch itself.

mod harness;

use std::io::Write;
use std::process::{Command, Stdio};

use harness::broker::Broker;
use harness::options::Options;
use harness::rdkafka_client::fresh_topic;
use harness::requests::{FetchLimits, create_ready_topic, fetch, fetched};

/// Codec of a v2 batch: the lowest three bits of its attributes, at byte 21.
const ATTRIBUTES_AT: usize = 21;
const CODECS: [(&str, u8); 5] = [("none", 0), ("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4)];

/// True if kcat is there. Without it the test is passed over on a developer's machine, and fails on CI.
fn has_kcat(test: &str) -> bool {
    if Command::new("kcat").arg("-V").output().is_ok() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "kcat is not installed (Debian: apt install kcat)");
    println!("{test}: PASSED OVER, kcat is not installed (Debian: apt install kcat)");
    false
}

/// Runs kcat with `input` on its stdin and returns its stdout; anything but success is a failure of the test.
fn kcat(broker: &Broker, arguments: &[&str], input: &[u8]) -> String {
    let bootstrap = broker.bootstrap();
    let mut child = Command::new("timeout")
        .args(["120", "kcat", "-b", &bootstrap])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kcat starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("kcat ends");
    // kcat may end without reading its input, as -L does.
    let _ = writer.join().expect("no panic");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kcat {arguments:?}: {} {errors}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn lines(count: usize) -> String {
    (0..count).map(|number| format!("line {number} {}\n", "abcdefgh".repeat(20))).collect()
}

#[test]
fn compression_is_kept_and_the_lines_come_back() {
    if !has_kcat("compression_is_kept_and_the_lines_come_back") {
        return;
    }
    let broker = Broker::any(Options::default());
    for (name, codec) in CODECS {
        let topic = fresh_topic(&format!("kcat-{name}"));
        let text = lines(500);
        let produce = ["-P", "-t", &topic, "-p", "0", "-z", name, "-X", "linger.ms=50"];
        kcat(&broker, &produce, text.as_bytes());
        let read = kcat(&broker, &["-C", "-q", "-e", "-o", "beginning", "-t", &topic], b"");
        assert!(read == text, "{name}: what was read differs from what was written");

        let limits = FetchLimits { max_wait_ms: 0, min_bytes: 0, max_bytes: 8 << 20 };
        let answer = broker.connect().call(&fetch(&topic, &[(0, 0)], limits)).expect("an answer");
        let stored = &fetched(&answer).expect("Fetch v4")[0].records;
        for batch in batches(stored) {
            assert_eq!(
                batch[ATTRIBUTES_AT + 1] & 0b111,
                codec,
                "codec of the stored batch, {name}"
            );
        }
        if codec != 0 {
            assert!(
                stored.len() * 2 < text.len(),
                "{name}: {} bytes are not compressed",
                stored.len()
            );
        }
    }
}

/// Cuts what a Fetch returned into its batches; the last may be cut short by the limit and is left out.
fn batches(mut stored: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while let Some(len) = stored.get(8..12) {
        let len = 12 + u32::from_be_bytes(len.try_into().expect("four bytes")) as usize;
        let Some((batch, rest)) = stored.split_at_checked(len) else { break };
        all.push(batch);
        stored = rest;
    }
    assert!(!all.is_empty(), "nothing is stored");
    all
}

#[test]
fn an_idempotent_kcat_with_keys_and_headers() {
    if !has_kcat("an_idempotent_kcat_with_keys_and_headers") {
        return;
    }
    let broker = Broker::any(Options::default());
    let topic = fresh_topic("kcat-keys");
    let input: String =
        (0..300).map(|number| format!("key{}:value {number}\n", number % 7)).collect();
    let idempotent = ["-X", "enable.idempotence=true", "-X", "acks=all", "-H", "a=b", "-H", "a=c"];
    let produce = [&["-P", "-t", &topic, "-K:", "-z", "snappy"], &idempotent[..]].concat();
    kcat(&broker, &produce, input.as_bytes());
    let format = "%k:%s|%h|%T\n";
    let consume = ["-C", "-q", "-e", "-o", "beginning", "-t", &topic, "-f", format];
    let read = kcat(&broker, &consume, b"");
    let mut read: Vec<&str> = read.lines().collect();
    let mut expected: Vec<String> = input.lines().map(|line| format!("{line}|a=b,a=c|")).collect();
    // Partitions come in any order.
    read.sort_unstable();
    expected.sort_unstable();
    assert_eq!(read.len(), expected.len());
    for (read, expected) in read.iter().zip(&expected) {
        let timestamp_ms = read.strip_prefix(expected.as_str()).expect("key, value and headers");
        assert!(timestamp_ms.parse::<i64>().is_ok_and(|ms| ms > 1_600_000_000_000), "{read}");
    }
}

#[test]
fn listing_and_offset_queries() {
    if !has_kcat("listing_and_offset_queries") {
        return;
    }
    let broker = Broker::any(Options::default());
    let topic = fresh_topic("kcat-list");
    create_ready_topic(&mut broker.connect(), &topic, 3);
    kcat(&broker, &["-P", "-t", &topic, "-p", "1"], lines(42).as_bytes());

    let listing = kcat(&broker, &["-L", "-t", &topic], b"");
    assert!(listing.contains(&format!("topic \"{topic}\" with 3 partitions:")), "{listing}");
    assert!(listing.contains(&broker.bootstrap()), "{listing}");
    for partition in 0..3 {
        assert!(listing.contains(&format!("partition {partition}, leader ")), "{listing}");
    }
    for (partition, at, expected) in [(1, -1, 42), (1, -2, 0), (0, -1, 0)] {
        let query = format!("{topic}:{partition}:{at}");
        let answer = kcat(&broker, &["-Q", "-t", &query], b"");
        let expected = format!("{topic} [{partition}] offset {expected}");
        assert_eq!(answer.trim(), expected, "{query}");
    }
    let tail = kcat(&broker, &["-C", "-q", "-e", "-o", "-2", "-t", &topic, "-p", "1"], b"");
    assert_eq!(tail, lines(42).lines().skip(40).map(|l| format!("{l}\n")).collect::<String>());
}
