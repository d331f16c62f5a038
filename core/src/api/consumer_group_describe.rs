//! ConsumerGroupDescribe (KIP-848).

use std::rc::Rc;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedConsumerAssignment,
    DescribedConsumerGroup, DescribedConsumerGroupMember,
};

use super::authorized;
use super::describe_groups::{ANSWERED_BYTES_MAX, TOO_MANY_MEMBERS};
use crate::shard::Shard;

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
        let is_told = request.include_authorized_operations && group.error_code.is_none();
        group.authorized_operations = authorized::of_group(is_told);
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
    DescribedConsumerGroup {
        error_code: ErrorCode::PolicyViolation,
        error_message: Some(TOO_MANY_MEMBERS),
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
