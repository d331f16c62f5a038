//! A partition's producer states as bytes, for checkpoints.
//!
//! Layout, little-endian: header {magic, version, producer count, batch count, crc32 of all
//! behind it}, then one record per producer, each followed by its batches. Ordered by id, so that
//! equal states give equal bytes.

use zerocopy::byteorder::little_endian::{I16, I32, I64, U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{BATCHES_REMEMBERED, PRODUCER_IDS_MAX, Producer, ProducerStates, RememberedBatch};

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

const MAGIC: [u8; 4] = *b"CLPS";
const VERSION: u16 = 1;

/// Why bytes are not a snapshot of producer states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Not written by this code, torn or altered.
    #[error("producer snapshot is damaged: {0}")]
    Damaged(&'static str),
    /// Written by a newer release.
    #[error("producer snapshot has version {found}, this release reads up to {supported}")]
    NewerVersion {
        /// What the bytes say.
        found: u16,
        /// The highest version known here.
        supported: u16,
    },
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 4],
    version: U16,
    reserved: U16,
    producer_count: U32,
    crc: U32,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ProducerRecord {
    producer_id: I64,
    last_seen_ms: I64,
    epoch: I16,
    batch_count: U16,
    reserved: U32,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct BatchRecord {
    base_offset: I64,
    last_offset: I64,
    timestamp_ms: I64,
    first_sequence: I32,
    last_sequence: I32,
}

impl ProducerStates {
    /// The states as bytes that [`ProducerStates::decode`] reads.
    pub fn encode(&self) -> Vec<u8> {
        let mut ids: Vec<i64> = self.producers.keys().copied().collect();
        ids.sort_unstable();
        let mut body = Vec::with_capacity(self.encoded_bytes_max());
        for id in &ids {
            encode_producer(&mut body, *id, &self.producers[id]);
        }
        let header = Header {
            magic: MAGIC,
            version: VERSION.into(),
            reserved: 0.into(),
            producer_count: (ids.len() as u32).into(),
            crc: crc_of(ids.len() as u32, &body).into(),
        };
        let mut out = Vec::with_capacity(size_of::<Header>() + body.len());
        out.extend_from_slice(header.as_bytes());
        out.append(&mut body);
        out
    }

    fn encoded_bytes_max(&self) -> usize {
        let one = size_of::<ProducerRecord>() + BATCHES_REMEMBERED * size_of::<BatchRecord>();
        self.len() * one
    }

    /// Reads what [`ProducerStates::encode`] wrote; `bytes` must end where it does. The limit of
    /// ids is the default one, and counts: of a larger snapshot, the ids idle longest are dropped.
    ///
    /// # Errors
    /// Every [`SnapshotError`].
    pub fn decode(bytes: &[u8]) -> Result<ProducerStates, SnapshotError> {
        let damaged = SnapshotError::Damaged;
        let (header, body) =
            Header::ref_from_prefix(bytes).map_err(|_| damaged("shorter than its header"))?;
        if header.magic != MAGIC {
            return Err(damaged("wrong magic"));
        }
        let version = header.version.get();
        if version > VERSION {
            return Err(SnapshotError::NewerVersion { found: version, supported: VERSION });
        }
        if version != VERSION {
            return Err(damaged("impossible version"));
        }
        if crc_of(header.producer_count.get(), body) != header.crc.get() {
            return Err(damaged("checksum differs"));
        }
        let mut states = ProducerStates::default();
        let mut rest = body;
        for _ in 0..header.producer_count.get() {
            let (id, producer, behind) = decode_producer(rest)?;
            rest = behind;
            if states.producers.len() >= PRODUCER_IDS_MAX {
                states.forget_idle_longest();
            }
            if states.producers.insert(id, producer).is_some() {
                return Err(damaged("a producer id twice"));
            }
        }
        if !rest.is_empty() {
            return Err(damaged("bytes behind the last producer"));
        }
        Ok(states)
    }
}

fn crc_of(producer_count: u32, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&producer_count.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

fn encode_producer(out: &mut Vec<u8>, id: i64, producer: &Producer) {
    let record = ProducerRecord {
        producer_id: id.into(),
        last_seen_ms: producer.last_seen_ms.into(),
        epoch: producer.epoch.into(),
        batch_count: u16::from(producer.count).into(),
        reserved: 0.into(),
    };
    out.extend_from_slice(record.as_bytes());
    for batch in producer.batches() {
        let record = BatchRecord {
            base_offset: batch.base_offset.into(),
            last_offset: batch.last_offset.into(),
            timestamp_ms: batch.timestamp_ms.into(),
            first_sequence: batch.first_sequence.into(),
            last_sequence: batch.last_sequence.into(),
        };
        out.extend_from_slice(record.as_bytes());
    }
}

fn decode_producer(bytes: &[u8]) -> Result<(i64, Producer, &[u8]), SnapshotError> {
    const ENDS: SnapshotError = SnapshotError::Damaged("ends inside a producer");
    let (record, rest) = ProducerRecord::ref_from_prefix(bytes).map_err(|_| ENDS)?;
    let count = usize::from(record.batch_count.get());
    if count > BATCHES_REMEMBERED {
        return Err(SnapshotError::Damaged("more batches than are remembered"));
    }
    let (batches, rest) =
        <[BatchRecord]>::ref_from_prefix_with_elems(rest, count).map_err(|_| ENDS)?;
    let mut producer = Producer::new(record.epoch.get());
    producer.last_seen_ms = record.last_seen_ms.get();
    for batch in batches {
        producer.push(RememberedBatch {
            first_sequence: batch.first_sequence.get(),
            last_sequence: batch.last_sequence.get(),
            base_offset: batch.base_offset.get(),
            last_offset: batch.last_offset.get(),
            timestamp_ms: batch.timestamp_ms.get(),
        });
    }
    Ok((record.producer_id.get(), producer, rest))
}
