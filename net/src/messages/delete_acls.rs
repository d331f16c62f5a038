//! DeleteAcls (KIP-140, KIP-290).

use super::LITERAL_PATTERN_TYPE;
use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// Access rules to delete.
    pub struct DeleteAclsRequest {
        /// The filters; what matches one of them is deleted.
        filters: Vec<DeleteAclsFilter> [0..];
    }

    /// Which rules to delete. Fields that are null match anything.
    pub struct DeleteAclsFilter {
        /// What the rule is about.
        resource_type_filter: i8 [0..];
        /// The resource's name.
        resource_name_filter: Option<Str> [0.., null 0..];
        /// How the rule names its resources.
        pattern_type_filter: i8 [1..] = LITERAL_PATTERN_TYPE;
        /// Whom the rule is about.
        principal_filter: Option<Str> [0.., null 0..];
        /// The host that the client comes from.
        host_filter: Option<Str> [0.., null 0..];
        /// What is done.
        operation: i8 [0..];
        /// Whether it is allowed or denied.
        permission_type: i8 [0..];
    }

    /// What became of each filter.
    pub struct DeleteAclsResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// The filters, in the order of the request.
        filter_results: Vec<DeleteAclsFilterResult> [0..];
    }

    /// What became of a filter.
    pub struct DeleteAclsFilterResult {
        /// The filter's error.
        error_code: ErrorCode [0..];
        /// The error in words.
        error_message: Option<Str> [0.., null 0..];
        /// The rules that matched.
        matching_acls: Vec<DeleteAclsMatchingAcl> [0..];
    }

    /// A rule that matched.
    pub struct DeleteAclsMatchingAcl {
        /// Why it was not deleted.
        error_code: ErrorCode [0..];
        /// The same in words.
        error_message: Option<Str> [0.., null 0..];
        /// What it was about.
        resource_type: i8 [0..];
        /// The resource's name, or a prefix.
        resource_name: Str [0..];
        /// Which of the two.
        pattern_type: i8 [1..] = LITERAL_PATTERN_TYPE;
        /// Whom it was about.
        principal: Str [0..];
        /// The host that the client comes from.
        host: Str [0..];
        /// What is done.
        operation: i8 [0..];
        /// Whether it was allowed or denied.
        permission_type: i8 [0..];
    }
}
