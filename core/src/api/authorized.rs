//! What a client may do, for those that ask (KIP-430): everything, as there is no authorizer.
//!
//! A bit for each operation, by its number in `AclOperation`; only those that make sense for the
//! resource are set.

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::AUTHORIZED_OPERATIONS_NOT_ASKED;

const READ: i32 = 1 << 3;
const WRITE: i32 = 1 << 4;
const CREATE: i32 = 1 << 5;
const DELETE: i32 = 1 << 6;
const ALTER: i32 = 1 << 7;
const DESCRIBE: i32 = 1 << 8;
const CLUSTER_ACTION: i32 = 1 << 9;
const DESCRIBE_CONFIGS: i32 = 1 << 10;
const ALTER_CONFIGS: i32 = 1 << 11;
const IDEMPOTENT_WRITE: i32 = 1 << 12;

/// Of a topic.
pub const TOPIC_OPERATIONS: i32 =
    READ | WRITE | CREATE | DELETE | ALTER | DESCRIBE | DESCRIBE_CONFIGS | ALTER_CONFIGS;

/// Of the cluster.
pub const CLUSTER_OPERATIONS: i32 = CREATE
    | ALTER
    | DESCRIBE
    | CLUSTER_ACTION
    | DESCRIBE_CONFIGS
    | ALTER_CONFIGS
    | IDEMPOTENT_WRITE;

const GROUP_OPERATIONS: i32 = READ | DELETE | DESCRIBE | DESCRIBE_CONFIGS | ALTER_CONFIGS;

/// Of a group, if they are to be told.
pub fn of_group(is_told: bool) -> i32 {
    if is_told { GROUP_OPERATIONS } else { AUTHORIZED_OPERATIONS_NOT_ASKED }
}

/// What everything about access rules is answered with.
pub const NO_AUTHORIZER_CODE: ErrorCode = ErrorCode::SecurityDisabled;
/// The same in words, for who would change them.
pub const NO_AUTHORIZER: Str = Str::from_static("No Authorizer is configured.");
