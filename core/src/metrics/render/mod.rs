//! Snapshots as text. On the HTTP port's thread: no shard is held, however long it takes.
//!
//! - `shards.rs`: what has a shard for a label
//! - `partitions.rs`: what has a topic and a partition for labels
//! - `groups.rs`: what has a group for a label

mod groups;
mod partitions;
mod shards;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use corelane_net::messages::Api;
use corelane_tuning::Space;

use super::counters::ApiTotals;
use super::families as f;
use super::process::ProcessGauges;
use super::snapshot::ShardSnapshot;
use super::text::{Page, labels};
use crate::shard::admission::Refused;

/// All that a page is made of.
pub struct Facts {
    /// What the kernel says.
    pub process: ProcessGauges,
    /// Since the start.
    pub uptime: Duration,
    /// What `/readyz` says.
    pub is_ready: bool,
    /// Of the data directory's file system, if it told.
    pub space: Option<Space>,
    /// In the order of the configuration.
    pub listeners: Vec<ListenerView>,
    /// By shard.
    pub shards: Vec<ShardView>,
}

/// One listener's connections, since the start.
pub struct ListenerView {
    /// Its name.
    pub name: String,
    /// Taken.
    pub accepted: u64,
    /// Closed at once, and why.
    pub refused: [(Refused, u64); Refused::ALL.len()],
}

/// One shard, as a scrape sees it.
#[derive(Clone, Default)]
pub struct ShardView {
    /// It has answered in time.
    pub is_up: bool,
    /// Its last answer, now or before.
    pub last: Option<Arc<ShardSnapshot>>,
}

/// The whole page.
pub fn page(facts: &Facts) -> String {
    let mut page = Page::default();
    process(&mut page, &facts.process);
    broker(&mut page, facts);
    requests(&mut page, &facts.shards);
    listeners(&mut page, &facts.listeners);
    shards::render(&mut page, &facts.shards);
    let topics = partitions::Topics::of(&facts.shards);
    partitions::render(&mut page, &topics);
    groups::render(&mut page, &facts.shards, &topics);
    page.into_text()
}

fn process(page: &mut Page, process: &ProcessGauges) {
    page.single(&f::PROCESS_START, process.start_time_s);
    page.single(&f::PROCESS_CPU, process.cpu.map(|cpu| cpu.as_secs_f64()));
    page.single(&f::PROCESS_RESIDENT, process.resident_bytes);
    page.single(&f::PROCESS_VIRTUAL, process.virtual_bytes);
    page.single(&f::PROCESS_OPEN_FDS, process.open_fds);
    page.single(&f::PROCESS_MAX_FDS, process.max_fds);
    page.single(&f::PROCESS_THREADS, process.threads);
}

fn broker(page: &mut Page, facts: &Facts) {
    page.family(&f::BUILD_INFO);
    let commit = option_env!("CORELANE_COMMIT").unwrap_or("unknown");
    page.sample(&labels(&[("version", &env!("CARGO_PKG_VERSION")), ("commit", &commit)]), 1);
    let known: Vec<&ShardSnapshot> =
        facts.shards.iter().filter_map(|shard| shard.last.as_deref()).collect();
    page.family(&f::CLUSTER_INFO);
    if let Some(broker) = known.iter().find_map(|shard| shard.broker.as_ref()) {
        let host_id = broker.host_id();
        let identity: [(&str, &dyn std::fmt::Display); 2] =
            [("cluster_id", &broker.cluster_id), ("node_id", &host_id)];
        page.sample(&labels(&identity), 1);
    }
    page.single(&f::UPTIME, Some(facts.uptime.as_secs_f64()));
    page.single(&f::READY, Some(u8::from(facts.is_ready)));
    page.single(&f::TOPICS, known.first().map(|shard| shard.topic_count));
    page.single(&f::PARTITIONS, known.first().map(|shard| shard.partition_count));
    let offline = known.iter().map(|shard| shard.store.offline_logs).sum::<usize>();
    page.single(&f::PARTITIONS_OFFLINE, (!known.is_empty()).then_some(offline));
    page.single(&f::FILESYSTEM_SIZE, facts.space.map(|space| space.total_bytes));
    page.single(&f::FILESYSTEM_USABLE, facts.space.map(|space| space.usable_bytes));
}

fn listeners(page: &mut Page, listeners: &[ListenerView]) {
    page.family(&f::CONNECTIONS_ACCEPTED);
    for listener in listeners {
        page.sample(&labels(&[("listener", &listener.name)]), listener.accepted);
    }
    page.family(&f::CONNECTIONS_REFUSED);
    for listener in listeners {
        for (reason, count) in listener.refused {
            let reason = match reason {
                Refused::Broker => "broker",
                Refused::Listener => "listener",
                Refused::Address => "address",
            };
            page.sample(&labels(&[("listener", &listener.name), ("reason", &reason)]), count);
        }
    }
}

/// Of all shards together. What a silent shard had counted when it last spoke stays counted: a sum
/// that falls would be read as a restart.
fn requests(page: &mut Page, shards: &[ShardView]) {
    let mut apis: BTreeMap<Api, ApiTotals> = BTreeMap::new();
    for (api, totals) in shards.iter().filter_map(|shard| shard.last.as_ref()).flat_map(|s| &s.apis)
    {
        apis.entry(*api).or_default().add(totals);
    }
    let apis: Vec<(String, ApiTotals)> = apis
        .into_iter()
        .map(|(api, totals)| (labels(&[("api", &format_args!("{api:?}"))]), totals))
        .collect();
    page.family(&f::REQUESTS);
    apis.iter().for_each(|(labels, api)| page.sample(labels, api.durations.count()));
    page.family(&f::REQUEST_ERRORS);
    for (labels, api) in &apis {
        let mut errors = api.errors.clone();
        errors.sort_by_key(|(error, _)| error.number());
        for (error, times) in errors {
            page.sample(&format!("{labels},error=\"{}\"", error.name()), times);
        }
    }
    page.family(&f::REQUEST_DURATION);
    apis.iter().for_each(|(labels, api)| page.histogram(labels, &api.durations));
    page.family(&f::REQUEST_BYTES);
    apis.iter().for_each(|(labels, api)| page.sample(labels, api.request_bytes));
    page.family(&f::RESPONSE_BYTES);
    apis.iter().for_each(|(labels, api)| page.sample(labels, api.response_bytes));
}
