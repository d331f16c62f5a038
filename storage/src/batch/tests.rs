use proptest::prelude::*;

use super::*;

pub(crate) mod compressed;
mod contents;
mod records;
mod whole_records;

fn batch() -> Vec<u8> {
    BatchBuilder::new().producer(7, 3, 40).value(1_000, "one").value(1_005, "two").build()
}

/// Overwrites `at` and makes the CRC right again.
fn altered(at: usize, with: &[u8]) -> Vec<u8> {
    let mut bytes = batch();
    bytes[at..at + with.len()].copy_from_slice(with);
    let crc = crc_fast::crc32_iscsi(&bytes[CRC_START..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

#[test]
fn reads_what_the_protocol_guide_lays_out() {
    // "123456789" has the published check value e3069283.
    assert_eq!(crc_fast::crc32_iscsi(b"123456789"), 0xe306_9283);
    let mut bytes = vec![0u8; HEADER_BYTES];
    bytes[0..8].copy_from_slice(&100i64.to_be_bytes());
    bytes[8..12].copy_from_slice(&49i32.to_be_bytes());
    bytes[12..16].copy_from_slice(&6i32.to_be_bytes());
    bytes[16] = 2;
    bytes[17..21].copy_from_slice(&0xdead_beefu32.to_be_bytes());
    bytes[21..23].copy_from_slice(&0b11_1100i16.to_be_bytes());
    bytes[23..27].copy_from_slice(&9i32.to_be_bytes());
    bytes[27..35].copy_from_slice(&11i64.to_be_bytes());
    bytes[35..43].copy_from_slice(&12i64.to_be_bytes());
    bytes[43..51].copy_from_slice(&13i64.to_be_bytes());
    bytes[51..53].copy_from_slice(&14i16.to_be_bytes());
    bytes[53..57].copy_from_slice(&15i32.to_be_bytes());
    bytes[57..61].copy_from_slice(&16i32.to_be_bytes());
    let header = BatchHeader::read(&bytes).unwrap();
    assert_eq!(header.base_offset(), 100);
    assert_eq!(header.total_bytes(), 61);
    assert_eq!(header.leader_epoch(), 6);
    assert_eq!(header.crc(), 0xdead_beef);
    assert_eq!(header.compression(), Some(Compression::Zstd));
    assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
    assert!(header.is_transactional() && header.is_control());
    assert_eq!(header.last_offset(), 109);
    assert_eq!((header.base_timestamp(), header.max_timestamp()), (11, 12));
    assert_eq!((header.producer_id(), header.producer_epoch()), (13, 14));
    assert_eq!((header.base_sequence(), header.last_sequence()), (15, 24));
    assert_eq!(header.records_count(), 16);
}

#[test]
fn takes_a_producers_batch() {
    let bytes = batch();
    let header = BatchHeader::validate_from_producer(&bytes).unwrap();
    assert_eq!(header.total_bytes(), bytes.len());
    assert_eq!((header.base_sequence(), header.last_sequence()), (40, 41));
    assert_eq!((header.base_timestamp(), header.max_timestamp()), (1_000, 1_005));
    let without_id = altered(43, &(-1i64).to_be_bytes());
    assert!(BatchHeader::validate_from_producer(&without_id).is_ok(), "Kafka takes a sequence too");
    let plain = BatchBuilder::new().value(1, "x").build();
    assert!(!BatchHeader::validate_from_producer(&plain).unwrap().has_producer_id());
}

#[test]
fn refuses_what_a_producer_may_not_send() {
    let check = |bytes: &[u8]| BatchHeader::validate_from_producer(bytes).unwrap_err();
    let corrupt = |bytes: &[u8]| matches!(check(bytes), BatchError::Corrupt(_));
    let invalid = |bytes: &[u8]| matches!(check(bytes), BatchError::Invalid(_));

    assert!(invalid(&[]));
    assert!(invalid(&[batch(), batch()].concat()), "two batches");
    assert!(corrupt(&batch()[..60]));
    assert!(corrupt(&batch()[..batch().len() - 1]));
    assert_eq!(check(&altered(16, &[0])), BatchError::UnsupportedMagic(0));
    assert_eq!(check(&altered(16, &[1])), BatchError::UnsupportedMagic(1));
    assert_eq!(check(&altered(16, &[1])[..20]), BatchError::UnsupportedMagic(1));
    assert!(corrupt(&altered(16, &[3])));
    assert!(corrupt(&altered(8, &48i32.to_be_bytes())), "shorter than the header");
    for length in [i32::MIN, -1, 0, i32::MAX, i32::MAX - 11] {
        assert!(corrupt(&altered(8, &length.to_be_bytes())), "{length}");
    }
    assert!(invalid(&altered(0, &1i64.to_be_bytes())), "base offset");
    for count in [i32::MIN, -1, 0, 1, 3, i32::MAX] {
        assert!(invalid(&altered(57, &count.to_be_bytes())), "count {count}");
    }
    for delta in [i32::MIN, -1, 0, 2, i32::MAX] {
        assert!(invalid(&altered(23, &delta.to_be_bytes())), "delta {delta}");
    }
    assert_eq!(check(&altered(21, &16i16.to_be_bytes())), BatchError::Transactional);
    for attributes in [5i16, 6, 7, 8, 32] {
        assert!(invalid(&altered(21, &attributes.to_be_bytes())), "attributes {attributes}");
    }
    assert!(invalid(&altered(51, &(-1i16).to_be_bytes())), "producer id with negative epoch");
    assert!(invalid(&altered(53, &(-1i32).to_be_bytes())), "producer id with negative sequence");
    for at in CRC_START..batch().len() {
        let mut flipped = batch();
        flipped[at] ^= 0x40;
        assert!(corrupt(&flipped), "byte {at}");
    }
}

#[test]
fn sequences_wrap() {
    let bytes = BatchBuilder::new()
        .producer(1, 0, i32::MAX)
        .value(0, "a")
        .value(0, "b")
        .value(0, "c")
        .build();
    assert_eq!(BatchHeader::read(&bytes).unwrap().last_sequence(), 1);
}

#[test]
fn stamping_keeps_the_batch_valid() {
    let mut bytes = batch();
    let mut header = *BatchHeader::read(&bytes).unwrap();
    header.stamp(1_234, 5);
    bytes[..HEADER_BYTES].copy_from_slice(header.as_bytes());
    let header = BatchHeader::read(&bytes).unwrap();
    header.verify_crc(&bytes).unwrap();
    assert_eq!((header.base_offset(), header.last_offset()), (1_234, 1_235));
    assert_eq!(header.leader_epoch(), 5);
}

#[test]
fn a_crc_is_corrected_past_any_number_of_bytes() {
    for bytes in (0..70).chain([4_095, 65_536, 1 << 20, (1 << 20) + 3]) {
        let [a, b] = [&b"front"[..], &b"other"[..]].map(|front| {
            let whole = [front, &vec![0x5a; bytes]].concat();
            (crc_fast::crc32_iscsi(front), crc_fast::crc32_iscsi(&whole))
        });
        assert_eq!(crc_shift::shift(a.0 ^ b.0, bytes as u32), a.1 ^ b.1, "{bytes}");
    }
    assert_ne!(crc_shift::shift(1, u32::MAX), 0, "no table overrun");
}

proptest! {
    #[test]
    fn log_append_time_corrects_the_crc(now_ms: i64, value in prop::collection::vec(any::<u8>(), 0..3_000)) {
        let mut bytes = BatchBuilder::new().value(99, value).build();
        let mut header = *BatchHeader::read(&bytes).unwrap();
        header.stamp_log_append_time(now_ms);
        bytes[..HEADER_BYTES].copy_from_slice(header.as_bytes());
        let header = BatchHeader::read(&bytes).unwrap();
        prop_assert_eq!(header.verify_crc(&bytes), Ok(()));
        prop_assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
        prop_assert_eq!(header.max_timestamp(), now_ms);
    }

    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = BatchHeader::validate_from_producer(&bytes);
        if let Ok(header) = BatchHeader::read(&bytes) {
            let _ = (header.last_offset(), header.last_sequence(), header.verify_crc(&bytes));
        }
    }

    #[test]
    fn any_altered_header_gets_an_answer(at in 0usize..57, with: [u8; 4]) {
        let bytes = altered(at, &with);
        if let Ok(header) = BatchHeader::validate_from_producer(&bytes) {
            prop_assert_eq!(header.total_bytes(), bytes.len());
            prop_assert!(header.records_count() >= 1);
        }
    }
}
