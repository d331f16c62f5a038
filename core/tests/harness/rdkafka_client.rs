//! librdkafka, through the `rdkafka` crate.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

use super::broker::Broker;

/// How long a client waits for what must come; only a broken broker reaches it.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// One record as a client sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    pub timestamp_ms: i64,
}

/// What became of a record: its partition and offset (-1 where acks=0 tells none), or the error.
pub type Delivered = Result<(i32, i64), String>;

/// Collects delivery reports by the number that each record was sent under.
#[derive(Clone, Default)]
pub struct Deliveries(Arc<Mutex<Vec<(usize, Delivered)>>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Self::DeliveryOpaque) {
        let delivered = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.to_string()),
        };
        self.0.lock().expect("no panic under the lock").push((*number, delivered));
    }
}

impl Deliveries {
    /// Takes all reports that came since the last time, in the order in which they came.
    pub fn take(&self) -> Vec<(usize, Delivered)> {
        std::mem::take(&mut self.0.lock().expect("no panic under the lock"))
    }
}

/// A producer that remembers what was delivered where.
pub struct TestProducer {
    producer: ThreadedProducer<Deliveries>,
    pub deliveries: Deliveries,
}

pub fn config(broker: &Broker) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap());
    config.set("message.max.bytes", "4000000");
    config
}

fn pairs(settings: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    settings.iter().map(|(key, value)| (key.to_string(), value.to_string()))
}

impl TestProducer {
    pub fn new(broker: &Broker, settings: &[(&str, &str)]) -> TestProducer {
        let mut config = config(broker);
        config.set("linger.ms", "5");
        config.extend(pairs(settings));
        let deliveries = Deliveries::default();
        let producer =
            config.create_with_context(deliveries.clone()).expect("the producer's configuration");
        TestProducer { producer, deliveries }
    }

    /// Queues a record; waits while the client's queue is full.
    pub fn send(&self, topic: &str, partition: Option<i32>, record: &Record, number: usize) {
        let mut next =
            BaseRecord::<[u8], [u8], Box<usize>>::with_opaque_to(topic, Box::new(number))
                .timestamp(record.timestamp_ms);
        next.partition = partition;
        next.key = record.key.as_deref();
        next.payload = record.value.as_deref();
        if !record.headers.is_empty() {
            let headers = record.headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
                all.insert(Header { key, value: value.as_deref() })
            });
            next = next.headers(headers);
        }
        while let Err((error, refused)) = self.producer.send(next) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            assert_eq!(error, full, "the client takes the record");
            std::thread::sleep(Duration::from_millis(2));
            next = refused;
        }
    }

    pub fn flush(&self) {
        self.producer.flush(PATIENCE).expect("all that was sent is delivered in time");
    }

    /// Flushes, and returns where each of `count` records went, by number; every one must have been delivered once.
    pub fn delivered(&self, count: usize) -> Vec<(i32, i64)> {
        self.flush();
        let mut places = vec![None; count];
        for (number, delivered) in self.deliveries.take() {
            let place = delivered.unwrap_or_else(|error| panic!("record {number}: {error}"));
            assert!(places[number].replace(place).is_none(), "record {number} reported twice");
        }
        let missing = places.iter().position(Option::is_none);
        assert_eq!(missing, None, "the number of a record without a delivery report");
        places.into_iter().flatten().collect()
    }
}

pub fn consumer(broker: &Broker, settings: &[(&str, &str)]) -> BaseConsumer {
    let mut config = config(broker);
    // A group id is demanded by the library, though no group is ever joined: partitions are assigned by hand.
    config.set("group.id", "unused").set("enable.auto.commit", "false");
    config.set("auto.offset.reset", "error").set("check.crcs", "true");
    config.set("enable.partition.eof", "false").set("fetch.wait.max.ms", "100");
    config.extend(pairs(settings));
    config.create().expect("the consumer's configuration")
}

pub fn assign(consumer: &BaseConsumer, topic: &str, partitions: &[i32], offset: Offset) {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset(topic, *partition, offset).expect("a valid offset");
    }
    consumer.assign(&list).expect("assign");
}

/// The next record, or a panic when none comes.
pub fn next_message(consumer: &BaseConsumer) -> BorrowedMessage<'_> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(500)) {
            None => {}
            Some(Ok(message)) => return message,
            // The client reconnects by itself; what matters is whether the record comes.
            Some(Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown,
            ))) => {}
            Some(Err(error)) => panic!("the consumer failed: {error}"),
        }
    }
    panic!("no record within {PATIENCE:?}");
}

/// Everything in these partitions: per partition (offset, record), from the beginning up to the watermark asked now.
pub fn read_all(broker: &Broker, topic: &str, partitions: i32) -> Vec<Vec<(i64, Record)>> {
    let consumer = consumer(broker, &[]);
    let numbers: Vec<i32> = (0..partitions).collect();
    let ends: Vec<i64> = numbers.iter().map(|p| watermarks(&consumer, topic, *p).1).collect();
    assign(&consumer, topic, &numbers, Offset::Beginning);
    let mut all = vec![Vec::new(); partitions as usize];
    let reached = |all: &[Vec<(i64, Record)>]| {
        all.iter().zip(&ends).all(|(read, end)| read.last().map_or(0, |(at, _)| at + 1) >= *end)
    };
    while !reached(&all) {
        let message = next_message(&consumer);
        all[message.partition() as usize].push((message.offset(), record_of(&message)));
    }
    all
}

/// (first offset, high watermark) as the broker says them. Asked again while a leader is only named: see
/// `requests::create_ready_topic`.
pub fn watermarks(consumer: &BaseConsumer, topic: &str, partition: i32) -> (i64, i64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match consumer.fetch_watermarks(topic, partition, PATIENCE) {
            Ok(watermarks) => return watermarks,
            Err(error) => assert!(
                error.rdkafka_error_code() == Some(RDKafkaErrorCode::NotLeaderForPartition)
                    && Instant::now() < deadline,
                "{topic}/{partition}: {error}"
            ),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn record_of(message: &impl Message) -> Record {
    let headers = message.headers().map(|headers| {
        let pairs = headers.iter();
        pairs.map(|h| (h.key.to_string(), h.value.map(<[u8]>::to_vec))).collect()
    });
    Record {
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.unwrap_or_default(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
    }
}

pub struct Admin(AdminClient<DefaultClientContext>);

impl Admin {
    pub fn new(broker: &Broker) -> Admin {
        Admin(config(broker).create().expect("the admin's configuration"))
    }

    /// Creates one topic; an error is the protocol's.
    pub fn create(
        &self,
        topic: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<(), RDKafkaErrorCode> {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let new = configs.iter().fold(new, |new, (key, value)| new.set(key, value));
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let created = futures_lite::future::block_on(self.0.create_topics([&new], &options));
        only(created.expect("an answer"))?;
        self.wait_for_leaders(topic, partitions);
        Ok(())
    }

    pub fn delete(&self, topic: &str) -> Result<(), RDKafkaErrorCode> {
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let deleted = futures_lite::future::block_on(self.0.delete_topics(&[topic], &options));
        only(deleted.expect("an answer"))
    }

    /// Partitions of a topic, if it exists; never creates it.
    pub fn partitions(&self, topic: &str) -> Option<usize> {
        let metadata = self.0.inner().fetch_metadata(None, PATIENCE).expect("metadata");
        let found = metadata.topics().iter().find(|found| found.name() == topic)?;
        Some(found.partitions().len())
    }

    fn wait_for_leaders(&self, topic: &str, partitions: i32) {
        for _ in 0..500 {
            let metadata = self.0.inner().fetch_metadata(Some(topic), PATIENCE).expect("metadata");
            let ready = metadata.topics().iter().any(|found| {
                let led =
                    found.partitions().iter().filter(|p| p.error().is_none() && p.leader() >= 0);
                found.error().is_none() && led.count() == partitions as usize
            });
            if ready {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{topic} has no leaders");
    }
}

fn only(results: Vec<Result<String, (String, RDKafkaErrorCode)>>) -> Result<(), RDKafkaErrorCode> {
    assert_eq!(results.len(), 1, "{results:?}");
    results.into_iter().next().map_or(Ok(()), |result| match result {
        Ok(_) => Ok(()),
        Err((_, code)) => Err(code),
    })
}

/// A topic name that no other test, nor an earlier run against the same broker, has used.
pub fn fresh_topic(stem: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = now.expect("the clock is past 1970").as_millis();
    format!("{stem}-{millis}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
