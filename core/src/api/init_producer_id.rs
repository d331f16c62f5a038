//! InitProducerId without transactions: a fresh id, epoch 0.

use std::rc::Rc;

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::errors;
use crate::shard::Shard;

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
    if request.transactional_id.is_some() {
        return refused(ErrorCode::TransactionalIdAuthorizationFailed);
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
