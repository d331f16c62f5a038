//! What has a shard for a label. Of a shard that is not up only that is told.

use std::fmt::Display;

use corelane_storage::meters::Durations;

use super::ShardView;
use crate::group::Standing;
use crate::metrics::counters::CloseReason;
use crate::metrics::families::{self as f, Family};
use crate::metrics::snapshot::ShardSnapshot;
use crate::metrics::stages::Stage;
use crate::metrics::text::Page;

/// The shards that are up, each with its label.
struct Shards<'a> {
    page: &'a mut Page,
    up: Vec<(String, &'a ShardSnapshot)>,
}

impl Shards<'_> {
    /// A family with one sample per shard.
    fn each<V: Display>(&mut self, family: &'static Family, value: impl Fn(&ShardSnapshot) -> V) {
        self.page.family(family);
        for (label, shard) in &self.up {
            self.page.sample(label, value(shard));
        }
    }

    /// A family with several samples per shard, told apart by the label `by`.
    fn each_of<V: Display>(
        &mut self,
        family: &'static Family,
        by: &str,
        values: impl Fn(&ShardSnapshot) -> Vec<(&'static str, V)>,
    ) {
        self.page.family(family);
        for (label, shard) in &self.up {
            for (name, value) in values(shard) {
                self.page.sample(&format!("{label},{by}=\"{name}\""), value);
            }
        }
    }

    /// A family with one histogram per shard.
    fn histogram(
        &mut self,
        family: &'static Family,
        durations: impl Fn(&ShardSnapshot) -> &Durations,
    ) {
        self.page.family(family);
        for (label, shard) in &self.up {
            self.page.histogram(label, durations(shard));
        }
    }
}

/// All of them.
pub fn render(page: &mut Page, shards: &[ShardView]) {
    let label = |shard: usize| format!("shard=\"{shard}\"");
    let up = shards.iter().enumerate().filter(|(_, view)| view.is_up);
    let up = up.filter_map(|(shard, view)| Some((label(shard), view.last.as_deref()?))).collect();
    let mut shown = Shards { page, up };
    connections(&mut shown);
    shown.page.family(&f::SHARD_UP);
    for (shard, view) in shards.iter().enumerate() {
        shown.page.sample(&label(shard), u8::from(view.is_up));
    }
    executors(&mut shown);
    disk(&mut shown);
    compaction(&mut shown);
    fetches(&mut shown);
    coordinators(&mut shown);
}

fn connections(shards: &mut Shards<'_>) {
    shards.each(&f::CONNECTIONS, |shard| shard.connections_open);
    shards.each_of(&f::CONNECTIONS_CLOSED, "reason", |shard| {
        let names = CloseReason::ALL.iter().map(|reason| reason.name());
        names.zip(shard.connections_closed).collect()
    });
}

fn executors(shards: &mut Shards<'_>) {
    shards.each(&f::SHARD_BUSY, |shard| shard.busy.as_secs_f64());
    shards.each_of(&f::SHARD_CPU, "mode", |shard| {
        let thread = &shard.thread;
        vec![("user", thread.user.as_secs_f64()), ("system", thread.system.as_secs_f64())]
    });
    shards.each(&f::RING_ENTERS, |shard| shard.ring.enters);
    shards.each(&f::SLEEPS, |shard| shard.ring.sleeps);
    shards.histogram(&f::TIMER_LATENESS, |shard| &shard.timer_lateness);
    shards.page.family(&f::STAGE);
    for (label, shard) in &shards.up {
        for (stage, durations) in Stage::ALL.into_iter().zip(&shard.stages) {
            shards.page.histogram(&format!("{label},stage=\"{}\"", stage.name()), durations);
        }
    }
    shards.each(&f::MAILBOX_DEPTH, |shard| shard.mailbox_depth);
    shards.each(&f::SHARD_CALLS, |shard| shard.calls);
    shards.each(&f::SCRAPE_HOLD, |shard| shard.longest_hold.as_secs_f64());
    shards.each_of(&f::MEMORY_USED, "pool", |shard| {
        shard.pools.iter().map(|pool| (pool.name, pool.used_bytes)).collect()
    });
    shards.each_of(&f::MEMORY_LIMIT, "pool", |shard| {
        shard.pools.iter().filter_map(|pool| Some((pool.name, pool.limit_bytes?))).collect()
    });
}

fn disk(shards: &mut Shards<'_>) {
    shards.histogram(&f::JOURNAL_WRITE, |shard| &shard.disk.journal_writes);
    shards.each(&f::JOURNAL_WRITTEN, |shard| shard.disk.journal_written_bytes);
    shards.each(&f::JOURNAL_FILES, |shard| shard.store.journal_files);
    shards.histogram(&f::SEGMENT_WRITE, |shard| &shard.disk.segment_writes);
    shards.each(&f::SEGMENT_WRITTEN, |shard| shard.disk.segment_written_bytes);
    shards.page.family(&f::FSYNC);
    for (label, shard) in &shards.up {
        shards.page.histogram(&format!("{label},file=\"journal\""), &shard.disk.journal_syncs);
        shards.page.histogram(&format!("{label},file=\"segment\""), &shard.disk.segment_syncs);
    }
    shards.each(&f::FLUSH_LAG, |shard| shard.flush_lag.as_secs_f64());
    shards.each(&f::DISK_OPERATIONS, |shard| shard.ring.operations);
    shards.each(&f::DISK_FULL, |shard| u8::from(shard.store.disk_full));
    shards.each(&f::JOURNAL_FAILED, |shard| u8::from(shard.store.failed));
}

fn compaction(shards: &mut Shards<'_>) {
    shards.each(&f::COMPACTIONS, |shard| shard.disk.compaction.ended);
    shards.each(&f::COMPACTIONS_FAILED, |shard| shard.disk.compaction.failed);
    shards.each(&f::COMPACTION_SECONDS, |shard| shard.disk.compaction.took.as_secs_f64());
    shards.each(&f::COMPACTION_READ, |shard| shard.disk.compaction.read_bytes);
    shards.each(&f::COMPACTION_WRITTEN, |shard| shard.disk.compaction.written_bytes);
    shards.each(&f::COMPACTION_FREED, |shard| shard.disk.compaction.freed_bytes);
    shards.each(&f::COMPACTION_DIRTY, |shard| f64::from(shard.store.dirty_ppm_max) / 1e6);
    shards.each(&f::UNCLEANABLE, |shard| shard.store.uncleanable_logs);
}

fn fetches(shards: &mut Shards<'_>) {
    shards.each_of(&f::READS, "source", |shard| {
        let (memory, disk) = (shard.memory_reads.count, shard.disk_reads.count);
        vec![("memory", memory), ("disk", disk), ("file", shard.file_reads.count)]
    });
    shards.each_of(&f::READ_BYTES, "source", |shard| {
        let (memory, disk) = (shard.memory_reads.bytes, shard.disk_reads.bytes);
        vec![("memory", memory), ("disk", disk), ("file", shard.file_reads.bytes)]
    });
    shards.each(&f::FETCHES_PARKED, |shard| shard.fetches_parked);
    shards.each(&f::FETCH_SESSIONS, |shard| shard.fetch_sessions.0);
    shards.each(&f::FETCH_SESSION_PARTITIONS, |shard| shard.fetch_sessions.1);
}

fn coordinators(shards: &mut Shards<'_>) {
    shards.each_of(&f::COORDINATORS, "state", |shard| {
        let names = Standing::ALL.iter().map(|standing| standing.name());
        names.zip(shard.groups.coordinators).collect()
    });
    shards.histogram(&f::GROUP_LOAD, |shard| &shard.groups.loads);
    shards.each(&f::REBALANCES, |shard| shard.groups.rebalances);
    shards.each(&f::OFFSETS, |shard| shard.groups.offsets);
    shards.each(&f::OFFSET_COMMITS, |shard| shard.groups.commits);
    shards.each(&f::OFFSETS_EXPIRED, |shard| shard.groups.expired);
}
