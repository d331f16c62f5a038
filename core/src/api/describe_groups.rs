//! DescribeGroups.

use std::rc::Rc;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};

use super::authorized;
use crate::shard::Shard;

/// First version in which an unknown group is an error (KIP-1043).
const NOT_FOUND_SINCE: i16 = 6;

/// Texts and shares in one answer; a group that is asked about beyond it is refused, lest a request that
/// names a large group very often takes all memory.
pub(super) const ANSWERED_BYTES_MAX: usize = 64 << 20;

/// What a group beyond it is refused with.
pub(super) const TOO_MANY_MEMBERS: Str =
    Str::from_static("The answer has too many members; ask about fewer groups at once.");

/// Answers when all coordinators have.
pub async fn answer(
    shard: Rc<Shard>,
    request: DescribeGroupsRequest,
    version: i16,
) -> DescribeGroupsResponse {
    let mut groups = Vec::with_capacity(request.groups.len());
    let mut answered_bytes = 0;
    for id in request.groups {
        let mut group = match answered_bytes < ANSWERED_BYTES_MAX {
            true => describe(&shard, id, version).await,
            false => too_much(id),
        };
        answered_bytes += bytes(&group);
        let is_told = request.include_authorized_operations && group.error_code.is_none();
        group.authorized_operations = authorized::of_group(is_told);
        groups.push(group);
    }
    DescribeGroupsResponse { groups, ..Default::default() }
}

fn bytes(group: &DescribedGroup) -> usize {
    let of_member = |member: &DescribedGroupMember| {
        let texts = [&member.member_id, &member.client_id, &member.client_host];
        texts.map(|text| text.len()).iter().sum::<usize>()
            + size_of::<DescribedGroupMember>()
            + member.group_instance_id.as_ref().map_or(0, |name| name.len())
            + member.member_metadata.len()
            + member.member_assignment.len()
    };
    size_of::<DescribedGroup>() + group.members.iter().map(of_member).sum::<usize>()
}

fn too_much(group_id: Str) -> DescribedGroup {
    DescribedGroup {
        error_code: ErrorCode::PolicyViolation,
        error_message: Some(TOO_MANY_MEMBERS),
        group_id,
        ..Default::default()
    }
}

async fn describe(shard: &Rc<Shard>, group_id: Str, version: i16) -> DescribedGroup {
    let id = group_id.clone();
    let found = shard.ask_group(&group_id, move |groups, _| {
        groups.describe(&id).ok_or_else(|| groups.has_group(&id))
    });
    match found.await {
        Ok(Ok(group)) => group,
        Ok(Err(is_other)) => {
            let is_error = version >= NOT_FOUND_SINCE;
            let words = Str::from(match is_other {
                true => format!("Group {group_id} is not a classic group."),
                false => format!("Group {group_id} not found."),
            });
            DescribedGroup {
                error_code: if is_error { ErrorCode::GroupIdNotFound } else { ErrorCode::None },
                error_message: is_error.then_some(words),
                group_id,
                group_state: Str::from_static("Dead"),
                ..Default::default()
            }
        }
        Err(error_code) => DescribedGroup { error_code, group_id, ..Default::default() },
    }
}
