//! The fuzz functions on valid bytes, whole and mutated, from one seed.

use std::path::Path;

use super::*;
use crate::batch::tests::compressed::{compress, compress_raw_snappy};
use crate::batch::{BatchBuilder, Compression, Record};
use crate::sim::rng::Rng;

type Target = (&'static str, fn(&[u8]), Vec<Vec<u8>>);

/// Every function with valid bytes for it.
fn targets() -> Vec<Target> {
    let batches = batches();
    vec![
        ("batch", batch, batches.clone()),
        ("records", records, batches),
        ("journal", journal, vec![crate::journal::scan::fuzz::example([1, 2, 3])]),
        ("index", index, vec![crate::index::fuzz::example()]),
        ("checkpoint", checkpoint, vec![crate::log::fuzz_checkpoint::example()]),
        ("command_log", command_log, vec![crate::command_log::fuzz::example()]),
        ("manifest", manifest, vec![crate::manifest::fuzz::example()]),
        ("producers", producers, vec![crate::producers::fuzz::example_states().encode()]),
    ]
}

fn batches() -> Vec<Vec<u8>> {
    let record = Record {
        key: Some(b"key".to_vec()),
        value: Some(vec![7; 300]),
        headers: vec![("name".to_owned(), None)],
        timestamp_ms: 1 << 41,
    };
    let plain = BatchBuilder::new().record(record).value(5, "short").producer(4000, 1, 0).build();
    let codecs = [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    let compressed = codecs.map(|codec| compress(&plain, codec));
    [compressed.to_vec(), vec![compress_raw_snappy(&plain), plain]].concat()
}

/// Damaged in one to four places.
fn mutate(valid: &[u8], rng: &Rng) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    for _ in 0..rng.within(1..5) {
        // Mostly near the start, where the headers are.
        let end = if rng.coin() { bytes.len().min(100) } else { bytes.len() };
        let at = rng.within(0..end as u64) as usize;
        match rng.within(0..6) {
            0 => bytes[at] = rng.next() as u8,
            1 => bytes[at] ^= 1 << rng.within(0..8),
            2 => bytes.truncate(at.max(1)),
            3 => bytes.insert(at, rng.next() as u8),
            4 => bytes[at..].iter_mut().take(4).for_each(|byte| *byte = 0xff),
            _ => bytes[at..].iter_mut().take(4).for_each(|byte| *byte = 0x7f),
        }
    }
    bytes
}

#[test]
fn mutated_bytes_hold() {
    for (name, target, examples) in targets() {
        let rng = Rng::new(name.len() as u64);
        for round in 0..1_500 {
            let example = &examples[round % examples.len()];
            target(example);
            target(&mutate(example, &rng));
        }
    }
}

/// Found by fuzzing: what follows the last of all sequences was computed.
#[test]
fn no_sequence_follows_the_last() {
    journal(&crate::journal::scan::fuzz::example([u64::MAX - 1, u64::MAX, 1]));
}

/// An empty page is believed with its incarnation, though nothing would be written for it.
#[test]
fn an_empty_index_page_is_believed() {
    let mut page = crate::index::fuzz::example()[..8 + crate::runtime::BLOCK_BYTES].to_vec();
    page[8 + 6..8 + 8].copy_from_slice(&[0, 0]);
    page[8 + 20] = 9; // its incarnation
    index(&page);
}

#[test]
#[ignore = "writes core/fuzz/corpus, from which cargo fuzz starts"]
fn write_corpus() {
    for (name, _, examples) in targets() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/fuzz/corpus").join(name);
        std::fs::create_dir_all(&dir).unwrap();
        for (number, example) in examples.iter().enumerate() {
            std::fs::write(dir.join(format!("example-{number}")), example).unwrap();
        }
    }
}
