//! ListGroups.

use std::rc::Rc;

use corelane_net::codec::Str;
use corelane_net::messages::{ListGroupsRequest, ListGroupsResponse, ListedGroup};

use crate::shard::Shard;

/// Answers when all coordinators have.
pub async fn answer(shard: Rc<Shard>, request: ListGroupsRequest) -> ListGroupsResponse {
    let lower = |texts: Vec<Str>| texts.iter().map(|t| t.to_lowercase()).collect::<Vec<_>>();
    let (states, types) = (lower(request.states_filter), lower(request.types_filter));
    let is_wanted = move |group: &ListedGroup| {
        let has = |wanted: &[String], text: &str| {
            wanted.is_empty() || wanted.iter().any(|one| *one == text.to_lowercase())
        };
        has(&states, &group.group_state) && has(&types, &group.group_type)
    };
    let listed = shard.ask_all_groups(move |groups| {
        groups.list().filter(|group| is_wanted(group)).collect::<Vec<_>>()
    });
    match listed.await {
        Ok(groups) => {
            let mut groups: Vec<ListedGroup> = groups.into_iter().flatten().collect();
            groups.sort_unstable_by(|a, b| a.group_id.cmp(&b.group_id));
            ListGroupsResponse { groups, ..Default::default() }
        }
        Err(error_code) => ListGroupsResponse { error_code, ..Default::default() },
    }
}
