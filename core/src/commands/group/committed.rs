//! Offsets that groups have committed.

use std::collections::BTreeMap;

use corelane_net::client::{ClientError, Cluster, Connection, Outcomes};
use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    Api, OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchResponse,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics, Response,
};

use super::Partition;
use super::ask::GROUPS_PER_REQUEST;

/// The last version that names topics: later ones can't tell of topics that are gone.
const NAMES_UP_TO: i16 = 9;

/// From this version on it takes several groups (KIP-709).
const GROUPS_SINCE: i16 = 8;

/// An offset, and the text that the client keeps with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Committed {
    pub(super) offset: i64,
    pub(super) metadata: String,
}

/// Those of one group.
pub(super) type OfGroup = BTreeMap<Partition, Committed>;

/// What each of these groups has committed; of a group that is not there, nothing.
pub(super) fn committed(
    cluster: &mut Cluster,
    groups: &[Str],
) -> Result<Outcomes<OfGroup>, ClientError> {
    cluster.ask_coordinators(groups, |connection, groups| {
        let version = connection.version_up_to(Api::OffsetFetch, NAMES_UP_TO)?;
        let at_once = if version < GROUPS_SINCE { 1 } else { GROUPS_PER_REQUEST };
        let mut outcomes = Outcomes::new();
        for names in groups.chunks(at_once) {
            outcomes.extend(fetch(connection, names, version)?);
        }
        Ok(outcomes)
    })
}

fn fetch(
    connection: &mut Connection,
    groups: &[Str],
    version: i16,
) -> Result<Outcomes<OfGroup>, ClientError> {
    let asked = |name: &Str| OffsetFetchRequestGroup {
        group_id: name.clone(),
        topics: None,
        ..Default::default()
    };
    let request = OffsetFetchRequest {
        group_id: groups.first().cloned().unwrap_or_default(),
        topics: None,
        groups: groups.iter().map(asked).collect(),
        ..Default::default()
    };
    let Response::OffsetFetch(response) = connection.call_up_to(NAMES_UP_TO, &request.into())?
    else {
        unreachable!("the API decides which response is decoded");
    };
    if version < GROUPS_SINCE {
        let name = groups.first().cloned().unwrap_or_default();
        let outcome = of_only_group(&name, response);
        return Ok(Outcomes::from([(name, outcome)]));
    }
    let told = response.groups.into_iter().map(|group| {
        let outcome = refusal(&group.group_id, group.error_code).and_then(|()| {
            let offsets = group.topics.into_iter().flat_map(offsets);
            collect(&group.group_id, offsets)
        });
        (group.group_id.detached(), outcome)
    });
    Ok(told.collect())
}

fn of_only_group(name: &Str, response: OffsetFetchResponse) -> Result<OfGroup, ClientError> {
    refusal(name, response.error_code)?;
    collect(name, response.topics.into_iter().flat_map(older_offsets))
}

struct Told {
    partition: Partition,
    code: ErrorCode,
    committed: Committed,
}

impl Told {
    fn new(partition: Partition, code: ErrorCode, offset: i64, metadata: Option<&str>) -> Told {
        let metadata = metadata.unwrap_or_default().to_owned();
        Told { partition, code, committed: Committed { offset, metadata } }
    }
}

fn offsets(topic: OffsetFetchResponseTopics) -> Vec<Told> {
    let name = topic.name.detached();
    let told = topic.partitions.into_iter().map(|p| {
        let partition = (name.clone(), p.partition_index);
        Told::new(partition, p.error_code, p.committed_offset, p.metadata.as_deref())
    });
    told.collect()
}

fn older_offsets(topic: OffsetFetchResponseTopic) -> Vec<Told> {
    let name = topic.name.detached();
    let told = topic.partitions.into_iter().map(|p| {
        let partition = (name.clone(), p.partition_index);
        Told::new(partition, p.error_code, p.committed_offset, p.metadata.as_deref())
    });
    told.collect()
}

fn collect(group: &str, told: impl Iterator<Item = Told>) -> Result<OfGroup, ClientError> {
    let mut found = OfGroup::new();
    for Told { partition, code, committed } in told {
        refusal(group, code)?;
        // -1 is none.
        if committed.offset >= 0 {
            found.insert(partition, committed);
        }
    }
    Ok(found)
}

fn refusal(group: &str, code: ErrorCode) -> Result<(), ClientError> {
    match code {
        // Of the new protocol: a group that is not there has committed nothing.
        ErrorCode::None | ErrorCode::GroupIdNotFound => Ok(()),
        code => {
            let what = format!("looking for the offsets of group '{group}'");
            Err(ClientError::refused(what, code, None))
        }
    }
}
