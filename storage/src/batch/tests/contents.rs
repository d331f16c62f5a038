//! Records with what is in them: as they were built, damaged, hostile.

use proptest::prelude::*;

use super::compressed::{compress, with_records};
use crate::batch::{
    BatchBuilder, BatchHeader, Compression, ContentsReader, HEADER_BYTES, Limited, Record,
    RecordContents, RecordsError,
};

fn read(batch: &[u8], limit_bytes: usize) -> Result<Vec<RecordContents>, RecordsError> {
    let header = BatchHeader::read(batch).unwrap();
    let mut reader = ContentsReader::new(header, &batch[HEADER_BYTES..], limit_bytes)?;
    let mut records = Vec::new();
    while let Some(record) = reader.next_record()? {
        records.push(record);
    }
    Ok(records)
}

fn some_records() -> Vec<Record> {
    let null = Record { timestamp_ms: 1_000, ..Record::default() };
    let full = Record {
        key: Some(b"key".to_vec()),
        value: Some((0..100_000).map(|i| (i / 7) as u8).collect()),
        headers: vec![("a".to_owned(), Some(b"1".to_vec())), ("a".to_owned(), None)],
        timestamp_ms: 990,
    };
    let empty = Record { key: Some(vec![]), value: Some(vec![]), ..null.clone() };
    vec![null, full, empty]
}

fn build(records: &[Record]) -> Vec<u8> {
    let builder = BatchBuilder::new().stamped(77, 0);
    records.iter().cloned().fold(builder, BatchBuilder::record).build()
}

/// `field` as it is read with a limit.
fn limited(field: &[u8], limit_bytes: usize) -> Limited {
    let bytes = field[..field.len().min(limit_bytes)].to_vec();
    Limited { bytes, total_bytes: field.len() as u64 }
}

#[test]
fn what_was_built_is_read_through_every_codec() {
    let records = some_records();
    let plain = build(&records);
    for codec in [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        for limit_bytes in [0, 2, 1 << 20] {
            let found = read(&compress(&plain, codec), limit_bytes).unwrap();
            assert_eq!(found.len(), records.len());
            for (i, (found, record)) in found.iter().zip(&records).enumerate() {
                let field = |field: &Option<Vec<u8>>| {
                    field.as_ref().map(|field| limited(field, limit_bytes))
                };
                assert_eq!(
                    (found.offset, found.timestamp_ms),
                    (77 + i as i64, record.timestamp_ms)
                );
                assert_eq!(
                    (&found.key, &found.value),
                    (&field(&record.key), &field(&record.value))
                );
                assert_eq!(found.headers_total, record.headers.len() as u64);
                for (header, (key, value)) in found.headers.iter().zip(&record.headers) {
                    assert_eq!(header.key, limited(key.as_bytes(), limit_bytes));
                    assert_eq!(header.value, field(value));
                }
            }
        }
    }
}

#[test]
fn records_that_are_none_are_refused() {
    let plain = build(&some_records());
    // Length, attributes, timestamp delta, offset delta, key length: a key of 2^31 bytes is no reason
    // to allocate any.
    let huge_key = [20, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0x0f, 1, 2];
    let outside = [20, 0, 0, 40, 1, 1, 0];
    let negative = [1, 0, 0, 0];
    for records in [&huge_key[..], &outside, &negative, &[], &[0x80; 30]] {
        assert!(
            read(&with_records(&plain, Compression::None, records), 16).is_err(),
            "{records:?}"
        );
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(records in prop::collection::vec(any::<u8>(), 0..300), codec in 0..5i16) {
        let mut batch = with_records(&build(&some_records()), Compression::None, &records);
        batch[22] = codec as u8; // the attributes' lower byte
        let _ = read(&batch, 8);
    }

    #[test]
    fn a_changed_byte_is_read_or_refused(at in 0usize..2_000, to in any::<u8>()) {
        let mut batch = build(&some_records());
        let at = HEADER_BYTES + at % (batch.len() - HEADER_BYTES);
        batch[at] = to;
        if let Ok(records) = read(&batch, 8) {
            prop_assert!(records.iter().all(|record| (77..80).contains(&record.offset)));
        }
    }
}
