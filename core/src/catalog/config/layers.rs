//! Which value of a config holds, and where it comes from.

use std::borrow::Cow;

use super::Configs;
use super::broker_keys::{BrokerKey, broker_key};
use super::definition::{ConfigType, Definition};
use super::settings::Settings;
use super::topic_keys::{BrokerDefault, TopicKey, topic_key};
use super::value;

/// Where a value comes from, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Set for the topic.
    Topic,
    /// Set for this broker while it ran.
    Broker,
    /// Set for all brokers while they ran.
    Cluster,
    /// Set on the command line.
    CommandLine,
    /// Nobody said anything.
    Default,
}

impl Source {
    /// Its number in DescribeConfigs.
    pub fn number(self) -> i8 {
        match self {
            Source::Topic => 1,
            Source::Broker => 2,
            Source::Cluster => 3,
            Source::CommandLine => 4,
            Source::Default => 5,
        }
    }
}

/// One value that a config could have, from one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<'a> {
    /// The config that it is a value of.
    pub name: &'static str,
    /// The value: a broker's as it was set, a topic's as Kafka shows it.
    pub text: Cow<'a, str>,
    /// Where.
    pub source: Source,
}

/// The value that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved<'a> {
    /// The value as Kafka shows it; `None` is null.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: Source,
    /// Every value that there is, the one that holds first (`synonyms` in DescribeConfigs).
    pub synonyms: Vec<Sourced<'a>>,
}

/// The places where values are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'a> {
    /// What was set for the topic.
    pub topic: &'a Configs,
    /// What was set for this broker.
    pub broker: &'a Configs,
    /// What was set for all brokers.
    pub cluster: &'a Configs,
    /// What the command line says.
    pub settings: &'a Settings,
}

/// Broker configs that stand for each other, the stronger first (Kafka's `brokerConfigSynonyms`).
const FAMILIES: &[&[&str]] = &[
    &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
    &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
    &["log.roll.ms", "log.roll.hours"],
    &["log.roll.jitter.ms", "log.roll.jitter.hours"],
];

impl<'a> Layers<'a> {
    /// The value of a topic config.
    pub fn topic_config(&self, key: &'static TopicKey) -> Resolved<'a> {
        let name = key.definition.name;
        let set = self.topic.get(name).map(|text| value::shown(&key.definition, text));
        let own =
            |text: &String| Sourced { name, text: Cow::Owned(text.clone()), source: Source::Topic };
        let mut synonyms: Vec<Sourced<'a>> = set.iter().map(own).collect();
        if let Some(broker_key) = key.broker_default.first().and_then(broker_key) {
            synonyms.extend(self.broker_synonyms(broker_key));
        }
        let source = synonyms.first().map_or(Source::Default, |strongest| strongest.source);
        let value = set.or_else(|| self.topic_default(key));
        Resolved { value, source, synonyms }
    }

    /// The value of a broker config.
    pub fn broker_config(&self, key: &'static BrokerKey) -> Resolved<'a> {
        let synonyms = self.broker_synonyms(key);
        let source = synonyms.first().map_or(Source::Default, |strongest| strongest.source);
        let value = self.broker_text(key).map(|text| value::shown(&key.definition, text));
        Resolved { value, source, synonyms }
    }

    /// What was set for all brokers, if anything.
    pub fn cluster_config(&self, key: &'static BrokerKey) -> Option<Resolved<'a>> {
        let Definition { name, .. } = key.definition;
        let text = self.cluster.get(name)?;
        let source = Source::Cluster;
        let synonyms = vec![Sourced { name, text: Cow::Borrowed(text), source }];
        Some(Resolved { value: Some(value::shown(&key.definition, text)), source, synonyms })
    }

    /// The value of a topic config that is a number and has a default.
    pub(super) fn integer(&self, name: &str) -> i64 {
        self.nullable_integer(name).unwrap_or_default()
    }

    /// The value of a topic config that is a number; `None` is null. What was stored by another
    /// release and is no number counts as not set.
    pub(super) fn nullable_integer(&self, name: &str) -> Option<i64> {
        let key = topic_key(name)?;
        let number = |text: &str| value::whole(ConfigType::Long, text);
        let set = self.topic.get(name).and_then(|text| number(text));
        let default = || self.topic_default(key).and_then(|text| number(&text));
        set.or_else(default).or_else(|| key.definition.default.and_then(number))
    }

    /// The value of a topic config that is a text or a list.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.topic_config(topic_key(name)?).value
    }

    /// What a topic config is if nobody set it for the topic.
    fn topic_default(&self, key: &'static TopicKey) -> Option<String> {
        let of = |name| broker_key(name).and_then(|key| Some((key, self.broker_text(key)?)));
        let definition = &key.definition;
        match key.broker_default {
            BrokerDefault::None => definition.default.map(str::to_owned),
            BrokerDefault::Same(name) => of(name).map(|(_, text)| value::shown(definition, text)),
            BrokerDefault::FirstOf(names) => names.iter().find_map(|(name, unit)| {
                let (key, text) = of(name)?;
                let number = value::whole(key.definition.config_type, text)?;
                // Whatever is below zero is Kafka's "no limit".
                Some(number.saturating_mul(*unit).max(-1).to_string())
            }),
        }
    }

    /// What a broker config says, without those that stand for it.
    fn broker_text(&self, key: &'static BrokerKey) -> Option<&'a str> {
        self.broker_values(key.definition.name).next().map(|(text, _)| text)
    }

    /// Every value of one broker config, the strongest first.
    fn broker_values(&self, name: &str) -> impl Iterator<Item = (&'a str, Source)> + use<'a> {
        let dynamic = |configs: &'a Configs| configs.get(name).map(String::as_str);
        let settings = self.settings;
        let values = [
            (dynamic(self.broker), Source::Broker),
            (dynamic(self.cluster), Source::Cluster),
            (settings.on_command_line(name), Source::CommandLine),
            (settings.default_of(name), Source::Default),
        ];
        values.into_iter().filter_map(|(text, source)| Some((text?, source)))
    }

    /// Kafka lists all values of a family by strength of their source, and leaves out those that
    /// come before the first of the very config that is asked for.
    fn broker_synonyms(&self, key: &'static BrokerKey) -> Vec<Sourced<'a>> {
        let Definition { name, .. } = key.definition;
        let alone = [name];
        let family = FAMILIES.iter().find(|family| family.contains(&name));
        let family: &[&'static str] = family.map_or(&alone, |family| family);
        let values = |name: &&'static str| {
            let name = *name;
            let sourced = move |(text, source)| Sourced { name, text: Cow::Borrowed(text), source };
            self.broker_values(name).map(sourced)
        };
        let mut all: Vec<Sourced<'a>> = family.iter().flat_map(values).collect();
        all.sort_by_key(|value| value.source);
        all.into_iter().skip_while(|value| value.name != name).collect()
    }
}
