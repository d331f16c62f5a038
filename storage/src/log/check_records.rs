//! What a topic asks of a producer's records: timestamps that are not too far from the broker's clock
//! (`message.timestamp.before.max.ms`, `message.timestamp.after.max.ms`; KIP-937), and, if it is
//! compacted, keys, and offsets that rise.

use crate::batch::{
    BatchHeader, Compression, HEADER_BYTES, RecordTime, RecordWalk, RecordsError,
    records_suit_compaction,
};
use crate::log::scan::{Walked, walk_with_pauses};
use crate::log::{AppendError, Log, LogConfig};
use crate::runtime::Runtime;

/// Records named in one refusal.
const REFUSED_MAX: usize = 100;

/// Bytes to which a batch's records may be decompressed before it is appended; a batch that is
/// larger itself may yield its own size. Kafka has no such bound, but 64 times what a topic takes by
/// default is no batch that a producer means.
pub const CHECKED_BYTES_MAX: u64 = 64 << 20;

/// Pauses of at most 64 KiB for which the records of a batch are walked that its header alone refuses: it is
/// to name them, and must not be worth gigabytes to decompress.
const REFUSED_PAUSES_MAX: usize = 16;

/// Longest batch whose records are looked at before it is known whether others have to wait.
const AT_ONCE_BYTES_MAX: usize = 64 << 10;

/// A record whose timestamp is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedTimestamp {
    /// Its place in the batch, from 0.
    pub batch_index: i32,
    /// Why, for the producer.
    pub message: String,
}

/// What the topic allows at one instant.
#[derive(Clone, Copy, Debug)]
struct Limits {
    now_ms: i64,
    before_max_ms: i64,
    after_max_ms: i64,
}

impl Limits {
    fn of(config: &LogConfig, now_ms: i64) -> Self {
        Limits {
            now_ms,
            before_max_ms: config.timestamp_before_max_ms,
            after_max_ms: config.timestamp_after_max_ms,
        }
    }

    /// A record without timestamp (-1) is always allowed.
    fn allow(&self, timestamp_ms: i64) -> bool {
        let age_ms = self.now_ms.saturating_sub(timestamp_ms);
        timestamp_ms == -1
            || (age_ms <= self.before_max_ms && age_ms.saturating_neg() <= self.after_max_ms)
    }

    /// The header alone shows that every record is allowed.
    fn surely_allow(&self, header: &BatchHeader) -> bool {
        let is_of_one_time = header.records_count() == 1 || self.before_max_ms == i64::MAX;
        is_of_one_time && self.allow(header.max_timestamp())
    }

    /// The header alone shows that a record is not allowed.
    fn surely_refuse(&self, header: &BatchHeader) -> bool {
        !self.allow(header.max_timestamp())
    }

    fn refuse(&self, record: RecordTime) -> RefusedTimestamp {
        let earliest = self.now_ms.wrapping_sub(self.before_max_ms);
        let latest = self.now_ms.wrapping_add(self.after_max_ms);
        let RecordTime { index, timestamp_ms, offset, .. } = record;
        let message = format!(
            "Timestamp {timestamp_ms} of message with offset {offset} is out of range. The \
             timestamp should be within [{earliest}, {latest}]"
        );
        RefusedTimestamp { batch_index: index, message }
    }
}

/// What the topic asks of a batch's records that its header does not show.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// `None`: their timestamps are all right.
    limits: Option<Limits>,
    /// They must have keys.
    keys: bool,
}

/// The records that are refused.
#[derive(Debug, Default)]
struct Refused {
    timestamps: Vec<RefusedTimestamp>,
    without_key: Vec<i32>,
    last_offset: Option<i64>,
    out_of_order: Option<i32>,
}

impl Refused {
    /// Looks at a record; true if enough are refused.
    fn judge(&mut self, record: RecordTime, asked: &Asked) -> bool {
        let last = self.last_offset.replace(record.offset);
        if asked.keys && last.is_some_and(|last| last >= record.offset) {
            // Compaction tells records by their offsets.
            self.out_of_order = Some(record.index);
            return true;
        }
        if asked.keys && !record.has_key {
            self.without_key.push(record.index);
        } else if let Some(limits) = asked.limits.filter(|l| !l.allow(record.timestamp_ms)) {
            self.timestamps.push(limits.refuse(record));
        }
        self.timestamps.len() + self.without_key.len() == REFUSED_MAX
    }

    /// Of both, the timestamps decide, as in Kafka.
    fn verdict(self, is_too_far: bool) -> Result<(), AppendError> {
        if is_too_far || !self.timestamps.is_empty() {
            return Err(AppendError::InvalidTimestamp { records: self.timestamps });
        }
        if !self.without_key.is_empty() {
            return Err(AppendError::NoKeys { records: self.without_key });
        }
        match self.out_of_order {
            None => Ok(()),
            Some(index) => {
                let reason = "an offset that is not above the one before";
                Err(RecordsError::Malformed { index, reason }.into())
            }
        }
    }
}

impl<R: Runtime> Log<R> {
    /// True if the header of a batch that is about to be appended does not say enough of its
    /// records, so that [`Log::check_records`] has to look at them. By default it does for every
    /// batch that is not refused; in a compacted topic, uncompressed ones that are not long are
    /// looked at here. False for one that [`Log::append`] refuses for its size.
    pub fn must_check_records(&self, batch: &[u8]) -> bool {
        let Some((header, asked)) = self.unsure(batch) else { return false };
        let is_short = header.compression() == Some(Compression::None)
            && (HEADER_BYTES..=AT_ONCE_BYTES_MAX).contains(&batch.len());
        let is_well = is_short
            && asked.limits.is_none()
            && records_suit_compaction(header, &batch[HEADER_BYTES..]);
        !is_well
    }

    /// The batch's header, and what it does not show.
    fn unsure<'a>(&self, batch: &'a [u8]) -> Option<(&'a BatchHeader, Asked)> {
        let header = BatchHeader::read(batch).ok()?;
        let now_ms = self.inner_runtime().now_ms();
        let asked = self.with_state(|state| {
            let config = &state.config;
            let limits = (!config.log_append_time).then(|| Limits::of(config, now_ms));
            let limits = limits.filter(|limits| !limits.surely_allow(header));
            let fits = batch.len() <= config.max_message_bytes as usize;
            fits.then_some(Asked { limits, keys: config.compact_policy })
        })?;
        (asked.limits.is_some() || asked.keys).then_some((header, asked))
    }

    /// Judges the records of a batch that is about to be appended: their timestamps, and, in a
    /// compacted topic, whether they have keys, and offsets that rise. They may have to be walked, decompressed if need be,
    /// in turns with other tasks: batches that must stay in order have to wait for each other. A batch
    /// that [`Log::append`] will refuse for something else may pass.
    ///
    /// # Errors
    /// [`AppendError::InvalidTimestamp`], [`AppendError::NoKeys`]; [`AppendError::Records`] if the
    /// records can't be walked, or decompress to more than [`CHECKED_BYTES_MAX`].
    pub async fn check_records(&self, batch: &[u8]) -> Result<(), AppendError> {
        let Some((header, asked)) = self.unsure(batch) else { return Ok(()) };
        let Some(bytes) = batch.get(HEADER_BYTES..header.total_bytes()) else { return Ok(()) };
        if header.verify_crc(batch).is_err() {
            return Ok(());
        }
        let mut refused = Refused::default();
        let mut visit = |record: RecordTime| refused.judge(record, &asked);
        let is_refused = asked.limits.is_some_and(|limits| limits.surely_refuse(header));
        let pauses_max = if is_refused { REFUSED_PAUSES_MAX } else { usize::MAX };
        let limit_bytes = CHECKED_BYTES_MAX.max(bytes.len() as u64);
        let walk = RecordWalk::up_to(header, bytes, limit_bytes)?;
        let walked = walk_with_pauses(self.inner_runtime(), walk, pauses_max, &mut visit).await?;
        refused.verdict(walked == Walked::TooFar)
    }
}
