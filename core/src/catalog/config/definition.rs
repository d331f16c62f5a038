//! What a config key is.

/// The type of a config, as DescribeConfigs numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigType {
    /// `true` or `false`.
    Boolean,
    /// Text.
    Text,
    /// A 32-bit whole number.
    Int,
    /// A 64-bit whole number.
    Long,
    /// A fraction.
    Double,
    /// Words separated by commas.
    List,
}

impl ConfigType {
    /// Its number in DescribeConfigs.
    pub fn number(self) -> i8 {
        match self {
            ConfigType::Boolean => 1,
            ConfigType::Text => 2,
            ConfigType::Int => 3,
            ConfigType::Long => 5,
            ConfigType::Double => 6,
            ConfigType::List => 7,
        }
    }

    /// Its name in Kafka's messages.
    pub fn name(self) -> &'static str {
        match self {
            ConfigType::Boolean => "BOOLEAN",
            ConfigType::Text => "STRING",
            ConfigType::Int => "INT",
            ConfigType::Long => "LONG",
            ConfigType::Double => "DOUBLE",
            ConfigType::List => "LIST",
        }
    }
}

/// What a value must satisfy beyond its type.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// Nothing.
    Any,
    /// A number not below this.
    AtLeast(i64),
    /// A number within these bounds, both included.
    Between(i64, i64),
    /// A gzip level: -1, or 1 to 9.
    GzipLevel,
    /// -1 or above 0; below -1 means -1.
    UnlimitedOrPositive,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A list of these words.
    ListOf(&'static [&'static str]),
    /// `*`, or a list of `partition:broker`.
    ThrottledReplicas,
    /// `false`, because there is no tiered storage.
    NotTiered,
}

/// One config key.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Kafka's name.
    pub name: &'static str,
    /// Its type.
    pub config_type: ConfigType,
    /// What a value must satisfy.
    pub rule: Rule,
    /// What holds if nobody says anything; `None` is Kafka's null.
    pub default: Option<&'static str>,
    /// What it does, for people.
    pub documentation: &'static str,
}
