//! Every API this codec speaks, one file per API, and the table of them.
//!
//! To add an API: a file with its two messages and a line in the table. To add a version: the
//! range in the table, and the fields that are new in it. The schemas are those of Apache Kafka's
//! public message definitions.

mod alter_configs;
mod alter_partition_reassignments;
mod alter_user_scram_credentials;
mod api_versions;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_acls;
mod create_partitions;
mod create_topics;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_topic_partitions;
mod describe_user_scram_credentials;
mod elect_leaders;
mod encoded;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sync_group;
mod table;
#[cfg(test)]
mod tests;

pub use alter_configs::*;
pub use alter_partition_reassignments::*;
pub use alter_user_scram_credentials::*;
pub use api_versions::*;
pub use consumer_group_describe::*;
pub use consumer_group_heartbeat::*;
pub use create_acls::*;
pub use create_partitions::*;
pub use create_topics::*;
pub use delete_acls::*;
pub use delete_groups::*;
pub use delete_records::*;
pub use delete_topics::*;
pub use describe_acls::*;
pub use describe_client_quotas::*;
pub use describe_cluster::*;
pub use describe_configs::*;
pub use describe_groups::*;
pub use describe_log_dirs::*;
pub use describe_producers::*;
pub use describe_topic_partitions::*;
pub use describe_user_scram_credentials::*;
pub use elect_leaders::*;
pub use encoded::EncodedResponse;
pub use fetch::*;
pub use find_coordinator::*;
pub use heartbeat::*;
pub use incremental_alter_configs::*;
pub use init_producer_id::*;
pub use join_group::*;
pub use leave_group::*;
pub use list_config_resources::*;
pub use list_groups::*;
pub use list_offsets::*;
pub use list_partition_reassignments::*;
pub use metadata::*;
pub use offset_commit::*;
pub use offset_delete::*;
pub use offset_fetch::*;
pub use offset_for_leader_epoch::*;
pub use produce::*;
pub use sync_group::*;

table::apis! {
    /// Appends record batches.
    Produce = 0, versions 3..=13, flexible 9.., ProduceRequest => ProduceResponse;
    /// Reads record batches.
    Fetch = 1, versions 4..=18, flexible 12.., FetchRequest => FetchResponse;
    /// Finds offsets by time, or a partition's first and last.
    ListOffsets = 2, versions 1..=11, flexible 6.., ListOffsetsRequest => ListOffsetsResponse;
    /// Describes brokers, topics and partitions.
    Metadata = 3, versions 0..=13, flexible 9.., MetadataRequest => MetadataResponse;
    /// Remembers how far a group has read.
    OffsetCommit = 8, versions 2..=10, flexible 8.., OffsetCommitRequest => OffsetCommitResponse;
    /// Tells how far a group has read.
    OffsetFetch = 9, versions 1..=10, flexible 6.., OffsetFetchRequest => OffsetFetchResponse;
    /// Finds the broker that coordinates a group or a transaction.
    FindCoordinator = 10, versions 0..=6, flexible 3..,
        FindCoordinatorRequest => FindCoordinatorResponse;
    /// Makes a client a member of a group.
    JoinGroup = 11, versions 0..=9, flexible 6.., JoinGroupRequest => JoinGroupResponse;
    /// Keeps a member alive.
    Heartbeat = 12, versions 0..=4, flexible 4.., HeartbeatRequest => HeartbeatResponse;
    /// Takes members out of a group.
    LeaveGroup = 13, versions 0..=5, flexible 4.., LeaveGroupRequest => LeaveGroupResponse;
    /// Hands out what each member of a group reads.
    SyncGroup = 14, versions 0..=5, flexible 4.., SyncGroupRequest => SyncGroupResponse;
    /// Describes groups.
    DescribeGroups = 15, versions 0..=6, flexible 5..,
        DescribeGroupsRequest => DescribeGroupsResponse;
    /// Lists groups.
    ListGroups = 16, versions 0..=5, flexible 3.., ListGroupsRequest => ListGroupsResponse;
    /// Tells which APIs and versions a broker speaks.
    ApiVersions = 18, versions 0..=5, flexible 3.., ApiVersionsRequest => ApiVersionsResponse;
    /// Creates topics.
    CreateTopics = 19, versions 2..=7, flexible 5.., CreateTopicsRequest => CreateTopicsResponse;
    /// Deletes topics.
    DeleteTopics = 20, versions 1..=6, flexible 4.., DeleteTopicsRequest => DeleteTopicsResponse;
    /// Deletes records up to an offset.
    DeleteRecords = 21, versions 0..=2, flexible 2.., DeleteRecordsRequest => DeleteRecordsResponse;
    /// Hands a producer its id and epoch.
    InitProducerId = 22, versions 0..=6, flexible 2..,
        InitProducerIdRequest => InitProducerIdResponse;
    /// Finds where a leader epoch ends.
    OffsetForLeaderEpoch = 23, versions 2..=4, flexible 4..,
        OffsetForLeaderEpochRequest => OffsetForLeaderEpochResponse;
    /// Lists access rules.
    DescribeAcls = 29, versions 1..=3, flexible 2.., DescribeAclsRequest => DescribeAclsResponse;
    /// Creates access rules.
    CreateAcls = 30, versions 1..=3, flexible 2.., CreateAclsRequest => CreateAclsResponse;
    /// Deletes access rules.
    DeleteAcls = 31, versions 1..=3, flexible 2.., DeleteAclsRequest => DeleteAclsResponse;
    /// Lists configs with their values.
    DescribeConfigs = 32, versions 1..=4, flexible 4..,
        DescribeConfigsRequest => DescribeConfigsResponse;
    /// Replaces all configs of a resource.
    AlterConfigs = 33, versions 0..=2, flexible 2.., AlterConfigsRequest => AlterConfigsResponse;
    /// Tells what lies in a broker's directories.
    DescribeLogDirs = 35, versions 1..=5, flexible 2..,
        DescribeLogDirsRequest => DescribeLogDirsResponse;
    /// Gives topics more partitions.
    CreatePartitions = 37, versions 0..=3, flexible 2..,
        CreatePartitionsRequest => CreatePartitionsResponse;
    /// Deletes groups.
    DeleteGroups = 42, versions 0..=3, flexible 2.., DeleteGroupsRequest => DeleteGroupsResponse;
    /// Elects leaders anew.
    ElectLeaders = 43, versions 0..=2, flexible 2.., ElectLeadersRequest => ElectLeadersResponse;
    /// Changes single configs of a resource.
    IncrementalAlterConfigs = 44, versions 0..=1, flexible 1..,
        IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse;
    /// Moves partitions to other brokers.
    AlterPartitionReassignments = 45, versions 0..=1, flexible 0..,
        AlterPartitionReassignmentsRequest => AlterPartitionReassignmentsResponse;
    /// Lists the moves under way.
    ListPartitionReassignments = 46, versions 0..=0, flexible 0..,
        ListPartitionReassignmentsRequest => ListPartitionReassignmentsResponse;
    /// Forgets how far a group has read.
    OffsetDelete = 47, versions 0..=0, flexible 1.., OffsetDeleteRequest => OffsetDeleteResponse;
    /// Lists quotas.
    DescribeClientQuotas = 48, versions 0..=1, flexible 1..,
        DescribeClientQuotasRequest => DescribeClientQuotasResponse;
    /// Lists the SCRAM mechanisms of users.
    DescribeUserScramCredentials = 50, versions 0..=0, flexible 0..,
        DescribeUserScramCredentialsRequest => DescribeUserScramCredentialsResponse;
    /// Sets and deletes SCRAM credentials.
    AlterUserScramCredentials = 51, versions 0..=0, flexible 0..,
        AlterUserScramCredentialsRequest => AlterUserScramCredentialsResponse;
    /// Describes the cluster and its brokers.
    DescribeCluster = 60, versions 0..=2, flexible 0..,
        DescribeClusterRequest => DescribeClusterResponse;
    /// Lists the producers that partitions know.
    DescribeProducers = 61, versions 0..=0, flexible 0..,
        DescribeProducersRequest => DescribeProducersResponse;
    /// Keeps a member of the consumer protocol alive, and tells it what to read.
    ConsumerGroupHeartbeat = 68, versions 0..=1, flexible 0..,
        ConsumerGroupHeartbeatRequest => ConsumerGroupHeartbeatResponse;
    /// Describes groups of the consumer protocol.
    ConsumerGroupDescribe = 69, versions 0..=1, flexible 0..,
        ConsumerGroupDescribeRequest => ConsumerGroupDescribeResponse;
    /// Lists resources that have configs.
    ListConfigResources = 74, versions 0..=1, flexible 0..,
        ListConfigResourcesRequest => ListConfigResourcesResponse;
    /// Describes topics and partitions page by page.
    DescribeTopicPartitions = 75, versions 0..=0, flexible 0..,
        DescribeTopicPartitionsRequest => DescribeTopicPartitionsResponse;
}
