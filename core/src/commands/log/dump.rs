//! `corelane log dump`: what is in a data directory.

use std::io::{self, BufRead};
use std::process::ExitCode;

use corelane_storage::batch::ContentsReader;
use corelane_storage::ids::PartitionId;
use corelane_storage::inspect::{BatchPlace, DataDir, JournalEntry, PartitionFiles};

use super::lines::{Lines, Place};
use super::{Error, topics};
use crate::cli::log::DumpOptions;
use crate::commands::output::{Output, quietly};

/// What is asked for.
struct Picked {
    manifest: bool,
    catalog: bool,
    journals: bool,
    segments: bool,
    indexes: bool,
    checkpoints: bool,
    batches: bool,
    records: bool,
}

impl Picked {
    fn of(options: &DumpOptions) -> Picked {
        let nothing = !(options.manifest
            || options.catalog
            || options.segments
            || options.indexes
            || options.checkpoints
            || options.journals
            || options.batches
            || options.records);
        Picked {
            manifest: options.manifest || nothing,
            catalog: options.catalog || nothing,
            journals: options.journals,
            segments: options.segments || nothing,
            indexes: options.indexes,
            checkpoints: options.checkpoints,
            batches: options.batches || options.records,
            records: options.records,
        }
    }

    fn partitions(&self) -> bool {
        self.segments || self.indexes || self.checkpoints || self.batches
    }
}

/// Prints what is asked for.
pub fn run(options: &DumpOptions) -> Result<ExitCode, Error> {
    let picked = Picked::of(options);
    let mut lines = Lines::new(Output::stdout(), options.dir.json);
    let printed = dump(options, &picked, &mut lines);
    let printed = match printed {
        Err(Error::Output(error)) => Err(error),
        other => {
            other?;
            lines.finish()
        }
    };
    quietly(printed)?;
    Ok(ExitCode::SUCCESS)
}

fn dump(options: &DumpOptions, picked: &Picked, lines: &mut Lines) -> Result<(), Error> {
    let mut failed = Ok(());
    let mut entry = |entry: JournalEntry| {
        if picked.journals && failed.is_ok() {
            failed = lines.journal_entry(&entry);
        }
    };
    let dir = DataDir::open_with(&options.dir.dir, &mut entry)?;
    failed?;
    if picked.manifest {
        lines.manifest(&dir)?;
    }
    let catalog = match topics::read(&dir) {
        Ok(read) => Some(read.catalog),
        Err(error) => {
            lines.problem(&error.to_string())?;
            None
        }
    };
    let topic = options.topic.as_deref().map(|text| topics::find(catalog.as_ref(), text));
    let topic = topic.transpose()?;
    if let Some(catalog) = catalog.as_ref().filter(|_| picked.catalog) {
        lines.catalog(catalog, topic)?;
    }
    if picked.segments {
        for (path, len_bytes, entries) in dir.journals()? {
            lines.journal(&path, len_bytes, entries)?;
        }
    }
    if !picked.partitions() {
        return Ok(());
    }
    let is_wanted = |id: &PartitionId| {
        topic.is_none_or(|topic| topic == id.topic_id)
            && options.partition.is_none_or(|index| index == id.index)
    };
    for id in dir.partitions()?.into_iter().filter(is_wanted) {
        let place = Place::new(catalog.as_ref(), id);
        // What is unreadable of one partition must not hide the others.
        match dump_partition(&dir, &place, options, picked, lines) {
            Err(Error::Disk(error)) => lines.problem(&format!("{place}: {error}"))?,
            other => other?,
        }
    }
    Ok(())
}

fn dump_partition(
    dir: &DataDir,
    place: &Place,
    options: &DumpOptions,
    picked: &Picked,
    lines: &mut Lines,
) -> Result<(), Error> {
    let files = dir.partition(place.id)?;
    if picked.checkpoints {
        for slot in &files.slots {
            lines.checkpoint(place, slot)?;
        }
    }
    if picked.indexes {
        dump_indexes(&files, place, lines)?;
    }
    if !(picked.segments || picked.batches) {
        return Ok(());
    }
    let mut failed = Ok(());
    let mut visit = |batch: &BatchPlace, records: &mut dyn BufRead| {
        if picked.batches && batch.header.last_offset() >= options.from_offset {
            failed = dump_batch(batch, records, place, options, picked, lines);
        }
        failed.is_ok()
    };
    let segments = files.read(&mut visit)?;
    failed?;
    if picked.segments {
        lines.partition(place, &files, &segments)?;
    }
    for segment in &segments {
        if let Some(problem) = &segment.problem {
            lines.problem(&format!("{}: {problem}", segment.path.display()))?;
        }
    }
    Ok(())
}

fn dump_indexes(files: &PartitionFiles<'_>, place: &Place, lines: &mut Lines) -> Result<(), Error> {
    for &base in &files.indexes {
        let decoded = files.index(base)?;
        for (entry, max_timestamp) in decoded.index.entries() {
            lines.index_entry(place, base, entry, max_timestamp)?;
        }
        if let Some(doubt) = decoded.doubt {
            lines.problem(&format!("{}: {doubt}", files.index_path(base).display()))?;
        }
    }
    Ok(())
}

fn dump_batch(
    batch: &BatchPlace,
    records: &mut dyn BufRead,
    place: &Place,
    options: &DumpOptions,
    picked: &Picked,
    lines: &mut Lines,
) -> io::Result<()> {
    lines.batch(place, batch)?;
    if !picked.records {
        return Ok(());
    }
    let problem = |error: &dyn std::fmt::Display| {
        format!("{place}, batch at offset {}: {error}", batch.header.base_offset())
    };
    let mut reader = match ContentsReader::new(&batch.header, records, options.value_bytes) {
        Ok(reader) => reader,
        Err(error) => return lines.problem(&problem(&error)),
    };
    loop {
        match reader.next_record() {
            Ok(None) => return Ok(()),
            Ok(Some(record)) if record.offset < options.from_offset => {}
            Ok(Some(record)) => lines.record(place, &record)?,
            Err(error) => return lines.problem(&problem(&error)),
        }
    }
}
