//! LeaveGroup.

use std::rc::Rc;

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity};

use crate::shard::Shard;

/// First version in which several members leave at once (KIP-345).
const MEMBERS_SINCE: i16 = 3;

/// Answers when the members are out, and that is durable.
pub async fn answer(
    shard: Rc<Shard>,
    mut request: LeaveGroupRequest,
    version: i16,
) -> LeaveGroupResponse {
    let refused = |error_code| LeaveGroupResponse { error_code, ..Default::default() };
    if request.group_id.is_empty() {
        return refused(ErrorCode::InvalidGroupId);
    }
    if version < MEMBERS_SINCE {
        let member_id = std::mem::take(&mut request.member_id);
        request.members = vec![MemberIdentity { member_id, ..Default::default() }];
    }
    let group = request.group_id.clone();
    let left = shard.change_group(&group, move |groups, turn| groups.leave(&request, turn));
    let mut response = left.await.unwrap_or_else(refused);
    if version < MEMBERS_SINCE
        && let Some(member) = response.members.first()
    {
        response.error_code = member.error_code;
    }
    response
}
