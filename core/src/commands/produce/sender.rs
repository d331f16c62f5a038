//! Batches on their way to leaders: up to five requests to each broker at once, answers in order.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use corelane_net::client::retry::{Backoff, is_retriable};
use corelane_net::client::{ClientError, Cluster};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    Api, InitProducerIdRequest, PartitionProduceData, PartitionProduceResponse, ProduceRequest,
    Request, Response, TopicProduceData,
};

use super::super::Error;
use super::super::session::{self, Topic};
use super::queue::{Making, Queue};

/// Requests to one broker whose answers are due: as many batches of one producer as a broker
/// remembers (KIP-98).
const REQUESTS_MAX: usize = 5;

/// Bytes of batches in one request, if it is more than one batch.
const REQUEST_BYTES: usize = 1 << 20;

/// What goes where, and what came of it.
pub(super) struct Sender {
    cluster: Cluster,
    pub(super) topic: Topic,
    /// By partition.
    pub(super) queues: Vec<Queue>,
    making: Making,
    acks: i16,
    /// What a piece of the input is called.
    noun: &'static str,
    links: BTreeMap<i32, Link>,
    backoff: Backoff,
    /// Nothing is sent before, for a failure; then leaders are looked up.
    retry_at: Option<Instant>,
    last_failure: Option<ClientError>,
    pub(super) records: u64,
    pub(super) bytes: u64,
}

/// One broker.
#[derive(Default)]
struct Link {
    due: VecDeque<Due>,
    /// The broker asked for a pause (KIP-219).
    hold_until: Option<Instant>,
}

/// A request whose answer is due: its batches, as partition and id.
struct Due {
    sent: Instant,
    batches: Vec<(i32, u64)>,
}

impl Sender {
    /// # Errors
    /// As the broker refuses a producer id.
    pub(super) fn new(
        mut cluster: Cluster,
        topic: Topic,
        compressor: corelane_storage::batch::Compressor,
        acks: i16,
        noun: &'static str,
    ) -> Result<Sender, Error> {
        let producer = match acks {
            -1 => Some(init_producer_id(&mut cluster)?),
            _ => None,
        };
        // What is read from now on is to be acknowledged first.
        cluster.ignore_stop();
        let queues = topic.leaders.keys().map(|_| Queue::default()).collect();
        Ok(Sender {
            cluster,
            topic,
            queues,
            making: Making { compressor, producer },
            acks,
            noun,
            links: BTreeMap::new(),
            backoff: Backoff::new(),
            retry_at: None,
            last_failure: None,
            records: 0,
            bytes: 0,
        })
    }

    /// True if all was acknowledged.
    pub(super) fn is_empty(&self) -> bool {
        self.queues.iter().all(Queue::is_empty)
    }

    /// Sockets of brokers whose answers are due.
    pub(super) fn sockets(&mut self) -> Vec<(i32, BorrowedFd<'_>)> {
        let due = self.links.iter().filter(|(_, link)| !link.due.is_empty());
        let due: Vec<i32> = due.map(|(broker, _)| *broker).collect();
        let cluster = &self.cluster;
        due.into_iter()
            .filter_map(|broker| Some((broker, cluster.connected(broker)?.as_fd())))
            .collect()
    }

    /// When to look again although no answer has come.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let holds = self.links.values().filter_map(|link| link.hold_until);
        let timeout = self.cluster.timeout();
        let oldest = self.links.values().filter_map(|link| link.due.front());
        self.retry_at.into_iter().chain(holds).chain(oldest.map(|due| due.sent + timeout)).min()
    }

    /// Sends what can be sent.
    ///
    /// # Errors
    /// Those that will not pass, or have not for too long.
    pub(super) fn pump(&mut self, now: Instant) -> Result<(), Error> {
        self.give_up_silent(now)?;
        for link in self.links.values_mut() {
            // One that is over would be a time to wake at that has come, for ever.
            link.hold_until = link.hold_until.filter(|until| now < *until);
        }
        if let Some(retry_at) = self.retry_at {
            if now < retry_at {
                return Ok(());
            }
            self.retry_at = None;
            let refreshed = self.topic.refresh(&mut self.cluster);
            if let Err(error) = refreshed {
                return self.failed(error, now);
            }
        }
        while let Some((broker, partitions)) = self.next_request(now)? {
            if let Err(error) = self.send(broker, &partitions, now) {
                self.disconnect(broker, error, now)?;
                break;
            }
        }
        Ok(())
    }

    /// A broker that may be sent a request, and the partitions whose next batches it takes.
    fn next_request(&mut self, now: Instant) -> Result<Option<(i32, Vec<i32>)>, Error> {
        let mut by_broker: BTreeMap<i32, (Vec<i32>, usize)> = BTreeMap::new();
        let mut leaderless = None;
        for (partition, queue) in (0..).zip(&self.queues).filter(|(_, queue)| queue.is_ready()) {
            let leader = self.topic.leaders.get(&partition).copied().unwrap_or(-1);
            if leader < 0 {
                leaderless = Some(partition);
                continue;
            }
            let link = self.links.entry(leader).or_default();
            if link.due.len() >= REQUESTS_MAX || link.hold_until.is_some() {
                continue;
            }
            let bytes = queue.next_bytes();
            let (partitions, sum) = by_broker.entry(leader).or_default();
            if partitions.is_empty() || *sum + bytes <= REQUEST_BYTES {
                partitions.push(partition);
                *sum += bytes;
            }
        }
        if let Some((broker, (partitions, _))) = by_broker.pop_first() {
            return Ok(Some((broker, partitions)));
        }
        if let Some(partition) = leaderless {
            let topic = self.topic.name.to_string();
            self.failed(ClientError::NoLeader { topic, partition }, now)?;
        }
        Ok(None)
    }

    fn send(&mut self, broker: i32, partitions: &[i32], now: Instant) -> Result<(), ClientError> {
        // Before batches count as sent: there may be no connection.
        self.cluster.broker(broker)?.version(Api::Produce)?;
        let (mut data, mut batches) = (Vec::new(), Vec::new());
        for &index in partitions {
            let making = self.making;
            let Some((id, bytes)) = self.queue(index).send(making) else { continue };
            batches.push((index, id));
            data.push(PartitionProduceData { index, records: Some(bytes) });
        }
        let request: Request = ProduceRequest {
            acks: self.acks,
            timeout_ms: session::broker_timeout_ms(&self.cluster),
            topic_data: vec![TopicProduceData {
                name: self.topic.name.clone(),
                topic_id: self.topic.id,
                partition_data: data.into(),
            }]
            .into(),
            ..Default::default()
        }
        .into();
        // From here on the batches are under way, whatever becomes of the connection.
        let link = self.links.entry(broker).or_default();
        link.due.push_back(Due { sent: now, batches });
        let connection = self.cluster.broker(broker)?;
        if self.acks != 0 {
            return connection.send(&request);
        }
        connection.send_unanswered(&request)?;
        let due = link.due.pop_back();
        for (partition, id) in due.into_iter().flat_map(|due| due.batches) {
            self.acknowledged(partition, id);
        }
        Ok(())
    }

    /// Takes the answer that has begun to come from a broker.
    ///
    /// # Errors
    /// Those that will not pass, or have not for too long.
    pub(super) fn receive(&mut self, broker: i32, now: Instant) -> Result<(), Error> {
        let Some(connection) = self.cluster.connected_mut(broker) else { return Ok(()) };
        let response = match connection.receive() {
            Ok(Response::Produce(response)) => response,
            Ok(_) => unreachable!("the API decides which response is decoded"),
            Err(error) => return self.disconnect(broker, error, now),
        };
        let link = self.links.entry(broker).or_default();
        let Some(due) = link.due.pop_front() else { return Ok(()) };
        let throttle = u64::try_from(response.throttle_time_ms).unwrap_or(0);
        link.hold_until = (throttle > 0).then(|| now + Duration::from_millis(throttle));
        let mut answers: BTreeMap<i32, PartitionProduceResponse> = response
            .responses
            .into_iter()
            .flat_map(|topic| topic.partition_responses)
            .map(|answer| (answer.index, answer))
            .collect();
        let mut first_error = None;
        for (partition, id) in due.batches {
            let outcome = match answers.remove(&partition) {
                Some(answer) => self.answered(partition, id, &answer, now),
                None => {
                    let what = format!("writing to partition {partition}");
                    self.fail(partition, id);
                    Err(ClientError::Unanswered { what }.into())
                }
            };
            first_error = first_error.or(outcome.err());
        }
        first_error.map_or(Ok(()), Err)
    }

    fn answered(
        &mut self,
        partition: i32,
        id: u64,
        answer: &PartitionProduceResponse,
        now: Instant,
    ) -> Result<(), Error> {
        let code = answer.error_code;
        let queue = &mut self.queues[partition as usize];
        match code {
            // A duplicate is one that was stored by an attempt whose answer was lost.
            ErrorCode::None | ErrorCode::DuplicateSequenceNumber => {
                self.acknowledged(partition, id);
                if self.last_failure.take().is_some() {
                    self.backoff = Backoff::new();
                }
                return Ok(());
            }
            ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge if queue.split(id) => {
                return Ok(());
            }
            ErrorCode::OutOfOrderSequenceNumber if queue.is_behind_a_failure(id) => {
                queue.fail(id);
                return Ok(());
            }
            _ => {}
        }
        let numbers = queue.batch(id).map(|batch| {
            let of_error = answer.record_errors.first();
            let of_error = of_error.and_then(|e| batch.records.get(e.batch_index as usize));
            let last = batch.records.last().map_or(0, |record| record.number);
            let first = batch.records.first().map_or(0, |record| record.number);
            of_error.map_or((first, last), |record| (record.number, record.number))
        });
        let place = match numbers {
            Some((first, last)) if first != last => format!("{}s {first} to {last}", self.noun),
            Some((first, _)) => format!("{} {first}", self.noun),
            None => "a batch".to_owned(),
        };
        let topic = &self.topic.name;
        let what = format!("writing {place} to partition {partition} of topic '{topic}'");
        let told =
            answer.record_errors.first().and_then(|e| e.batch_index_error_message.as_deref());
        let error = ClientError::refused(what, code, told.or(answer.error_message.as_deref()));
        let bytes = queue.batch(id).map_or(0, |batch| batch.raw_bytes);
        queue.fail(id);
        if is_retriable(code) {
            return self.failed(error, now);
        }
        Err(match code {
            ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => {
                Error::Data(too_large(&mut self.cluster, &place, bytes, &self.topic.name))
            }
            _ => error.into(),
        })
    }

    fn acknowledged(&mut self, partition: i32, id: u64) {
        let Some(batch) = self.queue(partition).acknowledge(id) else { return };
        self.records += batch.records.len() as u64;
        let field = |field: &Option<Vec<u8>>| field.as_ref().map_or(0, Vec::len) as u64;
        let bytes = batch.records.iter().map(|r| field(&r.record.key) + field(&r.record.value));
        self.bytes += bytes.sum::<u64>();
    }

    fn fail(&mut self, partition: i32, id: u64) {
        self.queue(partition).fail(id);
    }

    /// That of a partition of which something is or was under way.
    fn queue(&mut self, partition: i32) -> &mut Queue {
        &mut self.queues[partition as usize]
    }

    /// A connection is of no more use: whatever was under way on it goes out again.
    fn disconnect(&mut self, broker: i32, error: ClientError, now: Instant) -> Result<(), Error> {
        self.cluster.disconnect(broker);
        let link = self.links.remove(&broker).unwrap_or_default();
        for (partition, id) in link.due.into_iter().flat_map(|due| due.batches) {
            self.fail(partition, id);
        }
        self.failed(error, now)
    }

    fn give_up_silent(&mut self, now: Instant) -> Result<(), Error> {
        let waited = self.cluster.timeout();
        let is_silent = |link: &Link| link.due.front().is_some_and(|due| now >= due.sent + waited);
        let silent = self.links.iter().find(|(_, link)| is_silent(link));
        let Some(broker) = silent.map(|(broker, _)| *broker) else { return Ok(()) };
        let error = match self.cluster.connected(broker) {
            Some(connection) => {
                let address = connection.address().clone();
                ClientError::Silent { address, api: Api::Produce, waited }
            }
            None => ClientError::UnknownBroker(broker),
        };
        self.disconnect(broker, error, now)
    }

    /// An error that may pass is waited for; one that will not, or has not for too long, is the end.
    fn failed(&mut self, error: ClientError, now: Instant) -> Result<(), Error> {
        if !error.is_retriable() {
            return Err(error.into());
        }
        let oldest = self.queues.iter().filter_map(Queue::oldest).map(|batch| batch.since).min();
        let waited = oldest.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        if waited >= self.cluster.timeout() {
            return Err(ClientError::GaveUp { waited, last: Box::new(error) }.into());
        }
        if self.retry_at.is_none() {
            self.retry_at = Some(now + self.backoff.next_wait());
        }
        self.last_failure = Some(error);
        Ok(())
    }
}

/// What a record that is too large is told, with the limit if the broker tells it.
fn too_large(cluster: &mut Cluster, place: &str, bytes: usize, topic: &str) -> String {
    let limit = session::topic_config(cluster, topic, "max.message.bytes");
    let limit = limit.map_or_else(String::new, |limit| format!(" = {limit}"));
    format!(
        "{place}: a record of about {bytes} bytes is larger than topic '{topic}' takes \
         (max.message.bytes{limit}); `corelane topic alter {topic} --config max.message.bytes=N` \
         raises it"
    )
}

fn init_producer_id(cluster: &mut Cluster) -> Result<(i64, i16), Error> {
    let request = InitProducerIdRequest { transaction_timeout_ms: i32::MAX, ..Default::default() };
    let request = request.into();
    let asked = cluster.retry(|cluster| {
        let Response::InitProducerId(response) = cluster.any()?.call(&request)? else {
            unreachable!("the API decides which response is decoded");
        };
        match response.error_code {
            ErrorCode::None => Ok((response.producer_id, response.producer_epoch)),
            code => Err(ClientError::refused("asking for a producer id", code, None)),
        }
    });
    asked.map_err(|error| match error {
        ClientError::Unsupported { .. } | ClientError::Refused { .. } => Error::Data(format!(
            "{error}; it is needed to lose and repeat nothing, --acks 1 goes without"
        )),
        error => error.into(),
    })
}

#[cfg(test)]
mod tests;
