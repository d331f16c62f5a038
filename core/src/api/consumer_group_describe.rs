//! ConsumerGroupDescribe (KIP-848).

use std::rc::Rc;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    AUTHORIZED_OPERATIONS_NOT_ASKED, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse,
    DescribedConsumerAssignment, DescribedConsumerGroup, DescribedConsumerGroupMember,
};

use super::authorized::GROUP_OPERATIONS;
use crate::shard::Shard;

/// Texts and partitions in one answer; a group that is asked about beyond it is refused, lest a request that
/// names a large group very often takes all memory.
const ANSWERED_BYTES_MAX: usize = 64 << 20;

/// Answers when all coordinators have.
pub async fn answer(
    shard: Rc<Shard>,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let mut groups = Vec::with_capacity(request.group_ids.len());
    let mut answered_bytes = 0;
    for id in request.group_ids {
        let mut group = match answered_bytes < ANSWERED_BYTES_MAX {
            true => describe(&shard, id).await,
            false => too_much(id),
        };
        answered_bytes += bytes(&group);
        group.authorized_operations =
            match request.include_authorized_operations && group.error_code.is_none() {
                true => GROUP_OPERATIONS,
                false => AUTHORIZED_OPERATIONS_NOT_ASKED,
            };
        groups.push(group);
    }
    ConsumerGroupDescribeResponse { groups, ..Default::default() }
}

fn bytes(group: &DescribedConsumerGroup) -> usize {
    let of_assignment = |assignment: &DescribedConsumerAssignment| {
        let topics = assignment.topic_partitions.iter();
        topics.map(|topic| 80 + topic.topic_name.len() + 4 * topic.partitions.len()).sum::<usize>()
    };
    let of_member = |member: &DescribedConsumerGroupMember| {
        let names = member.subscribed_topic_names.iter();
        size_of::<DescribedConsumerGroupMember>()
            + member.member_id.len()
            + member.subscribed_topic_regex.as_ref().map_or(0, |regex| regex.len())
            + names.map(|name| size_of::<Str>() + name.len()).sum::<usize>()
            + of_assignment(&member.assignment)
            + of_assignment(&member.target_assignment)
    };
    size_of::<DescribedConsumerGroup>() + group.members.iter().map(of_member).sum::<usize>()
}

fn too_much(group_id: Str) -> DescribedConsumerGroup {
    let words = "The answer has too many members; ask about fewer groups at once.";
    DescribedConsumerGroup {
        error_code: ErrorCode::PolicyViolation,
        error_message: Some(Str::from_static(words)),
        group_id,
        ..Default::default()
    }
}

async fn describe(shard: &Rc<Shard>, group_id: Str) -> DescribedConsumerGroup {
    let refused = |error_code, error_message| DescribedConsumerGroup {
        error_code,
        error_message,
        group_id: group_id.clone(),
        ..Default::default()
    };
    if group_id.is_empty() {
        return refused(ErrorCode::InvalidGroupId, None);
    }
    let id = group_id.clone();
    let found = shard.ask_group(&group_id, move |groups, turn| groups.describe_consumer(&id, turn));
    match found.await {
        Ok(Ok(group)) => group,
        Ok(Err(refusal)) => refused(refusal.code, Some(Str::from(refusal.message))),
        Err(error_code) => refused(error_code, None),
    }
}
