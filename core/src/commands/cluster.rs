//! `corelane cluster`: brokers, controller, how partitions are, and which APIs are offered.

use std::io::{IsTerminal, stdout};
use std::process::ExitCode;

use corelane_net::client::Cluster;
use corelane_net::messages::{Api, ApiVersion, MetadataResponse};
use serde::Serialize;

use super::{Error, print, session};
use crate::cli::cluster::{ClusterCommand, InfoOptions};

#[derive(Serialize)]
struct Info {
    cluster_id: Option<String>,
    controller: Option<i32>,
    brokers: Vec<BrokerInfo>,
    topics: usize,
    partitions: Partitions,
    #[serde(skip_serializing_if = "Option::is_none")]
    apis: Option<Vec<ApiInfo>>,
}

#[derive(Serialize)]
struct BrokerInfo {
    id: i32,
    host: String,
    port: u16,
    rack: Option<String>,
}

/// Numbers of partitions.
#[derive(Default, Serialize)]
struct Partitions {
    total: usize,
    under_replicated: usize,
    offline: usize,
}

#[derive(Serialize)]
struct ApiInfo {
    key: i16,
    /// `None` if it is not known here.
    name: Option<String>,
    min_version: i16,
    max_version: i16,
}

/// Does it.
///
/// # Errors
/// Every [`Error`].
pub fn run(command: ClusterCommand) -> Result<ExitCode, Error> {
    let ClusterCommand::Info(options) = command;
    let mut cluster = session::connect(&options.client, Default::default())?;
    let info = gather(&mut cluster, &options)?;
    match options.client.json {
        true => print::json(&info)?,
        false => show(&info)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn gather(cluster: &mut Cluster, options: &InfoOptions) -> Result<Info, Error> {
    let response = cluster.retry(|cluster| cluster.metadata(None))?;
    let broker = |broker: &corelane_net::client::Broker| BrokerInfo {
        id: broker.id,
        host: broker.address.host.clone(),
        port: broker.address.port,
        rack: broker.rack.clone(),
    };
    let apis = match options.apis {
        true => Some(cluster.any()?.offered().iter().map(api).collect()),
        false => None,
    };
    Ok(Info {
        cluster_id: cluster.cluster_id().map(str::to_owned),
        controller: Some(cluster.controller_id()).filter(|id| *id >= 0),
        brokers: cluster.brokers().values().map(broker).collect(),
        topics: response.topics.len(),
        partitions: count(&response),
        apis,
    })
}

fn count(response: &MetadataResponse) -> Partitions {
    let mut counts = Partitions::default();
    for partition in response.topics.iter().flat_map(|topic| &topic.partitions) {
        counts.total += 1;
        counts.offline += usize::from(partition.leader_id < 0);
        let lacks_some = partition.isr_nodes.len() < partition.replica_nodes.len();
        counts.under_replicated += usize::from(lacks_some);
    }
    counts
}

fn api(offered: &ApiVersion) -> ApiInfo {
    ApiInfo {
        key: offered.api_key,
        name: Api::from_key(offered.api_key).map(|api| format!("{api:?}")),
        min_version: offered.min_version,
        max_version: offered.max_version,
    }
}

fn show(info: &Info) -> Result<(), Error> {
    let partitions = &info.partitions;
    let rows = [
        ("cluster", info.cluster_id.clone().unwrap_or_else(|| "-".to_owned())),
        ("controller", print::or_dash(info.controller)),
        ("topics", info.topics.to_string()),
        ("partitions", partitions.total.to_string()),
        ("under-replicated", partitions.under_replicated.to_string()),
        ("offline", partitions.offline.to_string()),
    ];
    let is_terminal = stdout().is_terminal();
    for (name, value) in rows {
        print::text(&match is_terminal {
            true => format!("{name:<18}{value}"),
            false => format!("{name}\t{value}"),
        })?;
    }
    let mut lines = Vec::new();
    for broker in &info.brokers {
        let address =
            corelane_net::client::Address { host: broker.host.clone(), port: broker.port };
        let rack = broker.rack.clone().unwrap_or_else(|| "-".to_owned());
        lines.push(vec!["broker".to_owned(), broker.id.to_string(), address.to_string(), rack]);
    }
    if is_terminal {
        print::text("")?;
    }
    print::rows(&["", "id", "address", "rack"], &lines)?;
    let Some(apis) = &info.apis else { return Ok(()) };
    let row = |api: &ApiInfo| {
        vec![
            "api".to_owned(),
            api.key.to_string(),
            api.name.clone().unwrap_or_else(|| "-".to_owned()),
            api.min_version.to_string(),
            api.max_version.to_string(),
        ]
    };
    if is_terminal {
        print::text("")?;
    }
    print::rows(&["", "key", "name", "min", "max"], &apis.iter().map(row).collect::<Vec<_>>())
}
