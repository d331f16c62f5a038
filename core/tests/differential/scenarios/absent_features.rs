//! What is asked of a broker without an authorizer, users, quotas or other brokers: ACLs, SCRAM credentials,
//! quotas, reassignments, elections.

use bytes::Bytes;
use corelane_net::codec::Str;
use corelane_net::messages::{
    AclCreation, AlterPartitionReassignmentsRequest, AlterUserScramCredentialsRequest,
    ClientQuotaFilterComponent, CreateAclsRequest, DeleteAclsFilter, DeleteAclsRequest,
    DescribeAclsRequest, DescribeClientQuotasRequest, DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsUser, ElectLeadersRequest, ElectLeadersTopic,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopic, ReassignablePartition,
    ReassignableTopic, ScramCredentialDeletion,
};

use crate::stage::Stage;

const ANY: i8 = 1;
const TOPIC: i8 = 2;
const READ: i8 = 3;
const ALLOW: i8 = 3;

pub fn acls(stage: &mut Stage<'_>) {
    let versions = &[1, 2, 3];
    let any = DescribeAclsRequest {
        resource_type_filter: ANY,
        pattern_type_filter: ANY,
        operation: ANY,
        permission_type: ANY,
        ..DescribeAclsRequest::default()
    };
    stage.ask_at(versions, "describe any", any.clone());
    let named = DescribeAclsRequest {
        resource_type_filter: TOPIC,
        resource_name_filter: Some("a-topic".into()),
        principal_filter: Some("User:someone".into()),
        ..any
    };
    stage.ask_at(versions, "describe one", named);
    let creation = AclCreation {
        resource_type: TOPIC,
        resource_name: "a-topic".into(),
        principal: "User:someone".into(),
        host: "*".into(),
        operation: READ,
        permission_type: ALLOW,
        ..AclCreation::default()
    };
    let creations = vec![creation.clone(), creation];
    stage.ask_at(versions, "create two", CreateAclsRequest { creations });
    stage.ask_at(versions, "create none", CreateAclsRequest::default());
    let filter = DeleteAclsFilter {
        resource_type_filter: ANY,
        pattern_type_filter: ANY,
        operation: ANY,
        permission_type: ANY,
        ..DeleteAclsFilter::default()
    };
    let filters = vec![filter.clone(), filter];
    stage.ask_at(versions, "delete by two filters", DeleteAclsRequest { filters });
    stage.ask_at(versions, "delete by none", DeleteAclsRequest::default());
}

pub fn scram(stage: &mut Stage<'_>) {
    let of = |users: Option<&[&str]>| DescribeUserScramCredentialsRequest {
        users: users.map(|names| {
            let user = |name: &&str| DescribeUserScramCredentialsUser { name: (*name).into() };
            names.iter().map(user).collect()
        }),
    };
    stage.ask("v0: all users", 0, of(None));
    stage.ask("v0: no users", 0, of(Some(&[])));
    stage.ask("v0: unknown users", 0, of(Some(&["somebody", "nobody"])));
    stage.ask("v0: a user twice", 0, of(Some(&["somebody", "somebody"])));
    stage.ask("v0: the empty user", 0, of(Some(&[""])));
    let deletion = |name: &str, mechanism| AlterUserScramCredentialsRequest {
        deletions: vec![ScramCredentialDeletion { name: name.into(), mechanism }],
        ..AlterUserScramCredentialsRequest::default()
    };
    stage.ask("v0: delete an unknown user's", 0, deletion("somebody", 1));
    stage.ask("v0: delete of an unknown mechanism", 0, deletion("somebody", 9));
    stage.ask("v0: delete the empty user's", 0, deletion("", 1));
    stage.ask("v0: alter none", 0, AlterUserScramCredentialsRequest::default());
    let upsertion = corelane_net::messages::ScramCredentialUpsertion {
        name: "somebody".into(),
        mechanism: 1,
        iterations: 1,
        salt: Bytes::from_static(b"salt"),
        salted_password: Bytes::from_static(b"password"),
    };
    let upsertions = vec![upsertion];
    let weak = AlterUserScramCredentialsRequest { upsertions, ..Default::default() };
    stage.ask("v0: too few iterations", 0, weak);
}

pub fn quotas(stage: &mut Stage<'_>) {
    let component =
        |entity_type: &str, match_type, name: Option<&str>| ClientQuotaFilterComponent {
            entity_type: entity_type.into(),
            match_type,
            match_name: name.map(Str::from),
        };
    for (step, components) in [
        ("all", vec![]),
        ("of a user", vec![component("user", 0, Some("somebody"))]),
        ("the default user's", vec![component("user", 1, None)]),
        ("any user's", vec![component("user", 2, None)]),
        ("of a client", vec![component("client-id", 0, Some("a-client"))]),
        ("of an unknown kind", vec![component("cat", 0, Some("tom"))]),
        ("of a kind twice", vec![component("user", 2, None), component("user", 1, None)]),
        ("of an unknown match", vec![component("user", 3, None)]),
        ("of a user and an address", vec![component("user", 2, None), component("ip", 2, None)]),
        ("of the empty kind", vec![component("", 2, None)]),
    ] {
        let asked = DescribeClientQuotasRequest { components, strict: false };
        stage.ask_at(&[0, 1], step, asked.clone());
        let strict = DescribeClientQuotasRequest { strict: true, ..asked };
        stage.ask_at(&[1], &format!("{step}, strictly"), strict);
    }
}

pub fn reassignments(stage: &mut Stage<'_>) {
    stage.create_topic("moved", 2, &[]);
    let node = stage.node_id();
    let to = |topic: &str, partition_index, replicas: Option<&[i32]>| {
        let replicas = replicas.map(<[i32]>::to_vec);
        let partitions = vec![ReassignablePartition { partition_index, replicas }];
        AlterPartitionReassignmentsRequest {
            topics: vec![ReassignableTopic { name: topic.into(), partitions }],
            ..AlterPartitionReassignmentsRequest::default()
        }
    };
    for (step, asked) in [
        ("to where it is", to("moved", 0, Some(&[node]))),
        ("to an unknown broker", to("moved", 0, Some(&[node + 1]))),
        ("to one more", to("moved", 0, Some(&[node, node + 1]))),
        ("to a broker twice", to("moved", 0, Some(&[node, node]))),
        ("to nobody", to("moved", 0, Some(&[]))),
        ("to a negative broker", to("moved", 0, Some(&[-1]))),
        ("cancelled", to("moved", 0, None)),
        ("an unknown partition", to("moved", 2, Some(&[node]))),
        ("an unknown topic", to("nowhere", 0, Some(&[node]))),
        ("an unknown topic cancelled", to("nowhere", 0, None)),
        ("no topic", AlterPartitionReassignmentsRequest::default()),
    ] {
        stage.ask_at(&[0, 1], step, asked.clone());
        let kept =
            AlterPartitionReassignmentsRequest { allow_replication_factor_change: false, ..asked };
        stage.ask_at(&[1], &format!("{step}, as many as before"), kept);
    }
    let under_way = |topics: Option<Vec<(&str, Vec<i32>)>>| ListPartitionReassignmentsRequest {
        topics: topics.map(|topics| {
            let topic = |(name, partition_indexes): (&str, Vec<i32>)| {
                ListPartitionReassignmentsTopic { name: name.into(), partition_indexes }
            };
            topics.into_iter().map(topic).collect()
        }),
        ..ListPartitionReassignmentsRequest::default()
    };
    stage.ask("v0: all under way", 0, under_way(None));
    stage.ask("v0: of a topic", 0, under_way(Some(vec![("moved", vec![0, 1])])));
    stage.ask("v0: of an unknown topic", 0, under_way(Some(vec![("nowhere", vec![0])])));
}

pub fn elections(stage: &mut Stage<'_>) {
    stage.create_topic("elected", 2, &[]);
    let asking = |election_type, topics: Option<&[(&str, &[i32])]>| ElectLeadersRequest {
        election_type,
        topic_partitions: topics.map(|topics| {
            let topic = |(topic, partitions): &(&str, &[i32])| ElectLeadersTopic {
                topic: (*topic).into(),
                partitions: partitions.to_vec(),
            };
            topics.iter().map(topic).collect()
        }),
        ..ElectLeadersRequest::default()
    };
    for election_type in [0, 1] {
        for (step, topics) in [
            ("a topic", &[("elected", &[0, 1][..])][..]),
            ("an unknown partition", &[("elected", &[2])]),
            ("an unknown topic", &[("nowhere", &[0])]),
            ("no topic", &[]),
        ] {
            let step = format!("election {election_type}, {step}");
            stage.ask_at(&[0, 1, 2], &step, asking(election_type, Some(topics)));
        }
        let step = format!("election {election_type}, everything");
        stage.ask_at(&[0, 1, 2], &step, asking(election_type, None));
    }
    stage.ask_at(&[1, 2], "an unknown election", asking(2, Some(&[("elected", &[0])])));
}
