//! CreateAcls: refused, as there is no authorizer that would obey the rules.

use corelane_net::messages::{AclCreationResult, CreateAclsRequest, CreateAclsResponse};

use super::authorized::{NO_AUTHORIZER, NO_AUTHORIZER_CODE};

/// Answers at once.
pub fn answer(request: CreateAclsRequest) -> CreateAclsResponse {
    let refused =
        AclCreationResult { error_code: NO_AUTHORIZER_CODE, error_message: Some(NO_AUTHORIZER) };
    CreateAclsResponse { results: vec![refused; request.creations.len()], ..Default::default() }
}
