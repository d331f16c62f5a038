//! What a fetch holds while its answer is on the way: memory, or a range of an open file. Either
//! stays valid whatever happens to the partition meanwhile.

use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use crate::batch::{BatchError, BatchHeader, HEADER_BYTES, RecordsError};
use crate::buffer::AlignedSlice;
use crate::log::read_back::{ReadBack, Wanted};
use crate::log::state::LogOffsets;
use crate::runtime::{DiskError, File, Runtime, block_ceil, block_floor};

/// Why a range can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// OFFSET_OUT_OF_RANGE (1): below the log start or above the log end.
    #[error("offset {offset} is outside {log_start}..={log_end}")]
    OutOfRange {
        /// What was asked for.
        offset: i64,
        /// First readable offset.
        log_start: i64,
        /// Log end offset.
        log_end: i64,
    },
    /// CORRUPT_MESSAGE (2): the bytes on disk are not the batch that should be there.
    #[error("damaged log {path} at byte {position}: {reason}")]
    Damaged {
        /// The segment file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What does not fit.
        reason: &'static str,
    },
    /// CORRUPT_MESSAGE (2): a batch with a right checksum holds no records that could be walked.
    #[error("the batch at offset {base_offset}: {source}")]
    Records {
        /// The batch's base offset.
        base_offset: i64,
        /// What does not fit.
        source: RecordsError,
    },
    /// KAFKA_STORAGE_ERROR (56): the disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// KAFKA_STORAGE_ERROR (56).
    #[error("partition is offline: {0}")]
    Offline(Arc<str>),
}

/// Whole batches to send, in order, without having read a byte of the disk. May be moved to
/// another shard.
#[derive(Debug)]
pub enum Lease<F> {
    /// Bytes in memory; batches may straddle neighbours.
    Memory(AlignedSlice),
    /// A range of a segment file that holds the wanted offset.
    File(FileLease<F>),
}

/// What a fetch of one partition gets.
#[derive(Debug)]
pub struct ReadPlan<F> {
    /// In offset order.
    pub leases: Vec<Lease<F>>,
    /// Bytes they will yield: exact for memory, an upper bound for a file (but for a first batch
    /// that is larger than what was asked for).
    pub bytes: usize,
    /// The partition's offsets when the plan was made.
    pub offsets: LogOffsets,
    /// The offset behind the last batch; `None` where only loading tells.
    pub next_offset: Option<i64>,
}

impl<F: File> Lease<F> {
    /// The bytes: whole batches, from the one that holds the wanted offset. A file is read on the
    /// calling shard, directly, into memory of its own.
    ///
    /// # Errors
    /// [`ReadError::Damaged`], [`ReadError::Disk`].
    pub async fn load(self) -> Result<Vec<AlignedSlice>, ReadError> {
        match self {
            Lease::Memory(slice) => Ok(vec![slice]),
            Lease::File(lease) => lease.load(async |lease, upto| lease.read(upto).await).await,
        }
    }

    /// The same, by what others of the shard have read just before.
    pub(crate) async fn load_shared<R: Runtime<File = F>>(
        self,
        read_back: &Rc<ReadBack<R>>,
    ) -> Result<Vec<AlignedSlice>, ReadError> {
        match self {
            Lease::Memory(slice) => Ok(vec![slice]),
            Lease::File(lease) => {
                let read = async |lease: &FileLease<F>, upto| {
                    let (file, reader) = (&lease.file, &lease._reader);
                    let (from, file_end) = (lease.from, lease.file_end);
                    read_back.read(Wanted { file, reader, from, upto, file_end }).await
                };
                lease.load(read).await
            }
        }
    }
}

/// How much more than asked for is read at once, to get past the batches between an index entry
/// and the wanted offset.
const LOOKAHEAD_BYTES: u64 = 64 << 10;

/// Batches in a segment file, and those behind them in memory.
#[derive(Debug)]
pub struct FileLease<F> {
    pub(crate) file: F,
    /// A batch begins here, at or before the wanted one.
    pub(crate) from: u64,
    /// End of what is to be read from the file.
    pub(crate) file_end: u64,
    /// Memory that goes on at `file_end`, up to a batch boundary.
    pub(crate) memory: Vec<AlignedSlice>,
    /// The wanted offset.
    pub(crate) offset: i64,
    pub(crate) max_bytes: u64,
    /// The answer goes no further: a batch ends here, or the log does.
    pub(crate) stop: u64,
    /// `from..stop` is the answer, and the file has all of it.
    pub(crate) is_whole: bool,
    /// Keeps the file from being removed.
    pub(crate) _reader: Arc<()>,
}

impl<F: File> FileLease<F> {
    /// The file. It is not removed while this lease lives.
    pub fn file(&self) -> &F {
        &self.file
    }

    /// The wanted offset.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// The bytes of the file that are the answer, where that is known without a look at them: they
    /// lie in a segment that nothing is written to any more, between places that its index names.
    pub fn whole(&self) -> Option<Range<u64>> {
        self.is_whole.then_some(self.from..self.stop)
    }

    /// `read` brings the bytes from `from` to where it is told, or to the end of the file.
    async fn load(
        self,
        read: impl AsyncFn(&Self, u64) -> Result<Vec<AlignedSlice>, DiskError>,
    ) -> Result<Vec<AlignedSlice>, ReadError> {
        let mut upto = self.from + self.max_bytes + LOOKAHEAD_BYTES;
        loop {
            upto = upto.min(self.file_end);
            let bytes = self.gather(upto, &read).await?;
            match bytes.select(self.offset, self.max_bytes, self.stop) {
                Selected::Range(from, to) => {
                    debug_assert!(self.whole().is_none_or(|whole| whole == (from..to)));
                    return Ok(bytes.slices(from, to));
                }
                Selected::Needs(position) if position > upto && upto < self.file_end => {
                    upto = position;
                }
                Selected::Needs(position) => {
                    return Err(self.damaged(position, "the log ends inside a batch"));
                }
                Selected::Damaged(position, reason) => return Err(self.damaged(position, reason)),
            }
        }
    }

    fn damaged(&self, position: u64, reason: &'static str) -> ReadError {
        ReadError::Damaged { path: self.file.path().to_owned(), position, reason }
    }

    /// The bytes from `from` to `upto`, and the memory behind if that is where the file's part ends.
    async fn gather(
        &self,
        upto: u64,
        read: &impl AsyncFn(&Self, u64) -> Result<Vec<AlignedSlice>, DiskError>,
    ) -> Result<Pieces, ReadError> {
        let mut pieces = Pieces { start: self.from, pieces: read(self, upto).await? };
        if pieces.end() < upto {
            return Err(self.damaged(pieces.end(), "the file is too short"));
        }
        if upto == self.file_end {
            pieces.pieces.extend(self.memory.iter().cloned());
        }
        Ok(pieces)
    }

    async fn read(&self, upto: u64) -> Result<Vec<AlignedSlice>, DiskError> {
        let begin = block_floor(self.from);
        let length = (block_ceil(upto) - begin) as usize;
        let read = self.file.read_at(begin, length).await?;
        let end = read.filled().min((upto - begin) as usize);
        let from = ((self.from - begin) as usize).min(end);
        Ok(vec![read.slice(from, end)])
    }
}

/// What a look at gathered bytes says.
enum Selected {
    /// These are the wanted batches.
    Range(u64, u64),
    /// The bytes up to this position are needed to tell.
    Needs(u64),
    Damaged(u64, &'static str),
}

/// Neighbouring bytes of a segment that begin at a batch.
pub(crate) struct Pieces {
    pub start: u64,
    pub pieces: Vec<AlignedSlice>,
}

impl Pieces {
    pub(crate) fn end(&self) -> u64 {
        self.start + self.pieces.iter().map(|p| p.len() as u64).sum::<u64>()
    }

    /// The whole batches from the one that holds `offset` up to `stop`, no more than `max_bytes` of
    /// them but at least one (KIP-74).
    fn select(&self, offset: i64, max_bytes: u64, stop: u64) -> Selected {
        let end = self.end();
        let mut position = self.start;
        let mut first = None;
        while position < end {
            if let Some(from) = first.filter(|_| position >= stop) {
                return Selected::Range(from, position);
            }
            let (size, last_offset) = match self.batch_at(position) {
                Ok(batch) => batch,
                Err(selected) => match first {
                    Some(from) if matches!(selected, Selected::Needs(_)) => {
                        return Selected::Range(from, position);
                    }
                    _ => return selected,
                },
            };
            let next = position + size;
            if last_offset >= offset {
                let from = *first.get_or_insert(position);
                let is_first = from == position;
                if !is_first && next - from > max_bytes {
                    return Selected::Range(from, position);
                }
                if next > end {
                    let is_enough = !is_first;
                    return if is_enough {
                        Selected::Range(from, position)
                    } else {
                        Selected::Needs(next)
                    };
                }
            } else if next > end {
                return Selected::Needs(next + HEADER_BYTES as u64);
            }
            position = next;
        }
        match first {
            Some(from) => Selected::Range(from, position),
            None => Selected::Needs(position + HEADER_BYTES as u64),
        }
    }

    fn batch_at(&self, position: u64) -> Result<(u64, i64), Selected> {
        match self.header_at(position) {
            None => Err(Selected::Needs(position + HEADER_BYTES as u64)),
            Some(Ok(header)) => Ok((header.total_bytes() as u64, header.last_offset())),
            Some(Err(_)) => Err(Selected::Damaged(position, "no batch begins here")),
        }
    }

    /// The header of the batch at `position`; `None` if not all of it is here.
    pub(crate) fn header_at(&self, position: u64) -> Option<Result<BatchHeader, BatchError>> {
        let mut header = [0; HEADER_BYTES];
        self.copy(position, &mut header).then(|| BatchHeader::read(&header).copied())
    }

    fn copy(&self, position: u64, to: &mut [u8]) -> bool {
        let (mut at, mut filled) = (self.start, 0);
        for piece in &self.pieces {
            let piece_end = at + piece.len() as u64;
            let wanted = position + filled as u64;
            if wanted < piece_end {
                let from = (wanted - at) as usize;
                let n = (piece.len() - from).min(to.len() - filled);
                to[filled..filled + n].copy_from_slice(&piece[from..from + n]);
                filled += n;
                if filled == to.len() {
                    return true;
                }
            }
            at = piece_end;
        }
        false
    }

    pub(crate) fn slices(&self, from: u64, to: u64) -> Vec<AlignedSlice> {
        let mut at = self.start;
        let mut slices = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            let piece_end = at + piece.len() as u64;
            let (begin, end) = (from.max(at), to.min(piece_end));
            if begin < end {
                slices.push(piece.slice((begin - at) as usize, (end - at) as usize));
            }
            at = piece_end;
        }
        slices
    }
}
