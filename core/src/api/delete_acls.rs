//! DeleteAcls: refused, as there is no authorizer that would have rules.

use corelane_net::messages::{DeleteAclsFilterResult, DeleteAclsRequest, DeleteAclsResponse};

use super::authorized::{NO_AUTHORIZER, NO_AUTHORIZER_CODE};

/// Answers at once.
pub fn answer(request: DeleteAclsRequest) -> DeleteAclsResponse {
    let refused = DeleteAclsFilterResult {
        error_code: NO_AUTHORIZER_CODE,
        error_message: Some(NO_AUTHORIZER),
        ..Default::default()
    };
    DeleteAclsResponse {
        filter_results: vec![refused; request.filters.len()],
        ..Default::default()
    }
}
