mod descriptions;

use corelane_net::codec::{STRING_BYTES_MAX, Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    Api, DeleteTopicState, InitProducerIdRequest, MetadataResponse, MetadataResponseTopic,
};
use corelane_storage::batch::{BatchError, RecordsError};
use corelane_storage::ids::TopicId;
use corelane_storage::log::{AppendError, DeleteRecordsError, ReadError};

use super::fetch::share::{Offer, share_out};
use super::list_offsets::{Wanted, wanted};
use super::{APIS, api_versions, create_topics, delete_topics, errors, init_producer_id, metadata};
use crate::catalog::change::{AssignmentError, NewTopic, Refusal};
use crate::catalog::config::ConfigError;
use crate::catalog::name::NameError;
use crate::catalog::{Catalog, Command, Topic};
use crate::partition::PartitionError;
use crate::seeded::Rng;
use crate::shard::controller::ChangeError;

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

fn shares(offers: &[(usize, usize)], max_bytes: usize) -> Vec<usize> {
    let offer =
        |(bytes, limit_bytes): &(usize, usize)| Offer { bytes: *bytes, limit_bytes: *limit_bytes };
    share_out(&offers.iter().map(offer).collect::<Vec<_>>(), max_bytes)
}

#[test]
fn max_bytes_is_shared_out_in_order() {
    let all = |bytes: &[usize], max_bytes| {
        shares(&bytes.iter().map(|bytes| (*bytes, 100)).collect::<Vec<_>>(), max_bytes)
    };
    assert_eq!(all(&[10, 20, 30], 100), [10, 20, 30]);
    assert_eq!(all(&[10, 20, 30], 25), [10, 15, 0]);
    assert_eq!(all(&[0, 0, 40, 5], 25), [0, 0, 40, 0], "the first with data gets it all");
    assert_eq!(all(&[0, 40], 0), [0, 40]);
    assert_eq!(all(&[], 10), [0usize; 0]);
    assert_eq!(shares(&[(40, 1), (40, 1)], 100), [40, 1], "only the first exceeds its own limit");
    let mut rng = Rng::new(3);
    for _ in 0..5_000 {
        let offer = |rng: &mut Rng| (rng.below(100) as usize, rng.below(100) as usize);
        let offers: Vec<(usize, usize)> = (0..rng.below(8)).map(|_| offer(&mut rng)).collect();
        let max = rng.below(300) as usize;
        let shares = shares(&offers, max);
        let first = offers.iter().position(|(bytes, _)| *bytes > 0);
        let oversize = first.map_or(0, |first| offers[first].0);
        assert!(shares.iter().sum::<usize>() <= max.max(oversize), "{offers:?} {max}");
        let mut short = false;
        for (place, (share, (bytes, limit))) in shares.iter().zip(&offers).enumerate() {
            let fair = if Some(place) == first { *bytes } else { *bytes.min(limit) };
            assert!(*share <= fair, "{offers:?} {max}");
            short |= *share < fair;
        }
        // Nobody goes short while bytes are left.
        assert!(!short || shares.iter().sum::<usize>() >= max, "{offers:?} {max}");
    }
}

#[test]
fn timestamps_mean_what_they_mean_in_kafka_without_tiers() {
    assert_eq!(wanted(-1, 1), Wanted::Latest);
    assert_eq!(wanted(-2, 1), Wanted::Earliest);
    assert_eq!(wanted(-4, 8), Wanted::Earliest);
    assert_eq!(wanted(-4, 7), Wanted::Unsupported);
    assert_eq!(wanted(-5, 9), Wanted::Nothing);
    assert_eq!(wanted(-6, 11), Wanted::Nothing);
    assert_eq!(wanted(-6, 10), Wanted::Unsupported);
    assert_eq!(wanted(-3, 7), Wanted::Newest);
    assert_eq!(wanted(-3, 6), Wanted::Unsupported);
    assert_eq!(wanted(0, 1), Wanted::Since(0));
    assert_eq!(wanted(i64::MIN, 11), Wanted::Unsupported);
}

#[test]
fn producer_ids_are_refused_in_the_order_in_which_kafka_looks() {
    let refusal = |transactional_id: Option<&str>, timeout_ms, producer_id, producer_epoch| {
        init_producer_id::refusal(&InitProducerIdRequest {
            transactional_id: transactional_id.map(Into::into),
            transaction_timeout_ms: timeout_ms,
            producer_id,
            producer_epoch,
            ..Default::default()
        })
    };
    assert_eq!(refusal(None, -1, -1, -1), None);
    assert_eq!(refusal(None, 0, 5, 3), None);
    assert_eq!(refusal(None, 1, 5, -1), Some(ErrorCode::InvalidRequest));
    assert_eq!(refusal(None, 1, -1, 0), Some(ErrorCode::InvalidRequest));
    assert_eq!(refusal(Some(""), 1, -1, -1), Some(ErrorCode::InvalidRequest));
    for timeout_ms in [0, -5, 900_001, i32::MAX] {
        let code = refusal(Some("t"), timeout_ms, -1, -1);
        assert_eq!(code, Some(ErrorCode::InvalidTransactionTimeout), "{timeout_ms}");
    }
    let code = Some(ErrorCode::TransactionalIdAuthorizationFailed);
    assert_eq!(refusal(Some("t"), 900_000, -1, -1), code);
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
        (PartitionError::UnsupportedCompression, ErrorCode::UnsupportedCompressionType),
        (PartitionError::UnknownFetchedEpoch { asked: 2, current: 1 }, ErrorCode::OffsetOutOfRange),
        (PartitionError::NegativeLimit, ErrorCode::UnknownServerError),
        (PartitionError::NamedTwice, ErrorCode::InvalidRequest),
        (PartitionError::NoDeletePolicy, ErrorCode::PolicyViolation),
        (PartitionError::InternalTopic("t".into()), ErrorCode::InvalidTopicException),
        (PartitionError::UnsupportedTimestamp, ErrorCode::UnsupportedVersion),
        (
            DeleteRecordsError::OutOfRange { before: 9, high_watermark: 1 }.into(),
            ErrorCode::OffsetOutOfRange,
        ),
        (DeleteRecordsError::Offline(offline()).into(), ErrorCode::KafkaStorageError),
        (AppendError::InvalidTimestamp { records: Vec::new() }.into(), ErrorCode::InvalidTimestamp),
        (
            AppendError::Batch(BatchError::Transactional).into(),
            ErrorCode::TransactionalIdAuthorizationFailed,
        ),
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
fn whoever_names_a_topic_twice_deletes_it_not_at_all() {
    let mut catalog = Catalog::default();
    let id = |number: u8| Uuid([number; 16]);
    for (name, number) in [("a", 1), ("b", 2), ("c", 3)] {
        let (id, configs) = (TopicId([number; 16]), Default::default());
        let topic = Topic { name: name.into(), id, partitions: 1, configs };
        catalog.apply(&Command::CreateTopic(topic.into()));
    }
    let state =
        |name: Option<&str>, topic_id| DeleteTopicState { name: name.map(Str::from), topic_id };
    let sort = |states: &[DeleteTopicState]| {
        let sorted = delete_topics::sort(states.to_vec(), &catalog);
        let refused = sorted.refused.iter().map(|one| (one.name.clone(), one.topic_id));
        assert!(sorted.refused.iter().all(|one| one.error_code == ErrorCode::InvalidRequest));
        (sorted.wanted, refused.collect::<Vec<_>>())
    };
    let (by_name, by_id) = (state(Some("a"), Uuid::ZERO), state(None, id(2)));
    for both in [[by_name.clone(), by_id.clone()], [by_id.clone(), by_name.clone()]] {
        assert_eq!(sort(&both), (both.to_vec(), vec![]), "in the order of the request");
    }
    let many: Vec<_> = (0..50).rev().map(|n| state(Some(&n.to_string()), Uuid::ZERO)).collect();
    assert_eq!(sort(&many), (many.clone(), vec![]));
    let (_, repeated) = sort(&[&many[..], &many[..]].concat());
    assert!(repeated.iter().map(|(name, _)| name).eq(many.iter().map(|state| &state.name)));

    let twice = sort(&[by_name.clone(), by_name.clone(), by_name.clone()]);
    assert_eq!(twice, (vec![], vec![(Some("a".into()), Uuid::ZERO)]));
    assert_eq!(sort(&[by_id.clone(), by_id]), (vec![], vec![(None, id(2))]));
    let both_ways = sort(&[by_name, state(None, id(1))]);
    assert_eq!(both_ways, (vec![], vec![(Some("a".into()), id(1))]));
    let named_and_repeated =
        sort(&[state(Some("c"), Uuid::ZERO), state(None, id(3)), state(None, id(3))]);
    assert_eq!(named_and_repeated.0, vec![]);
    assert_eq!(sort(&[state(None, Uuid::ZERO)]), (vec![], vec![(None, Uuid::ZERO)]));
    assert_eq!(sort(&[state(Some("a"), id(1))]), (vec![], vec![(Some("a".into()), id(1))]));
    let unknown = state(Some("gone"), Uuid::ZERO);
    assert_eq!(
        sort(std::slice::from_ref(&unknown)),
        (vec![unknown], vec![]),
        "told by the controller"
    );
}

#[test]
fn repeated_topics_are_told_once_in_the_order_of_the_request() {
    let names: Vec<String> = (0..50).rev().map(|number| number.to_string()).collect();
    let mut topics: Vec<_> = names.iter().map(|name| NewTopic::named(name)).collect();
    topics.insert(7, NewTopic::named("once"));
    topics.extend(names.iter().map(|name| NewTopic::named(name)));
    assert_eq!(create_topics::take_repeated(&mut topics), names);
    assert!(topics.iter().map(|topic| &*topic.name).eq(["once"]));
}

/// A topic that was deleted while its creator's answer was made would be unknown to all others.
#[test]
fn metadata_that_lacks_a_topic_to_create_is_not_kept() {
    let answer = |error_code| {
        let topic = MetadataResponseTopic { error_code, ..Default::default() };
        let there = MetadataResponseTopic::default();
        MetadataResponse { topics: vec![there, topic], ..Default::default() }
    };
    let refused = metadata::Refused::from([(Str::from("t"), ErrorCode::InvalidTopicException)]);
    let (none, unknown) = (Default::default(), answer(ErrorCode::UnknownTopicOrPartition));
    assert!(!metadata::may_be_kept(&unknown, &none, true));
    assert!(metadata::may_be_kept(&unknown, &none, false), "nobody would create it");
    assert!(metadata::may_be_kept(&answer(ErrorCode::InvalidTopicException), &none, true));
    assert!(metadata::may_be_kept(&answer(ErrorCode::None), &none, true));
    assert!(!metadata::may_be_kept(&answer(ErrorCode::None), &refused, true));
}

#[test]
fn every_refusal_has_the_code_that_clients_act_on() {
    let cases = [
        (NameError::Empty.into(), ErrorCode::InvalidTopicException),
        (Refusal::Exists("t".to_owned()), ErrorCode::TopicAlreadyExists),
        (Refusal::NoPartitions, ErrorCode::InvalidPartitions),
        (Refusal::SamePartitions(1), ErrorCode::InvalidPartitions),
        (Refusal::TooManyPartitions, ErrorCode::PolicyViolation),
        (Refusal::NoReplicas, ErrorCode::InvalidReplicationFactor),
        (Refusal::TooManyReplicas(3), ErrorCode::InvalidReplicationFactor),
        (Refusal::OneHost(3), ErrorCode::InvalidReplicationFactor),
        (AssignmentError::Gap.into(), ErrorCode::InvalidReplicaAssignment),
        (ConfigError::Tiered.into(), ErrorCode::InvalidConfig),
        (Refusal::NullConfigs(vec![]), ErrorCode::InvalidConfig),
        (Refusal::Request(String::new()), ErrorCode::InvalidRequest),
        (Refusal::UnknownTopic(String::new()), ErrorCode::UnknownTopicOrPartition),
    ];
    for (refusal, code) in cases {
        assert_eq!(errors::change_code(&refusal.clone().into()), code, "{refusal}");
    }
    assert_eq!(errors::change_code(&ChangeError::UnknownTopicId), ErrorCode::UnknownTopicId);
}

#[test]
fn words_that_repeat_a_clients_text_are_cut_between_characters() {
    assert_eq!(errors::message(&"short").as_deref(), Some("short"));
    for character in ["x", "ü", "€", "𝄞"] {
        let text = format!("a{}", character.repeat(STRING_BYTES_MAX / character.len()));
        let cut = errors::message(&NameError::Character(text.clone())).unwrap();
        assert!((997..=1_000).contains(&cut.len()), "{character}: {} bytes", cut.len());
        assert!(cut.ends_with(character));
    }
}
