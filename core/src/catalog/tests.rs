use std::sync::Arc;

use corelane_storage::ids::TopicId;

use super::command::DecodeError;
use super::config::Configs;
use super::name::{self, NameError};
use super::{BrokerScope, Catalog, Command, Topic};
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
    assert_eq!(name::check("."), Err(NameError::Dots(".".to_owned())));
    assert_eq!(name::check(".."), Err(NameError::Dots("..".to_owned())));
    assert_eq!(name::check(&"x".repeat(250)), Err(NameError::TooLong("x".repeat(250))));
    for name in ["a b", "a/b", "é", "a\0", "a\n", "../x"] {
        assert_eq!(name::check(name), Err(NameError::Character(name.to_owned())), "{name:?}");
    }
}

#[test]
fn topics_are_told_from_any_name_on() {
    let mut catalog = Catalog::default();
    for (id, name) in [(1, "b"), (2, "d"), (3, "a")] {
        catalog.apply(&Command::CreateTopic(topic(name, id, 1)));
    }
    for (from, expected) in [("", "abd"), ("a", "abd"), ("b", "bd"), ("c", "d"), ("e", "")] {
        let told: String = catalog.topics_from(from).map(|topic| &*topic.name).collect();
        assert_eq!(told, expected, "{from}");
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

fn configs(pairs: &[(&str, &str)]) -> Configs {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

#[test]
fn topics_and_brokers_change_by_command() {
    let mut catalog = Catalog::default();
    let id = TopicId([1; 16]);
    catalog.apply(&Command::CreateTopic(topic("t", 1, 3)));
    let set = configs(&[("retention.ms", "5")]);
    catalog.apply(&Command::SetTopicConfigs { id, configs: set.clone() });
    assert_eq!(catalog.topic("t").map(|t| &t.configs), Some(&set), "the whole set is replaced");

    catalog.apply(&Command::SetPartitions { id, partitions: 7 });
    assert_eq!(catalog.topic_by_id(id).map(|t| t.partitions), Some(7));
    catalog.apply(&Command::SetPartitions { id, partitions: 4 });
    assert_eq!(catalog.topic("t").map(|t| t.partitions), Some(7), "they never get fewer");
    assert_eq!(catalog.partition_count(), 7);

    let scope = BrokerScope::Node(1);
    catalog.apply(&Command::SetBrokerConfigs { scope, configs: set.clone() });
    assert_eq!(catalog.broker_configs(scope), &set);
    assert_eq!(catalog.broker_configs(BrokerScope::Cluster), &Configs::new());

    let before = catalog.clone();
    let gone = TopicId([9; 16]);
    catalog.apply(&Command::SetTopicConfigs { id: gone, configs: Configs::new() });
    catalog.apply(&Command::SetPartitions { id: gone, partitions: 9 });
    assert_eq!(catalog, before, "what is gone does not change");
}

/// What a busy cluster may have been told.
fn any_commands(rng: &mut Rng, count: usize) -> Vec<Command> {
    let any_configs = |rng: &mut Rng| {
        let keys = ["retention.ms", "segment.bytes", "cleanup.policy", "\u{1F980}"];
        let set = (0..rng.below(4))
            .map(|_| (keys[rng.below(4) as usize].to_owned(), rng.below(1 << 30).to_string()));
        set.collect::<Configs>()
    };
    let mut command = || {
        let (number, partitions) = (rng.below(12) as u8, 1 + rng.below(20) as u32);
        let id = TopicId([number; 16]);
        match rng.below(6) {
            0 | 1 => Command::CreateTopic(topic(&format!("t{number}"), number, partitions)),
            2 => Command::DeleteTopic(id),
            3 => Command::SetTopicConfigs { id, configs: any_configs(rng) },
            4 => Command::SetPartitions { id, partitions },
            _ => {
                let all = number.is_multiple_of(2);
                let scope = if all { BrokerScope::Cluster } else { BrokerScope::Node(1) };
                Command::SetBrokerConfigs { scope, configs: any_configs(rng) }
            }
        }
    };
    (0..count).map(|_| command()).collect()
}

fn replay<'a>(commands: impl IntoIterator<Item = &'a Command>) -> Catalog {
    let mut catalog = Catalog::default();
    for command in commands {
        catalog.apply(&Command::decode(&command.encode()).unwrap());
    }
    catalog
}

#[test]
fn a_rewritten_log_makes_the_same_catalog() {
    let mut rng = Rng::new(11);
    for _ in 0..200 {
        let commands = any_commands(&mut rng, 60);
        let catalog = replay(&commands);
        let rewritten = catalog.to_commands();
        assert_eq!(replay(&rewritten), catalog);
        assert!(rewritten.len() <= 12 + 2, "one per topic and set of brokers");
        let partitions = catalog.topics().map(|t| u64::from(t.partitions)).sum::<u64>();
        assert_eq!(catalog.partition_count(), partitions);
    }
}

#[test]
fn each_command_applied_twice_is_as_once() {
    let mut rng = Rng::new(12);
    for _ in 0..200 {
        let commands = any_commands(&mut rng, 40);
        let twice = commands.iter().flat_map(|command| [command, command]);
        assert_eq!(replay(twice), replay(&commands));
    }
}

#[test]
fn commands_survive_their_encoding() {
    for command in any_commands(&mut Rng::new(13), 500) {
        assert_eq!(Command::decode(&command.encode()), Ok(command));
    }
}

/// As the release before configs could change wrote it, with a value that today's rules refuse.
#[test]
fn commands_of_the_first_version_are_still_read() {
    let text = |text: &str| [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat();
    let bytes = [
        &[1, 1][..],
        &[7; 16],
        &text("orders"),
        &3u32.to_be_bytes(),
        &1u32.to_be_bytes(),
        &text("segment.bytes"),
        &text("65536"),
    ];
    let configs = configs(&[("segment.bytes", "65536")]);
    let id = TopicId([7; 16]);
    let topic = Topic { name: "orders".into(), id, partitions: 3, configs };
    assert_eq!(Command::decode(&bytes.concat()), Ok(Command::CreateTopic(topic.into())));
    let deleted = [&[1, 2][..], &[7; 16]].concat();
    assert_eq!(Command::decode(&deleted), Ok(Command::DeleteTopic(id)));
}

#[test]
fn every_truncation_and_any_garbage_is_refused() {
    assert_eq!(Command::decode(&[3, 1]), Err(DecodeError::NewerVersion(3)));
    assert_eq!(Command::decode(&[1, 9]), Err(DecodeError::UnknownKind(9)));
    let mut rng = Rng::new(0x5eed);
    for command in any_commands(&mut rng, 300) {
        let whole = command.encode();
        for len in 0..whole.len() {
            assert!(Command::decode(&whole[..len]).is_err(), "{len} bytes of {command:?}");
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert_eq!(Command::decode(&longer), Err(DecodeError::TrailingBytes(1)));

        for _ in 0..100 {
            let mut bytes = whole.clone();
            for _ in 0..1 + rng.below(4) {
                let at = rng.below(bytes.len() as u64) as usize;
                bytes[at] = rng.next() as u8;
            }
            // What still decodes must be a legal command that survives its encoding: only the
            // order of its configs may not have been canonical.
            if let Ok(command) = Command::decode(&bytes) {
                assert_eq!(Command::decode(&command.encode()), Ok(command));
            }
        }
    }
}

#[test]
fn topics_are_walked_by_name() {
    let mut catalog = Catalog::default();
    for (number, name) in ["b", "a", "c"].into_iter().enumerate() {
        catalog.apply(&Command::CreateTopic(topic(name, number as u8, 1)));
    }
    let behind = |name: &str| catalog.topic_behind(name).map(|topic| topic.name.to_string());
    assert_eq!(behind("a").as_deref(), Some("b"));
    assert_eq!(behind("bb").as_deref(), Some("c"));
    assert_eq!(behind("c"), None);
}
