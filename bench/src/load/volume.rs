//! How much may be written.

use super::drive::LoadArgs;
use crate::error::BenchError;

/// What may be written without being asked twice, bytes.
pub const FREE_BYTES: u64 = 10_000_000_000;

impl LoadArgs {
    /// Refuses what is known from the start to write too much, unless it is confirmed.
    ///
    /// # Errors
    /// [`BenchError::Argument`] with what it would come to.
    pub(crate) fn check_volume(
        &self,
        bytes_per_s: Option<f64>,
        is_confirmed: bool,
    ) -> Result<(), BenchError> {
        let seconds = (self.warmup + self.duration).as_secs_f64();
        let bytes = bytes_per_s.unwrap_or(0.0) * seconds;
        if bytes > FREE_BYTES as f64 && !is_confirmed {
            let gb = bytes / 1e9;
            let text = format!("this would write {gb:.1} GB; --yes allows it");
            return Err(BenchError::Argument(text));
        }
        Ok(())
    }

    /// The same, ending when too much is written, unless it is confirmed.
    pub(crate) fn limited(&self, is_confirmed: bool) -> LoadArgs {
        let bytes_max = if is_confirmed { u64::MAX } else { FREE_BYTES };
        LoadArgs { bytes_max: self.bytes_max.min(bytes_max), ..self.clone() }
    }
}
