//! `corelane consume`: a topic to standard output.
//!
//! - [`start`]: where to start
//! - `reading.rs`: how far each partition was read, and how far it is to be
//! - `fetcher.rs`: fetches from leaders, and new attempts
//! - `batches.rs`, `aborted.rs`: from a fetch's bytes to the records that count
//! - [`format`]: what is printed of a record

mod aborted;
mod batches;
mod fetcher;
pub mod format;
mod reading;
pub mod start;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{EARLIEST_TIMESTAMP, LATEST_TIMESTAMP, PartitionData};
use corelane_storage::batch::Record;

use self::batches::{Batches, Next};
use self::fetcher::Fetcher;
use self::format::{Format, Place};
use self::reading::Reading;
use self::start::Start;
use super::session::{self, OffsetQuery, Topic};
use super::{Error, INTERRUPTED, stop_on_signals, tell};
use crate::cli::ConsumeOptions;

const OUT_BYTES: usize = 64 << 10;

/// Prints records until the end that was wished for.
///
/// # Errors
/// Every [`Error`].
pub fn run(options: &ConsumeOptions) -> Result<ExitCode, Error> {
    let stop = stop_on_signals()?;
    let mut cluster = session::connect(&options.client, stop)?;
    let mut topic = Topic::find(&mut cluster, &options.topic)?;
    let partitions = partitions(options, &topic)?;
    let readings = readings(&mut cluster, &mut topic, &partitions, options)?;
    let mut run = Run {
        options,
        format: match options.client.json {
            true => Format::Json,
            false => options.format.clone().unwrap_or(Format::Raw),
        },
        fetcher: Fetcher::new(cluster, topic, options.read_committed),
        readings,
        out: BufWriter::with_capacity(OUT_BYTES, io::stdout().lock()),
        printed: 0,
    };
    match run.until_done() {
        Err(error) if error.exit_code() == INTERRUPTED => {
            run.out.flush().map_err(Error::Output)?;
            if io::stderr().is_terminal() {
                let plural = if run.printed == 1 { "" } else { "s" };
                tell(format_args!("\ninterrupted: {} record{plural}", run.printed));
            }
            Ok(ExitCode::from(INTERRUPTED))
        }
        Err(error) => {
            // What was read before the failure is worth having; the failure says more than this one.
            let _ = run.out.flush();
            Err(error)
        }
        Ok(()) => run.out.flush().map(|()| ExitCode::SUCCESS).map_err(Error::Output),
    }
}

fn partitions(options: &ConsumeOptions, topic: &Topic) -> Result<Vec<i32>, Error> {
    if options.partition.is_empty() {
        return Ok(topic.leaders.keys().copied().collect());
    }
    match options.partition.iter().find(|index| !topic.leaders.contains_key(index)) {
        None => Ok(options.partition.clone()),
        Some(&partition) => {
            let count = topic.leaders.len();
            Err(Error::NoPartition { topic: options.topic.clone(), partition, count })
        }
    }
}

fn start(options: &ConsumeOptions) -> Start {
    let told = options.offset.or(options.timestamp);
    let told = told.or(options.from_beginning.then_some(Start::Beginning));
    told.unwrap_or(if options.follow { Start::End } else { Start::Beginning })
}

/// Where each partition starts, and ends unless it is followed.
fn readings(
    cluster: &mut corelane_net::client::Cluster,
    topic: &mut Topic,
    partitions: &[i32],
    options: &ConsumeOptions,
) -> Result<BTreeMap<i32, Reading>, Error> {
    let read_committed = options.read_committed;
    let mut ask = |timestamp| {
        let query = OffsetQuery { timestamp, read_committed };
        session::offsets(cluster, topic, partitions, query)
    };
    let (firsts, ends) = (ask(EARLIEST_TIMESTAMP)?, ask(LATEST_TIMESTAMP)?);
    let start = start(options);
    let at_time = start.time_ms(now_ms()).map(ask).transpose()?;
    if let Start::Offset(offset) = start {
        let is_there = |index: &i32| (firsts[index]..=ends[index]).contains(&offset);
        if !partitions.iter().any(is_there) {
            return Err(Error::Data(no_such_offset(options, offset, &firsts, &ends)));
        }
    }
    let reading = |index: &i32| {
        let (first, end) = (firsts[index], ends[index]);
        // Nothing is as late as the time asked for: only what comes from now on is.
        let later = || at_time.as_ref().map(|found| found[index]).filter(|offset| *offset >= 0);
        let position = start.resolve(first, end).or_else(later).unwrap_or(end);
        (*index, Reading::new(position, (!options.follow).then_some(end)))
    };
    Ok(partitions.iter().map(reading).collect())
}

fn no_such_offset(
    options: &ConsumeOptions,
    offset: i64,
    firsts: &BTreeMap<i32, i64>,
    ends: &BTreeMap<i32, i64>,
) -> String {
    let mut text = format!("topic '{}' has no offset {offset}:", options.topic);
    for (i, (index, first)) in firsts.iter().enumerate() {
        if i == 5 {
            return text + " ...";
        }
        text += &format!(" partition {index} has {first} up to {};", ends[index]);
    }
    text.trim_end_matches(';').to_owned()
}

struct Run<'a> {
    options: &'a ConsumeOptions,
    format: Format,
    fetcher: Fetcher,
    readings: BTreeMap<i32, Reading>,
    out: BufWriter<StdoutLock<'static>>,
    printed: u64,
}

impl Run<'_> {
    fn until_done(&mut self) -> Result<(), Error> {
        while !self.has_enough() && !self.readings.values().all(Reading::is_done) {
            let Some((answer, is_last)) = self.fetcher.next_answer(&self.readings)? else {
                continue;
            };
            self.take(answer)?;
            if is_last {
                // Whoever reads this sees records as they come.
                self.out.flush().map_err(Error::Output)?;
            }
        }
        Ok(())
    }

    fn has_enough(&self) -> bool {
        self.options.count.is_some_and(|count| self.printed >= count)
    }

    fn take(&mut self, answer: PartitionData) -> Result<(), Error> {
        let index = answer.partition_index;
        match answer.error_code {
            ErrorCode::OffsetOutOfRange => return self.find_place(index),
            ErrorCode::CorruptMessage => {
                let position = self.readings[&index].position;
                let words = "the broker can't read what is there (CORRUPT_MESSAGE)";
                return self.damaged(index, position, position.saturating_add(1), words);
            }
            _ => {}
        }
        let records = answer.records.unwrap_or_default();
        let bytes = records.parts().first().cloned().unwrap_or_default();
        let began = self.readings[&index].position;
        let mut batches = Batches::new(&bytes, began, answer.aborted_transactions);
        while !self.has_enough() && !self.readings[&index].is_done() {
            let at = self.readings[&index].position;
            match batches.next_record() {
                Next::Record { offset, record } => {
                    self.print(index, offset, &record)?;
                    self.reading(index).advance(offset.saturating_add(1));
                }
                Next::Passed { position } => self.reading(index).advance(position),
                Next::Damaged { damage, position } => {
                    self.damaged(index, at, position, &damage.to_string())?;
                }
                Next::End => break,
            }
        }
        let readable = match self.options.read_committed {
            true => answer.last_stable_offset,
            false => answer.high_watermark,
        };
        let is_alone = self.readings.values().filter(|reading| !reading.is_done()).count() == 1;
        let reading = self.reading(index);
        let position = reading.position;
        let is_well = match position == began {
            false => true,
            true if !bytes.is_empty() => reading.ask_for_more(),
            true => reading.was_idle(is_alone, readable),
        };
        match is_well {
            true => Ok(()),
            false => Err(Error::Data(format!(
                "partition {index} of topic '{}': the broker says that there are records up to \
                 offset {readable}, but answers with none from {position} on",
                self.options.topic
            ))),
        }
    }

    fn reading(&mut self, index: i32) -> &mut Reading {
        self.readings.get_mut(&index).expect("only partitions asked for are answered")
    }

    fn print(&mut self, partition: i32, offset: i64, record: &Record) -> Result<(), Error> {
        if self.readings[&partition].end.is_some_and(|end| offset >= end) {
            return Ok(());
        }
        let place = Place { topic: &self.options.topic, partition, offset };
        self.format
            .write(&mut self.out, place, record, &self.options.delimiter.0)
            .map_err(Error::Output)?;
        self.printed += 1;
        Ok(())
    }

    /// A batch that can't be read: the end, or a word on stderr.
    fn damaged(&mut self, index: i32, at: i64, next: i64, words: &str) -> Result<(), Error> {
        let place = format!("partition {index} of topic '{}', offset {at}", self.options.topic);
        if !self.options.skip_corrupt {
            return Err(Error::Data(format!("{place}: {words}; --skip-corrupt passes over it")));
        }
        tell(format_args!("corelane: {place}: {words}; passed over up to offset {next}"));
        self.reading(index).advance(next);
        Ok(())
    }

    /// Retention may have passed by meanwhile.
    fn find_place(&mut self, index: i32) -> Result<(), Error> {
        let query = OffsetQuery {
            timestamp: EARLIEST_TIMESTAMP,
            read_committed: self.options.read_committed,
        };
        // Whoever leads now may have been asked for records: it answers that first.
        self.fetcher.forget_asked();
        let Fetcher { cluster, topic, .. } = &mut self.fetcher;
        let first = session::offsets(cluster, topic, &[index], query)?[&index];
        let position = self.readings[&index].position;
        let place = format!("partition {index} of topic '{}'", self.options.topic);
        if first <= position {
            return Err(Error::Data(format!(
                "{place}: offset {position} is not there any more: the partition has lost records, \
                 or the topic was deleted and made anew"
            )));
        }
        let last = first - 1;
        tell(format_args!(
            "corelane: {place}: offsets {position} to {last} were deleted meanwhile"
        ));
        self.reading(index).advance(first);
        Ok(())
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
