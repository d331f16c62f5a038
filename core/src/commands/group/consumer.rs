//! Groups of the consumer protocol (KIP-848), as their coordinators tell them.

use corelane_net::client::{ClientError, Connection, Outcomes};
use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    ConsumerGroupDescribeRequest, DescribedConsumerAssignment, DescribedConsumerGroup,
    DescribedConsumerGroupMember, Response,
};

use super::Partition;
use super::ask::{GROUPS_PER_REQUEST, Group, Listed, Member, host, not_described, told};

/// `None` is a group that is not there.
pub(super) fn describe(
    connection: &mut Connection,
    groups: &[Str],
) -> Result<Outcomes<Option<Group>>, ClientError> {
    let coordinator = connection.address().to_string();
    let mut outcomes = Outcomes::new();
    for names in groups.chunks(GROUPS_PER_REQUEST) {
        let request =
            ConsumerGroupDescribeRequest { group_ids: names.to_vec(), ..Default::default() };
        let Response::ConsumerGroupDescribe(response) = connection.call(&request.into())? else {
            unreachable!("the API decides which response is decoded");
        };
        for group in response.groups {
            let name = group.group_id.detached();
            let outcome = match group.error_code {
                ErrorCode::None => Ok(Some(read(group, &coordinator))),
                ErrorCode::GroupIdNotFound => Ok(None),
                code => Err(not_described(&name, code, group.error_message.as_deref())),
            };
            outcomes.insert(name, outcome);
        }
    }
    Ok(outcomes)
}

fn read(group: DescribedConsumerGroup, coordinator: &str) -> Group {
    let member = |member: DescribedConsumerGroupMember| Member {
        id: member.member_id.detached(),
        instance: member.instance_id.as_deref().map(str::to_owned),
        client: member.client_id.to_string(),
        host: host(&member.client_host),
        partitions: Some(partitions(&member.assignment)),
    };
    let mut members: Vec<Member> = group.members.into_iter().map(member).collect();
    members.sort_by(|a, b| a.id.cmp(&b.id));
    Group {
        listed: Listed {
            group: group.group_id.detached(),
            state: told(&group.group_state),
            kind: None,
            protocol_type: told("consumer"),
        },
        assignor: told(&group.assignor_name),
        coordinator: Some(coordinator.to_owned()),
        members: Some(members),
    }
}

fn partitions(assignment: &DescribedConsumerAssignment) -> Vec<Partition> {
    let of_topic = assignment.topic_partitions.iter().flat_map(|topic| {
        let name = topic.topic_name.detached();
        topic.partitions.iter().map(move |index| (name.clone(), *index))
    });
    let mut partitions: Vec<Partition> = of_topic.collect();
    partitions.sort();
    partitions
}
