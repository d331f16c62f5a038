//! Idempotent producers that retry until they are answered, across the broker's lives.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use zerocopy::IntoBytes;

use super::{Broker, World};
use crate::batch::tests::compressed::compress;
use crate::batch::{BatchBuilder, BatchHeader, Compression, HEADER_BYTES, Record};
use crate::log::{AppendError, Log};
use crate::manifest::Manifest;
use crate::runtime::Runtime;
use crate::sim::compacted::Keyed;
use crate::sim::history::Written;
use crate::sim::runtime::SimRuntime;

/// Keys of a compacted partition.
const KEYS: u64 = 15;

const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

/// A batch that a client has sent and must send again until it is acknowledged.
#[derive(Clone)]
struct Unacknowledged {
    partition: usize,
    sequence: i32,
    batch: Vec<u8>,
    timestamps: Vec<i64>,
    keys: Vec<Keyed>,
}

/// A producer; outlives the broker's crashes.
pub(super) struct Client {
    producer_id: Cell<i64>,
    next_sequence: Vec<Cell<i32>>,
    unacknowledged: RefCell<Vec<Unacknowledged>>,
}

impl Client {
    pub(super) fn new(partitions: usize) -> Self {
        Client {
            producer_id: Cell::new(-1),
            next_sequence: (0..partitions).map(|_| Cell::new(0)).collect(),
            unacknowledged: RefCell::default(),
        }
    }
}

/// Why a client stops sending.
enum Stop {
    Offline,
    NewProducer,
    Broken(String),
}

impl World {
    /// One client's work in one life.
    pub(super) async fn produce(
        &self,
        client: &Client,
        broker: &Broker,
        manifest: &Manifest<SimRuntime>,
        runtime: &SimRuntime,
    ) {
        if client.producer_id.get() < 0 && !self.new_producer(client, manifest).await {
            return;
        }
        for _ in 0..self.rng.within(5..40) {
            if self.broken.borrow().is_some() {
                return;
            }
            if client.unacknowledged.borrow().is_empty() {
                self.make_batches(client, runtime.now_ms());
            }
            match self.send(client, broker).await {
                Ok(()) => {}
                Err(Stop::Offline) => {
                    self.count(|o| o.offline += 1);
                    return;
                }
                Err(Stop::NewProducer) => {
                    if !self.new_producer(client, manifest).await {
                        return;
                    }
                }
                Err(Stop::Broken(what)) => return self.broke(what),
            }
            if self.rng.coin() {
                let pause_us = self.rng.within(1..20_000);
                runtime.sleep(Duration::from_micros(pause_us)).await;
            }
        }
    }

    async fn new_producer(&self, client: &Client, manifest: &Manifest<SimRuntime>) -> bool {
        let Ok(ids) = manifest.reserve_producer_ids(1).await else { return false };
        if let Err(broken) = self.ids.borrow_mut().given(ids.start, self.life.get()) {
            self.broke(broken);
            return false;
        }
        client.producer_id.set(ids.start);
        client.next_sequence.iter().for_each(|s| s.set(0));
        client.unacknowledged.borrow_mut().clear();
        true
    }

    /// One to four batches for one partition, sent without waiting for each other.
    fn make_batches(&self, client: &Client, now_ms: i64) {
        let partition = self.rng.within(0..self.partitions.len() as u64) as usize;
        for _ in 0..self.rng.within(1..5) {
            let sequence = client.next_sequence[partition].get();
            let records = if self.climate.uniform { 1 } else { self.rng.within(1..4) as i32 };
            let length = match self.rng.within(0..10) {
                _ if self.climate.uniform => 140_000,
                0 => self.rng.within(100_000..700_000),
                1..4 => self.rng.within(3_000..40_000),
                _ => self.rng.within(1..1_500),
            };
            let filling = self.rng.next() as u8;
            let mut builder = BatchBuilder::new().producer(client.producer_id.get(), 0, sequence);
            let (mut timestamps, mut keys) = (Vec::new(), Vec::new());
            let is_compacted = self.partitions[partition].1.compact_policy;
            for _ in 0..records {
                let value = vec![filling; (length / records as u64) as usize];
                let timestamp_ms = now_ms - self.rng.within(0..300) as i64;
                timestamps.push(timestamp_ms);
                if !is_compacted {
                    builder = builder.value(timestamp_ms, value);
                    continue;
                }
                let keyed =
                    Keyed { key: self.rng.within(0..KEYS), is_tombstone: self.rng.chance(200_000) };
                keys.push(keyed);
                builder = builder.record(Record {
                    key: Some(keyed.key.to_be_bytes().to_vec()),
                    value: (!keyed.is_tombstone).then_some(value),
                    headers: Vec::new(),
                    timestamp_ms,
                });
            }
            client.next_sequence[partition].set(sequence + records);
            let plain = builder.build();
            let codec = CODECS[self.rng.within(0..CODECS.len() as u64) as usize];
            let batch = if is_compacted { compress(&plain, codec) } else { plain };
            client.unacknowledged.borrow_mut().push(Unacknowledged {
                partition,
                sequence,
                batch,
                timestamps,
                keys,
            });
        }
    }

    /// Sends (again) everything that is not acknowledged, and waits until it is.
    async fn send(&self, client: &Client, broker: &Broker) -> Result<(), Stop> {
        let sent = client.unacknowledged.borrow().clone();
        let mut waits = Vec::new();
        for batch in &sent {
            let (id, _) = self.partitions[batch.partition];
            let log = broker.log(id);
            broker.store(id).admit(batch.batch.len()).await;
            let next_offset = self.append(client, &log, batch)?;
            if self.rng.chance(100_000) {
                let again = self.append(client, &log, batch)?;
                if again != next_offset {
                    return Err(Stop::Broken(format!("sent twice: {next_offset} and {again}")));
                }
            }
            waits.push((batch.partition, log, next_offset));
        }
        for (i, log, next_offset) in waits {
            log.acknowledged(next_offset).await.map_err(|_| Stop::Offline)?;
            let history = &mut self.history.borrow_mut()[i];
            history.acknowledged(next_offset);
            history.flushed(log.offsets().flushed);
            self.count(|o| o.acknowledged += 1);
        }
        client.unacknowledged.borrow_mut().clear();
        Ok(())
    }

    fn append(
        &self,
        client: &Client,
        log: &Log<SimRuntime>,
        sent: &Unacknowledged,
    ) -> Result<i64, Stop> {
        let producer = (client.producer_id.get(), sent.sequence);
        let history = &mut self.history.borrow_mut()[sent.partition];
        let appended = match log.append(&sent.batch) {
            Ok(appended) => appended,
            Err(AppendError::Offline(_)) => return Err(Stop::Offline),
            Err(AppendError::Sequence(_)) if history.lost_acknowledged => {
                return Err(Stop::NewProducer);
            }
            Err(error) => return Err(Stop::Broken(format!("refused {producer:?}: {error}"))),
        };
        let (base_offset, last_offset) = (appended.base_offset, appended.last_offset);
        match history.find(producer, !appended.duplicate) {
            Some(first) if appended.duplicate && first.base_offset == base_offset => {
                self.count(|o| o.duplicates += 1);
            }
            None if !appended.duplicate => {
                self.count(|o| o.appends += 1);
                let mut bytes = sent.batch.clone();
                let mut header = *BatchHeader::read(&bytes).expect("made by the builder");
                header.stamp(base_offset, log.leader_epoch());
                bytes[..HEADER_BYTES].copy_from_slice(header.as_bytes());
                let written = Written {
                    base_offset,
                    last_offset,
                    bytes,
                    producer,
                    timestamps: sent.timestamps.clone(),
                    keys: sent.keys.clone(),
                    appended_ms: self.sim.runtime().now_ms(),
                };
                history.appended(written);
            }
            found => {
                let found = found.map(|w| w.base_offset);
                return Err(Stop::Broken(format!(
                    "batch {producer:?} is at {found:?}, the log says {appended:?}"
                )));
            }
        }
        Ok(last_offset + 1)
    }
}
