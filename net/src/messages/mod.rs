//! Every API this codec speaks, one file per API, and the table of them.
//!
//! To add an API: a file with its two messages and a line in the table. To add a version: the
//! range in the table, and the fields that are new in it. The schemas are those of Apache Kafka's
//! public message definitions.

mod api_versions;
mod create_topics;
mod delete_topics;
mod encoded;
mod fetch;
mod find_coordinator;
mod init_producer_id;
mod list_offsets;
mod metadata;
mod produce;
mod table;
#[cfg(test)]
mod tests;

pub use api_versions::*;
pub use create_topics::*;
pub use delete_topics::*;
pub use encoded::EncodedResponse;
pub use fetch::*;
pub use find_coordinator::*;
pub use init_producer_id::*;
pub use list_offsets::*;
pub use metadata::*;
pub use produce::*;

table::apis! {
    /// Appends record batches.
    Produce = 0, versions 3..=13, flexible 9.., ProduceRequest => ProduceResponse;
    /// Reads record batches.
    Fetch = 1, versions 4..=18, flexible 12.., FetchRequest => FetchResponse;
    /// Finds offsets by time, or a partition's first and last.
    ListOffsets = 2, versions 1..=11, flexible 6.., ListOffsetsRequest => ListOffsetsResponse;
    /// Describes brokers, topics and partitions.
    Metadata = 3, versions 0..=13, flexible 9.., MetadataRequest => MetadataResponse;
    /// Finds the broker that coordinates a group or a transaction.
    FindCoordinator = 10, versions 0..=6, flexible 3..,
        FindCoordinatorRequest => FindCoordinatorResponse;
    /// Tells which APIs and versions a broker speaks.
    ApiVersions = 18, versions 0..=5, flexible 3.., ApiVersionsRequest => ApiVersionsResponse;
    /// Creates topics.
    CreateTopics = 19, versions 2..=7, flexible 5.., CreateTopicsRequest => CreateTopicsResponse;
    /// Deletes topics.
    DeleteTopics = 20, versions 1..=6, flexible 4.., DeleteTopicsRequest => DeleteTopicsResponse;
    /// Hands a producer its id and epoch.
    InitProducerId = 22, versions 0..=6, flexible 2..,
        InitProducerIdRequest => InitProducerIdResponse;
}
