//! A group as these tests speak to it over the wire.

use std::time::{Duration, Instant};

use bytes::Bytes;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    DescribeGroupsRequest, FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest,
    JoinGroupRequestProtocol, JoinGroupResponse, OffsetCommitRequest, OffsetCommitRequestPartition,
    OffsetCommitRequestTopic, OffsetFetchRequest, OffsetFetchRequestGroup,
    OffsetFetchRequestTopics, SyncGroupRequest, SyncGroupRequestAssignment,
};

use crate::harness::rdkafka_client::PATIENCE;
use crate::harness::typed::{receive, typed};
use crate::harness::wire::Connection;

pub fn receive_join(connection: &mut Connection, version: i16) -> JoinGroupResponse {
    use corelane_net::messages::{Api, Response};
    match receive(connection, Api::JoinGroup, version) {
        Response::JoinGroup(answer) => answer,
        other => panic!("an answer of another API: {other:?}"),
    }
}

/// A group over the wire.
pub struct Group {
    pub id: String,
}

impl Group {
    /// Makes sure that it has a coordinator.
    pub fn new(connection: &mut Connection, id: &str) -> Group {
        let find = FindCoordinatorRequest {
            coordinator_keys: vec![id.into()],
            ..FindCoordinatorRequest::default()
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = typed!(connection, 4, FindCoordinator, find.clone());
            match found.coordinators[0].error_code {
                ErrorCode::None => return Group { id: id.into() },
                // Kafka makes the topic first.
                code => assert_eq!(code, ErrorCode::CoordinatorNotAvailable),
            }
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until its coordinator has read everything back.
    pub fn wait_until_loaded(&self, connection: &mut Connection) {
        let deadline = Instant::now() + PATIENCE;
        let describe =
            || DescribeGroupsRequest { groups: vec![(*self.id).into()], ..Default::default() };
        loop {
            let described = typed!(connection, 5, DescribeGroups, describe());
            match described.groups[0].error_code {
                ErrorCode::None => return,
                // Kafka's, until it has made the partition.
                ErrorCode::NotCoordinator => {}
                code => assert_eq!(code, ErrorCode::CoordinatorLoadInProgress),
            }
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn join(&self, member_id: &str) -> JoinGroupRequest {
        let protocol = JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: Bytes::from_static(b"\0\0\0\0\0\0\xff\xff\xff\xff"),
        };
        JoinGroupRequest {
            group_id: (*self.id).into(),
            session_timeout_ms: 6_000,
            rebalance_timeout_ms: 10_000,
            member_id: member_id.into(),
            protocol_type: "consumer".into(),
            protocols: vec![protocol],
            ..JoinGroupRequest::default()
        }
    }

    pub fn sync(&self, member_id: &str, generation_id: i32, share: &str) -> SyncGroupRequest {
        let assignment = SyncGroupRequestAssignment {
            member_id: member_id.into(),
            assignment: Bytes::copy_from_slice(share.as_bytes()),
        };
        SyncGroupRequest {
            group_id: (*self.id).into(),
            generation_id,
            member_id: member_id.into(),
            assignments: vec![assignment],
            ..SyncGroupRequest::default()
        }
    }

    /// One member of generation 1, with its share.
    pub fn join_alone(&self, connection: &mut Connection) -> String {
        let joined = typed!(connection, 3, JoinGroup, self.join(""));
        assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::None, 1));
        let id = joined.member_id.to_string();
        let synced = typed!(connection, 4, SyncGroup, self.sync(&id, 1, "share"));
        assert_eq!(&synced.assignment[..], b"share");
        id
    }

    pub fn beat(&self, connection: &mut Connection, id: &str, generation_id: i32) -> ErrorCode {
        let beat = HeartbeatRequest {
            group_id: (*self.id).into(),
            generation_id,
            member_id: id.into(),
            group_instance_id: None,
        };
        typed!(connection, 4, Heartbeat, beat).error_code
    }

    pub fn commit(
        &self,
        connection: &mut Connection,
        id: &str,
        generation: i32,
        committed_offset: i64,
    ) -> ErrorCode {
        let partition = OffsetCommitRequestPartition { committed_offset, ..Default::default() };
        let topic = OffsetCommitRequestTopic {
            name: "again".into(),
            partitions: vec![partition],
            ..OffsetCommitRequestTopic::default()
        };
        let commit = OffsetCommitRequest {
            group_id: (*self.id).into(),
            generation_id_or_member_epoch: generation,
            member_id: id.into(),
            topics: vec![topic],
            ..OffsetCommitRequest::default()
        };
        typed!(connection, 8, OffsetCommit, commit).topics[0].partitions[0].error_code
    }

    pub fn offset(&self, connection: &mut Connection) -> i64 {
        let topic = OffsetFetchRequestTopics {
            name: "again".into(),
            partition_indexes: vec![0],
            ..OffsetFetchRequestTopics::default()
        };
        let group = OffsetFetchRequestGroup {
            group_id: (*self.id).into(),
            topics: Some(vec![topic]),
            ..OffsetFetchRequestGroup::default()
        };
        let fetch = OffsetFetchRequest { groups: vec![group], ..Default::default() };
        let fetched = typed!(connection, 8, OffsetFetch, fetch);
        assert_eq!(fetched.groups[0].error_code, ErrorCode::None);
        fetched.groups[0].topics[0].partitions[0].committed_offset
    }
}
