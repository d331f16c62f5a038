//! `corelane topic list`.

use serde::Serialize;

use super::super::{Error, print, session};
use crate::cli::topic::ListOptions;

#[derive(Serialize)]
struct List {
    topics: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    name: String,
    internal: bool,
    partitions: usize,
    replication_factor: usize,
}

pub(super) fn run(options: &ListOptions) -> Result<(), Error> {
    let mut cluster = session::connect(&options.client, Default::default())?;
    let response = cluster.retry(|cluster| cluster.metadata(None))?;
    let shown = response.topics.iter().filter(|topic| session::is_shown(topic, options.internal));
    let mut topics: Vec<Listed> = shown
        .map(|topic| Listed {
            name: topic.name.as_deref().unwrap_or_default().to_owned(),
            internal: topic.is_internal,
            partitions: topic.partitions.len(),
            replication_factor: topic.partitions.first().map_or(0, |p| p.replica_nodes.len()),
        })
        .collect();
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    if options.client.json {
        return print::json(&List { topics });
    }
    let row = |topic: &Listed| {
        vec![topic.name.clone(), topic.partitions.to_string(), topic.replication_factor.to_string()]
    };
    let rows: Vec<_> = topics.iter().map(row).collect();
    print::rows(&["name", "partitions", "replicas"], &rows)
}
