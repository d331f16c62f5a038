//! InitProducerId (KIP-98, KIP-360, KIP-588, KIP-890, KIP-939).

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// Asks for a producer id.
    pub struct InitProducerIdRequest {
        /// The transactional id, or null outside transactions.
        transactional_id: Option<Str> [0.., null 0..];
        /// Milliseconds after which an idle transaction is aborted.
        transaction_timeout_ms: i32 [0..];
        /// The producer id held so far, or -1.
        producer_id: i64 [3..] = -1;
        /// The epoch held so far, or -1.
        producer_epoch: i16 [3..] = -1;
        /// The client wants two-phase commit.
        enable_2_pc: bool [6..];
        /// The client wants to keep its prepared transaction.
        keep_prepared_txn: bool [6..];
    }

    /// A producer id.
    pub struct InitProducerIdResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// The error.
        error_code: ErrorCode [0..];
        /// The producer id, or -1.
        producer_id: i64 [0..] = -1;
        /// Its epoch.
        producer_epoch: i16 [0..];
        /// The producer id of the transaction kept, or -1.
        ongoing_txn_producer_id: i64 [6..] = -1;
        /// Its epoch, or -1.
        ongoing_txn_producer_epoch: i16 [6..] = -1;
    }
}
