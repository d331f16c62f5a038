//! JoinGroup: answered when the rebalance that it begins, or takes part in, has its members.

use std::rc::Rc;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{JoinGroupRequest, JoinGroupResponse};
use corelane_net::service::RequestContext;

use crate::group::classic::join_refusal;
use crate::group::coordinator::JoinContext;
use crate::shard::Shard;

/// First version in which a member says how long it may take to join again.
const REBALANCE_TIMEOUT_SINCE: i16 = 1;
/// First version in which the protocol may be null.
const NULL_PROTOCOL_SINCE: i16 = 7;

/// What the coordinator has to know of the sender.
pub fn context(context: &RequestContext) -> Result<JoinContext, getrandom::Error> {
    Ok(JoinContext {
        version: context.version,
        client_id: context.client_id.clone().unwrap_or_default(),
        // As Java writes an address without a name.
        client_host: Str::from(format!("/{}", context.peer.ip().to_canonical())),
        unique_id: unique_id()?,
    })
}

/// Answers when the coordinator does.
pub async fn answer(
    shard: Rc<Shard>,
    request: JoinGroupRequest,
    context: Result<JoinContext, getrandom::Error>,
    version: i16,
) -> JoinGroupResponse {
    let member_id = request.member_id.clone();
    let joined = join(&shard, request, context, version).await;
    let mut response = joined.unwrap_or_else(|code| join_refusal(&member_id, code));
    if version < NULL_PROTOCOL_SINCE {
        response.protocol_name.get_or_insert_default();
    }
    response
}

async fn join(
    shard: &Rc<Shard>,
    mut request: JoinGroupRequest,
    context: Result<JoinContext, getrandom::Error>,
    version: i16,
) -> Result<JoinGroupResponse, ErrorCode> {
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    if version < REBALANCE_TIMEOUT_SINCE {
        request.rebalance_timeout_ms = request.session_timeout_ms;
    }
    let context = context.map_err(|_| ErrorCode::UnknownServerError)?;
    shard.join_group(request, context).await
}

/// A random UUID (version 4) in text.
fn unique_id() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    Ok(parts.join("-"))
}
