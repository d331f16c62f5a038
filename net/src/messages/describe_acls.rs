//! DescribeAcls (KIP-140, KIP-290).

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

/// `pattern_type` of a resource that is named in full.
pub const LITERAL_PATTERN_TYPE: i8 = 3;

message! {
    /// Asks for access rules. Fields of this filter that are null match anything.
    pub struct DescribeAclsRequest {
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

    /// The rules, by resource.
    pub struct DescribeAclsResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// The error.
        error_code: ErrorCode [0..];
        /// The error in words.
        error_message: Option<Str> [0.., null 0..];
        /// The resources.
        resources: Vec<DescribeAclsResource> [0..];
    }

    /// A resource's rules.
    pub struct DescribeAclsResource {
        /// What it is.
        resource_type: i8 [0..];
        /// Its name, or a prefix.
        resource_name: Str [0..];
        /// Which of the two.
        pattern_type: i8 [1..] = LITERAL_PATTERN_TYPE;
        /// The rules.
        acls: Vec<AclDescription> [0..];
    }

    /// A rule.
    pub struct AclDescription {
        /// Whom it is about.
        principal: Str [0..];
        /// The host that the client comes from.
        host: Str [0..];
        /// What is done.
        operation: i8 [0..];
        /// Whether it is allowed or denied.
        permission_type: i8 [0..];
    }
}
