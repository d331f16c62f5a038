//! The command line. Every option of `serve` has an environment variable, `CORELANE_` and its name.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub use bench::BenchCommand;
pub use log::LogCommand;
pub use tune::TuneCommand;

pub mod bench;
pub mod load;
pub mod log;
pub mod tune;

/// A message broker for Linux that speaks the Kafka wire protocol.
///
/// One process, one shard per core, its data in one directory. Every Kafka client works with it.
#[derive(Debug, Parser)]
#[command(name = "corelane", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads the command line and the environment; ends the process if they are wrong.
    pub fn read() -> Cli {
        Cli::from_matches(&Cli::command().get_matches()).unwrap_or_else(|error| error.exit())
    }

    fn from_matches(matches: &ArgMatches) -> Result<Cli, clap::Error> {
        let mut cli = Cli::from_arg_matches(matches)?;
        if let (Command::Serve(options), Some((_, matches))) =
            (&mut cli.command, matches.subcommand())
        {
            let ids = matches.ids().map(|id| id.as_str());
            let is_told = |id: &&str| {
                matches.value_source(id).is_some_and(|s| s != ValueSource::DefaultValue)
            };
            options.told = ids.filter(is_told).map(str::to_owned).collect();
        }
        Ok(cli)
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the broker, until SIGTERM or SIGINT
    ///
    /// Logs go to stderr; CORELANE_LOG sets how much (error, warn, info, debug, or by module, as in
    /// "warn,corelane_storage=debug").
    Serve(ServeOptions),

    /// Measure what this machine can do, and how much of it a broker makes use of
    #[command(subcommand)]
    Bench(BenchCommand),

    /// Look at this machine as a broker's host
    #[command(subcommand)]
    Tune(TuneCommand),

    /// Look into a data directory that no broker runs on, without changing it
    #[command(subcommand)]
    Log(LogCommand),
}

/// Settings of `corelane serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeOptions {
    /// Address and port to accept clients on
    ///
    /// 0.0.0.0:9092 accepts on all IPv4 addresses, [::]:9092 on all IPv6 ones (both need
    /// --advertise); port 0 lets the system choose.
    #[arg(long, env = "CORELANE_LISTEN", value_name = "HOST:PORT")]
    #[arg(default_value = "127.0.0.1:9092")]
    pub listen: String,

    /// Address and port that clients are told to connect to [default: the listen address]
    ///
    /// Clients reach the broker by what it advertises, not by what they were first given: it must
    /// be a name or address that works on their machines. Without a port, the listening one.
    #[arg(long, env = "CORELANE_ADVERTISE", value_name = "HOST[:PORT]")]
    pub advertise: Option<String>,

    /// Directory of all data; made where missing
    #[arg(long, env = "CORELANE_DATA_DIR", value_name = "DIR", default_value = "./corelane-data")]
    pub data_dir: PathBuf,

    /// Shards, each with a thread of its own [default: one per usable core]
    ///
    /// The data does not depend on it: any directory can be served with any number.
    #[arg(long, env = "CORELANE_SHARDS", value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub shards: Option<u16>,

    /// What an acknowledgement (acks=1 and acks=all) promises
    #[arg(long, env = "CORELANE_DURABILITY", value_enum, default_value_t = Durability::Default)]
    pub durability: Durability,

    /// Partitions of a topic that is created without saying how many
    #[arg(long, env = "CORELANE_DEFAULT_PARTITIONS", value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub default_partitions: u32,

    /// Create a topic when a client names one that does not exist
    #[arg(long, env = "CORELANE_AUTO_CREATE_TOPICS", value_name = "BOOL", default_value_t = true)]
    #[arg(action = clap::ArgAction::Set)]
    pub auto_create_topics: bool,

    /// Largest request taken, as 104857600 or 100MiB
    #[arg(
        long,
        env = "CORELANE_MAX_REQUEST_BYTES",
        value_name = "BYTES",
        default_value = "100MiB"
    )]
    #[arg(value_parser = request_bytes)]
    pub max_request_bytes: u32,

    /// Memory for the newest data, of all shards together, as 2GiB or 512MiB [default: a fifth of RAM]
    ///
    /// What consumers read from here never touches the disk.
    #[arg(long, env = "CORELANE_CACHE_BYTES", value_name = "BYTES", value_parser = bytes)]
    pub cache_bytes: Option<u64>,

    /// Which of these were given, and are no defaults.
    #[arg(skip)]
    told: BTreeSet<String>,
}

impl ServeOptions {
    /// True if this option (its field's name) was given, on the command line or in the environment.
    pub fn is_told(&self, option: &str) -> bool {
        self.told.contains(option)
    }
}

/// What an acknowledgement promises, unless a topic asks for more (flush.messages=1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Durability {
    /// The write has completed: survives a kill of the broker, and a power loss but for the last second
    Default,
    /// An fdatasync covers it: survives a power loss
    Strict,
}

impl From<Durability> for corelane_storage::log::Durability {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::Default => Self::Written,
            Durability::Strict => Self::Flushed,
        }
    }
}

const UNITS: &[(&str, u64)] = &[
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// A number of bytes: digits, and perhaps a unit.
pub fn bytes(text: &str) -> Result<u64, String> {
    let unit = UNITS.iter().find_map(|(name, size)| Some((text.strip_suffix(name)?, *size)));
    let (digits, size) = unit.unwrap_or((text, 1));
    digits.trim().parse::<u64>().ok().and_then(|n| n.checked_mul(size)).ok_or_else(|| {
        "expected a whole number of bytes, such as 536870912, 512MiB or 2GB".to_owned()
    })
}

/// A block of direct I/O.
fn block_bytes(text: &str) -> Result<u32, String> {
    u32::try_from(bytes(text)?)
        .ok()
        .filter(|bytes| *bytes > 0 && bytes.is_multiple_of(4096) && *bytes <= 1 << 30)
        .ok_or_else(|| "expected a multiple of 4096, at most 1GiB".to_owned())
}

/// A request's limit: what a frame's length field can say, and room for any sensible request.
fn request_bytes(text: &str) -> Result<u32, String> {
    let range = 64 << 10..=1 << 30;
    let bytes = bytes(text)?;
    u32::try_from(bytes)
        .ok()
        .filter(|bytes| range.contains(bytes))
        .ok_or_else(|| "expected 64KiB to 1GiB".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Cli, Command, bytes};

    #[test]
    fn the_declaration_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn bytes_have_units() {
        assert_eq!(bytes("0"), Ok(0));
        assert_eq!(bytes("104857600"), Ok(104_857_600));
        assert_eq!(bytes("512MiB"), Ok(512 << 20));
        assert_eq!(bytes("2 GB"), Ok(2_000_000_000));
        assert_eq!(bytes("7B"), Ok(7));
        for wrong in ["", "MiB", "-1", "1.5GiB", "99999999TiB", "1 GiB x"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn options_are_read() {
        let line = "corelane serve --shards 3 --durability strict --auto-create-topics false \
                    --max-request-bytes 16777216";
        let matches = Cli::command().try_get_matches_from(line.split_whitespace()).unwrap();
        let cli = Cli::from_matches(&matches).unwrap();
        let Command::Serve(options) = cli.command else { panic!("serve") };
        assert!(options.is_told("shards") && options.is_told("auto_create_topics"));
        assert!(!options.is_told("listen") && !options.is_told("default_partitions"));
        assert_eq!(options.shards, Some(3));
        assert!(!options.auto_create_topics);
        assert_eq!(options.max_request_bytes, 16 << 20);
        for wrong in ["--shards 0", "--default-partitions 0", "--max-request-bytes 3GiB"] {
            let line = format!("corelane serve {wrong}");
            assert!(Cli::try_parse_from(line.split_whitespace()).is_err(), "{wrong}");
        }
    }
}
