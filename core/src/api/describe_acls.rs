//! DescribeAcls: there is no authorizer, so there are no rules to describe.

use corelane_net::codec::Str;
use corelane_net::messages::{DescribeAclsRequest, DescribeAclsResponse};

use super::authorized::NO_AUTHORIZER_CODE;

/// Answers at once.
pub fn answer(_: DescribeAclsRequest) -> DescribeAclsResponse {
    DescribeAclsResponse {
        error_code: NO_AUTHORIZER_CODE,
        error_message: Some(Str::from_static("No Authorizer is configured on the broker")),
        ..Default::default()
    }
}
