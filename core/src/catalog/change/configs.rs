//! Other configs, of a topic (KIP-133, KIP-339) or of a broker (KIP-226).

use std::collections::HashSet;
use std::sync::Arc;

use super::{Refusal, View};
use crate::catalog::command::BrokerScope;
use crate::catalog::config::{
    ConfigType, Configs, Definition, KEYS_MAX, VALUE_BYTES_MAX, broker_key, check_broker,
    check_topic, topic_key,
};
use crate::catalog::{Topic, name};

/// What IncrementalAlterConfigs does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Sets it.
    Set,
    /// Takes it away: the default holds.
    Delete,
    /// Adds elements to a list.
    Append,
    /// Takes elements from a list.
    Subtract,
}

impl Operation {
    /// From its number in IncrementalAlterConfigs.
    pub fn from_number(number: i8) -> Result<Operation, Refusal> {
        match number {
            0 => Ok(Operation::Set),
            DELETE => Ok(Operation::Delete),
            2 => Ok(Operation::Append),
            3 => Ok(Operation::Subtract),
            _ => Err(Refusal::Request(format!("Unknown operations type {number}"))),
        }
    }
}

/// [`Operation::Delete`] in IncrementalAlterConfigs.
const DELETE: i8 = 1;

/// One key of IncrementalAlterConfigs.
#[derive(Clone, Debug)]
pub struct Alteration {
    /// The key.
    pub key: String,
    /// What is done with it, as it was sent.
    pub operation: i8,
    /// The value; only [`Operation::Delete`] needs none.
    pub value: Option<String>,
}

/// How the configs of one resource shall change.
#[derive(Clone, Debug)]
pub enum ConfigChange {
    /// These, and no others.
    Replace(Vec<(String, Option<String>)>),
    /// These keys, and no others.
    Alter(Vec<Alteration>),
}

impl ConfigChange {
    /// Checks what can be said without knowing what the keys are of.
    pub fn check(&self) -> Result<(), Refusal> {
        let (keys, nulls): (Vec<&str>, Vec<&str>) = match self {
            ConfigChange::Replace(all) => {
                let nulls = all.iter().filter(|(_, value)| value.is_none());
                (
                    all.iter().map(|(key, _)| &**key).collect(),
                    nulls.map(|(key, _)| &**key).collect(),
                )
            }
            ConfigChange::Alter(all) => {
                let needed = |one: &&Alteration| one.value.is_none() && one.operation != DELETE;
                let nulls = all.iter().filter(needed).map(|one| &*one.key).collect();
                (all.iter().map(|one| &*one.key).collect(), nulls)
            }
        };
        if keys.len() > KEYS_MAX {
            let words =
                format!("At most {KEYS_MAX} configs of one resource can be changed at once");
            return Err(Refusal::Request(words));
        }
        let mut seen = HashSet::new();
        if !keys.iter().all(|key| seen.insert(*key)) {
            return Err(Refusal::Request("Error due to duplicate config keys".to_owned()));
        }
        if !nulls.is_empty() {
            let words = format!("Null value not supported for : {}", nulls.join(", "));
            return Err(Refusal::Request(words));
        }
        Ok(())
    }

    /// The keys that it names.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let (replace, alter) = match self {
            ConfigChange::Replace(all) => (&**all, &[][..]),
            ConfigChange::Alter(all) => (&[][..], &**all),
        };
        let replaced = replace.iter().map(|(key, _)| &**key);
        replaced.chain(alter.iter().map(|one| &*one.key))
    }

    /// The configs after the change.
    fn apply(&self, current: &Configs, kind: &Kind) -> Result<Configs, Refusal> {
        let mut configs = current.clone();
        match self {
            ConfigChange::Replace(all) => {
                let set = all.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
                configs = set.map(|(key, value)| (key.clone(), value.clone())).collect();
            }
            ConfigChange::Alter(all) => {
                for one in all {
                    alter(&mut configs, one, kind)?;
                }
            }
        }
        Ok(configs)
    }
}

/// What differs between a topic's keys and a broker's.
struct Kind {
    definition: fn(&str) -> Option<&'static Definition>,
    not_a_list: fn(Operation, &str, bool) -> String,
}

const TOPIC: Kind = Kind {
    definition: |name| topic_key(name).map(|key| &key.definition),
    not_a_list: |operation, key, _| {
        let operation = format!("{operation:?}").to_uppercase();
        format!("Can't {operation} to key {key} because its type is not LIST.")
    },
};

const BROKER: Kind = Kind {
    definition: |name| broker_key(name).map(|key| &key.definition),
    not_a_list: |operation, key, is_known| {
        let operation = format!("{operation:?}").to_lowercase();
        match is_known {
            true => format!("Config value {operation} is not allowed for config key: {key}"),
            false => format!("Unknown config name: {key}"),
        }
    },
};

fn alter(configs: &mut Configs, one: &Alteration, kind: &Kind) -> Result<(), Refusal> {
    let operation = Operation::from_number(one.operation)?;
    let value = one.value.as_deref().unwrap_or_default();
    if value.len() > VALUE_BYTES_MAX {
        return Err(Refusal::Request(format!("A value may have {VALUE_BYTES_MAX} bytes at most")));
    }
    let text = match operation {
        Operation::Set => value.to_owned(),
        Operation::Delete => {
            configs.remove(&one.key);
            return Ok(());
        }
        Operation::Append | Operation::Subtract => {
            let definition = (kind.definition)(&one.key);
            let list = definition.filter(|found| found.config_type == ConfigType::List);
            let Some(list) = list else {
                let words = (kind.not_a_list)(operation, &one.key, definition.is_some());
                return Err(Refusal::NotAList(words));
            };
            let current = configs.get(&one.key).map(String::as_str).or(list.default);
            match operation {
                Operation::Append => append(current.unwrap_or_default(), value),
                _ => subtract(current.unwrap_or_default(), value),
            }
        }
    };
    configs.insert(one.key.clone(), text);
    Ok(())
}

/// Elements as they were stored: Kafka neither trims nor drops them here.
fn parts(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').filter(|part| !part.is_empty())
}

fn append(current: &str, added: &str) -> String {
    let mut all: Vec<&str> = parts(current).collect();
    let mut known: HashSet<&str> = all.iter().copied().collect();
    all.extend(parts(added).filter(|part| known.insert(part)));
    all.join(",")
}

fn subtract(current: &str, taken: &str) -> String {
    let taken: HashSet<&str> = parts(taken).collect();
    let left: Vec<&str> = parts(current).filter(|part| !taken.contains(part)).collect();
    left.join(",")
}

/// The topic and the configs that it may have.
pub fn alter_topic(
    view: &View<'_>,
    name: &str,
    change: &ConfigChange,
) -> Result<(Arc<Topic>, Configs), Refusal> {
    let topic = view.catalog.topic(name);
    let none = Configs::new();
    let configs = change.apply(topic.map_or(&none, |topic| &topic.configs), &TOPIC)?;
    if name.is_empty() {
        return Err(Refusal::Request("Default topic resources are not allowed.".to_owned()));
    }
    name::check(name)?;
    check_topic(&view.catalog.layers(&configs, view.nodes.host_id(), view.settings))?;
    // Kafka looks for the topic last.
    let topic = topic.ok_or_else(|| Refusal::UnknownTopic(name.to_owned()))?;
    Ok((topic.clone(), configs))
}

/// Which brokers `name` means ("" is all), and the configs that they may have.
pub fn alter_broker(
    view: &View<'_>,
    name: &str,
    change: &ConfigChange,
) -> Result<(BrokerScope, Configs), Refusal> {
    let scope = match name {
        "" => BrokerScope::Cluster,
        _ => BrokerScope::Node(host_id(view, name)?),
    };
    let configs = change.apply(view.catalog.broker_configs(scope), &BROKER)?;
    // Kafka answers all of these, an illegal value too, as an invalid request (KAFKA-13609).
    check_broker(&configs).map_err(|error| Refusal::Request(error.to_string()))?;
    Ok((scope, configs))
}

/// The host of a node: what is set for one of its nodes holds for all.
fn host_id(view: &View<'_>, name: &str) -> Result<i32, Refusal> {
    let nodes = view.nodes;
    let words = match name.parse::<i32>() {
        Ok(id) if nodes.find(id).is_some() => return Ok(nodes.host_id()),
        Ok(_) => format!("Unexpected broker id, expected {}, but received {name}", nodes.ids()),
        Err(_) => format!("Node id must be an integer, but it is: {name}"),
    };
    Err(Refusal::Request(words))
}
