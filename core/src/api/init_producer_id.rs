//! InitProducerId without transactions: a fresh id, epoch 0.

use std::ops::RangeInclusive;
use std::rc::Rc;

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::errors;
use crate::shard::Shard;

/// What Kafka takes; the longest is `transaction.max.timeout.ms`.
const TRANSACTION_TIMEOUTS_MS: RangeInclusive<i32> = 1..=900_000;

/// Answers when the id is the producer's alone, for ever.
///
/// A transactional id gets TRANSACTIONAL_ID_AUTHORIZATION_FAILED (53): of the codes that this API
/// may answer it is the one that every client library treats as fatal at once.
///
/// A producer that has an id and asks to have its epoch raised (KIP-360) gets a fresh id: its
/// sequences start again either way, and the old id is never given to another.
pub async fn answer(shard: Rc<Shard>, request: InitProducerIdRequest) -> InitProducerIdResponse {
    let refused = |error_code| InitProducerIdResponse {
        error_code,
        producer_epoch: -1,
        ..Default::default()
    };
    if let Some(code) = refusal(&request) {
        return refused(code);
    }
    match shard.next_producer_id().await {
        Ok(producer_id) => {
            InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() }
        }
        Err(error) => {
            tracing::error!(%error, "no producer id");
            refused(errors::producer_id_code(&error))
        }
    }
}

/// Why there is no id, in the order in which Kafka looks.
pub(super) fn refusal(request: &InitProducerIdRequest) -> Option<ErrorCode> {
    // One comes from an earlier answer, and so does the other.
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return Some(ErrorCode::InvalidRequest);
    }
    let transactional_id = request.transactional_id.as_deref()?;
    Some(if transactional_id.is_empty() {
        ErrorCode::InvalidRequest
    } else if !TRANSACTION_TIMEOUTS_MS.contains(&request.transaction_timeout_ms) {
        ErrorCode::InvalidTransactionTimeout
    } else {
        ErrorCode::TransactionalIdAuthorizationFailed
    })
}
