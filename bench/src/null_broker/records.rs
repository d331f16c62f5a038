//! Produce and Fetch.

use std::io;

use bytes::Bytes;
use corelane_net::codec::{Records, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    FetchPartition, FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData,
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceResponse,
};
use corelane_storage::batch::{BatchError, BatchHeader};

use super::answers::State;
use super::topics::{Partition, Topics};

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
        BatchError::Invalid(_) | BatchError::Transactional => ErrorCode::InvalidRecord,
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
    let bytes = |count: i32| usize::try_from(count).unwrap_or(0);
    let mut reader =
        Reader { left_bytes: bytes(request.max_bytes), found_bytes: 0, has_error: false };
    let mut responses = Vec::with_capacity(request.topics.len());
    for asked in &request.topics {
        let topic = topics.find(asked.topic_id, &asked.topic).and_then(|id| topics.topic(id));
        let read = |asked: &FetchPartition| {
            let index = usize::try_from(asked.partition).ok();
            let partition = topic.and_then(|topic| topic.partitions.get(index?));
            reader.read(partition, asked)
        };
        responses.push(FetchableTopicResponse {
            topic: asked.topic.clone(),
            topic_id: asked.topic_id,
            partitions: asked.partitions.iter().map(read).collect(),
        });
    }
    Fetched {
        response: FetchResponse { responses, ..Default::default() },
        is_enough: reader.has_error || reader.found_bytes >= bytes(request.min_bytes),
    }
}

/// What a fetch has found, and may still.
struct Reader {
    left_bytes: usize,
    found_bytes: usize,
    has_error: bool,
}

impl Reader {
    fn read(&mut self, partition: Option<&Partition>, asked: &FetchPartition) -> PartitionData {
        let mut data = PartitionData {
            partition_index: asked.partition,
            high_watermark: -1,
            records: Some(Records::new()),
            ..Default::default()
        };
        let Some(partition) = partition else {
            self.has_error = true;
            data.error_code = ErrorCode::UnknownTopicOrPartition;
            return data;
        };
        data.high_watermark = partition.end_offset();
        data.last_stable_offset = partition.end_offset();
        data.log_start_offset = partition.start_offset();
        let max_bytes = usize::try_from(asked.partition_max_bytes).unwrap_or(0);
        // The first batch of all may be larger than asked for, no other (KIP-74).
        let is_first = self.found_bytes == 0;
        match partition.read(asked.fetch_offset, max_bytes.min(self.left_bytes), is_first) {
            Ok(records) => {
                self.found_bytes += records.len_bytes();
                self.left_bytes = self.left_bytes.saturating_sub(records.len_bytes());
                data.records = Some(records);
            }
            Err(error_code) => {
                self.has_error = true;
                data.error_code = error_code;
            }
        }
        data
    }
}
