//! How much may be written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::drive::LoadArgs;
use crate::error::BenchError;

/// What may be written without being asked twice, bytes.
pub const FREE_BYTES: u64 = 10_000_000_000;

/// What may still be written without being asked twice, by all runs of a plan together: clones share
/// it. At first [`FREE_BYTES`].
#[derive(Clone, Debug)]
pub struct Allowance(Arc<AtomicU64>);

impl Default for Allowance {
    fn default() -> Allowance {
        Allowance(Arc::new(AtomicU64::new(FREE_BYTES)))
    }
}

impl Allowance {
    /// Bytes that are left.
    pub(crate) fn left_bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// So much was written, or is about to be.
    pub(crate) fn spend(&self, bytes: u64) {
        // Runs come one after another: nobody else writes it meanwhile.
        self.0.store(self.left_bytes().saturating_sub(bytes), Ordering::Relaxed);
    }
}

impl LoadArgs {
    /// Refuses what is known from the start to write too much, unless it is confirmed; and whatever
    /// writes, once earlier runs have left nothing.
    ///
    /// # Errors
    /// [`BenchError::Argument`] with what it would come to.
    pub(crate) fn check_volume(
        &self,
        bytes_per_s: Option<f64>,
        is_confirmed: bool,
    ) -> Result<(), BenchError> {
        let seconds = (self.warmup + self.duration).as_secs_f64();
        self.check_bytes((bytes_per_s.unwrap_or(0.0) * seconds) as u64, is_confirmed)
    }

    /// The same of a number of bytes.
    pub(crate) fn check_bytes(&self, bytes: u64, is_confirmed: bool) -> Result<(), BenchError> {
        let left = self.allowance.left_bytes();
        if is_confirmed || (bytes <= left && left > 0) {
            return Ok(());
        }
        let gb = |bytes: u64| bytes as f64 / 1e9;
        let before = match FREE_BYTES - left {
            0 => String::new(),
            written => format!("earlier runs have written {:.1} GB, and ", gb(written)),
        };
        let text = match bytes {
            0 => format!("{before}this one would write more; --yes allows it"),
            _ => format!("{before}this would write {:.1} GB; --yes allows it", gb(bytes)),
        };
        Err(BenchError::Argument(text))
    }

    /// The same, ending when too much is written, unless it is confirmed.
    pub(crate) fn limited(&self, is_confirmed: bool) -> LoadArgs {
        let bytes_max = if is_confirmed { u64::MAX } else { self.allowance.left_bytes() };
        LoadArgs { bytes_max: self.bytes_max.min(bytes_max), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Allowance, FREE_BYTES};
    use crate::load::LoadArgs;

    #[test]
    fn all_runs_together_write_no_more_than_one_may() {
        let first = LoadArgs {
            duration: Duration::from_secs(9),
            warmup: Duration::from_secs(1),
            cores: vec![],
            bytes_max: u64::MAX,
            spin: false,
            allowance: Allowance::default(),
        };
        let next = first.clone();
        assert!(first.check_volume(Some(600e6), false).is_ok());
        first.allowance.spend(6_000_000_000);
        assert_eq!(next.limited(false).bytes_max, FREE_BYTES - 6_000_000_000);
        assert_eq!(next.limited(true).bytes_max, u64::MAX);
        let error = next.check_volume(Some(600e6), false).unwrap_err().to_string();
        assert!(error.contains("written 6.0 GB") && error.contains("write 6.0 GB"), "{error}");
        assert!(next.check_volume(Some(600e6), true).is_ok());
        // Of what no rate is known, the limit is found as it runs; then nothing begins.
        assert!(next.check_volume(None, false).is_ok());
        next.allowance.spend(u64::MAX);
        assert!(first.check_volume(None, false).is_err() && first.check_bytes(0, true).is_ok());
    }
}
