//! FindCoordinator: this broker, for every group; or the shard that owns it, where each is one. The first one that asks makes the topic in which
//! groups are kept.
//!
//! Transactional ids get TRANSACTIONAL_ID_AUTHORIZATION_FAILED, at which every client gives up at once.

use std::rc::Rc;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse, GROUP_KEY_TYPE,
    TRANSACTION_KEY_TYPE,
};

use crate::shard::{ListenerId, Shard};

/// First version that asks for several keys.
const KEYS_SINCE: i16 = 4;

/// Answers when the topic of groups is there.
pub async fn answer(
    shard: Rc<Shard>,
    listener: ListenerId,
    request: FindCoordinatorRequest,
    version: i16,
) -> FindCoordinatorResponse {
    let found = find(&shard, request.key_type).await;
    let told = |key| told(&shard, listener, key, &found, version);
    if version >= KEYS_SINCE {
        let coordinators = request.coordinator_keys.into_iter().map(told).collect();
        return FindCoordinatorResponse { coordinators, ..Default::default() };
    }
    let Coordinator { node_id, host, port, error_code, error_message, .. } = told(request.key);
    FindCoordinatorResponse { node_id, host, port, error_code, error_message, ..Default::default() }
}

type Found = Result<(), (ErrorCode, Str)>;

async fn find(shard: &Rc<Shard>, key_type: i8) -> Found {
    let refused = |code, words: &'static str| Err((code, Str::from_static(words)));
    match key_type {
        GROUP_KEY_TYPE => shard.ensure_offsets_topic().await.map_err(|error| {
            tracing::warn!(%error, "there is no topic for groups");
            (ErrorCode::CoordinatorNotAvailable, Str::from_static(NOT_AVAILABLE))
        }),
        TRANSACTION_KEY_TYPE => refused(
            ErrorCode::TransactionalIdAuthorizationFailed,
            "transactions are not supported yet",
        ),
        _ => refused(ErrorCode::InvalidRequest, MALFORMED),
    }
}

const NOT_AVAILABLE: &str = "The coordinator is not available.";
const MALFORMED: &str = "This most likely occurs because of a request being malformed by the \
    client library or the message was sent to an incompatible broker. See the broker logs for \
    more details.";

fn told(shard: &Shard, listener: ListenerId, key: Str, found: &Found, version: i16) -> Coordinator {
    match found {
        Ok(()) => {
            let broker = &shard.broker;
            // Without a partition there is no group of this id, and any broker can say so.
            let owner = shard.group_partition(&key);
            let node = owner.map_or(broker.nodes.controller(), |owner| broker.nodes.leader(owner));
            let advertised = broker.advertised(listener, node);
            Coordinator {
                key,
                node_id: node.id,
                host: Str::from(&*advertised.host),
                port: i32::from(advertised.port),
                error_code: ErrorCode::None,
                // Kafka's words for no error, in the versions that have them.
                error_message: Some(match version {
                    KEYS_SINCE.. => Str::EMPTY,
                    _ => Str::from_static("NONE"),
                }),
            }
        }
        Err((error_code, words)) => Coordinator {
            key,
            node_id: -1,
            host: Str::EMPTY,
            port: -1,
            error_code: *error_code,
            error_message: Some(words.clone()),
        },
    }
}
