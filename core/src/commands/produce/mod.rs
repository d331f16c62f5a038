//! `corelane produce`: standard input into a topic.
//!
//! One thread and one wait, for input and answers alike:
//!
//! - `input.rs`: from bytes to records
//! - `queue.rs`: one partition's batches, from the first record to the acknowledgement
//! - `sender.rs`: batches on their way to leaders
//! - `pace.rs`: no more records a second than wished
//! - `progress.rs`: how it goes, on a terminal, and how it went

mod input;
mod pace;
mod progress;
mod queue;
mod sender;

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use corelane_net::client::partition_of_key;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use self::input::{Shape, Splitter};
use self::pace::Pace;
use self::progress::{Progress, Summary};
use self::queue::{Numbered, Queue};
use self::sender::Sender;
use super::session::{self, Topic};
use super::{Error, INTERRUPTED, print, stop_on_signals, tell};
use crate::cli::ProduceOptions;

/// Bytes of input read at once.
const READ_BYTES: usize = 256 << 10;

/// Bytes of records that wait, before no more input is read.
const BUFFER_BYTES: usize = 32 << 20;

/// Longest wait without a look at the clock and at Ctrl-C.
const LOOK: Duration = Duration::from_millis(100);

/// Sends standard input, and says how it went.
///
/// # Errors
/// Every [`Error`]; [`Error::Partial`] if some was acknowledged before.
pub fn run(options: &ProduceOptions) -> Result<ExitCode, Error> {
    let stop = stop_on_signals()?;
    let mut cluster = session::connect(&options.client, stop.clone())?;
    let topic = Topic::find(&mut cluster, &options.topic)?;
    if let Some(partition) = options.partition.filter(|p| !topic.leaders.contains_key(p)) {
        let count = topic.leaders.len();
        return Err(Error::NoPartition { topic: options.topic.clone(), partition, count });
    }
    let shape = shape(options);
    let noun = shape.noun();
    let sender = Sender::new(cluster, topic, options.compression, options.acks, noun)?;
    let input = io::stdin().as_fd().try_clone_to_owned().map(File::from).map_err(Error::Input)?;
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        tell(format_args!("Each {noun} is a record; Ctrl-D ends."));
    }
    let now = Instant::now();
    let mut run = Run {
        options,
        stop,
        input,
        splitter: Splitter::new(shape),
        sender,
        pace: Pace::new(options.rate, now),
        progress: Progress::new(),
        sticky: 0,
        read_bytes: 0,
        is_starved: true,
        state: State::Reading,
    };
    let outcome = run.until_done();
    run.finish(outcome, now)
}

fn shape(options: &ProduceOptions) -> Shape {
    let header =
        |(name, value): &(String, String)| (name.clone(), Some(value.clone().into_bytes()));
    Shape {
        delimiter: (!options.whole).then(|| options.delimiter.0.clone()),
        key_separator: options.key_separator.as_ref().map(|separator| separator.0.clone()),
        null_marker: options.null_marker.clone().map(String::into_bytes),
        headers: options.header.iter().map(header).collect(),
    }
}

struct Run<'a> {
    options: &'a ProduceOptions,
    stop: Arc<AtomicBool>,
    input: File,
    splitter: Splitter,
    sender: Sender,
    pace: Pace,
    progress: Progress,
    /// Which partition, of those there are, records without a key go to for now.
    sticky: usize,
    read_bytes: u64,
    /// Nothing of what was read is a whole record.
    is_starved: bool,
    state: State,
}

/// How far the input was taken.
enum State {
    Reading,
    /// The input's end was read; records of it may be left.
    AtEnd,
    /// Nothing more is taken; what was is to be acknowledged.
    Done,
    /// Ctrl-C: as `Done`.
    Interrupted,
    /// The input is not as it should be: as `Done`.
    Bad(Error),
}

impl Run<'_> {
    fn until_done(&mut self) -> Result<(), Error> {
        loop {
            let now = Instant::now();
            if self.stop.load(Ordering::Relaxed) && self.is_taking() {
                self.state = State::Interrupted;
            }
            if self.is_taking() {
                self.take_records(now);
            }
            self.close_batches(now);
            self.sender.pump(now)?;
            if !self.is_taking() && self.sender.is_empty() {
                return Ok(());
            }
            self.progress.show(self.sender.records, self.read_bytes);
            self.wait(now)?;
        }
    }

    fn is_taking(&self) -> bool {
        matches!(self.state, State::Reading | State::AtEnd)
    }

    fn has_room(&self) -> bool {
        let bytes: usize = self.sender.queues.iter().map(Queue::bytes).sum();
        bytes < BUFFER_BYTES.max(2 * self.options.batch_bytes)
    }

    /// Makes records of what was read.
    fn take_records(&mut self, now: Instant) {
        let timestamp_ms = now_ms();
        while self.pace.may_go(now) {
            match self.splitter.next_record(matches!(self.state, State::AtEnd)) {
                Ok(Some(mut record)) => {
                    record.timestamp_ms = timestamp_ms;
                    self.pace.went();
                    let number = self.splitter.number();
                    self.enqueue(Numbered { number, record }, now);
                }
                Ok(None) if matches!(self.state, State::AtEnd) => {
                    self.state = State::Done;
                    return;
                }
                Ok(None) => {
                    self.is_starved = true;
                    return;
                }
                Err(error) => {
                    self.state = State::Bad(Error::Data(error.to_string()));
                    return;
                }
            }
        }
    }

    fn enqueue(&mut self, numbered: Numbered, now: Instant) {
        let count = self.sender.queues.len();
        let nth = match (&numbered.record.key, self.options.partition) {
            (_, Some(partition)) => partition as usize,
            (Some(key), None) => partition_of_key(key, count),
            (None, None) => self.sticky % count,
        };
        let queue = &mut self.sender.queues[nth];
        if queue.push(numbered, self.options.batch_bytes, now) {
            queue.close(now);
            self.sticky = (self.sticky + 1) % count;
        }
    }

    fn close_batches(&mut self, now: Instant) {
        let is_last = !self.is_taking();
        let mut closed = false;
        for queue in &mut self.sender.queues {
            let is_due = |since: Instant| is_last || now >= since + self.options.linger;
            if queue.open_since().is_some_and(is_due) {
                queue.close(now);
                closed = true;
            }
        }
        self.sticky += usize::from(closed);
    }

    /// Waits for input, answers, or the next time something is due.
    fn wait(&mut self, now: Instant) -> Result<(), Error> {
        let reads = matches!(self.state, State::Reading) && self.is_starved && self.has_room();
        let lingers = self.sender.queues.iter().filter_map(Queue::open_since);
        let lingers = lingers.map(|since| since + self.options.linger);
        let paced =
            (self.is_taking() && !self.is_starved).then(|| self.pace.next_at(now)).flatten();
        let wake = self.sender.wake_at().into_iter().chain(lingers).chain(paced).min();
        let until = wake.map_or(LOOK, |wake| wake.saturating_duration_since(now)).min(LOOK);
        let timeout =
            Timespec { tv_sec: until.as_secs() as i64, tv_nsec: i64::from(until.subsec_nanos()) };
        let (ready_brokers, is_input_ready) = {
            let sockets = self.sender.sockets();
            let mut fds: Vec<PollFd<'_>> = sockets
                .iter()
                .map(|(_, socket)| PollFd::from_borrowed_fd(*socket, PollFlags::IN))
                .collect();
            if reads {
                fds.push(PollFd::new(&self.input, PollFlags::IN));
            }
            match poll(&mut fds, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(Error::Input(errno.into())),
            }
            let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
            let brokers = sockets.iter().zip(&fds).filter(|(_, fd)| is_ready(fd));
            let brokers: Vec<i32> = brokers.map(|((broker, _), _)| *broker).collect();
            (brokers, reads && fds.last().is_some_and(is_ready))
        };
        for broker in ready_brokers {
            self.sender.receive(broker, Instant::now())?;
        }
        if is_input_ready {
            self.read()?;
        }
        Ok(())
    }

    fn read(&mut self) -> Result<(), Error> {
        let mut buffer = vec![0; READ_BYTES];
        match self.input.read(&mut buffer) {
            Ok(0) => {
                self.state = State::AtEnd;
                self.is_starved = false;
            }
            Ok(count) => {
                self.read_bytes += count as u64;
                self.splitter.push(&buffer[..count]);
                self.is_starved = false;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => self.state = State::Bad(Error::Input(error)),
        }
        Ok(())
    }

    fn finish(self, outcome: Result<(), Error>, began: Instant) -> Result<ExitCode, Error> {
        self.progress.clear();
        let interrupted = matches!(self.state, State::Interrupted);
        let summary = Summary {
            topic: self.options.topic.clone(),
            records: self.sender.records,
            bytes: self.sender.bytes,
            seconds: began.elapsed().as_secs_f64(),
            is_acknowledged: self.options.acks != 0,
            is_complete: outcome.is_ok() && matches!(self.state, State::Done),
            interrupted,
        };
        let error = match (outcome, self.state) {
            (Err(error), _) | (Ok(()), State::Bad(error)) => error,
            (Ok(()), _) => {
                match self.options.client.json {
                    true => print::json(&summary)?,
                    false => tell(&summary),
                }
                return Ok(match interrupted {
                    true => ExitCode::from(INTERRUPTED),
                    false => ExitCode::SUCCESS,
                });
            }
        };
        if self.options.client.json {
            print::json(&summary)?;
        }
        let read = self.splitter.number();
        Err(match self.sender.records {
            0 => error,
            records => Error::Partial {
                source: Box::new(error),
                done: format!(
                    "\ncorelane: {records} of the {read} records read until then {}",
                    summary.participle()
                ),
            },
        })
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
