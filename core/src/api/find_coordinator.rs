//! FindCoordinator, before there are consumer groups and transactions: a clear refusal.
//!
//! It is advertised all the same, because librdkafka compresses with lz4 only for a broker that
//! has it (`rdkafka_feature.c`), and would send uncompressed without a word. Groups get
//! COORDINATOR_NOT_AVAILABLE: librdkafka asks for the coordinator as soon as `group.id` is set, also
//! for consumers that assign their partitions themselves, and anything final would end those.
//! Transactional ids get TRANSACTIONAL_ID_AUTHORIZATION_FAILED, at which every client gives up at once.

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse, TRANSACTION_KEY_TYPE,
};

/// Answers at once.
pub fn answer(request: FindCoordinatorRequest, version: i16) -> FindCoordinatorResponse {
    let (error_code, reason) = if request.key_type == TRANSACTION_KEY_TYPE {
        (ErrorCode::TransactionalIdAuthorizationFailed, "transactions are not supported yet")
    } else {
        (ErrorCode::CoordinatorNotAvailable, "groups are not supported yet: assign partitions")
    };
    let error_message = Some(Str::from(reason));
    if version < 4 {
        return FindCoordinatorResponse {
            error_code,
            error_message,
            node_id: -1,
            port: -1,
            ..Default::default()
        };
    }
    let refused = |key| Coordinator {
        key,
        node_id: -1,
        host: Str::EMPTY,
        port: -1,
        error_code,
        error_message: error_message.clone(),
    };
    let coordinators = request.coordinator_keys.into_iter().map(refused).collect();
    FindCoordinatorResponse { coordinators, ..Default::default() }
}
