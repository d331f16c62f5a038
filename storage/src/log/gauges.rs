//! How one log stands.

use std::time::Duration;

use super::{Log, LogOffsets};
use crate::runtime::Runtime;

/// One log at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogGauges {
    /// Its offsets.
    pub offsets: LogOffsets,
    /// Bytes of its segments, the tail in memory included.
    pub size_bytes: u64,
    /// How many segments these are.
    pub segments: usize,
    /// It can no longer keep its word.
    pub is_offline: bool,
    /// Since when it has written bytes that no fdatasync covers (monotonic).
    pub unflushed_since: Option<Duration>,
}

impl<R: Runtime> Log<R> {
    /// How it stands; takes some nanoseconds per segment.
    pub fn gauges(&self) -> LogGauges {
        let state = self.inner.state.borrow();
        LogGauges {
            offsets: state.offsets(),
            size_bytes: state.segments.iter().map(|s| s.end).sum(),
            segments: state.segments.len(),
            is_offline: state.offline.is_some(),
            unflushed_since: state.unflushed_since,
        }
    }
}
