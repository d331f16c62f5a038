//! Options of every command that asks a broker.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use corelane_net::client::Address;
use corelane_net::client::address::AddressError;

use super::bench::duration;

/// Which broker, and how it is asked.
#[derive(Clone, Debug, Args)]
pub struct ClientOptions {
    /// Address and port of a broker of the cluster, or several with commas between
    ///
    /// The first that answers tells of the others. Any Kafka-compatible broker will do. Without a
    /// port, 9092.
    #[arg(long, short, env = "CORELANE_BOOTSTRAP", value_name = "HOST:PORT,..")]
    #[arg(default_value = "127.0.0.1:9092")]
    pub bootstrap: Bootstrap,

    /// Print JSON, for scripts; docs/commands.md has its fields
    #[arg(long)]
    pub json: bool,

    /// How long one operation may take, attempts to repeat it included, as 5s or 500ms
    #[arg(long, env = "CORELANE_TIMEOUT", value_name = "TIME", default_value = "30s")]
    #[arg(value_parser = timeout)]
    pub timeout: Duration,
}

/// Addresses to begin with; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap(pub Vec<Address>);

impl FromStr for Bootstrap {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Bootstrap, AddressError> {
        Address::list(text).map(Bootstrap)
    }
}

/// No broker answers faster than 100 ms for sure, and protocol fields end at 24 days.
fn timeout(text: &str) -> Result<Duration, String> {
    let range = Duration::from_millis(100)..=Duration::from_secs(86_400);
    duration(text).and_then(|timeout| match range.contains(&timeout) {
        true => Ok(timeout),
        false => Err("expected 100ms to 24h".to_owned()),
    })
}

/// `NAME=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}
