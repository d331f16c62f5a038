use std::sync::Arc;

use corelane_storage::ids::TopicId;
use corelane_storage::log::Durability;

use super::command::DecodeError;
use super::config::{self, ConfigError, Configs};
use super::name::{self, NameError};
use super::{Catalog, Command, Topic};
use crate::seeded::Rng;

fn topic(name: &str, id: u8, partitions: u32) -> Arc<Topic> {
    let configs = Configs::from([("segment.bytes".to_owned(), "1048576".to_owned())]);
    Arc::new(Topic { name: name.into(), id: TopicId([id; 16]), partitions, configs })
}

#[test]
fn legal_names_are_kafkas() {
    for name in ["a", "A.b_c-9", "...", "__consumer_offsets", &"x".repeat(249)] {
        assert_eq!(name::check(name), Ok(()), "{name}");
    }
    assert_eq!(name::check(""), Err(NameError::Empty));
    assert_eq!(name::check("."), Err(NameError::Dots));
    assert_eq!(name::check(".."), Err(NameError::Dots));
    assert_eq!(name::check(&"x".repeat(250)), Err(NameError::TooLong));
    for name in ["a b", "a/b", "é", "a\0", "a\n", "../x"] {
        assert_eq!(name::check(name), Err(NameError::Character), "{name:?}");
    }
}

#[test]
fn a_dot_and_an_underscore_collide() {
    let mut catalog = Catalog::default();
    catalog.apply(&Command::CreateTopic(topic("a.b", 1, 1)));
    assert_eq!(catalog.collision("a_b"), Some("a.b"));
    assert_eq!(catalog.collision("a.b"), None, "a name does not collide with itself");
    assert_eq!(catalog.collision("a-b"), None);
    catalog.apply(&Command::DeleteTopic(TopicId([1; 16])));
    assert_eq!(catalog.collision("a_b"), None, "a deleted topic is in nobody's way");
}

#[test]
fn commands_apply_once_and_in_order() {
    let mut catalog = Catalog::default();
    catalog.apply(&Command::CreateTopic(topic("t", 1, 3)));
    catalog.apply(&Command::CreateTopic(topic("t", 2, 5)));
    assert_eq!(catalog.topic("t").map(|t| t.partitions), Some(3), "the first one stands");
    assert!(catalog.topic_by_id(TopicId([2; 16])).is_none());

    catalog.apply(&Command::DeleteTopic(TopicId([9; 16])));
    assert_eq!(catalog.topic_count(), 1);
    catalog.apply(&Command::DeleteTopic(TopicId([1; 16])));
    catalog.apply(&Command::CreateTopic(topic("t", 2, 5)));
    assert_eq!(catalog.topic("t").map(|t| t.id), Some(TopicId([2; 16])));
    assert_eq!(catalog.partition_count(), 5);
}

#[test]
fn a_rewritten_log_makes_the_same_catalog() {
    let mut catalog = Catalog::default();
    for i in 0..50u8 {
        catalog.apply(&Command::CreateTopic(topic(&format!("t{i}"), i, 1 + u32::from(i))));
    }
    for i in (0..50u8).step_by(3) {
        catalog.apply(&Command::DeleteTopic(TopicId([i; 16])));
    }
    let mut replayed = Catalog::default();
    for command in catalog.to_commands() {
        replayed.apply(&Command::decode(&command.encode()).unwrap());
    }
    assert_eq!(replayed, catalog);
}

#[test]
fn commands_survive_their_encoding() {
    for command in
        [Command::CreateTopic(topic("orders.v1", 7, 12)), Command::DeleteTopic(TopicId([255; 16]))]
    {
        assert_eq!(Command::decode(&command.encode()), Ok(command));
    }
}

#[test]
fn every_truncation_and_any_garbage_is_refused() {
    let whole = Command::CreateTopic(topic("orders", 7, 12)).encode();
    for len in 0..whole.len() {
        assert!(Command::decode(&whole[..len]).is_err(), "{len} bytes");
    }
    let mut longer = whole.clone();
    longer.push(0);
    assert_eq!(Command::decode(&longer), Err(DecodeError::TrailingBytes(1)));
    assert_eq!(Command::decode(&[2, 1]), Err(DecodeError::NewerVersion(2)));
    assert_eq!(Command::decode(&[1, 9]), Err(DecodeError::UnknownKind(9)));

    let mut rng = Rng::new(0x5eed);
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..1 + rng.below(4) {
            let at = rng.below(bytes.len() as u64) as usize;
            bytes[at] = rng.next() as u8;
        }
        // What still decodes must be a legal command that encodes to the same bytes, unless only
        // the order of its configs was not canonical.
        if let Ok(command) = Command::decode(&bytes) {
            assert_eq!(Command::decode(&command.encode()), Ok(command));
        }
    }
}

#[test]
fn configs_are_checked() {
    for (key, value) in [
        ("segment.bytes", "1048576"),
        ("flush.messages", "1"),
        ("retention.ms", "-1"),
        ("cleanup.policy", "compact,delete"),
        ("message.timestamp.type", "LogAppendTime"),
        ("min.cleanable.dirty.ratio", "0.5"),
    ] {
        assert_eq!(config::check(key, value), Ok(()), "{key}={value}");
    }
    assert_eq!(
        config::check("no.such.key", "1"),
        Err(ConfigError::UnknownKey("no.such.key".to_owned()))
    );
    for (key, value) in [
        ("segment.bytes", "1"),
        ("segment.bytes", "2147483648"),
        ("segment.bytes", "many"),
        ("flush.messages", "0"),
        ("retention.ms", "-2"),
        ("cleanup.policy", ""),
        ("message.timestamp.type", "Never"),
        ("min.cleanable.dirty.ratio", "1.5"),
        ("compression.type", "zstd"),
        ("preallocate", "yes"),
    ] {
        assert!(config::check(key, value).is_err(), "{key}={value}");
    }
}

#[test]
fn a_topic_may_ask_for_more_durability_never_for_less() {
    let one = Configs::from([("flush.messages".to_owned(), "1".to_owned())]);
    let many = Configs::from([("flush.messages".to_owned(), "1000".to_owned())]);
    let durability = |configs: &Configs, broker| config::log_config(configs, broker).durability;
    assert_eq!(durability(&one, Durability::Written), Durability::Flushed);
    assert_eq!(durability(&many, Durability::Written), Durability::Written);
    assert_eq!(durability(&many, Durability::Flushed), Durability::Flushed);
    assert_eq!(durability(&Configs::new(), Durability::Written), Durability::Written);
}
