//! Walking records: whole, damaged, hostile.

use std::io::Write;

use proptest::prelude::*;

use super::compressed::{compress, compress_raw_snappy, with_records, xerial};
use crate::batch::{
    BatchBuilder, BatchHeader, Compression, HEADER_BYTES, RecordTime, RecordWalk, RecordsError,
    Step,
};

const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

/// All records, and in how many steps.
fn walk(batch: &[u8]) -> Result<(Vec<RecordTime>, usize), RecordsError> {
    let header = BatchHeader::read(batch).unwrap();
    let mut walk = RecordWalk::new(header, &batch[HEADER_BYTES..])?;
    let (mut records, mut steps) = (Vec::new(), 0);
    loop {
        steps += 1;
        match walk.step()? {
            Step::Record(record) => records.push(record),
            Step::Paused => {}
            Step::End => return Ok((records, steps)),
        }
    }
}

/// A batch at offset 1,000 with records of these sizes, each 10 ms before the one in front of it.
fn batch(sizes: &[usize]) -> Vec<u8> {
    let mut builder = BatchBuilder::new().stamped(1_000, 0);
    for (i, &size) in sizes.iter().enumerate() {
        let value: Vec<u8> = (0..size).map(|j| (j * j / 7 + i) as u8).collect();
        builder = builder.value(5_000 - 10 * i as i64, value);
    }
    builder.build()
}

fn expected(count: usize) -> Vec<RecordTime> {
    let record = |i: i64| RecordTime {
        index: i as i32,
        offset: 1_000 + i,
        timestamp_ms: 5_000 - 10 * i,
        has_key: false,
    };
    (0..count as i64).map(record).collect()
}

#[test]
fn records_of_every_codec_are_walked() {
    let sizes = [0, 1, 100, 70_000, 5, 300_000, 64 << 10, 3];
    let plain = batch(&sizes);
    for codec in CODECS {
        assert_eq!(walk(&compress(&plain, codec)).unwrap().0, expected(8), "{codec:?}");
    }
    assert_eq!(walk(&compress_raw_snappy(&plain)).unwrap().0, expected(8));
}

#[test]
fn no_step_takes_more_than_a_window() {
    let (_, steps) = walk(&compress(&batch(&[8 << 20]), Compression::Zstd)).unwrap();
    assert!(steps >= (8 << 20) / (64 << 10), "{steps}");
}

#[test]
fn log_append_time_counts_for_every_record() {
    let mut bytes = batch(&[1, 2]);
    let mut header = *BatchHeader::read(&bytes).unwrap();
    header.stamp_log_append_time(77);
    bytes[..HEADER_BYTES].copy_from_slice(zerocopy::IntoBytes::as_bytes(&header));
    assert!(walk(&bytes).unwrap().0.iter().all(|r| r.timestamp_ms == 77));
}

#[test]
fn wrong_counts_and_lengths_are_errors() {
    let whole = batch(&[10, 10]);
    let records = &whole[HEADER_BYTES..];
    let wrong: [(&[u8], &str); 5] = [
        (&records[..records.len() - 1], "cut short"),
        (&records[..records.len() / 2], "cut short"),
        (&[], "cut short"),
        (&[records, b"x"].concat(), "more records than the batch says"),
        (&[0; 100], "an impossible length"),
    ];
    for (records, reason) in wrong {
        let error = walk(&with_records(&whole, Compression::None, records)).unwrap_err();
        assert!(error.to_string().ends_with(reason), "{error} is not {reason}");
    }
    let mut far = whole.clone();
    far[HEADER_BYTES + 3] = 100;
    assert!(walk(&far).unwrap_err().to_string().contains("an offset outside the batch"));
}

#[test]
fn bombs_end_with_an_error() {
    let one = batch(&[1]);
    let zeros = vec![0u8; 1 << 20];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut zstd = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    // A record of 4 GiB, were it true.
    let front = [0x80, 0x80, 0x80, 0x80, 0x10, 0, 0, 0];
    gzip.write_all(&front).unwrap();
    zstd.write_all(&front).unwrap();
    for _ in 0..1_030 {
        gzip.write_all(&zeros).unwrap();
        zstd.write_all(&zeros).unwrap();
    }
    let bombs =
        [(Compression::Gzip, gzip.finish().unwrap()), (Compression::Zstd, zstd.finish().unwrap())];
    for (codec, bomb) in bombs {
        let error = walk(&with_records(&one, codec, &bomb)).unwrap_err();
        assert!(error.to_string().contains("more than 1073741824 bytes"), "{codec:?}: {error}");
    }
    let claims_4_gib = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let error = walk(&with_records(&one, Compression::Snappy, &claims_4_gib)).unwrap_err();
    assert!(error.to_string().contains("too large"), "{error}");
}

#[test]
fn a_step_takes_in_a_bounded_number_of_bytes() {
    let one = batch(&[1]);
    const INPUT_BYTES: usize = 4 << 20;
    let empty_frame = zstd::encode_all(&[][..], 1).unwrap();
    let zstd = empty_frame.repeat(INPUT_BYTES / empty_frame.len());
    // Stored blocks without a byte in them, none of which is the last.
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let gzip = [&header[..], &[0, 0, 0, 0xff, 0xff].repeat(INPUT_BYTES / 5)].concat();
    for (codec, records) in [(Compression::Zstd, zstd), (Compression::Gzip, gzip)] {
        let bytes = with_records(&one, codec, &records);
        let header = BatchHeader::read(&bytes).unwrap();
        let mut walk = RecordWalk::new(header, &bytes[HEADER_BYTES..]).unwrap();
        let steps = std::iter::from_fn(|| walk.step().ok()).count();
        assert!(steps >= INPUT_BYTES / (64 << 10), "{codec:?}: {steps}");
    }
}

#[test]
fn members_and_blocks_that_yield_nothing_are_refused() {
    let whole = batch(&[3, 3]);
    let (head, tail) = whole[HEADER_BYTES..].split_at(5);
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let members = [gzip(head), gzip(tail)].concat();
    let walked = walk(&with_records(&whole, Compression::Gzip, &members)).unwrap();
    assert_eq!(walked.0, expected(2), "members are read one after the other");
    let members = [gzip(head), gzip(&[]), gzip(tail)].concat();
    let error = walk(&with_records(&whole, Compression::Gzip, &members)).unwrap_err();
    assert!(error.to_string().contains("a gzip member is empty"), "{error}");
    let blocks = [&xerial(head)[..], &[0, 0, 0, 1, 0], &xerial(tail)].concat();
    let error = walk(&with_records(&whole, Compression::Snappy, &blocks)).unwrap_err();
    assert!(error.to_string().contains("a Snappy block is empty"), "{error}");
}

#[test]
fn a_walk_may_be_given_a_limit() {
    let bytes = compress(&batch(&[100_000]), Compression::Gzip);
    let header = BatchHeader::read(&bytes).unwrap();
    let mut walk = RecordWalk::up_to(header, &bytes[HEADER_BYTES..], 99_999).unwrap();
    let error = std::iter::from_fn(|| Some(walk.step())).find_map(Result::err).unwrap();
    assert!(error.to_string().contains("more than 99999 bytes"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_records_come_back(sizes in prop::collection::vec(0usize..3_000, 1..40), codec in 0usize..5) {
        let bytes = compress(&batch(&sizes), CODECS[codec]);
        prop_assert_eq!(walk(&bytes).unwrap().0, expected(sizes.len()));
    }

    #[test]
    fn any_bytes_end_in_records_or_an_error(
        codec in 0usize..5,
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = walk(&with_records(&batch(&[3, 3]), CODECS[codec], &bytes));
    }

    #[test]
    fn any_altered_records_end_in_records_or_an_error(
        codec in 0usize..5,
        at: prop::sample::Index,
        bit in 0u32..8,
    ) {
        let mut bytes = compress(&batch(&[300, 5, 90]), CODECS[codec]);
        let at = HEADER_BYTES + at.index(bytes.len() - HEADER_BYTES);
        bytes[at] ^= 1 << bit;
        let _ = walk(&bytes);
    }
}
