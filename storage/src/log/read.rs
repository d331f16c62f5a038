//! Planning a read: which bytes answer a fetch, without reading them.

use std::time::Duration;

use crate::index::{IndexPosition, SegmentIndex};
use crate::log::Log;
use crate::log::index_file::{is_incomplete, read_index_file};
use crate::log::lease::{FileLease, Lease, ReadError, ReadPlan};
use crate::log::segment::{Segment, SegmentName, segment_path};
use crate::log::state::{LogOffsets, LogState};
use crate::recovery::rebuild_index;
use crate::runtime::{DiskError, File, OpenMode, Runtime};

impl<R: Runtime> Log<R> {
    /// The whole batches from the one that holds `offset`, below the high watermark, of one
    /// segment: about `max_bytes`, but at least one batch. Empty at the high watermark.
    ///
    /// # Errors
    /// Every [`ReadError`].
    pub async fn read(
        &self,
        offset: i64,
        max_bytes: usize,
    ) -> Result<ReadPlan<R::File>, ReadError> {
        let shared = &self.inner.shared;
        shared.foreground.set(shared.foreground.get().wrapping_add(1));
        let now = shared.runtime.monotonic();
        loop {
            let found = self.with_state(|state| locate(state, offset, max_bytes, now))?;
            let (segment, need) = match found {
                Located::Memory(plan) => {
                    self.note_read(offset, &plan, true, now);
                    return Ok(plan);
                }
                Located::Missing(segment, need) => (segment, need),
                Located::File(plan) => {
                    self.note_read(offset, &plan, false, now);
                    return Ok(plan);
                }
            };
            let brought = match need {
                Need::File => self.readable_file(segment.base_offset).await.map(drop),
                Need::Index => self.load_index(segment.base_offset).await,
            };
            // If it was deleted or replaced meanwhile, the next look says so.
            if self.has_segment(segment) {
                brought?;
            }
        }
    }

    /// Tells the cache how far back it was read.
    fn note_read(&self, offset: i64, plan: &ReadPlan<R::File>, in_memory: bool, now: Duration) {
        if plan.bytes > 0 {
            let behind_bytes = self.with_state(|state| state.bytes_behind(offset));
            self.inner.shared.cache_read(behind_bytes, plan.bytes as u64, in_memory, now);
        }
    }

    fn has_segment(&self, name: SegmentName) -> bool {
        self.with_state(|state| state.segment_named(name).is_some())
    }

    /// Brings the index of a closed segment back into memory, if it is not there. No error if the
    /// segment is deleted or replaced by now.
    pub(crate) async fn load_index(&self, segment_base: i64) -> Result<(), DiskError> {
        let is_there = |state: &mut LogState<R::File>| {
            state.segment(segment_base).is_none_or(|segment| segment.index.is_some())
        };
        if self.with_state(is_there) {
            return Ok(());
        }
        let Some((name, index)) = self.read_index(segment_base).await? else { return Ok(()) };
        let now = self.inner_runtime().monotonic();
        self.with_state(|state| {
            if let Some(segment) = state.segment_mut(segment_base)
                && segment.name() == name
            {
                segment.index = Some(index);
                segment.file_used = now;
            }
        });
        Ok(())
    }

    /// Looks up the highest timestamp of a closed segment, without keeping its index or its file.
    pub(crate) async fn learn_max_timestamp(&self, segment_base: i64) -> Result<(), DiskError> {
        self.read_index(segment_base).await.map(drop)
    }

    /// The index of a closed segment, from disk; notes the segment's highest timestamp. `None` if the
    /// segment is deleted or replaced by now.
    async fn read_index(
        &self,
        segment_base: i64,
    ) -> Result<Option<(SegmentName, SegmentIndex)>, DiskError> {
        let name = self.with_state(|state| state.segment(segment_base).map(Segment::name));
        let Some(name) = name else { return Ok(None) };
        let read = self.read_index_of_present(name).await;
        if !self.has_segment(name) {
            return Ok(None);
        }
        let index = read?;
        self.with_state(|state| {
            if let Some(segment) = state.segment_mut(segment_base) {
                segment.max_timestamp = Some(index.max_timestamp().unwrap_or(-1));
            }
        });
        Ok(Some((name, index)))
    }

    async fn read_index_of_present(&self, name: SegmentName) -> Result<SegmentIndex, DiskError> {
        let inner = &*self.inner;
        let (shared, runtime) = (&inner.shared, &inner.shared.runtime);
        let found = self.with_state(|state| {
            state.segment_named(name).map(|s| (s.end, s.file.clone(), s.readers.clone()))
        });
        let Some((end, file, _reader)) = found else {
            return Ok(SegmentIndex::new(name.base_offset));
        };
        let read = async || read_index_file(runtime, &inner.dir, name).await;
        let mut index = {
            // Another reader may just be writing it again.
            let _turn = inner.index_turns.take().await;
            shared.with_descriptors(read).await?
        };
        let was_incomplete = is_incomplete(&index, end);
        let path = segment_path(&inner.dir, name);
        let file = match file {
            Some(file) => file,
            None => {
                let open = async || runtime.open(&path, OpenMode::Read).await;
                shared.with_descriptors(open).await?
            }
        };
        // Its pages say nothing of the timestamps behind their last entry.
        rebuild_index(runtime, &file, &mut index, end).await?;
        if was_incomplete {
            self.repair_index(name, index.clone());
        }
        Ok(index)
    }

    /// Writes an index again. A task of its own: the removal of the log's directory waits for it.
    fn repair_index(&self, name: SegmentName, index: SegmentIndex) {
        let log = self.clone();
        self.spawn(async move {
            let _turn = log.inner.index_turns.take().await;
            if log.offline_reason().is_some() || !log.has_segment(name) {
                return;
            }
            if let Err(error) = log.write_index(name, &index, 0).await {
                let (partition, segment_base) = (log.inner.id, name.base_offset);
                tracing::warn!(%partition, segment_base, %error, "an index can't be repaired");
            }
        });
    }
}

enum Need {
    File,
    Index,
}

enum Located<F> {
    Memory(ReadPlan<F>),
    File(ReadPlan<F>),
    Missing(SegmentName, Need),
}

fn locate<F: File>(
    state: &mut LogState<F>,
    offset: i64,
    max_bytes: usize,
    now: Duration,
) -> Result<Located<F>, ReadError> {
    if let Some(reason) = &state.offline {
        return Err(ReadError::Offline(reason.clone()));
    }
    let offsets = state.offsets();
    if offset < offsets.log_start || offset > offsets.log_end {
        let LogOffsets { log_start, log_end, .. } = offsets;
        return Err(ReadError::OutOfRange { offset, log_start, log_end });
    }
    let high_watermark = state.high_watermark;
    // Behind the last record that compaction has left of a segment, the next one has it.
    let holding = state.segment_index_of(offset).and_then(|first| {
        (first..state.segments.len()).find(|&i| !state.segments[i].ends_before(offset))
    });
    let behind = holding.and_then(|i| state.segments.get(i + 1)).map(|next| next.base_offset);
    let segment = holding.and_then(|i| state.segments.get_mut(i));
    let is_readable = |segment: &&mut Segment<F>| {
        let begins_there = (segment.base_offset, 0) == high_watermark.place();
        offset < high_watermark.offset && !begins_there
    };
    let Some(segment) = segment.filter(is_readable) else {
        let next_offset = Some(offset);
        return Ok(Located::Memory(ReadPlan {
            leases: Vec::new(),
            bytes: 0,
            offsets,
            next_offset,
        }));
    };
    let is_last_readable = segment.base_offset == high_watermark.segment_base;
    let limit = match behind {
        Some(offset) if !is_last_readable => IndexPosition { offset, position: segment.end },
        _ => IndexPosition { offset: high_watermark.offset, position: high_watermark.position },
    };
    let indexed = segment.index.as_ref().map(|i| i.floor_offset(offset));
    let in_memory = segment.tail.floor_batch(offset).map(|b| b.position);
    let in_memory =
        in_memory.or(indexed.map(|i| i.position).filter(|&p| p >= segment.tail.start()));
    if let Some(begin) = in_memory {
        let (leases, next_offset) = memory_leases(segment, begin, offset, max_bytes as u64, limit);
        let bytes = leases.iter().map(|s| s.len()).sum();
        let leases = leases.into_iter().map(Lease::Memory).collect();
        let next_offset = Some(next_offset);
        return Ok(Located::Memory(ReadPlan { leases, bytes, offsets, next_offset }));
    }
    segment.file_used = now;
    let Some(from) = indexed else {
        return Ok(Located::Missing(segment.name(), Need::Index));
    };
    let Some(file) = segment.file.clone() else {
        return Ok(Located::Missing(segment.name(), Need::File));
    };
    let stop = indexed_end(segment, from, max_bytes as u64, limit);
    let lease = file_lease(segment, file, from, offset, max_bytes as u64, limit.position, stop);
    let whole = lease.whole();
    let next_offset = whole.is_some().then_some(stop.offset);
    let bytes = match whole {
        Some(whole) => (whole.end - whole.start) as usize,
        None => max_bytes.min((limit.position - from.position) as usize),
    };
    let leases = vec![Lease::File(lease)];
    Ok(Located::File(ReadPlan { leases, bytes, offsets, next_offset }))
}

/// The bytes, and the offset behind their last batch. `limit` is the end of what may be read.
fn memory_leases<F>(
    segment: &Segment<F>,
    begin: u64,
    offset: i64,
    max_bytes: u64,
    limit: IndexPosition,
) -> (Vec<crate::buffer::AlignedSlice>, i64) {
    let tail = &segment.tail;
    let mut from = begin;
    if let Some(index) = &segment.index {
        from = from.max(index.floor_offset(offset).position);
    }
    let mut end = loop {
        let (size, last_offset) = tail.batch_at(from);
        if last_offset >= offset {
            break IndexPosition { offset: last_offset + 1, position: from + size };
        }
        from += size;
    };
    if limit.position - from <= max_bytes {
        end = limit;
    } else {
        let indexed = segment.index.as_ref().map(|i| i.floor_position(from + max_bytes));
        if let Some(indexed) = indexed.filter(|indexed| indexed.position > end.position) {
            end = indexed;
        }
        while end.position < limit.position {
            let (size, last_offset) = tail.batch_at(end.position);
            if end.position + size - from > max_bytes {
                break;
            }
            end = IndexPosition { offset: last_offset + 1, position: end.position + size };
        }
    }
    (tail.slices(from, end.position).collect(), end.offset)
}

/// The last place at or before `limit` at which a batch is known to end and that `max_bytes` from
/// `from` on reach; `limit` if none is known.
///
/// A fetch that ends there lets the next one begin at a place that the index names.
fn indexed_end<F>(
    segment: &Segment<F>,
    from: IndexPosition,
    max_bytes: u64,
    limit: IndexPosition,
) -> IndexPosition {
    if limit.position - from.position <= max_bytes {
        return limit;
    }
    let indexed = segment.index.as_ref().map(|i| i.floor_position(from.position + max_bytes));
    indexed.filter(|end| end.position > from.position).unwrap_or(limit)
}

fn file_lease<F>(
    segment: &Segment<F>,
    file: F,
    from: IndexPosition,
    offset: i64,
    max_bytes: u64,
    limit: u64,
    stop: IndexPosition,
) -> FileLease<F> {
    // A settled segment's file has what memory has.
    let memory_start = if segment.settled { limit } else { segment.tail.start().min(limit) };
    // Enough to end the batch that straddles the border, and to fill the answer.
    let boundary = segment.tail.first_batch().map_or(limit, |b| b.position);
    let memory_end = boundary.max(memory_start.saturating_add(max_bytes)).min(limit);
    let memory = if memory_start < memory_end {
        segment.tail.slices(memory_start, memory_end).collect()
    } else {
        Vec::new()
    };
    FileLease {
        file,
        from: from.position,
        file_end: memory_start,
        memory,
        offset,
        max_bytes,
        stop: stop.position,
        is_whole: segment.settled
            && from.offset == offset
            && stop.position - from.position <= max_bytes,
        _reader: segment.readers.clone(),
    }
}
