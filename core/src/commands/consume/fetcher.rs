//! Fetches from the leaders of the partitions that are read, one request to each at a time.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use corelane_net::client::retry::Backoff;
use corelane_net::client::{ClientError, Cluster};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    Api, FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData, Request, Response,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::Error;
use super::super::session::Topic;
use super::reading::{Reading, by_leader};

/// Bytes of one answer, but for a first batch that is larger.
const ANSWER_BYTES: i32 = 16 << 20;

/// How long a broker may wait for records; Ctrl-C need not wait for it.
const MAX_WAIT: Duration = Duration::from_millis(500);

/// Longest wait without a look at Ctrl-C.
const LOOK: Duration = Duration::from_millis(50);

/// Fetches, and tries again.
pub(super) struct Fetcher {
    pub(super) cluster: Cluster,
    pub(super) topic: Topic,
    read_committed: bool,
    /// Partitions asked for, by broker, and since when.
    asked: BTreeMap<i32, (Vec<i32>, Instant)>,
    /// Requests so far.
    turn: usize,
    /// Answers that came and were not handed out.
    ready: VecDeque<PartitionData>,
    backoff: Backoff,
    failing_since: Option<Instant>,
}

impl Fetcher {
    pub(super) fn new(cluster: Cluster, topic: Topic, read_committed: bool) -> Fetcher {
        Fetcher {
            cluster,
            topic,
            read_committed,
            asked: BTreeMap::new(),
            turn: 0,
            ready: VecDeque::new(),
            backoff: Backoff::new(),
            failing_since: None,
        }
    }

    /// The next partition's answer, which may have no records; `None` if none has come for a moment.
    /// Its error code is none, or one that the caller decides about.
    ///
    /// # Errors
    /// Those that will not pass, or have not for too long.
    pub(super) fn next_answer(
        &mut self,
        readings: &BTreeMap<i32, Reading>,
    ) -> Result<Option<(PartitionData, bool)>, Error> {
        if self.cluster.settings().stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        if self.ready.is_empty()
            && let Err(error) = self.fill(readings)
        {
            self.recover(error)?;
        }
        let answer = self.ready.pop_front();
        Ok(answer.map(|answer| (answer, self.ready.is_empty())))
    }

    fn fill(&mut self, readings: &BTreeMap<i32, Reading>) -> Result<(), ClientError> {
        self.ask(readings)?;
        if let Some(broker) = self.wait()? {
            self.receive(broker)?;
        }
        Ok(())
    }

    /// Asks every leader that is not asked yet.
    fn ask(&mut self, readings: &BTreeMap<i32, Reading>) -> Result<(), ClientError> {
        let by_leader = by_leader(readings, &self.topic.leaders).map_err(|partition| {
            ClientError::NoLeader { topic: self.topic.name.to_string(), partition }
        })?;
        for (leader, mut partitions) in by_leader {
            if self.asked.contains_key(&leader) {
                continue;
            }
            // Another one first each time, so that none starves behind the others.
            self.turn = self.turn.wrapping_add(1);
            let first = self.turn % partitions.len();
            partitions.rotate_left(first);
            let request = self.request(&partitions, readings);
            let connection = self.cluster.broker(leader)?;
            connection.version(Api::Fetch)?;
            connection.send(&request)?;
            self.asked.insert(leader, (partitions, Instant::now()));
        }
        Ok(())
    }

    fn request(&self, partitions: &[i32], readings: &BTreeMap<i32, Reading>) -> Request {
        let partition = |index: &i32| {
            let reading = readings.get(index)?;
            Some(FetchPartition {
                partition: *index,
                fetch_offset: reading.position,
                partition_max_bytes: reading.fetch_bytes,
                ..Default::default()
            })
        };
        let largest = partitions.iter().filter_map(|index| readings.get(index));
        let largest = largest.map(|reading| reading.fetch_bytes).max().unwrap_or(0);
        let wait = MAX_WAIT.min(self.cluster.timeout() / 2);
        FetchRequest {
            max_wait_ms: i32::try_from(wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: 1,
            max_bytes: ANSWER_BYTES.max(largest),
            isolation_level: i8::from(self.read_committed),
            topics: vec![FetchTopic {
                topic: self.topic.name.clone(),
                topic_id: self.topic.id,
                partitions: partitions.iter().filter_map(partition).collect(),
            }],
            ..Default::default()
        }
        .into()
    }

    /// A broker whose answer has begun to come.
    fn wait(&mut self) -> Result<Option<i32>, ClientError> {
        let timeout = Timespec { tv_sec: 0, tv_nsec: LOOK.as_nanos() as i64 };
        let sockets: Vec<_> = self
            .asked
            .keys()
            .filter_map(|broker| Some((*broker, self.cluster.connected(*broker)?.as_fd())))
            .collect();
        let mut fds: Vec<PollFd<'_>> =
            sockets.iter().map(|(_, fd)| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
        // A failed wait is one that was interrupted: the next one follows.
        let _ = poll(&mut fds, Some(&timeout));
        let ready = sockets.iter().zip(&fds).find(|(_, fd)| !fd.revents().is_empty());
        if let Some(((broker, _), _)) = ready {
            return Ok(Some(*broker));
        }
        let waited = self.cluster.timeout();
        for (broker, (_, since)) in &self.asked {
            if since.elapsed() >= waited
                && let Some(connection) = self.cluster.connected(*broker)
            {
                let address = connection.address().clone();
                return Err(ClientError::Silent { address, api: Api::Fetch, waited });
            }
        }
        Ok(None)
    }

    fn receive(&mut self, broker: i32) -> Result<(), ClientError> {
        let Some((asked, _)) = self.asked.remove(&broker) else { return Ok(()) };
        let Some(connection) = self.cluster.connected_mut(broker) else { return Ok(()) };
        let Response::Fetch(response) = connection.receive()? else {
            unreachable!("the API decides which response is decoded");
        };
        let FetchResponse { error_code, responses, throttle_time_ms, .. } = response;
        let topic = &self.topic.name;
        if !error_code.is_none() {
            return Err(ClientError::refused(format!("reading '{topic}'"), error_code, None));
        }
        if let Ok(throttle_ms) = u64::try_from(throttle_time_ms)
            && throttle_ms > 0
        {
            self.cluster.sleep(Duration::from_millis(throttle_ms))?;
        }
        let answers = responses.into_iter().flat_map(|topic| topic.partitions);
        let mut failed = None;
        for answer in answers.filter(|answer| asked.contains(&answer.partition_index)) {
            match answer.error_code {
                // What these mean depends on what the reader wishes.
                ErrorCode::None | ErrorCode::OffsetOutOfRange | ErrorCode::CorruptMessage => {
                    self.ready.push_back(answer);
                }
                code => {
                    let index = answer.partition_index;
                    let what = format!("reading partition {index} of topic '{topic}'");
                    failed = Some(ClientError::refused(what, code, None));
                }
            }
        }
        match failed {
            Some(error) => Err(error),
            None => {
                self.failing_since = None;
                self.backoff = Backoff::new();
                Ok(())
            }
        }
    }

    /// Answers under way are of no use any more: asked again, they would come twice.
    pub(super) fn forget_asked(&mut self) {
        for broker in std::mem::take(&mut self.asked).into_keys() {
            self.cluster.disconnect(broker);
        }
    }

    /// Waits after an error that may pass, and asks again who leads.
    fn recover(&mut self, error: ClientError) -> Result<(), Error> {
        if matches!(error, ClientError::Interrupted) {
            return Err(Error::Interrupted);
        }
        if !error.is_retriable() {
            return Err(error.into());
        }
        self.forget_asked();
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        let waited = since.elapsed();
        if waited >= self.cluster.timeout() {
            return Err(ClientError::GaveUp { waited, last: Box::new(error) }.into());
        }
        self.cluster.sleep(self.backoff.next_wait())?;
        match self.topic.refresh(&mut self.cluster) {
            Err(error) if !error.is_retriable() => Err(error.into()),
            // The next attempt fails with it again, or does not.
            _ => Ok(()),
        }
    }
}
