//! How far the timestamps of a producer may be from the broker's clock
//! (`message.timestamp.before.max.ms`, `message.timestamp.after.max.ms`; KIP-937).

use crate::batch::{BatchHeader, HEADER_BYTES, RecordTime, RecordWalk};
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

impl<R: Runtime> Log<R> {
    /// True if the header of a batch that is about to be appended does not say enough of its
    /// timestamps, so that [`Log::check_timestamps`] has to look at its records. By default it does
    /// for every batch that is not refused. False for one that [`Log::append`] refuses for its size.
    pub fn must_check_timestamps(&self, batch: &[u8]) -> bool {
        self.unsure(batch).is_some()
    }

    /// The batch's header, and the limits of which it does not show that they are kept.
    fn unsure<'a>(&self, batch: &'a [u8]) -> Option<(&'a BatchHeader, Limits)> {
        let header = BatchHeader::read(batch).ok()?;
        let now_ms = self.inner_runtime().now_ms();
        let limits = self.with_state(|state| {
            let config = &state.config;
            let has_limits =
                !config.log_append_time && batch.len() <= config.max_message_bytes as usize;
            has_limits.then(|| Limits::of(config, now_ms))
        })?;
        (!limits.surely_allow(header)).then_some((header, limits))
    }

    /// Judges the timestamps of a batch that is about to be appended. Its records may have to be
    /// walked, decompressed if need be, in turns with other tasks: batches that must stay in order
    /// have to wait for each other. A batch that [`Log::append`] will refuse for something else may
    /// pass.
    ///
    /// # Errors
    /// [`AppendError::InvalidTimestamp`]; [`AppendError::Records`] if the records can't be walked,
    /// or decompress to more than [`CHECKED_BYTES_MAX`].
    pub async fn check_timestamps(&self, batch: &[u8]) -> Result<(), AppendError> {
        let Some((header, limits)) = self.unsure(batch) else { return Ok(()) };
        let Some(bytes) = batch.get(HEADER_BYTES..header.total_bytes()) else { return Ok(()) };
        if header.verify_crc(batch).is_err() {
            return Ok(());
        }
        let mut records = Vec::new();
        let mut visit = |record: RecordTime| {
            if !limits.allow(record.timestamp_ms) {
                records.push(limits.refuse(record));
            }
            records.len() == REFUSED_MAX
        };
        let is_refused = limits.surely_refuse(header);
        let pauses_max = if is_refused { REFUSED_PAUSES_MAX } else { usize::MAX };
        let limit_bytes = CHECKED_BYTES_MAX.max(bytes.len() as u64);
        let walk = RecordWalk::up_to(header, bytes, limit_bytes)?;
        let walked = walk_with_pauses(self.inner_runtime(), walk, pauses_max, &mut visit).await?;
        match records.is_empty() && walked != Walked::TooFar {
            true => Ok(()),
            false => Err(AppendError::InvalidTimestamp { records }),
        }
    }
}
