//! Requests in, answers out: no sockets, no files, no clock.

use std::ops::RangeInclusive;

use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    Api, ApiVersion, ApiVersionsResponse, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse, DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest,
    DeleteTopicsResponse, EARLIEST_TIMESTAMP, InitProducerIdResponse, ListOffsetsPartitionResponse,
    ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse, MetadataRequest,
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
    Request, Response,
};

use super::records;
use super::topics::Topics;
use super::write_through::WriteThrough;

/// The one broker there is.
const NODE_ID: i32 = 0;

/// What answers need.
pub(super) struct State {
    pub(super) topics: Topics,
    pub(super) disk: Option<WriteThrough>,
    /// Where clients are told to connect to.
    pub(super) host: Str,
    pub(super) port: u16,
    pub(super) next_producer_id: i64,
}

/// The versions served of an API, all that the codec knows; `None` for an API that is not.
pub(super) fn versions(api: Api) -> Option<RangeInclusive<i16>> {
    match api {
        Api::Produce
        | Api::Fetch
        | Api::ListOffsets
        | Api::Metadata
        | Api::ApiVersions
        | Api::CreateTopics
        | Api::DeleteTopics
        | Api::InitProducerId => Some(api.versions()),
        _ => None,
    }
}

/// What to do with a request.
pub(super) enum Outcome {
    /// Answer.
    Answer(Response),
    /// Answer, once the fetch has something to say or has waited enough.
    Fetched(records::Fetched),
    /// Say nothing: Produce with acks=0.
    Silent,
    /// Not served here.
    Unknown,
}

/// Answers one request.
///
/// # Errors
/// Those of the disk, with `--write`.
pub(super) fn answer(
    request: &Request,
    version: i16,
    state: &mut State,
) -> std::io::Result<Outcome> {
    Ok(Outcome::Answer(match request {
        Request::Produce(request) => {
            let response = records::produce(request, state)?;
            if request.acks == 0 {
                return Ok(Outcome::Silent);
            }
            response.into()
        }
        Request::Fetch(request) => {
            return Ok(Outcome::Fetched(records::fetch(request, &state.topics)));
        }
        Request::ListOffsets(request) => list_offsets(request, &state.topics).into(),
        Request::Metadata(request) => metadata(request, version, state).into(),
        Request::ApiVersions(_) => api_versions(ErrorCode::None).into(),
        Request::CreateTopics(request) => create_topics(request, &mut state.topics).into(),
        Request::DeleteTopics(request) => delete_topics(request, &mut state.topics).into(),
        Request::InitProducerId(_) => {
            state.next_producer_id += 1;
            let producer_id = state.next_producer_id;
            InitProducerIdResponse { producer_id, ..Default::default() }.into()
        }
        _ => return Ok(Outcome::Unknown),
    }))
}

/// What is served. With UNSUPPORTED_VERSION it answers an ApiVersions from the future (KIP-511).
pub(super) fn api_versions(error_code: ErrorCode) -> ApiVersionsResponse {
    let served = Api::ALL.iter().filter_map(|api| Some((api.key(), versions(*api)?)));
    let api_keys = served.map(|(api_key, versions)| ApiVersion {
        api_key,
        min_version: *versions.start(),
        max_version: *versions.end(),
    });
    ApiVersionsResponse { error_code, api_keys: api_keys.collect(), ..Default::default() }
}

fn metadata(request: &MetadataRequest, version: i16, state: &mut State) -> MetadataResponse {
    let all = match &request.topics {
        None => true,
        Some(topics) => version == 0 && topics.is_empty(),
    };
    let topics = if all {
        state.topics.iter().map(|(id, _)| describe(id, &state.topics)).collect()
    } else {
        let asked = request.topics.iter().flatten();
        asked
            .map(|topic| {
                let name = topic.name.clone().unwrap_or_default();
                let auto = request.allow_auto_topic_creation && topic.topic_id == Uuid::ZERO;
                let found = state.topics.find(topic.topic_id, &name);
                let found = match found {
                    None if auto => state.topics.create(&name, -1).ok(),
                    found => found,
                };
                found
                    .map_or_else(|| unknown(topic.topic_id, name), |id| describe(id, &state.topics))
            })
            .collect()
    };
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: NODE_ID,
            host: state.host.clone(),
            port: i32::from(state.port),
            rack: None,
        }],
        cluster_id: Some(Str::from_static("null-broker")),
        controller_id: NODE_ID,
        topics,
        ..Default::default()
    }
}

fn describe(id: Uuid, topics: &Topics) -> MetadataResponseTopic {
    let Some(topic) = topics.topic(id) else { return unknown(id, Str::EMPTY) };
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_id: NODE_ID,
        leader_epoch: 0,
        replica_nodes: vec![NODE_ID],
        isr_nodes: vec![NODE_ID],
        ..Default::default()
    };
    MetadataResponseTopic {
        name: Some(topic.name.clone()),
        topic_id: id,
        partitions: (0..topic.partitions.len() as i32).map(partition).collect(),
        ..Default::default()
    }
}

fn unknown(topic_id: Uuid, name: Str) -> MetadataResponseTopic {
    let by_id = topic_id != Uuid::ZERO;
    MetadataResponseTopic {
        error_code: if by_id {
            ErrorCode::UnknownTopicId
        } else {
            ErrorCode::UnknownTopicOrPartition
        },
        name: (!by_id).then_some(name),
        topic_id,
        ..Default::default()
    }
}

fn create_topics(request: &CreateTopicsRequest, topics: &mut Topics) -> CreateTopicsResponse {
    let create = |topic: &corelane_net::messages::CreatableTopic| {
        let created = match request.validate_only {
            true => Ok(Uuid::ZERO),
            false => topics.create(&topic.name, topic.num_partitions),
        };
        CreatableTopicResult {
            name: topic.name.clone(),
            topic_id: created.unwrap_or(Uuid::ZERO),
            error_code: created.err().unwrap_or_default(),
            num_partitions: topic.num_partitions.max(1),
            replication_factor: 1,
            ..Default::default()
        }
    };
    CreateTopicsResponse {
        topics: request.topics.iter().map(create).collect(),
        ..Default::default()
    }
}

fn delete_topics(request: &DeleteTopicsRequest, topics: &mut Topics) -> DeleteTopicsResponse {
    let by_name = request
        .topic_names
        .iter()
        .map(|name| DeleteTopicState { name: Some(name.clone()), ..Default::default() });
    let delete = |topic: DeleteTopicState| {
        let name = topic.name.as_deref().unwrap_or_default();
        let deleted = topics.find(topic.topic_id, name).is_some_and(|id| topics.delete(id));
        let error_code = match (deleted, topic.topic_id == Uuid::ZERO) {
            (true, _) => ErrorCode::None,
            (false, true) => ErrorCode::UnknownTopicOrPartition,
            (false, false) => ErrorCode::UnknownTopicId,
        };
        DeletableTopicResult {
            name: topic.name,
            topic_id: topic.topic_id,
            error_code,
            ..Default::default()
        }
    };
    let asked = request.topics.iter().cloned().chain(by_name);
    DeleteTopicsResponse { responses: asked.map(delete).collect(), ..Default::default() }
}

/// The end, or for the earliest timestamp the start; times are not looked up.
fn list_offsets(request: &ListOffsetsRequest, topics: &Topics) -> ListOffsetsResponse {
    let offset = |name: &str, index: i32, timestamp: i64| {
        let topic = topics.topic(topics.find(Uuid::ZERO, name)?)?;
        let partition = topic.partitions.get(usize::try_from(index).ok()?)?;
        Some(match timestamp {
            EARLIEST_TIMESTAMP => partition.start_offset(),
            _ => partition.end_offset(),
        })
    };
    let responses = request.topics.iter().map(|topic| ListOffsetsTopicResponse {
        name: topic.name.clone(),
        partitions: (topic.partitions.iter())
            .map(|asked| {
                let found = offset(&topic.name, asked.partition_index, asked.timestamp);
                ListOffsetsPartitionResponse {
                    partition_index: asked.partition_index,
                    error_code: match found {
                        Some(_) => ErrorCode::None,
                        None => ErrorCode::UnknownTopicOrPartition,
                    },
                    offset: found.unwrap_or(-1),
                    ..Default::default()
                }
            })
            .collect(),
    });
    ListOffsetsResponse { topics: responses.collect(), ..Default::default() }
}
