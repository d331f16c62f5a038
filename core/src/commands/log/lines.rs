//! Everything dumped, as lines for people or as JSON: one object a line, which names its kind.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use corelane_storage::batch::{BatchHeader, Limited, RecordContents, TimestampType};
use corelane_storage::ids::{PartitionId, TopicId};
use corelane_storage::index::IndexPosition;
use corelane_storage::inspect::{
    BatchPlace, CheckpointFields, CheckpointSlot, DataDir, JournalEntry, PartitionFiles,
    SegmentSummary, SlotState,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::escape::escaped;
use crate::catalog::{BrokerScope, Catalog};
use crate::commands::output::Output;

/// A partition, and its topic's name if the catalog has it.
pub struct Place {
    /// Which.
    pub id: PartitionId,
    name: Option<String>,
}

impl Place {
    pub fn new(catalog: Option<&Catalog>, id: PartitionId) -> Place {
        let topic = catalog.and_then(|catalog| catalog.topic_by_id(id.topic_id));
        Place { id, name: topic.map(|topic| topic.name.to_string()) }
    }

    /// `fields`, with what says where they belong.
    fn json(&self, kind: &str, fields: Value) -> Value {
        let mut object = json!({
            "kind": kind,
            "topic": self.name,
            "topic_id": self.id.topic_id.to_string(),
            "partition": self.id.index,
        });
        merge(&mut object, fields);
        object
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name}-{}", self.id.index),
            None => write!(f, "{} (not in the catalog)", self.id),
        }
    }
}

fn merge(object: &mut Value, fields: Value) {
    if let (Value::Object(object), Value::Object(fields)) = (object, fields) {
        object.extend(fields);
    }
}

/// Where it is printed.
pub struct Lines {
    out: Output,
    as_json: bool,
}

impl Lines {
    pub fn new(out: Output, as_json: bool) -> Lines {
        Lines { out, as_json }
    }

    pub fn finish(self) -> io::Result<()> {
        self.out.finish()
    }

    fn line(&mut self, json: Value, text: impl FnOnce() -> String) -> io::Result<()> {
        match self.as_json {
            true => writeln!(self.out, "{json}"),
            false => writeln!(self.out, "{}", text()),
        }
    }

    /// Something that can't be printed because it is unreadable.
    pub fn problem(&mut self, what: &str) -> io::Result<()> {
        self.line(json!({ "kind": "problem", "what": what }), || format!("! {what}"))
    }

    pub fn manifest(&mut self, dir: &DataDir) -> io::Result<()> {
        let fields = match dir.manifest() {
            Ok(fields) => fields,
            Err(error) => return self.problem(&error.to_string()),
        };
        let cluster_id = URL_SAFE_NO_PAD.encode(fields.cluster_id);
        let json = json!({
            "kind": "manifest",
            "format_version": corelane_storage::manifest::FORMAT_VERSION,
            "cluster_id": cluster_id,
            "start_epoch": fields.start_epoch,
            "journal_floor": fields.journal_floor,
            "next_producer_id": fields.next_producer_id,
            "stopped_cleanly": fields.stopped_cleanly,
        });
        self.line(json, || {
            format!(
                "manifest: format {}, cluster {cluster_id}, start epoch {}, journal floor {}, next \
                 producer id {}, {}",
                corelane_storage::manifest::FORMAT_VERSION,
                fields.start_epoch,
                fields.journal_floor,
                fields.next_producer_id,
                if fields.stopped_cleanly { "stopped cleanly" } else { "not stopped cleanly" },
            )
        })
    }

    pub fn catalog(&mut self, catalog: &Catalog, only: Option<TopicId>) -> io::Result<()> {
        for topic in catalog.topics().filter(|topic| only.is_none_or(|id| topic.id == id)) {
            let id = topic.id.to_string();
            let json = json!({
                "kind": "topic", "topic": *topic.name, "topic_id": id,
                "partitions": topic.partitions, "configs": topic.configs,
            });
            let configs = listed(topic.configs.iter());
            self.line(json, || {
                format!("topic {}: id {id}, {} partitions{configs}", topic.name, topic.partitions)
            })?;
        }
        for command in catalog.to_commands().iter().filter(|_| only.is_none()) {
            let crate::catalog::Command::SetBrokerConfigs { scope, configs } = command else {
                continue;
            };
            let node = match scope {
                BrokerScope::Cluster => None,
                BrokerScope::Node(id) => Some(*id),
            };
            let json = json!({ "kind": "broker_configs", "node_id": node, "configs": configs });
            let who = node.map_or("all brokers".to_owned(), |id| format!("broker {id}"));
            self.line(json, || format!("{who}{}", listed(configs.iter())))?;
        }
        Ok(())
    }

    pub fn journal(&mut self, path: &Path, len_bytes: u64, entries: u64) -> io::Result<()> {
        let path = path.display().to_string();
        let json = json!({
            "kind": "journal", "path": path, "len_bytes": len_bytes, "live_entries": entries,
        });
        self.line(json, || format!("journal {path}: {len_bytes} bytes, {entries} live entries"))
    }

    pub fn journal_entry(&mut self, entry: &JournalEntry) -> io::Result<()> {
        let fragments: Vec<_> = entry
            .fragments
            .iter()
            .map(|fragment| {
                json!({
                    "topic_id": fragment.partition.topic_id.to_string(),
                    "partition": fragment.partition.index,
                    "segment_base": fragment.segment_base,
                    "position": fragment.position,
                    "len_bytes": fragment.len_bytes,
                })
            })
            .collect();
        let path = entry.path.display().to_string();
        let json = json!({
            "kind": "journal_entry", "path": path, "position": entry.position,
            "block_bytes": entry.block_bytes, "start_epoch": entry.start_epoch, "life": entry.life,
            "shard": entry.shard, "sequence": entry.sequence,
            "flushed_sequence": entry.flushed_sequence,
            "released_sequence": entry.released_sequence, "fragments": fragments,
        });
        self.line(json, || {
            let mut text = format!(
                "journal {path} at byte {}: {} bytes, start {}, life {}, shard {}, sequence {} \
                 (flushed {}, released {})",
                entry.position,
                entry.block_bytes,
                entry.start_epoch,
                entry.life,
                entry.shard,
                entry.sequence,
                entry.flushed_sequence,
                entry.released_sequence,
            );
            for fragment in &entry.fragments {
                text += &format!(
                    "\n  {} segment {} bytes {}..{}",
                    fragment.partition,
                    fragment.segment_base,
                    fragment.position,
                    fragment.position.saturating_add(fragment.len_bytes as u64),
                );
            }
            text
        })
    }

    pub fn partition(
        &mut self,
        place: &Place,
        files: &PartitionFiles<'_>,
        segments: &[SegmentSummary],
    ) -> io::Result<()> {
        let end = segments.last().map_or(files.log_start(), |last| last.end_offset);
        let bytes: u64 = segments.iter().map(|segment| segment.batch_bytes).sum();
        let checkpoint = files.checkpoint().map(|fields| fields.end_offset);
        let fields = json!({
            "log_start": files.log_start(), "log_end": end, "bytes": bytes,
            "checkpoint_end": checkpoint,
        });
        self.line(place.json("partition", fields), || {
            let checkpoint =
                checkpoint.map_or("no checkpoint".to_owned(), |end| format!("checkpoint at {end}"));
            format!(
                "partition {place}: offsets {}..{end}, {bytes} bytes, {checkpoint}",
                files.log_start()
            )
        })?;
        segments.iter().try_for_each(|segment| self.segment(place, segment))
    }

    fn segment(&mut self, place: &Place, segment: &SegmentSummary) -> io::Result<()> {
        let (first, last) = segment.timestamps_ms.unzip();
        let fields = json!({
            "base_offset": segment.base_offset, "end_offset": segment.end_offset,
            "path": segment.path.display().to_string(), "file_bytes": segment.file_bytes,
            "batch_bytes": segment.batch_bytes, "batches": segment.batches,
            "records": segment.records, "min_timestamp_ms": first, "max_timestamp_ms": last,
            "closed": segment.is_closed,
        });
        self.line(place.json("segment", fields), || {
            let times = segment.timestamps_ms.map_or(String::new(), |(first, last)| {
                format!(", {} to {}", time(first), time(last))
            });
            format!(
                "  segment {}: offsets {}..{}, {} bytes, {} batches, {} records{times}, {} ({} \
                 bytes in its file)",
                segment.base_offset,
                segment.base_offset,
                segment.end_offset,
                segment.batch_bytes,
                segment.batches,
                segment.records,
                if segment.is_closed { "closed" } else { "open" },
                segment.file_bytes,
            )
        })
    }

    pub fn index_entry(
        &mut self,
        place: &Place,
        segment_base: i64,
        entry: IndexPosition,
        max_timestamp: i64,
    ) -> io::Result<()> {
        let known = (max_timestamp != i64::MIN).then_some(max_timestamp);
        let fields = json!({
            "segment_base": segment_base, "offset": entry.offset, "position": entry.position,
            "max_timestamp_before_ms": known,
        });
        self.line(place.json("index_entry", fields), || {
            format!(
                "index of {place}, segment {segment_base}: offset {} at byte {}, timestamps before \
                 it up to {}",
                entry.offset,
                entry.position,
                known.map_or("none".to_owned(), time),
            )
        })
    }

    pub fn checkpoint(&mut self, place: &Place, slot: &CheckpointSlot) -> io::Result<()> {
        let path = slot.path.display().to_string();
        let (state, fields) = match &slot.state {
            SlotState::Absent => ("absent".to_owned(), None),
            SlotState::Unwritten => ("unwritten".to_owned(), None),
            SlotState::Unreadable(reason) => (format!("unreadable: {reason}"), None),
            SlotState::Whole(fields) => ("whole".to_owned(), Some(fields)),
        };
        let mut object = place.json("checkpoint", json!({ "path": path, "state": state }));
        if let Some(fields) = fields {
            merge(&mut object, checkpoint_json(fields));
        }
        self.line(object, || match fields {
            None => format!("checkpoint {path}: {state}"),
            Some(fields) => checkpoint_text(&path, fields),
        })
    }

    pub fn batch(&mut self, place: &Place, batch: &BatchPlace) -> io::Result<()> {
        let header = &batch.header;
        let compression = compression_name(header);
        let timestamp_type = match header.timestamp_type() {
            TimestampType::CreateTime => "CreateTime",
            TimestampType::LogAppendTime => "LogAppendTime",
        };
        let fields = json!({
            "segment_base": batch.segment_base, "position": batch.position,
            "len_bytes": header.total_bytes(), "base_offset": header.base_offset(),
            "last_offset": header.last_offset(), "records": header.records_count(),
            "leader_epoch": header.leader_epoch(), "compression": compression,
            "timestamp_type": timestamp_type, "base_timestamp_ms": header.base_timestamp(),
            "max_timestamp_ms": header.max_timestamp(), "producer_id": header.producer_id(),
            "producer_epoch": header.producer_epoch(), "base_sequence": header.base_sequence(),
            "transactional": header.is_transactional(), "control": header.is_control(),
            "crc": header.crc(),
        });
        self.line(place.json("batch", fields), || {
            let mut text = format!(
                "batch of {place}: offsets {}..={}, {} records, {} bytes at byte {} of segment {}, \
                 epoch {}, {compression}, {timestamp_type} {}, CRC {:08x}",
                header.base_offset(),
                header.last_offset(),
                header.records_count(),
                header.total_bytes(),
                batch.position,
                batch.segment_base,
                header.leader_epoch(),
                time(header.max_timestamp()),
                header.crc(),
            );
            if header.has_producer_id() {
                text += &format!(
                    ", producer {} epoch {} sequence {}",
                    header.producer_id(),
                    header.producer_epoch(),
                    header.base_sequence()
                );
            }
            text
        })
    }

    pub fn record(&mut self, place: &Place, record: &RecordContents) -> io::Result<()> {
        let headers = record.headers.iter();
        let fields = json!({
            "offset": record.offset, "timestamp_ms": record.timestamp_ms,
            "key": record.key.as_ref().map(field_json),
            "value": record.value.as_ref().map(field_json),
            "headers": headers
                .map(|h| json!({ "key": field_json(&h.key), "value": h.value.as_ref().map(field_json) }))
                .collect::<Vec<_>>(),
            "headers_total": record.headers_total,
        });
        self.line(place.json("record", fields), || {
            let field = |field: &Option<Limited>| field.as_ref().map_or("null".to_owned(), escaped);
            let mut text = format!(
                "  {} {} key {} value {}",
                record.offset,
                time(record.timestamp_ms),
                field(&record.key),
                field(&record.value)
            );
            for header in &record.headers {
                text += &format!(" {}={}", escaped(&header.key), field(&header.value));
            }
            let left = record.headers_total - record.headers.len() as u64;
            if left > 0 {
                text += &format!(" (and {left} headers)");
            }
            text
        })
    }
}

fn checkpoint_json(fields: &CheckpointFields) -> Value {
    let epochs: Vec<_> = fields
        .epochs
        .iter()
        .map(|(epoch, start)| json!({ "epoch": epoch, "start_offset": start }))
        .collect();
    let producers: Vec<_> = fields
        .producers()
        .into_iter()
        .map(|(id, epoch, batches, last_seen_ms)| {
            let batches: Vec<_> = batches
                .iter()
                .map(|batch| {
                    json!({
                        "first_sequence": batch.first_sequence,
                        "last_sequence": batch.last_sequence,
                        "base_offset": batch.base_offset,
                        "last_offset": batch.last_offset,
                        "timestamp_ms": batch.timestamp_ms,
                    })
                })
                .collect();
            json!({
                "producer_id": id, "producer_epoch": epoch, "last_seen_ms": last_seen_ms,
                "batches": batches,
            })
        })
        .collect();
    json!({
        "sequence": fields.sequence, "log_start": fields.log_start,
        "end_offset": fields.end_offset, "segment_base": fields.segment_base,
        "position": fields.position, "epochs": epochs, "producers": producers,
    })
}

fn checkpoint_text(path: &str, fields: &CheckpointFields) -> String {
    let mut text = format!(
        "checkpoint {path}: sequence {}, log start {}, offset {} at byte {} of segment {}",
        fields.sequence, fields.log_start, fields.end_offset, fields.position, fields.segment_base,
    );
    for (epoch, start) in &fields.epochs {
        text += &format!("\n  leader epoch {epoch} from offset {start}");
    }
    for (id, epoch, batches, last_seen_ms) in fields.producers() {
        text += &format!("\n  producer {id} epoch {epoch}, last seen {}", time(last_seen_ms));
        for batch in batches {
            text += &format!(
                "\n    sequences {}..={} at offsets {}..={}",
                batch.first_sequence, batch.last_sequence, batch.base_offset, batch.last_offset
            );
        }
    }
    text
}

/// Text where it is text, else base64; cut, and saying so, where it is long.
fn field_json(field: &Limited) -> Value {
    let mut object = match std::str::from_utf8(&field.bytes) {
        Ok(text) => json!({ "text": text }),
        Err(_) => {
            json!({ "base64": base64::engine::general_purpose::STANDARD.encode(&field.bytes) })
        }
    };
    merge(&mut object, json!({ "total_bytes": field.total_bytes }));
    object
}

fn compression_name(header: &BatchHeader) -> String {
    header.compression().map_or("unknown codec".to_owned(), |codec| match codec {
        corelane_storage::batch::Compression::None => "uncompressed".to_owned(),
        codec => format!("{codec:?}").to_lowercase(),
    })
}

fn listed<'a>(configs: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    configs.map(|(key, value)| format!(", {key}={}", value.escape_debug())).collect()
}

/// "2026-11-21T17:09:56.123Z"; -1 is none.
fn time(timestamp_ms: i64) -> String {
    match Timestamp::from_millisecond(timestamp_ms) {
        _ if timestamp_ms == -1 => "no time".to_owned(),
        Ok(time) => format!("{time:.3}"),
        Err(_) => format!("{timestamp_ms} ms"),
    }
}
