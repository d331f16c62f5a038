//! What is sent, brought into memory.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use corelane_net::codec::Records;
use corelane_net::extent::Extent;
use corelane_storage::buffer::AlignedSlice;
use corelane_storage::ids::PartitionId;
use corelane_storage::log::{Lease, LogOffsets, ReadPlan};
use futures_util::future::join_all;

use super::Refusal;
use super::plan::{Fetch, Plans};
use super::share::{Offer, share_out};
use crate::metrics::counters::Sent;
use crate::partition::{EpochEnd, PartitionError, Planned, Want, batches};
use crate::runtime::DiskFile;
use crate::shard::Shard;
use crate::shard::budget::Credit;
use crate::shard::pauses::Pauses;
use crate::shard::socket::LeasedFile;
use crate::shard::turns::Turn;

/// Ranges of a file below this are read, directly: the way through a pipe costs more than a copy.
const SEND_FILE_BYTES_MIN: u64 = 64 << 10;

/// Partitions that are loaded at once.
const LOADED_AT_ONCE: usize = 64;

/// What one partition is answered with.
pub(super) enum Loaded {
    /// Whole batches, or none.
    Records { records: Records, offsets: LogOffsets },
    /// The client has to truncate first.
    Diverging { end: EpochEnd, offsets: LogOffsets },
    /// Nothing.
    Refused(Refusal),
}

/// A plan of which something is sent.
struct Load {
    place: usize,
    plan: ReadPlan<DiskFile>,
    share: usize,
    /// Taken out of the plan: it is sent from here as it is.
    file: Option<LeasedFile>,
}

/// Shares `max_bytes` out and brings what is sent into memory; files are read here, on the shard of
/// the connection. One answer for each partition asked about, in order.
pub(super) async fn load(fetch: Fetch, plans: Plans, turn: Turn) -> Vec<Loaded> {
    let mut pauses = Pauses::new(&fetch.shard.runtime);
    pauses.after_cheap(plans.len()).await;
    let offers: Vec<Offer> = plans.iter().zip(&fetch.wants).map(offer).collect();
    let shares = share_out(&offers, fetch.limit_bytes);
    pauses.after_cheap(plans.len()).await;
    let (mut loaded, mut loads) = sort(plans, &shares);
    for load in &mut loads {
        pauses.after_cheap(1).await;
        load.file = take_file(load).await;
    }
    // What is sent from files takes no memory, but has its turn as well.
    let total: usize = loads.iter().filter(|load| load.file.is_none()).map(|load| load.share).sum();
    let credit = match loads.len() {
        0 => None,
        _ => Some(Arc::new(fetch.shard.fetch_budget.acquire(total.max(1), turn).await)),
    };
    let mut loads = loads.into_iter().enumerate();
    // A few at once, for the disk's sake; what is in memory takes no time but this shard's.
    loop {
        let some = loads.by_ref().take(LOADED_AT_ONCE).map(|(number, load)| {
            let credit = credit.clone();
            let shard = &fetch.shard;
            async move { (load.place, load_one(shard, load, number == 0, credit).await) }
        });
        let some = join_all(some).await;
        pauses.after(some.len()).await;
        if some.is_empty() {
            break;
        }
        for (place, (records, read)) in some {
            loaded[place] = Some(records);
            if let Some(read) = read {
                count(&fetch.shard, fetch.wants[place].partition, read);
            }
        }
    }
    let mut answer = |entry| match entry {
        Ok(place) => loaded.get_mut::<usize>(place).and_then(Option::take),
        Err(refusal) => Some(Loaded::Refused(refusal)),
    };
    let panicked = || Loaded::Refused(Refusal::Refused(PartitionError::Panicked));
    let mut answers = Vec::with_capacity(fetch.entries.len());
    for entry in fetch.entries {
        answers.push(answer(entry).unwrap_or_else(panicked));
        pauses.after_cheap(1).await;
    }
    answers
}

/// What needs no loading, by place, and what does.
fn sort(plans: Plans, shares: &[usize]) -> (Vec<Option<Loaded>>, Vec<Load>) {
    let mut loads = Vec::new();
    let mut loaded = Vec::with_capacity(plans.len());
    for (place, (plan, share)) in plans.into_iter().zip(shares).enumerate() {
        loaded.push(match plan {
            Ok(Planned::Read(plan)) if *share > 0 => {
                loads.push(Load { place, plan, share: *share, file: None });
                None
            }
            Ok(Planned::Read(plan)) => {
                Some(Loaded::Records { records: Records::new(), offsets: plan.offsets })
            }
            Ok(Planned::Diverging(end, offsets)) => Some(Loaded::Diverging { end, offsets }),
            Err(error) => Some(Loaded::Refused(Refusal::Refused(error))),
        });
    }
    (loaded, loads)
}

fn offer((plan, want): (&Result<Planned, PartitionError>, &Want)) -> Offer {
    let bytes = match plan {
        Ok(Planned::Read(plan)) => plan.bytes,
        Ok(Planned::Diverging(..)) | Err(_) => 0,
    };
    Offer { bytes, limit_bytes: want.max_bytes }
}

/// Where the batches of an answer come from.
#[derive(Clone, Copy)]
enum Source {
    Memory,
    /// Read, at least in part.
    Disk,
    /// Sent as it is.
    File,
}

/// What was read of one partition, for counting.
struct Read {
    from: Source,
    sent: Sent,
}

impl Read {
    /// `keep` bytes of `slices` are sent; `next_offset` is the offset behind all of them, where the
    /// plan knew it.
    fn new(slices: &[AlignedSlice], keep: usize, next_offset: Option<i64>, from: Source) -> Read {
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        let end = match next_offset {
            _ if keep < total => batches::base_offset(slices, keep),
            Some(offset) => Some(offset),
            None => batches::next_offset(slices),
        };
        let records = batches::base_offset(slices, 0).zip(end).filter(|_| keep > 0);
        let records = records.map_or(0, |(begin, end)| end.saturating_sub(begin).max(0));
        Read { from, sent: Sent { bytes: keep as u64, records: records.unsigned_abs() } }
    }
}

fn count(shard: &Shard, partition: PartitionId, read: Read) {
    let counters = &shard.counters;
    let reads = match read.from {
        Source::Memory => &counters.memory_reads,
        Source::Disk => &counters.disk_reads,
        Source::File => &counters.file_reads,
    };
    reads.count.add(1);
    reads.bytes.add(read.sent.bytes);
    let exists = || shard.catalog().topic_by_id(partition.topic_id).is_some();
    counters.sent.count(partition, read.sent, exists);
}

async fn load_one(
    shard: &Shard,
    load: Load,
    at_least_one: bool,
    credit: Option<Arc<Credit>>,
) -> (Loaded, Option<Read>) {
    if let Some(file) = load.file {
        return send_file(&load.plan, LeasedFile { credit, ..file });
    }
    let ReadPlan { leases, offsets, next_offset, .. } = load.plan;
    let on_disk = leases.iter().any(|lease| matches!(lease, Lease::File(_)));
    let from = if on_disk { Source::Disk } else { Source::Memory };
    match load_leases(shard, leases).await {
        Ok(slices) => {
            let keep = batches::whole(&slices, load.share, at_least_one);
            let read = Read::new(&slices, keep, next_offset, from);
            let records = records(slices, keep, credit.as_ref());
            (Loaded::Records { records, offsets }, Some(read))
        }
        Err(error) => {
            tracing::error!(%error, "a fetch can't read the log");
            (Loaded::Refused(Refusal::Refused(error)), None)
        }
    }
}

/// Takes the lease out of a plan, if all that is sent of it is a large range of a file: the kernel
/// sends that.
async fn take_file(load: &mut Load) -> Option<LeasedFile> {
    let [Lease::File(lease)] = &load.plan.leases[..] else { return None };
    let is_large = |range: &Range<u64>| range.end - range.start >= SEND_FILE_BYTES_MIN;
    let range = lease.whole().filter(is_large).filter(|_| load.share >= load.plan.bytes)?;
    let file = match lease.file().sendable().await {
        Ok(file) => file,
        Err(error) => {
            // Reading takes no further descriptor.
            tracing::debug!(%error, "a file is read, not sent");
            return None;
        }
    };
    let Some(Lease::File(lease)) = load.plan.leases.pop() else { return None };
    Some(LeasedFile { file, from: range.start, lease, credit: None })
}

fn send_file(plan: &ReadPlan<DiskFile>, source: LeasedFile) -> (Loaded, Option<Read>) {
    let ReadPlan { bytes, offsets, next_offset, .. } = *plan;
    let wanted = source.lease.offset();
    let records = next_offset.map_or(0, |next| next.saturating_sub(wanted).max(0));
    let sent = Sent { bytes: bytes as u64, records: records.unsigned_abs() };
    let from = source.from;
    let records = Records::from(Extent::new(Arc::new(source), from, bytes));
    (Loaded::Records { records, offsets }, Some(Read { from: Source::File, sent }))
}

async fn load_leases(
    shard: &Shard,
    leases: Vec<Lease<DiskFile>>,
) -> Result<Vec<AlignedSlice>, PartitionError> {
    let mut slices = Vec::with_capacity(leases.len());
    for lease in leases {
        slices.extend(shard.store.load(lease).await?);
    }
    Ok(slices)
}

/// Memory that an answer sends from; keeps its bytes counted until they are sent.
struct Part {
    slice: AlignedSlice,
    _credit: Option<Arc<Credit>>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.slice
    }
}

fn records(slices: Vec<AlignedSlice>, mut keep: usize, credit: Option<&Arc<Credit>>) -> Records {
    let mut records = Records::new();
    for slice in slices {
        let take = slice.len().min(keep);
        keep -= take;
        if take > 0 {
            let slice = slice.slice(0, take);
            records.push(Bytes::from_owner(Part { slice, _credit: credit.cloned() }));
        }
    }
    records
}
