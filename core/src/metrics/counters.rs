//! What one shard counts, beside what its partitions and its storage count themselves. Of one
//! thread: to count is to add to a plain number.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use corelane_net::connection::Closed;
use corelane_net::error_code::ErrorCode;
use corelane_net::frame::FrameError;
use corelane_net::messages::Api;
use corelane_net::service::{Answer, Exchange};
use corelane_storage::ids::{PartitionId, TopicId};
use corelane_storage::meters::{Count, Durations, Latency};

use super::stages::Stages;

/// The counters of one shard, since its start.
#[derive(Default)]
pub struct Counters {
    /// By API.
    pub apis: ApiCounters,
    /// By what connections ended of.
    pub connections_closed: ClosedCounters,
    /// Connections that have gone on at another shard.
    pub connections_moved: Count,
    /// What fetches were sent.
    pub sent: SentCounters,
    /// Partitions of fetches that were answered from memory alone.
    pub memory_reads: Reads,
    /// Those for which a file had to be read.
    pub disk_reads: Reads,
    /// Those that were sent from a file as it is.
    pub file_reads: Reads,
    /// Fetches that wait for data, now.
    pub fetches_parked: Cell<usize>,
    /// How long the stages of requests take.
    pub stages: Stages,
    /// How much later than asked for timers fire.
    pub timer_lateness: Latency,
}

impl Counters {
    /// A fetch waits for data until this is dropped.
    pub fn parked_fetch(&self) -> ParkedFetch<'_> {
        self.fetches_parked.set(self.fetches_parked.get() + 1);
        ParkedFetch(self)
    }
}

/// A fetch that waits for data.
pub struct ParkedFetch<'a>(&'a Counters);

impl Drop for ParkedFetch<'_> {
    fn drop(&mut self) {
        self.0.fetches_parked.set(self.0.fetches_parked.get() - 1);
    }
}

/// Reads of one kind.
#[derive(Debug, Default)]
pub struct Reads {
    /// How many.
    pub count: Count,
    /// Bytes that they gave.
    pub bytes: Count,
}

/// Requests of one API.
#[derive(Clone, Debug, Default)]
pub struct ApiTotals {
    /// How long they took; their number is its count.
    pub durations: Durations,
    /// Bytes of their frames.
    pub request_bytes: u64,
    /// Bytes of their answers' frames.
    pub response_bytes: u64,
    /// Errors in their answers, by code; success is not listed.
    pub errors: Vec<(ErrorCode, u64)>,
}

impl ApiTotals {
    /// So many more errors of this code.
    pub fn add_errors(&mut self, error: ErrorCode, times: u64) {
        match self.errors.iter_mut().find(|(known, _)| *known == error) {
            Some((_, known)) => *known += times,
            None => self.errors.push((error, times)),
        }
    }

    /// All of `other` as well.
    pub fn add(&mut self, other: &ApiTotals) {
        self.durations.add(&other.durations);
        self.request_bytes += other.request_bytes;
        self.response_bytes += other.response_bytes;
        other.errors.iter().for_each(|(error, times)| self.add_errors(*error, *times));
    }
}

/// Requests by API; an API takes memory from its first request on.
#[derive(Default)]
pub struct ApiCounters(RefCell<Vec<Option<Box<ApiTotals>>>>);

impl ApiCounters {
    /// One more request and its answer.
    pub fn count(&self, exchange: &Exchange<'_>) {
        let mut by_key = self.0.borrow_mut();
        let key = place(exchange.api);
        if key >= by_key.len() {
            by_key.resize_with(key + 1, || None);
        }
        let api = by_key[key].get_or_insert_default();
        api.durations.record(exchange.took);
        api.request_bytes += exchange.request_bytes as u64;
        api.response_bytes += exchange.response_bytes as u64;
        match exchange.answer {
            Answer::Send(response) => response.errors(&mut |error| api.add_errors(error, 1)),
            Answer::SendEncoded(response) => {
                response.errors().iter().for_each(|(error, times)| api.add_errors(*error, *times));
            }
            Answer::Silent | Answer::Close => {}
        }
    }

    /// A copy of one API's, if there was a request of it.
    pub fn totals(&self, api: Api) -> Option<ApiTotals> {
        self.0.borrow().get(place(api))?.as_deref().cloned()
    }
}

fn place(api: Api) -> usize {
    usize::try_from(api.key()).unwrap_or(0)
}

/// Why a connection ended, as far as it is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The client closed it.
    Client,
    /// The network, or the client in the middle of something.
    Lost,
    /// Nothing was asked for too long.
    Idle,
    /// The client was too slow to send or to read.
    Slow,
    /// The client broke the protocol, or asked for what is not served.
    Protocol,
    /// The broker, for a reason of its own.
    Broker,
}

impl CloseReason {
    /// All of them.
    pub const ALL: [CloseReason; 6] = [
        CloseReason::Client,
        CloseReason::Lost,
        CloseReason::Idle,
        CloseReason::Slow,
        CloseReason::Protocol,
        CloseReason::Broker,
    ];

    /// Its name as a label.
    pub fn name(self) -> &'static str {
        match self {
            CloseReason::Client => "client",
            CloseReason::Lost => "lost",
            CloseReason::Idle => "idle",
            CloseReason::Slow => "slow",
            CloseReason::Protocol => "protocol",
            CloseReason::Broker => "broker",
        }
    }
}

impl From<&Closed> for CloseReason {
    fn from(closed: &Closed) -> CloseReason {
        match closed {
            Closed::EndOfStream => CloseReason::Client,
            Closed::Frame(FrameError::Read(_) | FrameError::Truncated { .. })
            | Closed::Write(_)
            | Closed::DrainTimeout => CloseReason::Lost,
            Closed::IdleTimeout => CloseReason::Idle,
            Closed::Frame(FrameError::TooSlow { .. })
            | Closed::ReadTimeout { .. }
            | Closed::WriteTimeout => CloseReason::Slow,
            Closed::Frame(FrameError::Length { .. })
            | Closed::UnsupportedApi { .. }
            | Closed::Undecodable { .. } => CloseReason::Protocol,
            Closed::ByService | Closed::Unencodable { .. } | Closed::WrongAnswer { .. } => {
                CloseReason::Broker
            }
        }
    }
}

/// Connections that ended, by reason.
#[derive(Default)]
pub struct ClosedCounters([Count; CloseReason::ALL.len()]);

impl ClosedCounters {
    /// One more.
    pub fn count(&self, reason: CloseReason) {
        self.0[reason as usize].add(1);
    }

    /// How many, in the order of [`CloseReason::ALL`].
    pub fn totals(&self) -> [u64; CloseReason::ALL.len()] {
        std::array::from_fn(|reason| self.0[reason].get())
    }
}

/// What fetches were sent of one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Bytes of its batches.
    pub bytes: u64,
    /// Offsets that those span.
    pub records: u64,
}

/// What the fetches of one shard's connections were sent, by partition, whichever shard owns it.
#[derive(Default)]
pub struct SentCounters(RefCell<HashMap<TopicId, Vec<Sent>>>);

impl SentCounters {
    /// Adds to a partition. If it is the first of its topic, `exists` is asked whether there still
    /// is such a topic: what is deleted must not come back.
    pub fn count(&self, id: PartitionId, sent: Sent, exists: impl FnOnce() -> bool) {
        let mut topics = self.0.borrow_mut();
        let index = id.index as usize;
        let partitions = match topics.get_mut(&id.topic_id) {
            Some(partitions) => partitions,
            None if exists() => topics.entry(id.topic_id).or_default(),
            None => return,
        };
        if partitions.len() <= index {
            partitions.resize(index + 1, Sent::default());
        }
        partitions[index].bytes += sent.bytes;
        partitions[index].records += sent.records;
    }

    /// Of one topic by partition, from partition `from` on, `most` at most; those behind the last
    /// were sent nothing. `None`: nothing was sent of this topic.
    pub fn totals(&self, topic: TopicId, from: usize, most: usize) -> Option<Vec<Sent>> {
        let topics = self.0.borrow();
        let behind = topics.get(&topic)?.get(from..).unwrap_or_default();
        Some(behind[..behind.len().min(most)].to_vec())
    }

    /// The topic is deleted.
    pub fn forget(&self, topic: TopicId) {
        self.0.borrow_mut().remove(&topic);
    }
}
