//! `corelane log dump` and `corelane log verify`, on directories that a broker has written and that
//! were then damaged in every way that can be thought of; and what `corelane serve` says of those that
//! it can't serve.

mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use corelane_storage::inspect::DataDir;
use harness::batch::Batch;
use harness::broker::Broker;
use harness::options::Options;
use harness::random::Random;
use harness::requests::{create_ready_topic, produce_one};
use serde_json::Value;

const TOPIC: &str = "orders";

fn corelane(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_corelane")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A broker with some segments, an index, checkpoints and journals; running.
fn broker_with_data() -> Broker {
    let broker = Broker::start(Options { shards: 1, ..Options::default() });
    let mut connection = broker.connect();
    create_ready_topic(&mut connection, TOPIC, 2);
    let mut random = Random::new(7);
    for number in 0..60 {
        let value = random.bytes(1 + random_len(number));
        let batch = Batch::of(&[b"small", &value]).encode();
        assert_eq!(produce_one(&mut connection, TOPIC, 0, &batch), 2 * number as i64);
    }
    produce_one(&mut connection, TOPIC, 1, &Batch::of(&[b"only one"]).encode());
    broker
}

/// Some go through the journal, some straight into the segment.
fn random_len(number: usize) -> usize {
    if number.is_multiple_of(5) { 200_000 } else { 900 + 37 * number }
}

/// A copy of the directory that a broker has left, removed with the broker.
fn copy(from: &Path, name: &str) -> PathBuf {
    let to = from.with_file_name(name);
    let _ = fs::remove_dir_all(&to);
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
    to
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// What is in every file, and when it was last changed.
fn state(dir: &Path) -> BTreeMap<PathBuf, (u32, std::time::SystemTime)> {
    let of = |path: &PathBuf| {
        let checksum = crc(&fs::read(path).unwrap());
        (checksum, fs::metadata(path).unwrap().modified().unwrap())
    };
    files(dir).into_iter().map(|path| (path.clone(), of(&path))).collect()
}

fn crc(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |sum, byte| sum.rotate_left(5) ^ u32::from(*byte).wrapping_mul(0x9e37_79b1))
}

/// How many findings `corelane log verify` has, and how many of them are damage; a directory that it
/// refuses is damaged.
fn found(dir: &Path) -> (usize, usize) {
    let output = corelane(&["log", "verify", "--json", dir.to_str().unwrap()]);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    if output.stdout.is_empty() {
        assert!(!output.stderr.is_empty() && output.status.code() == Some(1), "{output:?}");
        return (1, 1);
    }
    let lines = text(&output.stdout).lines().map(|line| line.parse::<Value>().unwrap());
    let severities: Vec<_> = lines.filter_map(|line| line.get("severity").cloned()).collect();
    let damages = severities.iter().filter(|severity| *severity == "damage").count();
    assert_eq!(output.status.code(), Some(i32::from(damages > 0)), "{output:?}");
    (severities.len(), damages)
}

#[test]
fn a_directory_is_dumped_and_verified_and_left_as_it_is() {
    if Broker::must_skip("a_directory_is_dumped_and_verified_and_left_as_it_is") {
        return;
    }
    let mut broker = broker_with_data();
    let data = broker.data_dir();
    let dir = data.to_str().unwrap();
    for command in ["dump", "verify"] {
        let output = corelane(&["log", command, dir]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).contains("--live"), "{output:?}");
        assert_eq!(corelane(&["log", command, dir, "--live"]).status.code(), Some(0));
    }
    for clean in [false, true] {
        if clean {
            broker.start_again();
            broker.terminate();
        } else {
            broker.kill();
        }
        let before = state(&data);
        let output = corelane(&["log", "verify", dir, "--json"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let summary: Value = text(&output.stdout).lines().last().unwrap().parse().unwrap();
        let summary = &summary["summary"];
        assert_eq!((&summary["records"], &summary["batches"]), (&121.into(), &61.into()));
        assert_eq!(summary["partitions"], 2);

        let all = ["--records", "--segments", "--indexes", "--checkpoints", "--journals"];
        let output = corelane(&[&["log", "dump", dir, "--json"], &all[..]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let lines: Vec<Value> =
            text(&output.stdout).lines().map(|line| line.parse().unwrap()).collect();
        let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
        assert_eq!((of("record"), of("batch"), of("partition"), of("problem")), (121, 61, 2, 0));
        assert_eq!(of("journal_entry") > 0, !clean, "a clean stop leaves nothing in journals");
        if clean {
            assert!(of("index_entry") > 0 && of("checkpoint") == 4);
        }
        let small = lines.iter().filter(|line| line["value"]["text"] == "small").count();
        assert_eq!(small, 60);
        assert_eq!(state(&data), before, "nothing was changed");
    }
    let output = corelane(&["log", "dump", dir, "--records", "--topic", TOPIC, "--partition", "1"]);
    assert!(text(&output.stdout).contains("value \"only one\""), "{output:?}");
    let output = corelane(&["log", "dump", dir, "--topic", "absent"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no topic \"absent\""), "{output:?}");
}

/// After a clean stop, a changed byte that no finding tells of is one that no start believes either.
#[test]
fn changed_bytes_are_noticed_wherever_they_matter() {
    if Broker::must_skip("changed_bytes_are_noticed_wherever_they_matter") {
        return;
    }
    let mut broker = broker_with_data();
    let mut random = Random::from_environment(11);
    broker.kill();
    let crashed = copy(&broker.data_dir(), "crashed");
    assert_eq!(found(&crashed), (0, 0));
    broker.start_again();
    broker.terminate();
    let clean = copy(&broker.data_dir(), "clean");
    assert_eq!(found(&clean), (0, 0));

    let mut noticed = BTreeMap::<String, usize>::new();
    for file in files(&clean) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if name == "lock" || name.ends_with(".journal") {
            continue; // Never read after a clean stop.
        }
        let whole = fs::read(&file).unwrap();
        let meaningful = meaningful_bytes(&name, &whole, &clean, &file);
        for _ in 0..25 {
            if meaningful == 0 {
                break;
            }
            let at = random.below(meaningful as u64) as usize;
            let bit = 1 << random.below(8);
            let mut bytes = whole.clone();
            bytes[at] ^= bit;
            fs::write(&file, &bytes).unwrap();
            let (all, damages) = found(&clean);
            // An index is never the only copy of anything; without the manifest's newest slot the
            // last stop was not a clean one, and a start recovers.
            let is_harmless = name.ends_with(".index") || name == "manifest";
            let told = if is_harmless { all } else { damages };
            assert!(told > 0, "{name}: bit {bit} of byte {at}");
            *noticed.entry(name.clone()).or_default() += 1;
        }
        fs::write(&file, &whole).unwrap();
    }
    let kinds = ["manifest", "catalog", "checkpoint", ".log", ".index"];
    for kind in kinds {
        assert!(noticed.keys().any(|name| name.contains(kind)), "{kind}: {noticed:?}");
    }
    assert_eq!(found(&clean), (0, 0));

    // After a crash nothing may panic, whatever the journals say.
    let journal = files(&crashed).into_iter().find(|path| path.ends_with("00000000.journal"));
    let journal = journal.expect("there is a journal");
    let whole = fs::read(&journal).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    for _ in 0..20 {
        let mut bytes = whole.clone();
        bytes[random.below(used as u64) as usize] ^= 1 << random.below(8);
        fs::write(&journal, &bytes).unwrap();
        found(&crashed);
    }
}

/// How many bytes from a file's first on mean something.
fn meaningful_bytes(name: &str, bytes: &[u8], dir: &Path, file: &Path) -> usize {
    if name.starts_with("checkpoint") {
        return total_bytes_of_checkpoint(bytes);
    }
    if name.starts_with("catalog") {
        // The header's block, and the header of the first record.
        return 4096 + 32;
    }
    if name.ends_with(".log") {
        // What is reserved ahead is zeros that nobody reads.
        let opened = DataDir::open(dir).unwrap();
        let partitions = opened.partitions().unwrap();
        let of_file = partitions.iter().find_map(|id| {
            let files = opened.partition(*id).unwrap();
            let segments = files.read(&mut |_, _| true).unwrap();
            segments.into_iter().find(|segment| segment.path == file)
        });
        let batch_bytes = of_file.expect("its segment is read").batch_bytes as usize;
        return batch_bytes.min(bytes.len()) / 4096 * 4096;
    }
    bytes.len()
}

/// The length that its header says; an unwritten slot has none.
fn total_bytes_of_checkpoint(bytes: &[u8]) -> usize {
    let length = bytes.get(12..16).map_or(0, |b| u32::from_le_bytes(b.try_into().unwrap()));
    (length as usize).min(bytes.len())
}

#[test]
fn files_that_are_cut_or_random_are_findings() {
    if Broker::must_skip("files_that_are_cut_or_random_are_findings") {
        return;
    }
    let mut broker = broker_with_data();
    broker.terminate();
    let clean = copy(&broker.data_dir(), "clean");
    let mut random = Random::new(3);
    for file in files(&clean) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if name == "lock" || name.ends_with(".journal") {
            continue;
        }
        let whole = fs::read(&file).unwrap();
        let half = meaningful_bytes(&name, &whole, &clean, &file) / 2;
        let garbage = random.bytes(whole.len().max(1));
        for changed in [&whole[..half], &garbage[..], &[]] {
            fs::write(&file, changed).unwrap();
            let (all, _) = found(&clean);
            // A slot that was reserved and never written, and an index, may be empty or missing.
            let may_be_empty = name.ends_with(".index") || name.starts_with("checkpoint");
            let is_allowed = changed.is_empty() && may_be_empty || half == 0 && garbage != changed;
            assert!(all > 0 || is_allowed, "{name}: {} bytes", changed.len());
        }
        fs::write(&file, &whole).unwrap();
    }
}

#[test]
fn directories_that_are_none() {
    if Broker::must_skip("directories_that_are_none") {
        return;
    }
    let mut broker = broker_with_data();
    broker.terminate();
    let data = broker.data_dir();
    let refused = |dir: &Path, told: &str| {
        for command in ["dump", "verify"] {
            let output = corelane(&["log", command, dir.to_str().unwrap()]);
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            assert!(text(&output.stderr).contains(told), "{told}: {output:?}");
        }
    };
    let empty = data.with_file_name("empty");
    fs::create_dir_all(&empty).unwrap();
    refused(&empty, "is not a data directory");
    refused(&empty.join("absent"), "No such file or directory");
    refused(&data.join("manifest"), "Not a directory");

    // Another format: both slots say so, with checksums that fit.
    let other = copy(&data, "other");
    let manifest = other.join("manifest");
    let mut bytes = fs::read(&manifest).unwrap();
    for slot in bytes.chunks_mut(4096) {
        slot[12..14].copy_from_slice(&9u16.to_le_bytes());
        slot[8..12].fill(0);
        let crc = crc32(slot);
        slot[8..12].copy_from_slice(&crc.to_le_bytes());
    }
    fs::write(&manifest, &bytes).unwrap();
    refused(&other, "format version 9");
    let before = state(&other);
    serve_refuses(&other, "format version 9");
    let without_lock = |mut state: BTreeMap<PathBuf, _>| {
        state.remove(&other.join("lock"));
        state
    };
    assert_eq!(without_lock(state(&other)), without_lock(before), "nothing was changed");

    // Half deleted.
    let half = copy(&data, "half");
    fs::remove_file(half.join("manifest")).unwrap();
    serve_refuses(&half, "is missing or incomplete");
    let output = corelane(&["log", "verify", half.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stdout).contains("DAMAGE"), "{output:?}");
    let half = copy(&data, "half");
    fs::remove_file(half.join("catalog.000001.log")).unwrap();
    let topics = files(&half.join("topics"));
    serve_refuses(&half, "its catalog (catalog.*.log) is missing");
    assert_eq!(files(&half.join("topics")), topics, "nothing was swept away");
    let half = copy(&data, "half");
    for slot in files(&half.join("topics")) {
        if slot.file_name().is_some_and(|name| name.to_str().unwrap().starts_with("checkpoint")) {
            fs::remove_file(slot).unwrap();
        }
    }
    let output = corelane(&["log", "verify", half.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stdout).contains("segments without a checkpoint"), "{output:?}");
}

fn serve_refuses(dir: &Path, told: &str) {
    let dir = dir.to_str().unwrap();
    let output =
        corelane(&["serve", "--data-dir", dir, "--listen", "127.0.0.1:0", "--shards", "1"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{output:?}");
    assert!(text(&output.stderr).contains(told), "{told}: {output:?}");
}

/// CRC-32 (IEEE), bit by bit: independent of the broker's own.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}
