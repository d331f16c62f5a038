//! Members that move between this protocol and the consumer protocol (KIP-848).

use bytes::Bytes;
use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::group_records::GroupRecord;
use corelane_net::messages::{JoinGroupRequestProtocol, SyncGroupResponse};

use super::super::turn::{Now, Turn};
use super::member::{Member, kept};
use super::time::millis;
use super::{CONSUMER_PROTOCOL, ClassicGroup, State, join_refusal};

/// A member on its way.
#[derive(Clone, Debug)]
pub struct Migrant {
    /// Its id.
    pub id: Str,
    /// The static member's name.
    pub instance_id: Option<Str>,
    /// As the client calls itself.
    pub client_id: Str,
    /// Its address.
    pub client_host: Str,
    /// Milliseconds that it may take to join again.
    pub rebalance_timeout_ms: i32,
    /// Milliseconds without a heartbeat after which it counts as dead.
    pub session_timeout_ms: i32,
    /// Its protocols, the preferred one first.
    pub protocols: Vec<JoinGroupRequestProtocol>,
    /// Its metadata in the protocol of its generation.
    pub metadata: Bytes,
    /// Its share.
    pub assignment: Bytes,
}

impl ClassicGroup {
    /// Whether its members are consumers.
    pub fn is_for_consumers(&self) -> bool {
        self.is_of_consumers()
    }

    /// Its members, as they are.
    pub fn migrants(&self) -> Vec<Migrant> {
        let migrant = |(id, member): (&Str, &Member)| {
            let first = member.protocols.first().map(|first| &first.name);
            let protocol = self.protocol.as_ref().or(first);
            Migrant {
                id: id.clone(),
                instance_id: member.instance_id.clone(),
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                rebalance_timeout_ms: member.rebalance_timeout_ms,
                session_timeout_ms: member.session_timeout_ms,
                protocols: member.protocols.clone(),
                metadata: protocol.map(|name| member.metadata(name)).unwrap_or_default(),
                assignment: member.assignment.clone(),
            }
        };
        self.members.iter().map(migrant).collect()
    }

    /// Sends away whoever waits: the group is about to be one of the other protocol, and they are to join that.
    pub fn send_away(&mut self, turn: &mut Turn<'_>) {
        let error_code = ErrorCode::RebalanceInProgress;
        let ids: Vec<Str> = self.members.keys().cloned().collect();
        for id in ids {
            self.complete_join(&id, join_refusal(&id, error_code), turn);
            let refusal = SyncGroupResponse { error_code, ..Default::default() };
            self.complete_sync(&id, refusal, turn);
        }
    }

    /// A stable group of these members, and its record.
    pub fn of_migrants(
        id: Str,
        generation: i32,
        migrants: Vec<Migrant>,
        now: Now,
    ) -> (ClassicGroup, GroupRecord) {
        let mut group = ClassicGroup::new(id, now);
        group.generation = generation;
        group.protocol_type = Some(Str::from_static(CONSUMER_PROTOCOL));
        group.state = State::Stable;
        for migrant in migrants {
            let deadline = now.monotonic + millis(migrant.session_timeout_ms);
            let member = Member {
                instance_id: migrant.instance_id,
                client_id: migrant.client_id,
                client_host: migrant.client_host,
                rebalance_timeout_ms: migrant.rebalance_timeout_ms,
                session_timeout_ms: migrant.session_timeout_ms,
                protocols: kept(&migrant.protocols),
                assignment: migrant.assignment,
                is_new: false,
                join_waiter: None,
                sync_waiter: None,
                session_deadline: Some(deadline),
            };
            group.arm(deadline);
            group.insert(migrant.id, member);
        }
        group.protocol = group.elected_protocol();
        group.learn_subscriptions();
        let record = group.record(None);
        (group, record)
    }

    /// Calls all members to join again.
    pub fn call_together(&mut self, turn: &mut Turn<'_>) {
        if self.state == State::Stable {
            self.prepare_rebalance(turn);
        }
    }
}
