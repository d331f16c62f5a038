//! Produce and Fetch.

use std::io;

use bytes::Bytes;
use corelane_net::codec::{Records, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData, PartitionProduceData,
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use corelane_storage::batch::{BatchError, BatchHeader};

use super::answers::State;
use super::topics::Topics;

/// Takes all batches of a request.
///
/// # Errors
/// Those of the disk.
pub(super) fn produce(request: &ProduceRequest, state: &mut State) -> io::Result<ProduceResponse> {
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for topic in request.topic_data.clone() {
        let id = state.topics.find(topic.topic_id, &topic.name);
        let partitions = topic.partition_data.clone().into_iter();
        let partition_responses =
            partitions.map(|data| take(id, &data, state)).collect::<io::Result<_>>()?;
        let (name, topic_id) = (topic.name, topic.topic_id);
        responses.push(TopicProduceResponse { name, topic_id, partition_responses });
    }
    Ok(ProduceResponse { responses, ..Default::default() })
}

/// Checks one batch and takes it.
fn take(
    topic: Option<Uuid>,
    data: &PartitionProduceData,
    state: &mut State,
) -> io::Result<PartitionProduceResponse> {
    let records = data.records.clone().unwrap_or_default();
    let taken = match (topic, check(&records)) {
        (None, _) => Err(ErrorCode::UnknownTopicOrPartition),
        (_, Err(error_code)) => Err(error_code),
        (Some(id), Ok(header)) => state.topics.append(id, data.index, header, &records),
    };
    if let (Ok(_), Some(disk)) = (&taken, &mut state.disk) {
        disk.put(&records)?;
    }
    Ok(PartitionProduceResponse {
        index: data.index,
        error_code: taken.err().unwrap_or_default(),
        base_offset: taken.unwrap_or(-1),
        log_start_offset: 0,
        ..Default::default()
    })
}

/// One whole batch whose CRC-32C is right.
fn check(records: &Bytes) -> Result<BatchHeader, ErrorCode> {
    BatchHeader::validate_from_producer(records).map_err(|error| match error {
        BatchError::Corrupt(_) => ErrorCode::CorruptMessage,
        BatchError::Invalid(_) => ErrorCode::InvalidRecord,
        BatchError::UnsupportedMagic(_) => ErrorCode::UnsupportedForMessageFormat,
    })
}

/// A fetch's answer as it would be now.
pub(super) struct Fetched {
    pub(super) response: FetchResponse,
    /// False if there is less than the client wants to be answered with, and no error to tell.
    pub(super) is_enough: bool,
}

/// Reads what is kept. Sessions are not kept: every request must name its partitions, and the
/// answer says so with session 0 (KIP-227).
pub(super) fn fetch(request: &FetchRequest, topics: &Topics) -> Fetched {
    let mut left_bytes = usize::try_from(request.max_bytes).unwrap_or(0);
    let (mut found_bytes, mut has_error) = (0, false);
    let mut responses = Vec::with_capacity(request.topics.len());
    for asked in &request.topics {
        let topic = topics.find(asked.topic_id, &asked.topic).and_then(|id| topics.topic(id));
        let read = |asked: &corelane_net::messages::FetchPartition| {
            let mut data = PartitionData {
                partition_index: asked.partition,
                high_watermark: -1,
                records: Some(Records::new()),
                ..Default::default()
            };
            let partition = topic
                .and_then(|topic| topic.partitions.get(usize::try_from(asked.partition).ok()?));
            let max_bytes = usize::try_from(asked.partition_max_bytes).unwrap_or(0);
            let records = match partition {
                None => Err(ErrorCode::UnknownTopicOrPartition),
                // The first batch of all may be larger than asked for, no other (KIP-74).
                Some(_) if left_bytes == 0 && found_bytes > 0 => Ok(Records::new()),
                Some(partition) => partition.read(asked.fetch_offset, max_bytes.min(left_bytes)),
            };
            if let Some(partition) = partition {
                data.high_watermark = partition.end_offset();
                data.last_stable_offset = partition.end_offset();
                data.log_start_offset = partition.start_offset();
            }
            match records {
                Ok(records) => {
                    found_bytes += records.len_bytes();
                    left_bytes = left_bytes.saturating_sub(records.len_bytes());
                    data.records = Some(records);
                }
                Err(error_code) => {
                    has_error = true;
                    data.error_code = error_code;
                }
            }
            data
        };
        responses.push(FetchableTopicResponse {
            topic: asked.topic.clone(),
            topic_id: asked.topic_id,
            partitions: asked.partitions.iter().map(read).collect(),
        });
    }
    let min_bytes = usize::try_from(request.min_bytes).unwrap_or(0);
    Fetched {
        response: FetchResponse { responses, ..Default::default() },
        is_enough: has_error || found_bytes >= min_bytes,
    }
}
