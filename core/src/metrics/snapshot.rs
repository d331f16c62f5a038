//! One shard's numbers, copied on the shard, in slices.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use corelane_net::messages::Api;
use corelane_storage::log::LogGauges;
use corelane_storage::meters::{CompactionMeters, Durations};
use corelane_storage::runtime::Runtime;
use corelane_storage::store::StoreGauges;

use super::counters::{ApiTotals, CloseReason, Reads, Sent};
use super::groups::{self, GroupsSnapshot};
use super::slices::Slices;
use super::stages::Stage;
use crate::catalog::Topic;
use crate::runtime::{RingCounters, ThreadTime};
use crate::shard::{Broker, Shard};

/// Partitions in one piece of memory: what grows must not be moved as a whole.
const CHUNK_PARTITIONS: usize = 512;

/// Copied in one step: a few cache lines.
const SENT_PER_STEP: usize = 16;

/// A copy costs about as much as so many steps.
const HISTOGRAM_WEIGHT: usize = 20;

/// One shard's numbers. What is counted is counted since its start.
#[derive(Debug, Default)]
pub struct ShardSnapshot {
    /// The broker's identity, the same from each.
    pub broker: Option<Arc<Broker>>,
    /// Topics of the catalog, as this shard has it.
    pub topic_count: usize,
    /// Their partitions.
    pub partition_count: u64,
    /// Time in which it was not asleep.
    pub busy: Duration,
    /// Processor time of its thread.
    pub thread: ThreadTime,
    /// How much later than asked for its timers fire.
    pub timer_lateness: Durations,
    /// How long requests were in each stage, in the order of [`Stage::ALL`].
    pub stages: Vec<Durations>,
    /// Calls of other shards that it has not begun.
    pub mailbox_depth: usize,
    /// Calls that it made to others.
    pub calls: u64,
    /// What its disk ring did.
    pub ring: RingCounters,
    /// Memory by its budget.
    pub pools: Vec<Pool>,
    /// How its storage stands.
    pub store: StoreGauges,
    /// Age of the oldest bytes that are written and not flushed.
    pub flush_lag: Duration,
    /// What its storage did.
    pub disk: DiskTotals,
    /// Connections, open now.
    pub connections_open: usize,
    /// Connections that ended, in the order of [`CloseReason::ALL`].
    pub connections_closed: [u64; CloseReason::ALL.len()],
    /// Connections that have gone on at another shard.
    pub connections_moved: u64,
    /// Fetch sessions, and the partitions that they remember.
    pub fetch_sessions: (usize, usize),
    /// Fetches that wait for data.
    pub fetches_parked: usize,
    /// Reads from memory.
    pub memory_reads: ReadTotals,
    /// Reads from the disk.
    pub disk_reads: ReadTotals,
    /// Reads that were sent from a file.
    pub file_reads: ReadTotals,
    /// Requests of its connections, by API.
    pub apis: Vec<(Api, ApiTotals)>,
    /// Topics that have something below.
    pub topics: Vec<Arc<Topic>>,
    /// The partitions that it owns, in chunks.
    pub partitions: Vec<Vec<PartitionSnapshot>>,
    /// What its connections were sent, in chunks.
    pub sent: Vec<SentChunk>,
    /// Its groups.
    pub groups: GroupsSnapshot,
    /// Processor time that making this took from the shard without a pause, at most.
    pub longest_hold: Duration,
}

/// Memory that a budget accounts for, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name as a label.
    pub name: &'static str,
    /// Taken now.
    pub used_bytes: u64,
    /// What may be taken, if there is a limit of its own.
    pub limit_bytes: Option<u64>,
}

/// What a shard's storage did.
#[derive(Clone, Debug, Default)]
pub struct DiskTotals {
    /// Journal entries.
    pub journal_writes: Durations,
    /// Their bytes.
    pub journal_written_bytes: u64,
    /// Direct writes to segments.
    pub segment_writes: Durations,
    /// Their bytes.
    pub segment_written_bytes: u64,
    /// fdatasyncs of journal files.
    pub journal_syncs: Durations,
    /// fdatasyncs of segments.
    pub segment_syncs: Durations,
    /// What compaction did.
    pub compaction: CompactionTotals,
}

/// What compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactionTotals {
    /// Logs compacted.
    pub ended: u64,
    /// Compactions that met an error.
    pub failed: u64,
    /// Time that all took.
    pub took: Duration,
    /// Bytes read from segments.
    pub read_bytes: u64,
    /// Bytes written to segments.
    pub written_bytes: u64,
    /// Bytes by which logs have become shorter.
    pub freed_bytes: u64,
}

impl From<&CompactionMeters> for CompactionTotals {
    fn from(meters: &CompactionMeters) -> CompactionTotals {
        CompactionTotals {
            ended: meters.ended.get(),
            failed: meters.failed.get(),
            took: Duration::from_micros(meters.took_us.get()),
            read_bytes: meters.read_bytes.get(),
            written_bytes: meters.written_bytes.get(),
            freed_bytes: meters.freed_bytes.get(),
        }
    }
}

/// Reads of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadTotals {
    /// How many.
    pub count: u64,
    /// Bytes that they gave.
    pub bytes: u64,
}

impl From<&Reads> for ReadTotals {
    fn from(reads: &Reads) -> ReadTotals {
        ReadTotals { count: reads.count.get(), bytes: reads.bytes.get() }
    }
}

/// What connections were sent of neighbouring partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentChunk {
    /// Their topic's place in [`ShardSnapshot::topics`].
    pub topic: usize,
    /// The first one's number.
    pub first: usize,
    /// By partition.
    pub sent: Vec<Sent>,
}

/// One partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionSnapshot {
    /// Its topic's place in [`ShardSnapshot::topics`].
    pub topic: usize,
    /// Its number.
    pub index: u32,
    /// Bytes, records and batches appended.
    pub received: [u64; 3],
    /// How its log stands.
    pub log: LogGauges,
}

/// Makes a snapshot of `shard`, on it.
pub async fn take(shard: &Rc<Shard>) -> ShardSnapshot {
    let mut slices = Slices::new(&shard.runtime);
    let mut snapshot = at_once(shard);
    slices.after(HISTOGRAM_WEIGHT).await;
    let (meters, disk) = (shard.store.meters(), &mut snapshot.disk);
    disk.journal_written_bytes = meters.journal_written_bytes.get();
    disk.segment_written_bytes = meters.segment_written_bytes.get();
    disk.compaction = CompactionTotals::from(&meters.compaction);
    let copies = [
        (&mut disk.journal_writes, &meters.journal_writes),
        (&mut disk.segment_writes, &meters.segment_writes),
        (&mut disk.journal_syncs, &meters.journal_syncs),
        (&mut disk.segment_syncs, &meters.segment_syncs),
        (&mut snapshot.timer_lateness, &shard.counters.timer_lateness),
    ];
    for (copy, latency) in copies {
        *copy = latency.durations();
        slices.after(HISTOGRAM_WEIGHT).await;
    }
    for stage in Stage::ALL {
        snapshot.stages.push(shard.counters.stages.latency(stage).durations());
        slices.after(HISTOGRAM_WEIGHT).await;
    }
    for api in Api::ALL {
        if let Some(totals) = shard.counters.apis.totals(*api) {
            snapshot.apis.push((*api, totals));
            slices.after(HISTOGRAM_WEIGHT).await;
        }
    }
    // Before the partitions: what was committed by now is not ahead of where they end then.
    snapshot.groups = groups::take(shard, &mut slices).await;
    topics(shard, &mut snapshot, &mut slices).await;
    snapshot.longest_hold = slices.longest();
    snapshot
}

/// What takes the same time however much there is.
fn at_once(shard: &Rc<Shard>) -> ShardSnapshot {
    let (catalog, counters) = (shard.catalog(), &shard.counters);
    let sessions = shard.fetch_sessions.borrow();
    let store = shard.store.gauges();
    ShardSnapshot {
        broker: Some(shard.broker.clone()),
        topic_count: catalog.topic_count(),
        partition_count: catalog.partition_count(),
        busy: shard.runtime.busy(),
        thread: ThreadTime::now().unwrap_or_default(),
        mailbox_depth: shard.mailbox().depth(),
        calls: shard.mailbox().calls(),
        ring: shard.runtime.ring_counters(),
        pools: pools(shard, &store),
        store,
        connections_open: shard.connections.open_count(),
        connections_closed: counters.connections_closed.totals(),
        connections_moved: counters.connections_moved.get(),
        fetch_sessions: (sessions.len(), sessions.partitions()),
        fetches_parked: counters.fetches_parked.get(),
        memory_reads: ReadTotals::from(&counters.memory_reads),
        disk_reads: ReadTotals::from(&counters.disk_reads),
        file_reads: ReadTotals::from(&counters.file_reads),
        ..ShardSnapshot::default()
    }
}

fn pools(shard: &Shard, store: &StoreGauges) -> Vec<Pool> {
    let pool = |name, used_bytes, limit_bytes| Pool { name, used_bytes, limit_bytes };
    let (answers, answers_limit) =
        (shard.fetch_budget.used_bytes() as u64, shard.fetch_budget.limit_bytes() as u64);
    let requests = shard.connections.request_budget_bytes();
    let (requests, requests_limit) =
        requests.map_or((0, None), |(used, limit)| (used as u64, Some(limit as u64)));
    vec![
        pool("requests", requests, requests_limit),
        pool("fetch_answers", answers, Some(answers_limit)),
        pool("tail_cache", store.cached_bytes, Some(store.cache_limit_bytes)),
        pool("read_back", store.read_back_bytes, Some(store.read_back_limit_bytes)),
        pool("unwritten", store.unwritten_bytes, Some(store.unwritten_limit_bytes)),
        pool("journal", store.journal_buffer_bytes, None),
        pool("buffers", store.buffer_taken_bytes, None),
        pool("buffers_idle", store.buffer_bytes.saturating_sub(store.buffer_taken_bytes), None),
    ]
}

/// Every topic, as it is when its turn comes.
async fn topics(shard: &Rc<Shard>, snapshot: &mut ShardSnapshot, slices: &mut Slices<'_>) {
    let mut next = shard.catalog().topics().next().cloned();
    while let Some(topic) = next {
        let place = snapshot.topics.len();
        let mut is_empty = !sent(shard, &topic, snapshot, slices).await;
        for id in topic.partition_ids() {
            let own = (shard.owner(id) == shard.id).then(|| shard.partition(id).ok()).flatten();
            let mut weight = 1;
            if let Some(partition) = own {
                let log = partition.gauges();
                weight += log.segments / 8;
                let since = log.unflushed_since.unwrap_or(Duration::MAX);
                let age = shard.runtime.monotonic().saturating_sub(since);
                snapshot.flush_lag = snapshot.flush_lag.max(age);
                let traffic = partition.traffic();
                let received = [traffic.bytes.get(), traffic.records.get(), traffic.batches.get()];
                let partition = PartitionSnapshot { topic: place, index: id.index, received, log };
                push(&mut snapshot.partitions, partition);
                is_empty = false;
            }
            slices.after(weight).await;
        }
        if !is_empty {
            snapshot.topics.push(topic.clone());
        }
        next = shard.catalog().topic_behind(&topic.name).cloned();
    }
}

/// What was sent of `topic`, which is next in the list; false if nothing ever was.
async fn sent(
    shard: &Rc<Shard>,
    topic: &Topic,
    snapshot: &mut ShardSnapshot,
    slices: &mut Slices<'_>,
) -> bool {
    let (place, mut first) = (snapshot.topics.len(), 0);
    while let Some(sent) = shard.counters.sent.totals(topic.id, first, CHUNK_PARTITIONS)
        && !sent.is_empty()
    {
        let copied = sent.len();
        snapshot.sent.push(SentChunk { topic: place, first, sent });
        first += copied;
        slices.after(copied / SENT_PER_STEP).await;
    }
    first > 0
}

fn push(chunks: &mut Vec<Vec<PartitionSnapshot>>, partition: PartitionSnapshot) {
    match chunks.last_mut() {
        Some(last) if last.len() < CHUNK_PARTITIONS => last.push(partition),
        _ => {
            let mut chunk = Vec::with_capacity(CHUNK_PARTITIONS);
            chunk.push(partition);
            chunks.push(chunk);
        }
    }
}
