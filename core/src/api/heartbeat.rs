//! Heartbeat.

use std::rc::Rc;

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{HeartbeatRequest, HeartbeatResponse};

use crate::shard::Shard;

/// Answers when the coordinator has heard it.
pub async fn answer(shard: Rc<Shard>, request: HeartbeatRequest) -> HeartbeatResponse {
    let error_code = if request.group_id.is_empty() {
        ErrorCode::InvalidGroupId
    } else {
        let group = request.group_id.clone();
        let beat = shard.ask_group(&group, move |groups, turn| groups.heartbeat(&request, turn));
        match beat.await {
            Ok(code) => code,
            // The member's session begins when its group is loaded: all is well.
            Err(ErrorCode::CoordinatorLoadInProgress) => ErrorCode::None,
            Err(code) => code,
        }
    };
    HeartbeatResponse { error_code, ..Default::default() }
}
