//! The command line of `corelane topic`.

use clap::{Args, Subcommand};

use super::client::{ClientOptions, pair};

/// What to do with topics.
#[derive(Debug, Subcommand)]
pub enum TopicCommand {
    /// Create a topic
    ///
    /// Returns when its partitions have leaders, so that it can be written to at once.
    #[command(after_long_help = "Examples:
  corelane topic create orders --partitions 12
  corelane topic create events --config retention.ms=86400000 --config compression.type=zstd
  corelane topic create orders --if-not-exists

Exit codes: 0 it is there; 1 it was not created; 2 the command line is wrong.")]
    Create(CreateOptions),

    /// List topics
    ///
    /// On a terminal a table; otherwise a line for each topic with tabs between: name, partitions,
    /// replicas.
    #[command(after_long_help = "Examples:
  corelane topic list
  corelane topic list | cut -f1
  corelane topic list --json | jq -r '.topics[].name'

Exit codes: 0 listed; 1 not; 2 the command line is wrong.")]
    List(ListOptions),

    /// Describe topics: partitions, leaders, offsets, sizes, configs
    ///
    /// All topics but internal ones, unless some are named. What the broker does not let one see,
    /// or does not offer, is shown as '-' (null in JSON).
    #[command(after_long_help = "Examples:
  corelane topic describe orders
  corelane topic describe --json orders | jq '.topics[0].partitions[].end_offset'

Exit codes: 0 described; 1 none of them; 2 the command line is wrong; 3 some of them.")]
    Describe(DescribeOptions),

    /// Give a topic more partitions, set or unset its configs
    ///
    /// Configs that are not named stay as they are. Partitions can't be taken away. Records with
    /// keys go to other partitions when there are more of them.
    #[command(after_long_help = "Examples:
  corelane topic alter orders --partitions 24
  corelane topic alter orders --config retention.ms=3600000 --delete-config segment.bytes

Exit codes: 0 changed; 1 not; 2 the command line is wrong; 3 configs were changed but the
number of partitions was not.")]
    Alter(AlterOptions),

    /// Delete topics and all that is in them
    ///
    /// Asks before it does, on a terminal; elsewhere --yes is needed.
    #[command(after_long_help = "Examples:
  corelane topic delete orders
  corelane topic delete --yes orders events

Exit codes: 0 deleted; 1 none of them; 2 the command line is wrong, or --yes is missing; 3 some
of them.")]
    Delete(DeleteOptions),
}

/// Options of `corelane topic create`.
#[derive(Clone, Debug, Args)]
pub struct CreateOptions {
    /// The topic's name: up to 249 letters, digits, '.', '_' and '-'
    pub name: String,

    /// Partitions [default: as the broker is set up]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: Option<i32>,

    /// Brokers that hold each partition [default: as the broker is set up]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    pub replication_factor: Option<i16>,

    /// A config of the topic, as retention.ms=86400000; may be given several times
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = pair)]
    pub config: Vec<(String, String)>,

    /// A topic that exists already is no failure; it stays as it is
    #[arg(long)]
    pub if_not_exists: bool,

    /// Which broker.
    #[command(flatten)]
    pub client: ClientOptions,
}

/// Options of `corelane topic list`.
#[derive(Clone, Debug, Args)]
pub struct ListOptions {
    /// List also the broker's own topics
    #[arg(long)]
    pub internal: bool,

    /// Which broker.
    #[command(flatten)]
    pub client: ClientOptions,
}

/// Options of `corelane topic describe`.
#[derive(Clone, Debug, Args)]
pub struct DescribeOptions {
    /// The topics [default: all but the broker's own]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,

    /// Which broker.
    #[command(flatten)]
    pub client: ClientOptions,
}

/// Options of `corelane topic alter`.
#[derive(Clone, Debug, Args)]
#[group(id = "change", required = true, multiple = true,
    args = ["partitions", "config", "delete_config"])]
pub struct AlterOptions {
    /// The topic
    pub name: String,

    /// Partitions that it is to have, old ones included
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: Option<i32>,

    /// A config to set, as retention.ms=86400000; may be given several times
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = pair)]
    pub config: Vec<(String, String)>,

    /// A config to go back to its default; may be given several times
    #[arg(long, short, value_name = "NAME")]
    pub delete_config: Vec<String>,

    /// Which broker.
    #[command(flatten)]
    pub client: ClientOptions,
}

/// Options of `corelane topic delete`.
#[derive(Clone, Debug, Args)]
pub struct DeleteOptions {
    /// The topics
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,

    /// Which broker.
    #[command(flatten)]
    pub client: ClientOptions,
}
