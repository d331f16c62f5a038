use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{Api, CreatableReplicaAssignment, CreatableTopic};
use corelane_storage::batch::{BatchError, RecordsError};
use corelane_storage::log::{AppendError, ReadError};

use super::fetch::share::share_out;
use super::list_offsets::{Wanted, wanted};
use super::{APIS, api_versions, create_topics, errors};
use crate::catalog::{Catalog, Command};
use crate::partition::PartitionError;
use crate::seeded::Rng;
use crate::shard::controller::{self, NewTopic};

#[test]
fn the_table_lists_every_api_once_within_what_the_codec_speaks() {
    let mut keys: Vec<_> = APIS.iter().map(|supported| supported.api.key()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), APIS.len());
    for supported in APIS {
        let codec = supported.api.versions();
        assert!(codec.contains(supported.served.start()), "{:?}", supported.api);
        assert!(codec.contains(supported.served.end()), "{:?}", supported.api);
        assert_eq!(supported.served.end(), supported.advertised.end(), "{:?}", supported.api);
        let is_produce = supported.api == Api::Produce;
        assert_eq!(supported.served != supported.advertised, is_produce, "{:?}", supported.api);
    }
}

#[test]
fn max_bytes_is_shared_out_in_request_order() {
    assert_eq!(share_out(&[10, 20, 30], 100), [10, 20, 30]);
    assert_eq!(share_out(&[10, 20, 30], 25), [10, 15, 0]);
    assert_eq!(share_out(&[0, 0, 40, 5], 25), [0, 0, 40, 0], "the first with data gets it all");
    assert_eq!(share_out(&[0, 40], 0), [0, 40]);
    assert_eq!(share_out(&[], 10), [0usize; 0]);
    let mut rng = Rng::new(3);
    for _ in 0..5_000 {
        let sizes: Vec<usize> = (0..rng.below(8)).map(|_| rng.below(100) as usize).collect();
        let max = rng.below(300) as usize;
        let shares = share_out(&sizes, max);
        let first = sizes.iter().copied().find(|size| *size > 0).unwrap_or(0);
        assert!(shares.iter().sum::<usize>() <= max.max(first), "{sizes:?} {max}");
        assert!(shares.iter().zip(&sizes).all(|(share, size)| share <= size));
        // Nobody goes short while bytes are left.
        let short = shares.iter().zip(&sizes).any(|(share, size)| share < size);
        assert!(!short || shares.iter().sum::<usize>() >= max, "{sizes:?} {max}");
    }
}

#[test]
fn timestamps_mean_what_they_mean_in_kafka_without_tiers() {
    assert_eq!(wanted(-1, 1), Wanted::Latest);
    assert_eq!(wanted(-2, 1), Wanted::Earliest);
    assert_eq!(wanted(-4, 8), Wanted::Earliest);
    assert_eq!(wanted(-4, 7), Wanted::Refused(ErrorCode::UnsupportedVersion));
    assert_eq!(wanted(-5, 9), Wanted::Nothing);
    assert_eq!(wanted(-6, 11), Wanted::Nothing);
    assert_eq!(wanted(-6, 10), Wanted::Refused(ErrorCode::UnsupportedVersion));
    assert_eq!(wanted(-3, 7), Wanted::Refused(ErrorCode::UnsupportedForMessageFormat));
    assert_eq!(wanted(0, 7), Wanted::Refused(ErrorCode::UnsupportedForMessageFormat));
    assert_eq!(wanted(i64::MIN, 11), Wanted::Refused(ErrorCode::UnsupportedVersion));
}

#[test]
fn client_software_is_checked_as_kip_511_says() {
    for legal in ["librdkafka", "apache-kafka-java", "2.0.2", "a"] {
        assert!(api_versions::is_software(legal), "{legal}");
    }
    for illegal in ["", "-a", "a.", "a b", "ä", "a_b"] {
        assert!(!api_versions::is_software(illegal), "{illegal}");
    }
}

fn asked(num_partitions: i32, replication_factor: i16, assigned: &[(i32, i32)]) -> CreatableTopic {
    let assignment = |(partition_index, broker): &(i32, i32)| CreatableReplicaAssignment {
        partition_index: *partition_index,
        broker_ids: vec![*broker],
    };
    CreatableTopic {
        name: "t".into(),
        num_partitions,
        replication_factor,
        assignments: assigned.iter().map(assignment).collect(),
        configs: Vec::new(),
    }
}

#[test]
fn create_topics_checks_partitions_replicas_and_assignments() {
    let check = |topic| create_topics::new_topic(&topic, 1).map(|new| new.partitions);
    let code = |topic| check(topic).map_err(|(code, _)| code);
    assert_eq!(code(asked(-1, -1, &[])), Ok(None));
    assert_eq!(code(asked(6, 1, &[])), Ok(Some(6)));
    assert_eq!(code(asked(0, 1, &[])), Ok(Some(0)), "refused by the controller");
    assert_eq!(code(asked(6, 3, &[])), Err(ErrorCode::InvalidReplicationFactor));
    assert_eq!(code(asked(-1, -1, &[(1, 1), (0, 1)])), Ok(Some(2)));
    assert_eq!(code(asked(2, -1, &[(0, 1), (1, 1)])), Err(ErrorCode::InvalidRequest));
    assert_eq!(code(asked(-1, 1, &[(0, 1)])), Err(ErrorCode::InvalidRequest));
    assert_eq!(code(asked(-1, -1, &[(1, 1)])), Err(ErrorCode::InvalidReplicaAssignment));
    assert_eq!(code(asked(-1, -1, &[(0, 1), (0, 1)])), Err(ErrorCode::InvalidReplicaAssignment));
    assert_eq!(code(asked(-1, -1, &[(0, 2)])), Err(ErrorCode::InvalidReplicaAssignment));
}

#[test]
fn every_error_has_the_code_that_clients_act_on() {
    let offline = || "gone".into();
    let not_records = || RecordsError::Malformed { index: 0, reason: "cut short" };
    let cases: Vec<(PartitionError, ErrorCode)> = vec![
        (PartitionError::UnknownPartition, ErrorCode::UnknownTopicOrPartition),
        (PartitionError::UnknownTopicId, ErrorCode::UnknownTopicId),
        (PartitionError::FencedLeaderEpoch { asked: 1, current: 2 }, ErrorCode::FencedLeaderEpoch),
        (
            PartitionError::UnknownLeaderEpoch { asked: 2, current: 1 },
            ErrorCode::UnknownLeaderEpoch,
        ),
        (PartitionError::InvalidRecord("two batches"), ErrorCode::InvalidRecord),
        (PartitionError::Transactional, ErrorCode::TransactionalIdAuthorizationFailed),
        (PartitionError::TimedOut, ErrorCode::RequestTimedOut),
        (PartitionError::Panicked, ErrorCode::UnknownServerError),
        (PartitionError::Offline(offline()), ErrorCode::KafkaStorageError),
        (PartitionError::Stopping, ErrorCode::NotLeaderOrFollower),
        (AppendError::Batch(BatchError::Corrupt("CRC")).into(), ErrorCode::CorruptMessage),
        (AppendError::Batch(BatchError::Invalid("control")).into(), ErrorCode::InvalidRecord),
        (AppendError::Batch(BatchError::UnsupportedMagic(1)).into(), ErrorCode::InvalidRecord),
        (
            AppendError::TooLarge { batch_bytes: 2, limit_bytes: 1 }.into(),
            ErrorCode::MessageTooLarge,
        ),
        (AppendError::InvalidTimestamp { records: Vec::new() }.into(), ErrorCode::InvalidTimestamp),
        (AppendError::Records(not_records()).into(), ErrorCode::InvalidRecord),
        (AppendError::Offline(offline()).into(), ErrorCode::KafkaStorageError),
        (
            ReadError::OutOfRange { offset: 9, log_start: 0, log_end: 1 }.into(),
            ErrorCode::OffsetOutOfRange,
        ),
        (
            ReadError::Records { base_offset: 3, source: not_records() }.into(),
            ErrorCode::CorruptMessage,
        ),
        (ReadError::Offline(offline()).into(), ErrorCode::KafkaStorageError),
    ];
    for (error, code) in cases {
        assert_eq!(errors::partition_code(&error), code, "{error}");
    }
}

#[test]
fn a_refused_topic_says_why() {
    let mut catalog = Catalog::default();
    let topic = |name: &str, partitions| NewTopic {
        name: name.to_owned(),
        partitions,
        configs: Default::default(),
    };
    let made = controller::check(&catalog, topic("a.b", None), 3).unwrap();
    assert_eq!(made.partitions, 3, "the broker's default");
    catalog.apply(&Command::CreateTopic(made.into()));
    let code = |new| controller::check(&catalog, new, 3).map_err(|e| errors::change_code(&e)).err();
    assert_eq!(code(topic("fine", Some(1))), None);
    assert_eq!(code(topic("a.b", Some(1))), Some(ErrorCode::TopicAlreadyExists));
    assert_eq!(code(topic("a_b", Some(1))), Some(ErrorCode::InvalidTopicException));
    assert_eq!(code(topic("a/b", Some(1))), Some(ErrorCode::InvalidTopicException));
    let internal = topic("__consumer_offsets", Some(1));
    assert_eq!(code(internal), Some(ErrorCode::InvalidTopicException));
    assert_eq!(code(topic("none", Some(0))), Some(ErrorCode::InvalidPartitions));
    assert_eq!(code(topic("many", Some(i32::MAX))), Some(ErrorCode::PolicyViolation));
    let mut odd = topic("odd", Some(1));
    odd.configs.insert("no.such.key".to_owned(), "1".to_owned());
    assert_eq!(code(odd), Some(ErrorCode::InvalidConfig));
}
