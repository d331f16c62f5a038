//! What was measured: the broker's own words, and what the kernel says of its process.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use corelane_net::messages::{
    ApiVersionsRequest, DescribeConfigsRequest, DescribeConfigsResource, DescribeLogDirsRequest,
    MetadataRequest, Response, config_resource_type, config_source,
};
use serde::{Deserialize, Serialize};

use crate::client::{CLIENT_ID, Control};
use crate::disk::Disk;
use crate::spawn::Serving;
use crate::stop::Stop;

/// The broker of a run.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct BrokerFacts {
    /// `host:port`, or several with commas between.
    pub bootstrap: String,
    /// Its process, where that is known.
    pub pid: Option<u32>,
    /// Its command line, where the process is known.
    pub command_line: Vec<String>,
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// Brokers of the cluster.
    pub brokers: usize,
    /// Features that are finalized, with their levels: `metadata.version` tells Kafka's version.
    pub features: BTreeMap<String, i16>,
    /// Highest version of each API that it offers, by the API's key.
    pub api_versions: BTreeMap<i16, i16>,
    /// Its configs that are not the defaults; those that it keeps secret are empty.
    pub configs: BTreeMap<String, String>,
    /// Its data directory as it tells it.
    pub data_dir: Option<String>,
    /// The disk under that directory, where the broker is on this machine.
    pub disk: Option<Disk>,
}

impl BrokerFacts {
    /// Asks; none if it does not even answer. What it does not tell is empty.
    pub(crate) fn ask(serving: &Serving, stop: &Stop) -> Option<BrokerFacts> {
        let target = &serving.target;
        let mut control = Control::connect_until(&target.bootstrap, stop).ok()?;
        let mut facts = BrokerFacts {
            bootstrap: target.bootstrap.clone(),
            pid: target.broker_pid,
            command_line: match (serving.command_line(), target.broker_pid) {
                (Some(words), _) => words.to_vec(),
                (None, Some(pid)) => command_line(pid),
                (None, None) => Vec::new(),
            },
            ..BrokerFacts::default()
        };
        facts.offers(&mut control);
        let node_id = facts.cluster(&mut control);
        if let Some(node_id) = node_id {
            facts.configs(&mut control, node_id);
        }
        facts.directory(&mut control);
        let data_dir = serving.data_dir().or(facts.data_dir.as_deref().map(Path::new));
        // A path of another machine may exist here, too: only that of a process seen here counts.
        facts.disk = facts.pid.and(data_dir).and_then(Disk::under);
        Some(facts)
    }

    fn offers(&mut self, control: &mut Control) {
        // Features come with later versions than the one that every broker answers.
        let request = ApiVersionsRequest {
            client_software_name: CLIENT_ID.into(),
            client_software_version: env!("CARGO_PKG_VERSION").into(),
            ..Default::default()
        };
        let offered = match control.call(&request.into()) {
            Ok(Response::ApiVersions(offered)) if offered.error_code.is_none() => offered,
            _ => return,
        };
        self.api_versions =
            offered.api_keys.iter().map(|api| (api.api_key, api.max_version)).collect();
        let features = offered.finalized_features.iter();
        self.features =
            features.map(|feature| (feature.name.to_string(), feature.max_version_level)).collect();
    }

    fn cluster(&mut self, control: &mut Control) -> Option<i32> {
        let request = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
        let Ok(Response::Metadata(metadata)) = control.call(&request.into()) else { return None };
        self.cluster_id = metadata.cluster_id.map(|id| id.to_string());
        self.brokers = metadata.brokers.len();
        metadata.brokers.first().map(|broker| broker.node_id)
    }

    fn configs(&mut self, control: &mut Control, node_id: i32) {
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: config_resource_type::BROKER,
                resource_name: node_id.to_string().as_str().into(),
                configuration_keys: None,
            }],
            ..Default::default()
        };
        let Ok(Response::DescribeConfigs(described)) = control.call(&request.into()) else {
            return;
        };
        let configs = described.results.into_iter().flat_map(|result| result.configs);
        let is_told =
            |source| !matches!(source, config_source::DEFAULT_CONFIG | config_source::UNKNOWN);
        self.configs = configs
            .filter(|config| is_told(config.config_source))
            .map(|config| {
                let value = config.value.map_or_else(String::new, |value| value.to_string());
                (config.name.to_string(), value)
            })
            .collect();
    }

    fn directory(&mut self, control: &mut Control) {
        // No topic: their sizes are not wanted.
        let request = DescribeLogDirsRequest { topics: Some(Vec::new()) };
        if let Ok(Response::DescribeLogDirs(described)) = control.call(&request.into()) {
            self.data_dir = described.results.first().map(|result| result.log_dir.to_string());
        }
    }
}

fn command_line(pid: u32) -> Vec<String> {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = words.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}
