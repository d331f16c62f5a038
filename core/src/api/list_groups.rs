//! ListGroups.

use std::ops::ControlFlow;
use std::rc::Rc;

use corelane_net::codec::Str;
use corelane_net::messages::{ListGroupsRequest, ListGroupsResponse, ListedGroup};

use crate::shard::Shard;

/// Groups of one coordinator, and the last one that was looked at.
type Found = (Vec<ListedGroup>, Option<Str>);

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
    let listed = shard.read_all_groups(move |groups, (found, after): &mut Found| {
        let some = groups.list(after.as_ref());
        let Some(last) = some.last() else { return ControlFlow::Break(()) };
        *after = Some(last.group_id.clone());
        found.extend(some.into_iter().filter(|group| is_wanted(group)));
        ControlFlow::Continue(())
    });
    match listed.await {
        Ok(groups) => {
            let mut groups: Vec<ListedGroup> =
                groups.into_iter().flat_map(|(found, _)| found).collect();
            groups.sort_unstable_by(|a, b| a.group_id.cmp(&b.group_id));
            ListGroupsResponse { groups, ..Default::default() }
        }
        Err(error_code) => ListGroupsResponse { error_code, ..Default::default() },
    }
}
