//! DeleteGroups (KIP-229).

use std::collections::HashSet;
use std::rc::Rc;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse};

use crate::shard::Shard;

/// Answers when each group is gone for good, or refused. A group that is named twice is answered once.
pub async fn answer(shard: Rc<Shard>, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    let mut named = HashSet::new();
    for group_id in request.groups_names {
        if !named.insert(group_id.clone()) {
            continue;
        }
        let error_code = delete(&shard, &group_id).await;
        results.push(DeletableGroupResult { group_id, error_code, ..Default::default() });
    }
    DeleteGroupsResponse { results, ..Default::default() }
}

async fn delete(shard: &Rc<Shard>, group: &Str) -> ErrorCode {
    let (id, mut place) = (group.clone(), None);
    let deleted = shard
        .change_group_in_steps(group, move |groups, turn| groups.delete(&id, &mut place, turn));
    match deleted.await {
        Ok(Ok(())) => ErrorCode::None,
        Ok(Err(code)) | Err(code) => code,
    }
}
