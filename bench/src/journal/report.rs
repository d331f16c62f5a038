//! What a journal came to, for people and as JSON.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{JournalArgs, Measured};
use crate::disk::Disk;
use crate::environment::Environment;
use crate::load_report::SCHEMA_VERSION;
use crate::spread::Spread;

/// Of each figure the median and the ends of all repeats. What was not measured is null.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct JournalReport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `journal`.
    pub kind: String,
    /// False if repeats are missing.
    pub complete: bool,
    /// Where it was measured.
    pub environment: Environment,
    /// The directory whose disk was measured.
    pub dir: String,
    /// The disk under it.
    pub disk: Option<Disk>,
    /// False if the filesystem refuses O_DIRECT: then the page cache was measured as well.
    pub is_direct: bool,
    /// Records under way at once.
    pub producers: usize,
    /// Bytes of each.
    pub record_bytes: usize,
    /// Partitions that they were dealt to.
    pub partitions: usize,
    /// Records that an fdatasync covers, per second.
    pub appends_per_s: Option<Spread>,
    /// Writing and syncing all records that waited: half took less, microseconds.
    pub commit_p50_us: Option<Spread>,
    /// 99 of 100 took less.
    pub commit_p99_us: Option<Spread>,
}

impl JournalReport {
    pub(super) fn new(args: &JournalArgs, rounds: &[Measured]) -> JournalReport {
        let spread = |of: &dyn Fn(&Measured) -> f64| Spread::of(rounds.iter().map(of));
        let us = |quantile: f64| {
            spread(&|round| round.commits.value_at_quantile(quantile) as f64 / 1000.0)
        };
        JournalReport {
            schema_version: SCHEMA_VERSION,
            kind: "journal".to_owned(),
            complete: rounds.len() == args.repeats.max(1) as usize,
            environment: Environment::here(),
            dir: args.dir.display().to_string(),
            disk: Disk::under(&args.dir),
            is_direct: rounds.iter().all(|round| round.is_direct),
            producers: args.producers,
            record_bytes: args.record_bytes,
            partitions: args.partitions,
            appends_per_s: spread(&|round| round.appends as f64 / round.seconds),
            commit_p50_us: us(0.5),
            commit_p99_us: us(0.99),
        }
    }
}

impl fmt::Display for JournalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let JournalReport { producers, record_bytes, partitions, .. } = self;
        let path = if self.is_direct { "direct" } else { "through the page cache" };
        write!(
            f,
            "{}   ({path}, {producers} producers of {record_bytes} bytes, partitions: {partitions})   \
             median (min .. max)",
            self.dir
        )?;
        if !self.complete {
            write!(f, "\n  PARTIAL: interrupted")?;
        }
        for (name, unit, spread) in [
            ("appends", "/s", self.appends_per_s),
            ("commit p50", "us", self.commit_p50_us),
            ("commit p99", "us", self.commit_p99_us),
        ] {
            let Some(Spread { min, median, max, .. }) = spread else { continue };
            write!(f, "\n  {name:<14} {median:>9.0} {unit:<4} ({min:.0} .. {max:.0})")?;
        }
        Ok(())
    }
}
