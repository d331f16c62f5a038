//! ConsumerGroupHeartbeat (KIP-848): answered when it is known what the member is to own, and that is durable.

use std::io;
use std::rc::Rc;

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use crate::group::consumer::{BadPattern, Pattern, Refusal};
use crate::group::coordinator::{BeatContext, JoinContext};
use crate::shard::Shard;

/// Answers when the coordinator does.
pub async fn answer(
    shard: Rc<Shard>,
    request: ConsumerGroupHeartbeatRequest,
    context: Result<JoinContext, getrandom::Error>,
) -> ConsumerGroupHeartbeatResponse {
    beat(&shard, request, context).await.unwrap_or_else(|refusal| refusal.to_heartbeat())
}

async fn beat(
    shard: &Rc<Shard>,
    request: ConsumerGroupHeartbeatRequest,
    context: Result<JoinContext, getrandom::Error>,
) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
    if request.group_id.is_empty() {
        return Err(Refusal::new(ErrorCode::InvalidRequest, "GroupId can't be empty."));
    }
    let plain = |code: ErrorCode| {
        Refusal::new(code, format!("The group's coordinator does not answer: {code:?}."))
    };
    let context = context.map_err(|_| plain(ErrorCode::UnknownServerError))?;
    let context = BeatContext {
        version: context.version,
        client_id: context.client_id,
        client_host: context.client_host,
        unique_id: context.unique_id,
        pattern: compile(shard, &request).await?,
    };
    shard.beat_group(request, context).await.map_err(plain)
}

/// Compiles the pattern, off the shard: that may take milliseconds.
async fn compile(
    shard: &Rc<Shard>,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<Option<Pattern>, Refusal> {
    let Some(text) = request.subscribed_topic_regex.clone().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let compiling = text.clone();
    let compiled = shard
        .runtime
        .blocking_io(move || Ok::<Result<Pattern, BadPattern>, io::Error>(Pattern::new(&compiling)))
        .await;
    let compiled =
        compiled.map_err(|error| Refusal::new(ErrorCode::UnknownServerError, error.to_string()))?;
    compiled.map(Some).map_err(|error| {
        let words =
            format!("SubscribedTopicRegex `{text}` is not a valid regular expression: {error}.");
        Refusal::new(ErrorCode::InvalidRegularExpression, words)
    })
}
