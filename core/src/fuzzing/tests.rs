//! The fuzz functions on valid bytes, whole and mutated, from one seed.

use std::path::Path;
use std::sync::Arc;

use corelane_storage::ids::TopicId;

use super::*;
use crate::catalog::{BrokerScope, Topic};
use crate::seeded::Rng;

type Target = (&'static str, fn(&[u8]), Vec<Vec<u8>>);

/// Every function with valid bytes for it.
fn targets() -> Vec<Target> {
    vec![("catalog_command", catalog_command, commands()), ("config_value", config_value, values())]
}

fn commands() -> Vec<Vec<u8>> {
    let id = TopicId([7; 16]);
    let configs = Configs::from([("retention.ms".to_owned(), "5".to_owned())]);
    let topic = Topic { name: "some-topic".into(), id, partitions: 3, configs: configs.clone() };
    let commands = [
        Command::CreateTopic(Arc::new(topic)),
        Command::DeleteTopic(id),
        Command::SetTopicConfigs { id, configs: configs.clone() },
        Command::SetPartitions { id, partitions: 9 },
        Command::SetBrokerConfigs { scope: BrokerScope::Node(1), configs: configs.clone() },
        Command::SetBrokerConfigs { scope: BrokerScope::Cluster, configs },
    ];
    commands.iter().map(Command::encode).collect()
}

/// Every key with values of every kind.
fn values() -> Vec<Vec<u8>> {
    let texts = ["", "1", "-1", " 0.5 ", "true", "delete, compact", "producer", "0:1,1:2", "lz4"];
    let count = topic_keys().len().max(broker_keys().count());
    let keys = 0..=u8::try_from(count).expect("a byte chooses any key");
    keys.flat_map(|key| texts.map(|text| [&[key], text.as_bytes()].concat())).collect()
}

/// Damaged in one to four places.
fn mutate(valid: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    for _ in 0..=rng.below(4) {
        let at = rng.below(bytes.len().max(1) as u64) as usize;
        match rng.below(5) {
            0 => bytes.insert(at, rng.next() as u8),
            1 => bytes.insert(at, b"0123456789-+.,: e"[rng.below(17) as usize]),
            2 => bytes.truncate(at),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (at % 8)),
        }
    }
    bytes
}

#[test]
fn mutated_bytes_hold() {
    for (name, target, examples) in targets() {
        let mut rng = Rng::new(name.len() as u64);
        for round in 0..6_000 {
            let example = &examples[round % examples.len()];
            target(example);
            target(&mutate(example, &mut rng));
        }
    }
}

#[test]
#[ignore = "writes core/fuzz/corpus, from which cargo fuzz starts"]
fn write_corpus() {
    for (name, _, examples) in targets() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        std::fs::create_dir_all(&dir).unwrap();
        for (number, example) in examples.iter().enumerate() {
            std::fs::write(dir.join(format!("example-{number}")), example).unwrap();
        }
    }
}
