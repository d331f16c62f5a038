//! Batches of every codec, made and read back whole; damaged and hostile ones.

use proptest::prelude::*;

use super::compressed::with_records;
use crate::batch::{
    BatchBuilder, BatchHeader, Compression, Compressor, CompressorError, HEADER_BYTES, Record,
    RecordReader, RecordWalk, RecordsError, Step,
};

fn read(batch: &[u8], limit_bytes: u64) -> Result<Vec<(i64, Record)>, RecordsError> {
    let header = BatchHeader::read(batch).unwrap();
    let mut reader = RecordReader::up_to(header, &batch[HEADER_BYTES..], limit_bytes)?;
    std::iter::from_fn(|| reader.next_record().transpose()).collect()
}

fn record(key: &str, size: usize, timestamp_ms: i64) -> Record {
    Record {
        key: (!key.is_empty()).then(|| key.into()),
        value: Some((0..size).map(|n| (n * n / 5) as u8).collect()),
        headers: vec![("h".into(), None), ("h".into(), Some(vec![0, 255]))],
        timestamp_ms,
    }
}

#[test]
fn what_is_compressed_is_walked_and_read_back() {
    let records = [record("a", 0, 5), record("", 300_000, 4), record("ä", 7, 90)];
    for codec in Compression::ALL {
        let builder = records.iter().cloned().fold(BatchBuilder::new(), BatchBuilder::record);
        let compressor = Compressor::new(codec, None).unwrap();
        let batch = builder.producer(1, 0, 0).compression(compressor).build();
        let header = BatchHeader::validate_from_producer(&batch).unwrap();
        assert_eq!(header.compression(), Some(codec));
        let whole = read(&batch, 1 << 20).unwrap();
        assert_eq!(whole, (0..).zip(records.clone()).collect::<Vec<_>>(), "{codec}");

        let mut walk = RecordWalk::new(&header, &batch[HEADER_BYTES..]).unwrap();
        let mut times = Vec::new();
        loop {
            match walk.step().unwrap() {
                Step::Record(record) => times.push((record.offset, record.timestamp_ms)),
                Step::Paused => {}
                Step::End => break,
            }
        }
        assert_eq!(times, [(0, 5), (1, 4), (2, 90)], "{codec}");
        assert!(read(&batch, 300_000).is_err(), "{codec}: a limit holds");
    }
}

#[test]
fn snappy_has_the_header_that_java_looks_for() {
    let snappy = Compressor::new(Compression::Snappy, None).unwrap();
    let batch = BatchBuilder::new().value(0, vec![7; 70_000]).compression(snappy).build();
    let records = &batch[HEADER_BYTES..];
    assert_eq!(&records[..16], b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
    let first_bytes = u32::from_be_bytes(records[16..20].try_into().unwrap()) as usize;
    assert_eq!(snap::raw::decompress_len(&records[20..20 + first_bytes]).unwrap(), 32 << 10);
}

#[test]
fn lz4_blocks_do_not_depend_on_each_other() {
    let lz4 = Compressor::new(Compression::Lz4, None).unwrap();
    let batch = BatchBuilder::new().value(0, vec![7; 70_000]).compression(lz4).build();
    let records = &batch[HEADER_BYTES..];
    assert_eq!(records[..4], 0x184d_2204u32.to_le_bytes());
    // Version 01, independent blocks, no checksums, no size; blocks of 64 KiB.
    assert_eq!(records[4..6], [0b0110_0000, 0x40]);
}

#[test]
fn compressors_are_named() {
    let named = |text: &str| text.parse::<Compressor>();
    assert_eq!(named("none"), Ok(Compressor::NONE));
    assert_eq!(named("zstd:9"), Compressor::new(Compression::Zstd, Some(9)));
    assert_ne!(named("gzip:1"), named("gzip"));
    assert_eq!(named("brotli"), Err(CompressorError::Codec("brotli".into())));
    assert_eq!(named("gzip:x"), Err(CompressorError::Level("x".into())));
    assert_eq!(named("lz4:3"), Err(CompressorError::NoLevels(Compression::Lz4)));
    for wrong in ["gzip:0", "gzip:10", "zstd:23"] {
        assert!(matches!(named(wrong), Err(CompressorError::OutOfRange { .. })), "{wrong}");
    }
}

/// A few hundred bytes of Zstandard would be gigabytes of headers.
#[test]
fn a_record_has_no_more_headers_than_memory_is_worth() {
    let with = |count: usize| {
        let headers = vec![(String::new(), None); count];
        let builder = BatchBuilder::new().record(Record { headers, ..record("", 0, 0) });
        builder.compression(Compressor::new(Compression::Zstd, None).unwrap()).build()
    };
    let most = read(&with(1 << 20), 1 << 24).unwrap();
    assert_eq!(most[0].1.headers.len(), 1 << 20);
    let batch = with((1 << 20) + 1);
    assert!(batch.len() < 1000, "{} bytes", batch.len());
    assert!(matches!(read(&batch, 1 << 24), Err(RecordsError::Malformed { .. })));
}

#[test]
fn malformed_records_are_told() {
    let good = BatchBuilder::new().value(0, "one").value(0, "two").build();
    let records = &good[HEADER_BYTES..];
    let with = |bytes: &[u8]| read(&with_records(&good, Compression::None, bytes), 1 << 20);
    assert!(with(records).is_ok());
    let wrong = [
        &records[..records.len() - 1],
        &[records, b"\0"].concat(),
        b"",
        // A length of 2 GiB, a negative one, one that never ends.
        b"\xfe\xff\xff\xff\x0f\0\0\0\0\0",
        b"\x01\0\0\0\0\0",
        b"\xff\xff\xff\xff\xff\xff",
        // A key longer than the record; more headers than bytes.
        b"\x0e\0\0\0\x40\0\0\0",
        b"\x0e\0\0\0\x01\x01\xfe\x01",
    ];
    for bytes in wrong {
        let error = with(bytes).unwrap_err();
        assert!(matches!(error, RecordsError::Malformed { .. }), "{bytes:?}: {error}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        codec in 0usize..5,
    ) {
        let good = BatchBuilder::new().value(0, "one").value(0, "two").build();
        let batch = with_records(&good, Compression::ALL[codec], &bytes);
        let _ = read(&batch, 1 << 20);
    }
}
