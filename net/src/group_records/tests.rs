//! Bytes that Apache Kafka 4.3.1's own serializers write, and bytes that nobody does.

mod consumer;

use bytes::Bytes;

use super::*;
use crate::codec::generate::{Source, mutate};

fn bytes(hex: &str) -> Bytes {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

fn offset_key() -> OffsetCommitKey {
    OffsetCommitKey { group: "g".into(), topic: "t".into(), partition: 7 }
}

fn group_key() -> GroupMetadataKey {
    GroupMetadataKey { group: "g".into() }
}

fn offset() -> OffsetCommitValue {
    OffsetCommitValue {
        offset: 5,
        leader_epoch: 6,
        metadata: "x".into(),
        commit_timestamp: 1_000,
        ..Default::default()
    }
}

fn group() -> GroupMetadataValue {
    let member = MemberMetadata {
        member_id: "m".into(),
        group_instance_id: Some("i".into()),
        client_id: "c".into(),
        client_host: "/h".into(),
        rebalance_timeout: 300_000,
        session_timeout: 45_000,
        subscription: Bytes::from_static(&[1, 2]),
        assignment: Bytes::from_static(&[3]),
    };
    GroupMetadataValue {
        protocol_type: "consumer".into(),
        generation: 3,
        protocol: Some("range".into()),
        leader: Some("m".into()),
        current_state_timestamp: 1_000,
        members: vec![member],
    }
}

const OFFSET_KEY: &str = "000100016700017400000007";
const GROUP_KEY: &str = "0002000167";
const GROUP: &str = "00030008636f6e73756d657200000003000572616e676500016d00000000000003e80000000100016d\
                     00016900016300022f68000493e00000afc80000000201020000000103";

/// Both directions.
fn assert_record(record: GroupRecord, key: &str, value: &str) {
    let (our_key, our_value) = record.encode().unwrap();
    assert_eq!((our_key, our_value), (bytes(key), Some(bytes(value))), "{record:?}");
    assert_read(record, key, value);
}

fn assert_read(record: GroupRecord, key: &str, value: &str) {
    let read = GroupRecord::decode(&bytes(key), Some(&bytes(value))).unwrap();
    assert_eq!(read, Some(record));
}

#[test]
fn an_offset_is_written_as_kafka_writes_it() {
    let record = |value| GroupRecord::Offset(offset_key(), Some(value));
    let plain = "0004000000000000000500000006027800000000000003e800";
    assert_record(record(offset()), OFFSET_KEY, plain);
    let topic_id = Uuid([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
    let with_id = "0004000000000000000500000006027800000000000003e80100100000000000000001\
                   0000000000000002";
    assert_record(record(OffsetCommitValue { topic_id, ..offset() }), OFFSET_KEY, with_id);
    let expiring = OffsetCommitValue { leader_epoch: -1, expire_timestamp: 2_000, ..offset() };
    let bytes = "0001000000000000000500017800000000000003e800000000000007d0";
    assert_record(record(expiring), OFFSET_KEY, bytes);
}

#[test]
fn older_offsets_are_read() {
    let record = |value| GroupRecord::Offset(offset_key(), Some(value));
    let old = OffsetCommitValue { leader_epoch: -1, ..offset() };
    assert_read(record(old.clone()), OFFSET_KEY, "0000000000000000000500017800000000000003e8");
    assert_read(record(old), OFFSET_KEY, "0002000000000000000500017800000000000003e8");
    let third = "000300000000000000050000000600017800000000000003e8";
    assert_read(record(offset()), OFFSET_KEY, third);
    // The key's version 0 is its version 1.
    let key = OFFSET_KEY.replacen("0001", "0000", 1);
    assert_read(record(offset()), &key, third);
}

#[test]
fn a_group_is_written_as_kafka_writes_it() {
    let record = |value| GroupRecord::Group(group_key(), Some(value));
    assert_record(record(group()), GROUP_KEY, GROUP);
    let empty = GroupMetadataValue {
        current_state_timestamp: 1_000,
        protocol: None,
        leader: None,
        ..Default::default()
    };
    let bytes = "0003000000000000ffffffff00000000000003e800000000";
    assert_record(record(empty), GROUP_KEY, bytes);
    let newer = "000409636f6e73756d6572000000030672616e6765026d00000000000003e802026d02690263032f68\
                 000493e00000afc803010202030000";
    assert_read(record(group()), GROUP_KEY, newer);
    let mut old = group();
    old.current_state_timestamp = -1;
    old.members[0].group_instance_id = None;
    old.members[0].rebalance_timeout = -1;
    let oldest = "00000008636f6e73756d657200000003000572616e676500016d0000000100016d00016300022f68\
                  0000afc80000000201020000000103";
    assert_read(record(old), GROUP_KEY, oldest);
}

#[test]
fn tombstones_have_no_value() {
    for record in [GroupRecord::Offset(offset_key(), None), GroupRecord::Group(group_key(), None)] {
        let (key, value) = record.encode().unwrap();
        assert_eq!(value, None);
        assert_eq!(GroupRecord::decode(&key, None).unwrap(), Some(record));
    }
}

#[test]
fn what_is_not_known_is_told_from_what_is_wrong() {
    let newer_key = bytes("00090001670000");
    assert_eq!(GroupRecord::decode(&newer_key, Some(&bytes("0000"))).unwrap(), None);
    let newer_value = GroupRecord::decode(&bytes(GROUP_KEY), Some(&bytes("0005"))).unwrap_err();
    assert_eq!(newer_value.kind(), DecodeErrorKind::UnknownVersion(5));
    assert!(GroupRecord::decode(&Bytes::new(), None).is_err());
    let long = "x".repeat(crate::codec::STRING_BYTES_MAX + 1);
    let key = GroupMetadataKey { group: Str::from(long) };
    assert!(GroupRecord::Group(key, None).encode().is_err());
}

#[test]
fn subscriptions_of_every_version_are_read() {
    // Version 1: topics, user data, owned partitions.
    let metadata = bytes("00010000000200017400017500000001ff00000000");
    let topics: Vec<Str> = vec!["t".into(), "u".into()];
    assert_eq!(subscribed_topics(&metadata).unwrap(), topics);
    assert!(subscribed_topics(&bytes("ffff00000000")).is_err());
    assert!(subscribed_topics(&bytes("0000ffffffff")).is_err());
    assert!(subscribed_topics(&bytes("00007fffffff")).is_err());
}

#[test]
fn shares_of_every_version_are_read() {
    // Version 3: two partitions of one topic, user data.
    let share = bytes("0003000000010001740000000200000000000000070000000155");
    let topics = vec![EmbeddedTopicPartitions { topic: "t".into(), partitions: vec![0, 7] }];
    assert_eq!(embedded_assignment(&share).unwrap().assigned_partitions, topics);
    assert_eq!(embedded_assignment(&Bytes::new()).unwrap(), EmbeddedAssignment::default());
    assert!(embedded_assignment(&bytes("ffff00000000")).is_err());
    assert!(embedded_assignment(&bytes("00007fffffff")).is_err());
}

#[test]
fn damaged_records_are_errors_at_most() {
    let mut source = Source(11);
    let value = bytes(GROUP);
    for _ in 0..20_000 {
        let bad = Bytes::from(mutate(&value, &mut source));
        let _ = GroupRecord::decode(&bytes(GROUP_KEY), Some(&bad));
        let _ = GroupRecord::decode(&bad, Some(&value));
        let _ = subscribed_topics(&bad);
        let _ = embedded_assignment(&bad);
    }
}
