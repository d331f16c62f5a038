//! What is wrong with a data directory.

use std::collections::BTreeMap;

use super::{Finding, Severity, Watcher};
use crate::ids::{PartitionId, TopicId};
use crate::inspect::check::check_partition;
use crate::inspect::directory::{DataDir, InspectError};
use crate::runtime::DiskError;
use crate::store::{journal_dir, topics_dir};

/// What the catalog says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownCatalog {
    /// Its topics.
    pub topics: Vec<KnownTopic>,
    /// Its last record is unreadable: a start takes it for one that was never acknowledged.
    pub is_cut: bool,
}

/// A topic that the catalog has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownTopic {
    /// Its id, which its directory is named by.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: u32,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Partitions that have files or are in a journal.
    pub partitions: u64,
    /// Segments.
    pub segments: u64,
    /// Batches that are whole.
    pub batches: u64,
    /// Records, as far as batches' headers tell.
    pub records: u64,
    /// Bytes of segments and journals.
    pub bytes: u64,
}

/// Looks at everything in `dir` and tells `watcher` what it finds. `catalog` is `None` if it can't be
/// read, so that no directory can be called an orphan.
///
/// # Errors
/// The directory can't be listed. A file that can't be read is a finding.
pub fn verify(
    dir: &DataDir,
    catalog: Option<&KnownCatalog>,
    watcher: &mut dyn Watcher,
) -> Result<Totals, InspectError> {
    let mut totals = Totals::default();
    check_manifest(dir, watcher);
    check_journals(dir, watcher, &mut totals);
    let topics = |catalog: &KnownCatalog| -> BTreeMap<TopicId, u32> {
        catalog.topics.iter().map(|topic| (topic.id, topic.partitions)).collect()
    };
    let known = catalog.map(topics);
    let is_cut = catalog.is_some_and(|catalog| catalog.is_cut);
    check_names(dir, known.as_ref(), is_cut, watcher)?;
    for id in dir.partitions()? {
        let is_served = match &known {
            None => true,
            Some(known) => known.get(&id.topic_id).is_some_and(|&count| id.index < count),
        };
        if !is_served {
            continue;
        }
        totals.partitions += 1;
        if let Err(error) = check_partition(dir, id, watcher, &mut totals) {
            watcher.found(unreadable(&error, Some(id)));
        }
    }
    Ok(totals)
}

/// A file that the disk does not give.
pub(super) fn unreadable(error: &DiskError, partition: Option<PartitionId>) -> Finding {
    Finding {
        severity: Severity::Damage,
        path: error.path.clone(),
        position: Some(error.position),
        partition,
        what: format!("can't be read ({}): {}", error.operation, error.source),
    }
}

fn check_manifest(dir: &DataDir, watcher: &mut dyn Watcher) {
    let path = dir.path.join(crate::manifest::MANIFEST_FILE);
    let finding = |severity, position, what| Finding {
        severity,
        path: path.clone(),
        position,
        partition: None,
        what,
    };
    match &dir.manifest {
        Err(error) => {
            let what =
                format!("{error}. Journals, and what lies behind checkpoints, are not looked at");
            watcher.found(finding(Severity::Damage, None, what));
        }
        Ok(read) => {
            let Some(slot) = read.unreadable_slot else { return };
            let (severity, what) = match read.fields.stopped_cleanly {
                true => {
                    (Severity::Damage, "a slot is unreadable, though the last stop was a clean one")
                }
                false => {
                    (Severity::Mends, "a slot is unreadable: torn, or damaged; the other one holds")
                }
            };
            watcher.found(finding(severity, Some(slot as u64 * 4096), what.to_owned()));
        }
    }
}

fn check_journals(dir: &DataDir, watcher: &mut dyn Watcher, totals: &mut Totals) {
    let mut tell = |severity, path, position, what: String| {
        watcher.found(Finding { severity, path, position, partition: None, what });
    };
    for fault in &dir.survey.faults {
        tell(Severity::Damage, journal_dir(&dir.path), None, fault.clone());
    }
    for file in &dir.survey.files {
        totals.bytes += file.len_bytes;
        if let Some(position) = file.torn_at {
            let what = "a torn entry, which was never acknowledged (or a damaged last one)";
            tell(Severity::Mends, file.path.clone(), Some(position), what.to_owned());
        }
        if let Some(position) = file.headless_at {
            let what = "synced entries begin here, but the file's first entry is unreadable: a \
                        start takes the whole file for an unused one";
            // Partitions tell whether something is missing because of it.
            tell(Severity::Mends, file.path.clone(), Some(position), what.to_owned());
        }
    }
}

/// Names that should not be there.
fn check_names(
    dir: &DataDir,
    known: Option<&BTreeMap<TopicId, u32>>,
    is_cut: bool,
    watcher: &mut dyn Watcher,
) -> Result<(), InspectError> {
    let mut tell = |severity, path, what: &str| {
        let what = what.to_owned();
        watcher.found(Finding { severity, path, position: None, partition: None, what });
    };
    const NAMES: [&str; 4] = ["lock", "manifest", "journal", "topics"];
    for entry in dir.list(&dir.path)? {
        let is_catalog = entry.name.starts_with("catalog.") && entry.name.ends_with(".log");
        if !NAMES.contains(&entry.name.as_str()) && !is_catalog {
            tell(Severity::Note, dir.path.join(&entry.name), "not Corelane's: ignored");
        }
    }
    let topics = topics_dir(&dir.path);
    for entry in dir.list(&topics)? {
        let path = topics.join(&entry.name);
        let Some(id) = TopicId::from_hex(&entry.name).filter(|_| entry.is_dir) else {
            tell(Severity::Note, path, "not Corelane's: ignored");
            continue;
        };
        let Some(known) = known else { continue };
        let Some(&partitions) = known.get(&id) else {
            // A topic has no directory before its record is synced.
            let (severity, what) = match is_cut {
                true => {
                    (Severity::Damage, "of a topic that the catalog, cut as it is, does not have")
                }
                false => (Severity::Mends, "of a topic that the catalog does not have"),
            };
            tell(severity, path, &format!("{what}: the next start removes it"));
            continue;
        };
        for partition in dir.list(&path)? {
            let index = partition.name.parse::<u32>().ok().filter(|_| partition.is_dir);
            if index.is_none_or(|index| index >= partitions) {
                let what = "not a partition of this topic: ignored";
                tell(Severity::Note, path.join(&partition.name), what);
            }
        }
    }
    Ok(())
}
