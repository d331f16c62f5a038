//! What no two brokers can have in common (ids, ports, the time, directories), replaced by words.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::fields::Value;

/// A timestamp this close to the clock was taken from it.
const NOW: Duration = Duration::from_secs(3_600);
const ZERO_ID: &str = "00000000000000000000000000000000";

/// What is known of the broker under test.
pub struct Masks {
    pub node_id: i32,
    pub port: u16,
    /// The epoch in which a new topic's partitions begin: Kafka's is 0, Corelane's the number of its start.
    pub leader_epoch: i32,
    /// The epoch in which the first group of the consumer protocol begins: Kafka's is 2, Corelane's 1.
    group_epoch: Option<i64>,
    /// Topic ids as hexadecimal digits, each with the topic's name and how many topics have had it.
    topic_ids: BTreeMap<String, String>,
    /// What stands in texts: addresses, directories.
    texts: Vec<(String, &'static str)>,
}

impl Masks {
    pub fn new(port: u16, data_dir: &str) -> Masks {
        let texts = vec![
            (format!(":{port}"), ":<port>"),
            // Kafka's controller has a port of its own in the same process.
            (format!(":{}", port + 1), ":<next port>"),
            (data_dir.to_string(), "<directory>"),
        ];
        Masks {
            node_id: -1,
            port,
            leader_epoch: 0,
            group_epoch: None,
            topic_ids: BTreeMap::new(),
            texts,
        }
    }

    /// Remembers a topic's id.
    pub fn learn(&mut self, id: &str, name: &str) {
        if id == ZERO_ID || self.topic_ids.contains_key(id) {
            return;
        }
        let known = |text: &&String| text.starts_with(&format!("<id of {name}"));
        let words = match self.topic_ids.values().filter(known).count() {
            0 => format!("<id of {name}>"),
            earlier => format!("<id of {name}, {}>", earlier + 1),
        };
        self.topic_ids.insert(id.to_string(), words);
    }

    /// Replaces what must differ, everywhere in an answer.
    pub fn apply(&mut self, value: &mut Value) {
        self.learn_from(value);
        self.mask("", value);
    }

    fn learn_from(&mut self, value: &Value) {
        match value {
            Value::Leaf(_) => {}
            Value::List(elements) => elements.iter().for_each(|one| self.learn_from(one)),
            Value::Struct(members) => {
                let leaf = |wanted: &[&str]| {
                    let member = members.iter().find(|(name, _)| wanted.contains(&name.as_str()));
                    member.and_then(|(_, value)| match value {
                        Value::Leaf(text) => Some(text.trim_matches('"').to_string()),
                        _ => None,
                    })
                };
                let name = leaf(&["name", "topic", "topic_name"]).filter(|name| !name.is_empty());
                if let (Some(id), Some(name)) = (leaf(&["topic_id"]), name) {
                    self.learn(&id, &name);
                }
                let epoch = leaf(&["member_epoch"]).and_then(|text| text.parse::<i64>().ok());
                self.group_epoch = self.group_epoch.or(epoch.filter(|epoch| *epoch > 0));
                members.iter().for_each(|(_, value)| self.learn_from(value));
            }
        }
    }

    fn mask(&self, name: &str, value: &mut Value) {
        match value {
            Value::Leaf(text) => {
                if let Some(words) = self.words(name, text) {
                    *text = words;
                }
            }
            Value::List(elements) => elements.iter_mut().for_each(|one| self.mask(name, one)),
            Value::Struct(members) => {
                members.iter_mut().for_each(|(name, value)| self.mask(name, value));
            }
        }
    }

    /// What stands for a field's value, if it is one that must differ.
    fn words(&self, name: &str, text: &str) -> Option<String> {
        let number = text.parse::<i64>().ok();
        let is = |wanted: i64| number == Some(wanted);
        let words = match name {
            "node_id" | "leader_id" | "controller_id" | "broker_id" if is(self.node_id.into()) => {
                "<node>"
            }
            "replica_nodes" | "isr_nodes" | "offline_replicas" | "replicas" | "broker_ids"
                if is(self.node_id.into()) =>
            {
                "<node>"
            }
            "port" if is(self.port.into()) => "<port>",
            "cluster_id" if text != "None" => "<cluster>",
            "topic_id" => return self.topic_ids.get(text).cloned(),
            "leader_epoch" | "epoch" | "partition_leader_epoch" if is(self.leader_epoch.into()) => {
                "<epoch>"
            }
            "member_epoch" | "group_epoch" | "assignment_epoch" => {
                let first = self.group_epoch?;
                return number.filter(|n| *n > 0).map(|n| format!("<first epoch + {}>", n - first));
            }
            "producer_id" if number.is_some_and(|id| id >= 0) => "<producer>",
            "session_id" if number.is_some_and(|id| id != 0) => "<session>",
            "timestamp" | "log_append_time_ms" | "last_timestamp" if is_now(number) => "<now>",
            "finalized_features_epoch" if number.is_some_and(|epoch| epoch >= 0) => "<epoch>",
            "log_dir" => "<directory>",
            "total_bytes" | "usable_bytes" if number.is_some_and(|bytes| bytes > 0) => "<bytes>",
            // Ours are our own words.
            "documentation" if text != "None" && text != "\"\"" => "<text>",
            _ => return self.masked_text(text),
        };
        Some(words.to_string())
    }

    fn masked_text(&self, text: &str) -> Option<String> {
        if !text.starts_with('"') {
            return None;
        }
        let replace = |text: String, (from, to): &(String, &str)| text.replace(&from[..], to);
        let known = self.texts.iter().fold(text.to_string(), replace);
        Some(without_uuids(&without_limits(&known)))
    }
}

/// Members of groups have a random UUID in their ids.
fn without_uuids(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        match rest.get(..36).filter(|text| is_uuid(text)) {
            Some(_) => {
                masked.push_str("<uuid>");
                rest = &rest[36..];
            }
            None => {
                masked.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
    }
    masked
}

fn is_uuid(text: &str) -> bool {
    let dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    text.bytes().enumerate().all(|(at, byte)| match dash(at) {
        true => byte == b'-',
        false => byte.is_ascii_hexdigit(),
    })
}

/// "should be within [...]": limits that move with the clock.
fn without_limits(text: &str) -> String {
    let Some((before, rest)) = text.split_once("within [") else { return text.to_string() };
    let after = rest.split_once(']').map_or("", |(_, after)| after);
    format!("{before}within [<limits>]{after}")
}

fn is_now(timestamp_ms: Option<i64>) -> bool {
    let Some(then) = timestamp_ms.and_then(|ms| u64::try_from(ms).ok()) else { return false };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    now.abs_diff(Duration::from_millis(then)) < NOW
}
