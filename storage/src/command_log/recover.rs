//! Finding the valid generation of a command log and reading it.

use std::path::Path;

use super::format::{self, DecodedHeader};
use super::{
    Active, COMMAND_LOG_VERSION, CommandLogError, Draft, LogName, ReadCommands, write_bytes,
};
use crate::runtime::{BLOCK_BYTES, DiskError, File, OpenMode, Runtime};

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

/// The valid generation as it was found. Its last record may lack some of its padding.
struct Found<F> {
    active: Active<F>,
    /// Where the last record begins; 0, the header, if there is none.
    last_record: u64,
}

/// Bytes read at once.
const READ_CHUNK_BYTES: usize = 1 << 20;

/// Opens the highest valid generation, or creates the first; removes all others. What it returns
/// is durable.
pub(super) async fn recover<R: Runtime>(
    runtime: &R,
    name: &LogName,
) -> Result<(Active<R::File>, Vec<Vec<u8>>), CommandLogError> {
    let generations = generations(runtime, name).await?;
    for &generation in generations.iter().rev() {
        let path = name.generation_path(generation);
        let file = runtime.open(&path, OpenMode::ReadWrite).await?;
        let block = file.read_at(0, BLOCK_BYTES).await?;
        match format::decode_header(block.as_bytes(), generation) {
            DecodedHeader::Invalid => {}
            DecodedHeader::OtherVersion(found) => {
                let supported = COMMAND_LOG_VERSION;
                return Err(CommandLogError::OtherVersion { path, found, supported });
            }
            DecodedHeader::Valid { initial_records } => {
                let bytes = read_all(&file).await?;
                let (found, payloads) = read_records(file, generation, &bytes, initial_records)?;
                let active = settle(found, &bytes).await?;
                let others: Vec<u64> =
                    generations.into_iter().filter(|other| *other != generation).collect();
                remove_generations(runtime, name, &others).await?;
                return Ok((active, payloads));
            }
        }
    }
    create(runtime, name, &generations).await
}

/// The payloads of the highest valid generation; changes nothing.
pub(super) async fn read_only<R: Runtime>(
    runtime: &R,
    name: &LogName,
) -> Result<Option<ReadCommands>, CommandLogError> {
    let generations = generations(runtime, name).await?;
    for &generation in generations.iter().rev() {
        let path = name.generation_path(generation);
        let file = runtime.open(&path, OpenMode::Read).await?;
        let block = file.read_at(0, BLOCK_BYTES).await?;
        match format::decode_header(block.as_bytes(), generation) {
            DecodedHeader::Invalid => {}
            DecodedHeader::OtherVersion(found) => {
                let supported = COMMAND_LOG_VERSION;
                return Err(CommandLogError::OtherVersion { path, found, supported });
            }
            DecodedHeader::Valid { initial_records } => {
                let bytes = read_all(&file).await?;
                let (found, payloads) = read_records(file, generation, &bytes, initial_records)?;
                let end_bytes = found.active.end;
                let torn_bytes = (bytes.len() as u64).saturating_sub(end_bytes);
                let others = generations.into_iter().filter(|other| *other != generation);
                let invalid = others.map(|other| name.generation_path(other)).collect();
                return Ok(Some(ReadCommands { path, payloads, end_bytes, torn_bytes, invalid }));
            }
        }
    }
    refuse_unreadable(runtime, name, &generations).await?;
    Ok(None)
}

/// Cuts what is behind the last record, and makes durable what was read: a kill may have left it
/// written but not synced. Header and last record are written again, with the bytes they have: if
/// their sync failed, Linux may take them for clean, and a sync alone would do nothing.
async fn settle<F: File>(found: Found<F>, bytes: &[u8]) -> Result<Active<F>, CommandLogError> {
    let Found { active, last_record } = found;
    if bytes.len() as u64 > active.end {
        let (path, cut) = (active.file.path().display(), bytes.len() as u64 - active.end);
        tracing::warn!(%path, position = active.end, bytes = cut, "cut a torn record off");
        active.file.truncate(active.end).await?;
    }
    for range in [0..BLOCK_BYTES as u64, last_record..active.end] {
        let known = bytes.get(range.start as usize..).unwrap_or_default();
        let len = (range.end - range.start) as usize;
        let mut whole = known[..known.len().min(len)].to_vec();
        whole.resize(len, 0);
        write_bytes(&active.file, range.start, &whole).await?;
    }
    active.file.sync_data().await?;
    Ok(active)
}

async fn generations<R: Runtime>(runtime: &R, name: &LogName) -> Result<Vec<u64>, DiskError> {
    let entries = runtime.list(&name.dir).await?;
    let mut generations: Vec<u64> =
        entries.iter().filter_map(|entry| name.generation_of(&entry.name)).collect();
    generations.sort_unstable();
    Ok(generations)
}

const FIRST: u64 = 1;

/// Creates a new log.
async fn create<R: Runtime>(
    runtime: &R,
    name: &LogName,
    generations: &[u64],
) -> Result<(Active<R::File>, Vec<Vec<u8>>), CommandLogError> {
    refuse_unreadable(runtime, name, generations).await?;
    let mut draft = Draft::write(runtime, name, FIRST, std::iter::empty::<&[u8]>()).await?;
    draft.publish().await?;
    Ok((draft.active, Vec::new()))
}

/// If there are files, none of them valid, that must be an interrupted creation: the one file, and
/// nothing in it but its (unfinished) header.
async fn refuse_unreadable<R: Runtime>(
    runtime: &R,
    name: &LogName,
    generations: &[u64],
) -> Result<(), CommandLogError> {
    for &generation in generations {
        let path = name.generation_path(generation);
        let len = runtime.open(&path, OpenMode::Read).await?.len().await?;
        if generation != FIRST || len > BLOCK_BYTES as u64 {
            let reason = "its header is unreadable, and there is no other generation";
            return Err(CommandLogError::Damaged { path, position: 0, reason });
        }
    }
    Ok(())
}

async fn read_all<F: File>(file: &F) -> Result<Vec<u8>, DiskError> {
    let mut bytes = Vec::new();
    loop {
        let chunk = file.read_at(bytes.len() as u64, READ_CHUNK_BYTES).await?;
        bytes.extend_from_slice(chunk.as_bytes());
        if chunk.filled() < READ_CHUNK_BYTES {
            return Ok(bytes);
        }
    }
}

fn read_records<F: File>(
    file: F,
    generation: u64,
    bytes: &[u8],
    initial_records: u64,
) -> Result<(Found<F>, Vec<Vec<u8>>), CommandLogError> {
    let mut payloads = Vec::new();
    let mut at = BLOCK_BYTES;
    let mut last_record = 0;
    let damaged = |path: &Path, at: usize, reason| {
        let (path, position) = (path.to_owned(), at as u64);
        Err(CommandLogError::Damaged { path, position, reason })
    };
    while let Some(record) = bytes.get(at..).and_then(|b| format::decode_record(b, generation)) {
        if record.sequence != payloads.len() as u64 {
            return damaged(file.path(), at, "a record is missing before this one");
        }
        payloads.push(record.payload.to_vec());
        last_record = at as u64;
        at += record.total_bytes;
    }
    let next_sequence = payloads.len() as u64;
    if next_sequence < initial_records {
        return damaged(file.path(), at, "a record of the last rewrite is unreadable");
    }
    let behind = bytes.get(at..).unwrap_or_default().chunks(BLOCK_BYTES).enumerate();
    for (number, _) in behind.skip(1) {
        let rest = &bytes[at + number * BLOCK_BYTES..];
        if format::decode_record(rest, generation).is_some_and(|r| r.sequence > next_sequence) {
            return damaged(file.path(), at, "a record is unreadable, but later ones are not");
        }
    }
    let active = Active { file, generation, next_sequence, end: at as u64, dirty_tail: false };
    Ok((Found { active, last_record }, payloads))
}

/// Removes generations for good: durably, before the log is used.
pub(super) async fn remove_generations<R: Runtime>(
    runtime: &R,
    name: &LogName,
    generations: &[u64],
) -> Result<(), DiskError> {
    for &generation in generations {
        let path = name.generation_path(generation);
        tracing::debug!(path = %path.display(), "removing a generation that does not hold");
        runtime.remove_file(&path).await?;
    }
    if !generations.is_empty() {
        runtime.sync_dir(&name.dir).await?;
    }
    Ok(())
}
