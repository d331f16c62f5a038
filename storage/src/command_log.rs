//! An append-only file of small opaque payloads, each durable before its append returns: what the
//! catalog is kept in.
//!
//! On disk it is `<name>.<generation>.log` (`command_log/format.rs`): a header block, then records
//! in whole blocks. [`CommandLog::rewrite`] writes the next generation beside the present one; its
//! header, written last, makes it the valid one, and then the older one is removed. So a crash at
//! any point leaves exactly one valid generation of the highest number, old or new.
//!
//! Appends are serial, each synced before the next: only the last record can be torn, and was then
//! never acknowledged. A bad record with a good one behind it is damage.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::path::{Path, PathBuf};

use crate::buffer::AlignedBuf;
use crate::runtime::{BLOCK_BYTES, DiskError, File, OpenMode, Runtime};
use crate::turn::Turns;

mod format;
mod recover;
#[cfg(test)]
mod tests;

#[cfg(any(test, fuzzing))]
pub(crate) use recover::fuzz;

/// Version of the file's format. A file of another version is refused.
pub const COMMAND_LOG_VERSION: u16 = 1;

/// Largest payload taken.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 20;

/// Bytes written at once by a rewrite.
const REWRITE_CHUNK_BYTES: usize = 1 << 20;

/// Why a command log can't be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum CommandLogError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Something acknowledged is unreadable. Nothing was changed.
    #[error(
        "{path} is damaged at byte {position}: {reason}. Nothing was changed. Restore this file \
         from a backup of the data directory"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the unreadable record begins.
        position: u64,
        /// What does not fit.
        reason: &'static str,
    },
    /// Written by another release.
    #[error(
        "{path} has format version {found}, this release supports {supported}. Nothing was \
         changed. Start the release that wrote it"
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u16,
        /// [`COMMAND_LOG_VERSION`].
        supported: u16,
    },
    /// The payload exceeds [`PAYLOAD_BYTES_MAX`].
    #[error("a command of {found_bytes} bytes exceeds the limit of {limit_bytes}")]
    TooLarge {
        /// Its size.
        found_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// An earlier rewrite failed, or a future was dropped, at a point where only the disk knows
    /// which state holds: nothing more can be appended until the log is opened again.
    #[error("{path} is in doubt after an earlier failure; restart the broker")]
    InDoubt {
        /// The file.
        path: PathBuf,
    },
}

/// The open log. Changes happen one at a time, in the order in which they were asked for; their
/// futures must be awaited to the end.
pub struct CommandLog<R: Runtime> {
    runtime: R,
    name: LogName,
    turns: Turns,
    active: RefCell<Active<R::File>>,
    /// Set while a change is under way; stays set if it was dropped or ended in doubt.
    in_doubt: Cell<bool>,
}

/// The valid generation.
#[derive(Clone, Debug)]
struct Active<F> {
    file: F,
    generation: u64,
    next_sequence: u64,
    /// Behind the last record; whole blocks.
    end: u64,
    /// A failed append may have left something behind `end`.
    dirty_tail: bool,
}

/// Directory and name, from which generations' file names are made.
#[derive(Clone, Debug)]
struct LogName {
    dir: PathBuf,
    stem: String,
}

impl LogName {
    /// Of `<dir>/<stem>` or `<dir>/<stem>.log`.
    fn new(path: &Path) -> Self {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        LogName { dir: path.parent().unwrap_or(Path::new("")).to_owned(), stem }
    }

    fn generation_path(&self, generation: u64) -> PathBuf {
        self.dir.join(format!("{}.{generation:06}.log", self.stem))
    }

    /// The generation in a file name, if it is one of this log.
    fn generation_of(&self, file_name: &str) -> Option<u64> {
        let rest = file_name.strip_prefix(&self.stem)?.strip_prefix('.')?;
        let digits = rest.strip_suffix(".log")?;
        let generation = digits.parse().ok()?;
        (self.generation_path(generation).file_name()?.to_str()? == file_name).then_some(generation)
    }
}

impl<R: Runtime> CommandLog<R> {
    /// Opens the log `path` (`<dir>/catalog.log`; its files are `<dir>/catalog.000001.log` and so
    /// on) or creates it in `<dir>`, which must exist. Returns all payloads, in order. Cuts a torn
    /// last record, removes generations that are not valid, and says so in the log.
    ///
    /// # Errors
    /// [`CommandLogError::Disk`], [`CommandLogError::Damaged`], [`CommandLogError::OtherVersion`].
    pub async fn open(
        runtime: &R,
        path: &Path,
    ) -> Result<(CommandLog<R>, Vec<Vec<u8>>), CommandLogError> {
        let name = LogName::new(path);
        let (active, payloads) = recover::recover(runtime, &name).await?;
        let log = CommandLog {
            runtime: runtime.clone(),
            name,
            turns: Turns::default(),
            active: RefCell::new(active),
            in_doubt: Cell::new(false),
        };
        Ok((log, payloads))
    }

    /// Appends `payload`; it survives a power loss once this returns. When it fails it may still be
    /// there after a restart, but not before.
    ///
    /// # Errors
    /// [`CommandLogError::Disk`], [`CommandLogError::TooLarge`], [`CommandLogError::InDoubt`].
    pub async fn append(&self, payload: &[u8]) -> Result<(), CommandLogError> {
        check_payload(payload)?;
        let _turn = self.turns.take().await;
        self.begin_change()?;
        let mut active = self.active.borrow().clone();
        let result = append_record(&mut active, payload).await;
        *self.active.borrow_mut() = active;
        self.in_doubt.set(false);
        result.map_err(CommandLogError::from)
    }

    /// Replaces all payloads by `payloads`, all at once: a crash leaves either the old ones or
    /// these. Needs space for both meanwhile.
    ///
    /// # Errors
    /// As [`CommandLog::append`]. The old payloads still hold, unless it failed so late that only
    /// the disk knows: then every further change is refused as [`CommandLogError::InDoubt`].
    pub async fn rewrite<P: AsRef<[u8]>>(
        &self,
        payloads: impl IntoIterator<Item = P>,
    ) -> Result<(), CommandLogError> {
        let _turn = self.turns.take().await;
        self.begin_change()?;
        let old = self.active.borrow().generation;
        let path = self.name.generation_path(old + 1);
        let mut draft = match Draft::write(&self.runtime, &self.name, old + 1, payloads).await {
            Ok(draft) => draft,
            Err(error) => {
                // Not valid without its header; if it can't be removed now, the next opening does.
                let _ = self.runtime.remove_file(&path).await;
                self.in_doubt.set(false);
                return Err(error);
            }
        };
        // From here on the new generation may be valid: a failure leaves the log in doubt.
        draft.publish().await?;
        *self.active.borrow_mut() = draft.active;
        recover::remove_generations(&self.runtime, &self.name, &[old]).await?;
        self.in_doubt.set(false);
        Ok(())
    }

    /// Bytes that the log takes on disk: a reason to rewrite it.
    pub fn len_bytes(&self) -> u64 {
        self.active.borrow().end
    }

    /// Records in it, a measure of what a rewrite could save.
    pub fn record_count(&self) -> u64 {
        self.active.borrow().next_sequence
    }

    fn begin_change(&self) -> Result<(), CommandLogError> {
        if self.in_doubt.replace(true) {
            let path = self.active.borrow().file.path().to_owned();
            return Err(CommandLogError::InDoubt { path });
        }
        Ok(())
    }
}

impl<R: Runtime> fmt::Debug for CommandLog<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CommandLog").field(&self.active.borrow()).finish()
    }
}

/// A command log as it lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadCommands {
    /// The valid generation's file.
    pub path: PathBuf,
    /// All payloads, in order.
    pub payloads: Vec<Vec<u8>>,
    /// Where the last record ends.
    pub end_bytes: u64,
    /// Bytes behind it, of a record that was never acknowledged: the next start cuts them.
    pub torn_bytes: u64,
    /// Files of generations that do not hold: the next start removes them.
    pub invalid: Vec<PathBuf>,
}

/// Reads the log `path` and changes nothing, not even what a crash has left; `None` if there is none,
/// or only one whose creation was interrupted.
///
/// # Errors
/// [`CommandLogError::Disk`], [`CommandLogError::Damaged`], [`CommandLogError::OtherVersion`].
pub async fn read_only<R: Runtime>(
    runtime: &R,
    path: &Path,
) -> Result<Option<ReadCommands>, CommandLogError> {
    recover::read_only(runtime, &LogName::new(path)).await
}

fn check_payload(payload: &[u8]) -> Result<(), CommandLogError> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        let (found_bytes, limit_bytes) = (payload.len(), PAYLOAD_BYTES_MAX);
        return Err(CommandLogError::TooLarge { found_bytes, limit_bytes });
    }
    Ok(())
}

async fn append_record<F: File>(active: &mut Active<F>, payload: &[u8]) -> Result<(), DiskError> {
    if active.dirty_tail {
        // Else a longer record of before would show its rest behind this one.
        active.file.truncate(active.end).await?;
    }
    active.dirty_tail = true;
    let mut bytes = Vec::new();
    format::put_record(&mut bytes, active.generation, active.next_sequence, payload);
    write_bytes(&active.file, active.end, &bytes).await?;
    active.file.sync_data().await?;
    active.end += bytes.len() as u64;
    active.next_sequence += 1;
    active.dirty_tail = false;
    Ok(())
}

async fn write_bytes<F: File>(file: &F, position: u64, bytes: &[u8]) -> Result<(), DiskError> {
    let mut buffer = AlignedBuf::with_capacity(bytes.len());
    buffer.put(bytes);
    file.write_at(position, buffer.slice(0, bytes.len())).await
}

/// A generation on its way: all but its header is written.
struct Draft<F> {
    active: Active<F>,
}

impl<F: File> Draft<F> {
    /// Writes all records of `generation`, makes them and the file's name durable. The header's
    /// block is written as zeros, so that publishing needs no space.
    async fn write<R: Runtime<File = F>, P: AsRef<[u8]>>(
        runtime: &R,
        name: &LogName,
        generation: u64,
        payloads: impl IntoIterator<Item = P>,
    ) -> Result<Self, CommandLogError> {
        let file = runtime.open(&name.generation_path(generation), OpenMode::Create).await?;
        file.truncate(0).await?;
        let mut active = Active { file, generation, next_sequence: 0, end: 0, dirty_tail: false };
        let mut bytes = vec![0; BLOCK_BYTES];
        for payload in payloads {
            check_payload(payload.as_ref())?;
            format::put_record(&mut bytes, generation, active.next_sequence, payload.as_ref());
            active.next_sequence += 1;
            if bytes.len() >= REWRITE_CHUNK_BYTES {
                active.put(&mut bytes).await?;
            }
        }
        if !bytes.is_empty() {
            active.put(&mut bytes).await?;
        }
        active.file.sync_data().await?;
        runtime.sync_dir(&name.dir).await?;
        Ok(Draft { active })
    }

    /// Writes the header, which makes this generation the valid one.
    async fn publish(&mut self) -> Result<(), DiskError> {
        let header = format::header(self.active.generation, self.active.next_sequence);
        write_bytes(&self.active.file, 0, &header).await?;
        self.active.file.sync_data().await
    }
}

impl<F: File> Active<F> {
    async fn put(&mut self, bytes: &mut Vec<u8>) -> Result<(), DiskError> {
        write_bytes(&self.file, self.end, bytes).await?;
        self.end += bytes.len() as u64;
        bytes.clear();
        Ok(())
    }
}
