//! Records of groups of the consumer protocol, and the consumers' embedded protocol.

use super::{assert_record, bytes};
use crate::codec::Uuid;
use crate::codec::generate::{Source, mutate};
use crate::group_records::*;
use crate::messages::ConsumerTopicPartitions;

const ID: Uuid = Uuid([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);

fn group() -> ConsumerGroupKey {
    ConsumerGroupKey { group: "g".into() }
}

fn member() -> ConsumerMemberKey {
    ConsumerMemberKey { group: "g".into(), member_id: "m".into() }
}

fn check(record: ConsumerRecord, key: &str, value: &str) {
    assert_record(GroupRecord::Consumer(record), key, value);
}

#[test]
fn epochs_are_written_as_kafka_writes_them() {
    let epoch = |metadata_hash| {
        ConsumerRecord::Epoch(group(), Some(ConsumerEpochValue { epoch: 7, metadata_hash }))
    };
    check(epoch(9), "0003000167", "0000000000070100080000000000000009");
    check(epoch(0), "0003000167", "00000000000700");
    let value = ConsumerTargetEpochValue { assignment_epoch: 7, assignment_timestamp: 1_000 };
    let record = ConsumerRecord::TargetEpoch(group(), Some(value));
    check(record, "0006000167", "00000000000701000800000000000003e8");
}

#[test]
fn members_are_written_as_kafka_writes_them() {
    let plain = ConsumerMemberValue {
        client_id: "c".into(),
        client_host: "/h".into(),
        subscribed_topic_names: vec!["t".into()],
        rebalance_timeout_ms: 60_000,
        ..Default::default()
    };
    let modern = ConsumerMemberValue {
        instance_id: Some("i".into()),
        subscribed_topic_regex: Some("r".into()),
        server_assignor: Some("uniform".into()),
        ..plain.clone()
    };
    let key = "000500016700016d";
    let record = |value| ConsumerRecord::Member(member(), Some(value));
    check(record(modern), key, "00000269000263032f6802027402720000ea6008756e69666f726d00");
    let protocol =
        ClassicProtocolValue { name: "range".into(), metadata: bytes::Bytes::from_static(&[1, 2]) };
    let classic = ClassicMemberValue { session_timeout_ms: 45_000, protocols: vec![protocol] };
    let value = ConsumerMemberValue { classic: Some(classic), ..plain };
    let hex = "000000000263032f68020274000000ea6000010011010000afc8020672616e67650301020000";
    check(record(value), key, hex);
}

#[test]
fn assignments_are_written_as_kafka_writes_them() {
    let topic = ConsumerTopicPartitions { topic_id: ID, partitions: vec![0, 5] };
    let target = ConsumerTargetValue { topic_partitions: vec![topic] };
    let hex = "000002000000000000000100000000000000020300000000000000050000";
    check(ConsumerRecord::Target(member(), Some(target)), "000700016700016d", hex);
    let owned = |partitions, assignment_epochs| OwnedTopicPartitions {
        topic_id: ID,
        partitions,
        assignment_epochs,
    };
    let current = ConsumerCurrentValue {
        member_epoch: 7,
        previous_member_epoch: 6,
        state: 1,
        assigned_partitions: vec![owned(vec![0, 5], Some(vec![6, 7]))],
        // As brokers before KIP-1251 wrote it.
        partitions_pending_revocation: vec![owned(vec![1], None)],
    };
    let hex = "00000000000700000006010200000000000000010000000000000002030000000000000005010009030000000600\
               000007020000000000000001000000000000000202000000010000";
    check(ConsumerRecord::Current(member(), Some(current)), "000800016700016d", hex);
    let key = ConsumerPatternKey { group: "g".into(), pattern: "r".into() };
    let value =
        ConsumerPatternValue { topics: vec!["t".into(), "u".into()], version: 3, timestamp: 1_000 };
    let hex = "00000302740275000000000000000300000000000003e800";
    check(ConsumerRecord::Pattern(key, Some(value)), "0010000167000172", hex);
}

#[test]
fn tombstones_say_whose_they_are() {
    let key = ConsumerPatternKey { group: "g".into(), pattern: "r".into() };
    for record in [
        ConsumerRecord::Epoch(group(), None),
        ConsumerRecord::Member(member(), None),
        ConsumerRecord::TargetEpoch(group(), None),
        ConsumerRecord::Target(member(), None),
        ConsumerRecord::Current(member(), None),
        ConsumerRecord::Pattern(key, None),
    ] {
        assert!(record.is_tombstone() && &**record.group() == "g");
        let record = GroupRecord::Consumer(record);
        let (key, value) = record.encode().unwrap();
        assert_eq!(value, None);
        assert_eq!(GroupRecord::decode(&key, None).unwrap(), Some(record));
    }
}

#[test]
fn subscriptions_and_assignments_of_every_version_are_read() {
    // Topics t; no user data; owns t-1 since generation 2; rack r.
    let newest = "0003000000010001 74ffffffff 0000000100017400000001 00000001 00000002 000172";
    let newest = bytes(&newest.replace(' ', ""));
    let (version, read) = embedded_subscription(&newest).unwrap();
    assert_eq!((version, read.generation_id, read.rack_id.as_deref()), (3, 2, Some("r")));
    assert_eq!(read.owned_partitions[0].partitions, [1]);
    // A later version begins as this one.
    let later = [&[0, 9], &newest[2..], &[7; 5]].concat();
    assert_eq!(embedded_subscription(&later.into()).unwrap(), (9, read));
    assert!(embedded_subscription(&bytes("ffff00000000ffffffff")).is_err());
    assert!(embedded_subscription(&bytes("00007fffffff")).is_err());
    let own = EmbeddedTopicPartitions { topic: "t".into(), partitions: vec![0, 1] };
    let assignment = EmbeddedAssignment { assigned_partitions: vec![own], user_data: None };
    let written = encode_embedded_assignment(&assignment, 1).unwrap();
    assert_eq!(
        written,
        bytes("00010000000100017400000002 0000000000000001ffffffff".replace(' ', "").as_str())
    );
    assert_eq!(embedded_assignment(&written).unwrap(), assignment);
    assert_eq!(embedded_assignment(&bytes::Bytes::new()).unwrap(), Default::default());
    let mut source = Source(3);
    for _ in 0..10_000 {
        let _ = embedded_subscription(&mutate(&newest, &mut source).into());
        let _ = embedded_assignment(&mutate(&written, &mut source).into());
    }
}
