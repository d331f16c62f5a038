//! Fetch: the connection's shard owns it. It asks the owners of the partitions for plans (no byte is
//! read), waits if they hold too little, shares out `max_bytes` in the order of the session or of
//! the request, loads what it sends, and answers.
//!
//! - `plan.rs`: the owners' plans, and waiting until they are worth an answer
//! - `share.rs`: who gets how many bytes: a pure function
//! - `load.rs`: what is sent, brought into memory
//! - `respond.rs`: the answer, and what of it a session need not be told

mod load;
mod plan;
mod respond;
pub(super) mod share;

use std::rc::Rc;

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{FetchRequest, FetchResponse};
use corelane_storage::runtime::Runtime;

use crate::fetch_session::{Asked, Asking, SessionError};
use crate::metrics::stages::Stage;
use crate::partition::PartitionError;
use crate::shard::moves::Locality;
use crate::shard::pauses::Pauses;
use crate::shard::turns::Turn;
use crate::shard::{ListenerId, Shard};

/// `isolation_level`: everything below the high watermark.
const READ_UNCOMMITTED: i8 = 0;
/// `isolation_level`: everything below the last stable offset.
const READ_COMMITTED: i8 = 1;

/// The connection that a fetch came by.
pub struct Connection {
    /// Its listener.
    pub listener: ListenerId,
    /// Is told what it asks for.
    pub locality: Rc<Locality>,
    /// This fetch's turn among its own.
    pub turn: Turn,
}

/// Partitions of a request or an answer that are gone through in one step.
const ASKED_AT_ONCE: usize = 256;

/// Answers when there is enough to send, when the client has waited long enough, or at once if
/// something is wrong with one of the partitions.
pub async fn answer(
    shard: Rc<Shard>,
    connection: Connection,
    request: FetchRequest,
    version: i16,
) -> FetchResponse {
    let Connection { listener, locality, mut turn } = connection;
    let deadline = shard.deadline(request.max_wait_ms);
    turn.come().await;
    let by_id = version >= 13;
    if let Some(refused) = refused(&request) {
        return refused;
    }
    close_elsewhere(&shard, &request).await;
    let asked = asked(&shard, &request, by_id).await;
    let now = shard.runtime.monotonic();
    let begun = shard.fetch_sessions.borrow_mut().begin(&request, asked, by_id, now);
    let begun = match begun {
        Ok(begun) => begun,
        Err(error) => {
            return FetchResponse { error_code: session_code(error), ..Default::default() };
        }
    };
    let mut fetch = plan::Fetch::new(&shard, &request, &begun.asked).await;
    let plans = fetch.wait_for_plans(request.min_bytes, deadline).await;
    let asked = fetch.wants.iter().zip(&plans);
    let asked = asked.map(|(want, plan)| (shard.owner(want.partition), plan::bytes(plan)));
    locality.fetches(&shard, asked);
    let mut watch = shard.stopwatch();
    let loaded = load::load(fetch, plans, turn).await;
    shard.lap(&mut watch, Stage::Read);
    let read_committed = request.isolation_level == READ_COMMITTED;
    let answered =
        respond::Answered { shard: &shard, listener, begun, loaded, read_committed, version };
    let response = answered.response().await;
    locality.uses_session(response.session_id);
    response
}

/// True if anything is sent but words.
pub fn has_records(response: &FetchResponse) -> bool {
    let mut partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.any(|data| data.records.as_ref().is_some_and(|records| !records.is_empty()))
}

/// The partitions that the request names, each once.
async fn asked(shard: &Shard, request: &FetchRequest, by_id: bool) -> Vec<Asked> {
    let mut pauses = Pauses::new(&shard.runtime);
    let mut asking = Asking::new(&request.topics, by_id);
    for topic in &request.topics {
        let key = asking.topic(topic);
        pauses.after(1).await;
        for some in topic.partitions.chunks(ASKED_AT_ONCE) {
            asking.partitions(&key, some);
            pauses.after_cheap(2 * some.len()).await;
        }
    }
    asking.asked()
}

/// The answer to a request that is refused as a whole.
fn refused(request: &FetchRequest) -> Option<FetchResponse> {
    if !matches!(request.isolation_level, READ_UNCOMMITTED | READ_COMMITTED) {
        let error_code = ErrorCode::UnknownServerError;
        let refused = respond::refused(request, error_code);
        return Some(FetchResponse { error_code, ..refused });
    }
    let replica_id = request.replica_id.max(request.replica_state.replica_id);
    (replica_id >= 0).then(|| respond::refused(request, ErrorCode::NotLeaderOrFollower))
}

/// Ends the session of a client that has reconnected and come to another shard.
async fn close_elsewhere(shard: &Rc<Shard>, request: &FetchRequest) {
    let owner = shard.fetch_sessions.borrow().elsewhere(request);
    if let Some(owner) = owner {
        let id = request.session_id;
        // If that shard does not answer, its sessions are of no use either.
        let _ = shard.call(owner, move |shard| shard.fetch_sessions.borrow_mut().close(id)).await;
    }
}

fn session_code(error: SessionError) -> ErrorCode {
    match error {
        SessionError::NotFound => ErrorCode::FetchSessionIdNotFound,
        SessionError::InvalidEpoch => ErrorCode::InvalidFetchSessionEpoch,
        SessionError::TopicIds => ErrorCode::FetchSessionTopicIdError,
    }
}

/// Why a partition has no plan.
enum Refusal {
    /// There is no such partition, as far as the catalog knows.
    Unknown(PartitionError),
    /// Its owner, or this shard in its place, says no.
    Refused(PartitionError),
}
