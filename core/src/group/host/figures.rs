//! What metrics tell of coordinators.

use corelane_storage::meters::{Count, Latency};

use super::super::turn::Tally;

/// What the coordinators of one shard did, since its start.
#[derive(Default)]
pub struct GroupCounters {
    /// Offsets that were committed.
    pub commits: Count,
    /// Offsets that nobody has used for long, and that were forgotten.
    pub expired: Count,
    /// Rebalances that were completed.
    pub rebalances: Count,
    /// How long reading partitions back took.
    pub loads: Latency,
}

impl GroupCounters {
    pub(super) fn add(&self, tally: Tally) {
        self.commits.add(tally.commits);
        self.expired.add(tally.expired);
        self.rebalances.add(tally.rebalances);
    }
}

/// Whether a coordinator can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is being read back.
    Loading,
    /// It can.
    Active,
    /// It has stopped, and is read back when somebody asks.
    Failed,
}

impl Standing {
    /// All of them.
    pub const ALL: [Standing; 3] = [Standing::Loading, Standing::Active, Standing::Failed];

    /// Its name as a label.
    pub fn name(self) -> &'static str {
        match self {
            Standing::Loading => "loading",
            Standing::Active => "active",
            Standing::Failed => "failed",
        }
    }
}
