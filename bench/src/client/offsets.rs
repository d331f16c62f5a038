//! Where partitions begin and end.

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    Api, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic, Response,
};

use super::control::{Control, refused};
use crate::error::BenchError;

/// The offset of each partition at a time, in the order asked for.
pub(crate) fn offsets(
    control: &mut Control,
    topic: &Str,
    indexes: &[i32],
    timestamp: i64,
) -> Result<Vec<i64>, BenchError> {
    let partition = |partition_index: &i32| ListOffsetsPartition {
        partition_index: *partition_index,
        timestamp,
        ..Default::default()
    };
    let request = ListOffsetsRequest {
        topics: vec![ListOffsetsTopic {
            name: topic.clone(),
            partitions: indexes.iter().map(partition).collect(),
        }],
        ..Default::default()
    };
    let Response::ListOffsets(response) = control.call(&request.into())? else {
        return Err(BenchError::Unsupported(Api::ListOffsets));
    };
    let answers = response.topics.iter().flat_map(|topic| &topic.partitions);
    let what = format!("finding the offsets of {topic}");
    let find = |index: &i32| {
        let answer = answers.clone().find(|answer| answer.partition_index == *index);
        let code = answer.map_or(ErrorCode::UnknownServerError, |answer| answer.error_code);
        match answer {
            Some(answer) if code.is_none() => Ok(answer.offset),
            _ => Err(refused(&what, code, None)),
        }
    };
    indexes.iter().map(find).collect()
}
