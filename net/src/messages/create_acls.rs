//! CreateAcls (KIP-140, KIP-290).

use super::LITERAL_PATTERN_TYPE;
use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// Access rules to create.
    pub struct CreateAclsRequest {
        /// The rules.
        creations: Vec<AclCreation> [0..];
    }

    /// A rule to create.
    pub struct AclCreation {
        /// What it is about.
        resource_type: i8 [0..];
        /// The resource's name, or a prefix.
        resource_name: Str [0..];
        /// Which of the two.
        resource_pattern_type: i8 [1..] = LITERAL_PATTERN_TYPE;
        /// Whom it is about.
        principal: Str [0..];
        /// The host that the client comes from.
        host: Str [0..];
        /// What is done.
        operation: i8 [0..];
        /// Whether it is allowed or denied.
        permission_type: i8 [0..];
    }

    /// What became of each rule.
    pub struct CreateAclsResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// The rules, in the order of the request.
        results: Vec<AclCreationResult> [0..];
    }

    /// What became of a rule.
    pub struct AclCreationResult {
        /// Its error.
        error_code: ErrorCode [0..];
        /// What is wrong.
        error_message: Option<Str> [0.., null 0..];
    }
}
