//! ConsumerGroupDescribe (KIP-848).

use std::rc::Rc;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    AUTHORIZED_OPERATIONS_NOT_ASKED, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse,
    DescribedConsumerGroup,
};

use super::authorized::GROUP_OPERATIONS;
use crate::shard::Shard;

/// Answers when all coordinators have.
pub async fn answer(
    shard: Rc<Shard>,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let mut groups = Vec::with_capacity(request.group_ids.len());
    for id in request.group_ids {
        let mut group = describe(&shard, id).await;
        group.authorized_operations =
            match request.include_authorized_operations && group.error_code.is_none() {
                true => GROUP_OPERATIONS,
                false => AUTHORIZED_OPERATIONS_NOT_ASKED,
            };
        groups.push(group);
    }
    ConsumerGroupDescribeResponse { groups, ..Default::default() }
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
