//! The group as it is told.

use corelane_net::codec::Str;
use corelane_net::messages::{DescribedGroup, DescribedGroupMember, ListedGroup};

use super::member::Member;
use super::{ClassicGroup, State};

impl ClassicGroup {
    /// As DescribeGroups tells it.
    pub fn described(&self) -> DescribedGroup {
        // Before the shares are out, metadata could be of another protocol.
        let protocol = self.protocol.as_ref().filter(|_| self.state == State::Stable);
        let member = |(id, member): (&Str, &Member)| DescribedGroupMember {
            member_id: id.clone(),
            group_instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            member_metadata: protocol.map(|name| member.metadata(name)).unwrap_or_default(),
            member_assignment: member.assignment.clone(),
        };
        DescribedGroup {
            group_id: self.id.clone(),
            group_state: Str::from_static(self.state.name()),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol_data: protocol.cloned().unwrap_or_default(),
            members: self.members.iter().map(member).collect(),
            ..Default::default()
        }
    }

    /// As ListGroups tells it.
    pub fn listed(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.clone(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            group_state: Str::from_static(self.state.name()),
            group_type: Str::from_static("classic"),
        }
    }
}
