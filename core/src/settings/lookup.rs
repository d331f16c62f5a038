//! From a name to its key, or to why there is none.

use super::kafka_keys;
use super::table::{Key, LISTENER_MAX_CONNECTIONS, keys};

/// Names farther away than this share of their length are not meant.
const SIMILARITY_MIN: f64 = 0.6;

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// A key, and the name under which its value is kept.
    Key(&'static Key, String),
    /// A key of Kafka that has one value here.
    Fixed(&'static Fixed),
    /// None; why, and what to do.
    None(String),
}

/// A key of Kafka whose value is always the same here; whoever asks for that value gets it.
#[derive(Debug)]
pub(super) struct Fixed {
    /// Its name.
    pub name: &'static str,
    value: &'static str,
    why: &'static str,
}

impl Fixed {
    /// # Errors
    /// Why `text` can't be had.
    pub(super) fn check(&self, text: &str) -> Result<(), String> {
        let sorted = |text: &str| {
            let mut elements: Vec<_> =
                text.split(',').map(|element| element.trim().to_ascii_lowercase()).collect();
            elements.sort();
            elements
        };
        if sorted(text) == sorted(self.value) {
            return Ok(());
        }
        let value = if self.value.is_empty() { "empty" } else { self.value };
        Err(format!("is always {value} here: {}. Leave it out, or give this value", self.why))
    }
}

const fn fixed(name: &'static str, value: &'static str, why: &'static str) -> Fixed {
    Fixed { name, value, why }
}

pub(super) static FIXED: &[Fixed] = &[
    fixed("authorizer.class.name", "", "there are no ACLs yet, everybody may do everything"),
    fixed("broker.id", "1", "one process is the whole cluster"),
    fixed("default.replication.factor", "1", "there is one broker"),
    fixed("delete.topic.enable", "true", "topics can always be deleted"),
    fixed("inter.broker.listener.name", "PLAINTEXT", "there are no other brokers to listen for"),
    fixed("log.retention.check.interval.ms", "300000", "that is how often segments are looked at"),
    fixed("min.insync.replicas", "1", "there is one broker, and so one replica"),
    fixed("node.id", "1", "one process is the whole cluster"),
    fixed("offsets.commit.timeout.ms", "5000", "that is how long a commit waits for the disk"),
    fixed("offsets.topic.compression.codec", "0", "records of groups are small"),
    fixed("offsets.topic.replication.factor", "1", "there is one broker"),
    fixed("process.roles", "broker,controller", "one process is the whole cluster"),
    fixed(
        "producer.id.expiration.ms",
        "86400000",
        "that is how long idle producers are remembered",
    ),
    fixed("security.inter.broker.protocol", "PLAINTEXT", "there are no other brokers"),
    fixed(
        "unclean.leader.election.enable",
        "false",
        "there is one replica, and it lacks no record",
    ),
];

/// What `name` stands for.
pub(super) fn find(name: &str) -> Found {
    let is_named = |key: &&Key| key.name == name || key.aliases.contains(&name);
    if let Some(key) = keys().iter().find(is_named).filter(|key| !key.name.contains('<')) {
        return Found::Key(key, key.name.to_owned());
    }
    if let Some(listener) = limited_listener(name)
        && let Some(key) = keys().iter().find(|key| key.name == LISTENER_MAX_CONNECTIONS)
    {
        return Found::Key(key, listener_key(listener));
    }
    if let Some(fixed) = FIXED.iter().find(|fixed| fixed.name == name) {
        return Found::Fixed(fixed);
    }
    Found::None(why_none(name))
}

/// The key under which a listener's limit is kept: names of listeners have no case.
pub(super) fn listener_key(listener: &str) -> String {
    LISTENER_MAX_CONNECTIONS.replace("<name>", &listener.to_ascii_lowercase())
}

/// The listener whose limit this key is.
pub(super) fn limited_listener(name: &str) -> Option<&str> {
    let listener = name.strip_prefix("listener.name.")?.strip_suffix(".max.connections")?;
    (!listener.is_empty() && listener != "<name>").then_some(listener)
}

fn why_none(name: &str) -> String {
    let of_listener =
        name.strip_prefix("listener.name.").and_then(|rest| Some(rest.split_once('.')?.1));
    if let Some(reason) = kafka_keys::reason(of_listener.unwrap_or(name)) {
        return format!("Kafka has this key, Corelane does not: {reason}. Leave it out");
    }
    if let Some(default) = kafka_keys::default_of_topic_config(name) {
        return match find(default) {
            Found::Key(key, _) => {
                format!("this is a config of topics; its default for all of them is `{}`", key.name)
            }
            _ => "this is a config of topics: set it for a topic".to_owned(),
        };
    }
    let below: Vec<&str> =
        keys().iter().map(|key| key.name).filter(|key| is_below(key, name)).collect();
    if !below.is_empty() {
        return format!("not a key, only the beginning of: {}", below.join(", "));
    }
    if let Some(key) = keys().iter().find(|key| is_below(name, key.name)) {
        return format!("no such key: `{}` has a value, and nothing below it", key.name);
    }
    match nearest(name, names()) {
        Some(near) => format!("no such key; did you mean `{near}`?"),
        None => "no such key; `corelane config print` lists them all".to_owned(),
    }
}

fn is_below(name: &str, above: &str) -> bool {
    name.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'))
}

fn names() -> impl Iterator<Item = &'static str> {
    let aliases = |key: &'static Key| key.aliases.iter().copied();
    keys().iter().flat_map(move |key| [key.name].into_iter().chain(aliases(key)))
}

/// The one of `names` that was probably meant.
pub(super) fn nearest<N: AsRef<str>>(name: &str, names: impl Iterator<Item = N>) -> Option<N> {
    // What is longer than any name is none, and would take its time to compare.
    if name.len() > 100 {
        return None;
    }
    let likeness = |other: &N| {
        let [a, b] = [name, other.as_ref()].map(|text| text.to_ascii_lowercase().replace('_', "."));
        strsim::normalized_damerau_levenshtein(&a, &b)
    };
    let near = names.map(|other| (likeness(&other), other));
    let near = near.filter(|(likeness, _)| *likeness >= SIMILARITY_MIN);
    near.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, other)| other)
}
