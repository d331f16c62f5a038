//! Which groups there are, and what their coordinators say of them.

use std::collections::{BTreeMap, BTreeSet};

use corelane_net::client::{ClientError, Cluster, Connection, Outcomes};
use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::group_records::embedded_assignment;
use corelane_net::messages::{
    DescribeGroupsRequest, DescribedGroup, DescribedGroupMember, ListGroupsRequest, ListedGroup,
    Response,
};

use super::super::{Error, session};
use super::consumer;
use crate::cli::group::Which;

/// `protocol_type` of consumers, whose shares are partitions.
const CONSUMERS: &str = "consumer";

/// Groups whose members and offsets are asked about in one request.
pub(super) const GROUPS_PER_REQUEST: usize = 100;

/// A group as a list has it; `None` is what the broker does not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) group: Str,
    pub(super) state: Option<String>,
    /// `classic`, `consumer`, `share` or `streams`.
    pub(super) kind: Option<String>,
    /// `consumer`, `connect`, ...; of groups that never had a member it is not known.
    pub(super) protocol_type: Option<String>,
}

/// A group as its coordinator tells it.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) listed: Listed,
    /// How partitions are shared out.
    pub(super) assignor: Option<String>,
    /// Its address.
    pub(super) coordinator: Option<String>,
    /// Those of other types than `classic` may not be told.
    pub(super) members: Option<Vec<Member>>,
}

/// One who is in.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) id: Str,
    /// The static member's name.
    pub(super) instance: Option<String>,
    pub(super) client: String,
    pub(super) host: String,
    /// What it reads, in order; `None` if its share is not one of partitions.
    pub(super) partitions: Option<Vec<super::Partition>>,
}

/// Groups, and why others that were asked about are not among them.
pub(super) struct Found {
    pub(super) groups: Vec<Group>,
    pub(super) failures: Vec<Error>,
}

impl Group {
    /// One of which no more is told than a list has.
    fn untold(listed: Listed) -> Group {
        Group { listed, assignor: None, coordinator: None, members: None }
    }

    /// True if nobody is in, nor about to be.
    pub(super) fn is_inactive(&self) -> bool {
        matches!(self.listed.state.as_deref(), Some("Empty" | "Dead"))
    }

    /// Who is in, as the end of a sentence that begins with the group.
    pub(super) fn who_is_in(&self) -> String {
        const SHOWN: usize = 3;
        let members = self.members.as_deref().unwrap_or_default();
        if members.is_empty() {
            return format!("is {}", self.listed.state.as_deref().unwrap_or("in an unknown state"));
        }
        let one = |member: &Member| format!("{} at {}", member.client, member.host);
        let shown: Vec<String> = members.iter().take(SHOWN).map(one).collect();
        let more = if members.len() > SHOWN { ", ..." } else { "" };
        format!("has {} ({}{more})", super::counted(members.len(), "member"), shown.join(", "))
    }
}

/// The groups of all brokers, by name, and what brokers that do not tell say instead.
pub(super) fn list(cluster: &mut Cluster) -> Result<(Vec<Listed>, Vec<ClientError>), ClientError> {
    let brokers: Vec<i32> = cluster.brokers().keys().copied().collect();
    let (mut groups, mut failures) = (BTreeMap::new(), Vec::new());
    for broker in &brokers {
        match list_of(cluster, *broker) {
            Ok(listed) => groups.extend(listed.into_iter().map(|one| (one.group.clone(), one))),
            Err(error) => failures.push(error),
        }
    }
    match failures.len() == brokers.len() && !failures.is_empty() {
        true => Err(failures.remove(0)),
        false => Ok((groups.into_values().collect(), failures)),
    }
}

fn list_of(cluster: &mut Cluster, broker: i32) -> Result<Vec<Listed>, ClientError> {
    cluster.retry(|cluster| {
        let request = ListGroupsRequest::default().into();
        let Response::ListGroups(response) = cluster.broker(broker)?.call(&request)? else {
            unreachable!("the API decides which response is decoded");
        };
        match response.error_code {
            ErrorCode::None => Ok(response.groups.into_iter().map(listed).collect()),
            code => {
                let what = format!("listing the groups of broker {broker}");
                Err(ClientError::refused(what, code, None))
            }
        }
    })
}

fn listed(group: ListedGroup) -> Listed {
    Listed {
        group: group.group_id.detached(),
        state: told(&group.group_state),
        kind: told(&group.group_type).map(|kind| kind.to_lowercase()),
        protocol_type: told(&group.protocol_type),
    }
}

pub(super) fn told(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The names wished for, each once; with `--all-groups` those that the brokers list.
pub(super) fn names(cluster: &mut Cluster, which: &Which) -> Result<(Vec<Str>, Vec<Error>), Error> {
    if !which.all_groups {
        let names: BTreeSet<Str> = which.names.iter().map(|name| Str::from(&**name)).collect();
        return Ok((names.into_iter().collect(), Vec::new()));
    }
    let (listed, failures) = list(cluster)?;
    let names = listed.into_iter().map(|one| one.group).collect();
    Ok((names, failures.into_iter().map(Error::from).collect()))
}

/// Describes these groups.
pub(super) fn describe(cluster: &mut Cluster, names: &[Str]) -> Result<Found, Error> {
    // Only a list says of which type a group is. Brokers that don't tell may not have any of these.
    let (listed, _) = list(cluster)?;
    let listed: BTreeMap<Str, Listed> =
        listed.into_iter().map(|one| (one.group.clone(), one)).collect();
    let kind = |name: &Str| listed.get(name).and_then(|one| one.kind.as_deref());
    let of_kinds = |kinds: &[Option<&str>]| {
        names.iter().filter(|name| kinds.contains(&kind(name))).cloned().collect::<Vec<Str>>()
    };
    let classic = of_kinds(&[None, Some("classic")]);
    let consumer = of_kinds(&[Some("consumer")]);
    let mut outcomes = Outcomes::new();
    if !classic.is_empty() {
        outcomes.extend(cluster.ask_coordinators(&classic, describe_classic)?);
    }
    if !consumer.is_empty() {
        outcomes.extend(cluster.ask_coordinators(&consumer, consumer::describe)?);
    }
    let (mut groups, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match outcomes.remove(name) {
            Some(Ok(Some(mut group))) => {
                group.listed.kind = kind(name).map(str::to_owned);
                groups.push(group);
            }
            Some(Ok(None)) => {
                let others = listed.keys().map(ToString::to_string).collect();
                failures.push(no_group(name, others));
            }
            Some(Err(error)) => failures.push(error.into()),
            // Of a type whose members are no consumers.
            None => groups.extend(listed.get(name).cloned().map(Group::untold)),
        }
    }
    Ok(Found { groups, failures })
}

/// A group that is not there: one of those that are may be meant.
pub(super) fn no_group(name: &str, others: Vec<String>) -> Error {
    Error::NoGroup { name: name.to_owned(), nearest: session::nearest(name, others) }
}

/// `None` is a group that is not there.
fn describe_classic(
    connection: &mut Connection,
    groups: &[Str],
) -> Result<Outcomes<Option<Group>>, ClientError> {
    let coordinator = connection.address().to_string();
    let mut outcomes = Outcomes::new();
    for names in groups.chunks(GROUPS_PER_REQUEST) {
        let request = DescribeGroupsRequest { groups: names.to_vec(), ..Default::default() };
        let Response::DescribeGroups(response) = connection.call(&request.into())? else {
            unreachable!("the API decides which response is decoded");
        };
        for group in response.groups {
            let name = group.group_id.clone();
            let outcome = match group.error_code {
                // Before KIP-1043 a group that is not there was one that is dead.
                ErrorCode::None if &*group.group_state == "Dead" => Ok(None),
                ErrorCode::None => Ok(Some(classic(group, &coordinator))),
                ErrorCode::GroupIdNotFound => Ok(None),
                code => Err(not_described(&name, code, group.error_message.as_deref())),
            };
            outcomes.insert(name, outcome);
        }
    }
    Ok(outcomes)
}

pub(super) fn not_described(name: &str, code: ErrorCode, message: Option<&str>) -> ClientError {
    ClientError::refused(format!("describing group '{name}'"), code, message)
}

fn classic(group: DescribedGroup, coordinator: &str) -> Group {
    let reads_partitions = &*group.protocol_type == CONSUMERS;
    let member = |member: DescribedGroupMember| Member {
        id: member.member_id.detached(),
        instance: member.group_instance_id.as_deref().map(str::to_owned),
        client: member.client_id.to_string(),
        host: host(&member.client_host),
        partitions: reads_partitions.then(|| partitions(&member)).flatten(),
    };
    let mut members: Vec<Member> = group.members.into_iter().map(member).collect();
    members.sort_by(|a, b| a.id.cmp(&b.id));
    Group {
        listed: Listed {
            group: group.group_id.detached(),
            state: told(&group.group_state),
            kind: None,
            protocol_type: told(&group.protocol_type),
        },
        assignor: told(&group.protocol_data),
        coordinator: Some(coordinator.to_owned()),
        members: Some(members),
    }
}

fn partitions(member: &DescribedGroupMember) -> Option<Vec<super::Partition>> {
    let share = embedded_assignment(&member.member_assignment).ok()?;
    let of_topic = share.assigned_partitions.iter().flat_map(|topic| {
        let name = topic.topic.detached();
        topic.partitions.iter().map(move |index| (name.clone(), *index))
    });
    let mut partitions: Vec<super::Partition> = of_topic.collect();
    partitions.sort();
    Some(partitions)
}

/// Java prints an address with a slash before it.
pub(super) fn host(text: &str) -> String {
    text.strip_prefix('/').unwrap_or(text).to_owned()
}
