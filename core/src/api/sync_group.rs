//! SyncGroup: answered when the leader has brought the shares, and they are durable.

use std::rc::Rc;

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{SyncGroupRequest, SyncGroupResponse};

use crate::group::classic::sync_refusal;
use crate::shard::Shard;

/// From this version on a member says which protocol it speaks (KIP-559).
const PROTOCOL_SINCE: i16 = 5;

/// Answers when the coordinator does.
pub async fn answer(
    shard: Rc<Shard>,
    request: SyncGroupRequest,
    version: i16,
) -> SyncGroupResponse {
    if request.group_id.is_empty() {
        return sync_refusal(ErrorCode::InvalidGroupId);
    }
    let says_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    if version >= PROTOCOL_SINCE && !says_protocol {
        return sync_refusal(ErrorCode::InconsistentGroupProtocol);
    }
    shard.sync_group(request).await.unwrap_or_else(|code| match code {
        // A client that is told that its group loads would wait; this one has to join anew.
        ErrorCode::CoordinatorLoadInProgress => sync_refusal(ErrorCode::RebalanceInProgress),
        code => sync_refusal(code),
    })
}
