//! The flags that say what a broker is told: those of `serve`, and of `config print`.

use std::path::PathBuf;

use clap::Args;

use crate::settings::{Environment, Gathered, Given, Source, gather};

/// What a broker is told at its start.
///
/// What a value may be is the business of the table of keys: it tells all that is wrong at once,
/// wherever it comes from.
#[derive(Clone, Debug, Default, Args)]
pub struct SettingOptions {
    /// TOML file of settings; flags and the environment go before it [env: CORELANE_CONFIG]
    ///
    /// Its keys are those that `corelane config print` lists, as in: log.retention.ms = "7d".
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Any key of `corelane config print`, as --set log.retention.ms=7d; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub set: Vec<String>,

    /// Address and port to accept clients on; may be repeated [default: 127.0.0.1:9092] [env: CORELANE_LISTEN]
    ///
    /// 0.0.0.0:9092 accepts on all IPv4 addresses, [::]:9092 on all IPv6 ones (both need
    /// --advertise); port 0 lets the system choose. The first is named PLAINTEXT, the others
    /// LISTENER_2 and so on, unless they say their own names. Key: listeners.
    #[arg(long, value_name = "[NAME://]HOST:PORT")]
    pub listen: Vec<String>,

    /// Address and port that clients are told to connect to; once for each listener
    /// [default: the listen address] [env: CORELANE_ADVERTISE]
    ///
    /// Clients reach the broker by what it advertises, not by what they were first given: it must
    /// be a name or address that works on their machines. Without a port, the listening one.
    /// Key: advertised.listeners.
    #[arg(long, value_name = "[NAME://]HOST[:PORT]")]
    pub advertise: Vec<String>,

    /// Directory of all data; made where missing [default: ./corelane-data] [env: CORELANE_DATA_DIR]
    ///
    /// Key: log.dirs.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,

    /// Shards, each with a thread of its own [default: one per usable core] [env: CORELANE_SHARDS]
    ///
    /// The data does not depend on it: any directory can be served with any number.
    /// Key: corelane.shards.
    #[arg(long, value_name = "N")]
    pub shards: Option<String>,

    /// What an acknowledgement (acks=1 and acks=all) promises [default: default] [env: CORELANE_DURABILITY]
    ///
    /// default: the write has completed; survives a kill of the broker, and a power loss but for the
    /// last second. strict: an fdatasync covers it; survives a power loss. Key: corelane.durability.
    #[arg(long, value_name = "default|strict")]
    pub durability: Option<String>,

    /// Partitions of a topic that is created without saying how many [default: 1]
    /// [env: CORELANE_DEFAULT_PARTITIONS]
    ///
    /// Key: num.partitions.
    #[arg(long, value_name = "N")]
    pub default_partitions: Option<String>,

    /// Create a topic when a client names one that does not exist [default: true]
    /// [env: CORELANE_AUTO_CREATE_TOPICS]
    ///
    /// Key: auto.create.topics.enable.
    #[arg(long, value_name = "true|false")]
    pub auto_create_topics: Option<String>,

    /// Largest request taken, as 104857600 or 100MiB [default: 100MiB]
    /// [env: CORELANE_MAX_REQUEST_BYTES]
    ///
    /// Key: socket.request.max.bytes.
    #[arg(long, value_name = "BYTES")]
    pub max_request_bytes: Option<String>,

    /// Memory for the newest data, of all shards together, as 2GiB or 512MiB
    /// [default: a fifth of the memory] [env: CORELANE_CACHE_BYTES]
    ///
    /// What consumers read from here never touches the disk. Key: corelane.cache.bytes.
    #[arg(long, value_name = "BYTES")]
    pub cache_bytes: Option<String>,

    /// Address and port of metrics and health over HTTP, or none [default: 127.0.0.1:9644]
    /// [env: CORELANE_HTTP_LISTEN]
    ///
    /// Key: corelane.http.listen.
    #[arg(long, value_name = "HOST:PORT|none")]
    pub http_listen: Option<String>,
}

impl SettingOptions {
    /// Every key with its value, of these flags, the environment and the file.
    pub fn gather(self) -> Gathered {
        let config = self.config.clone();
        gather(self.given(), config, &Environment::of_process())
    }

    /// What the flags give.
    fn given(self) -> Vec<Given> {
        let flag = |name: &str| Source::Flag(name.to_owned());
        let mut given = Vec::new();
        let lists = [
            ("--listen", "listeners", self.listen),
            ("--advertise", "advertised.listeners", self.advertise),
        ];
        for (name, key, elements) in lists.into_iter().filter(|(_, _, list)| !list.is_empty()) {
            let text = elements.join(",");
            given.push(Given { is_array: true, ..Given::new(key, text, flag(name)) });
        }
        let singles = [
            ("--data-dir", "log.dirs", self.data_dir),
            ("--shards", "corelane.shards", self.shards),
            ("--durability", "corelane.durability", self.durability),
            ("--default-partitions", "num.partitions", self.default_partitions),
            ("--auto-create-topics", "auto.create.topics.enable", self.auto_create_topics),
            ("--max-request-bytes", "socket.request.max.bytes", self.max_request_bytes),
            ("--cache-bytes", "corelane.cache.bytes", self.cache_bytes),
            ("--http-listen", "corelane.http.listen", self.http_listen),
        ];
        for (name, key, text) in singles {
            given.extend(text.map(|text| Given::new(key, text, flag(name))));
        }
        given.extend(self.set.iter().map(|pair| {
            let (key, text) = pair.split_once('=').unwrap_or((pair, ""));
            Given::new(key.trim(), text, Source::Flag(format!("--set {}", key.trim())))
        }));
        given
    }
}

/// A key and its value, both as they are.
fn pair(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((key, _)) if !key.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("expected KEY=VALUE, as log.retention.ms=7d".to_owned()),
    }
}
