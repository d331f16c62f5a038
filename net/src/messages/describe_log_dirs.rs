//! DescribeLogDirs (KIP-113, KIP-784, KIP-827, KIP-1066).

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// Asks what lies in the broker's directories.
    pub struct DescribeLogDirsRequest {
        /// The topics; null is all of them.
        topics: Option<Vec<DescribableLogDirTopic>> [0.., null 0..];
    }

    /// A topic asked about.
    pub struct DescribableLogDirTopic {
        /// The topic's name.
        topic: Str [0..];
        /// The partitions.
        partitions: Vec<i32> [0..];
    }

    /// The directories.
    pub struct DescribeLogDirsResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// The top-level error.
        error_code: ErrorCode [3..];
        /// The directories.
        results: Vec<DescribeLogDirsResult> [0..];
    }

    /// A directory.
    pub struct DescribeLogDirsResult {
        /// The directory's error.
        error_code: ErrorCode [0..];
        /// Its absolute path.
        log_dir: Str [0..];
        /// The topics in it.
        topics: Vec<DescribeLogDirsTopic> [0..];
        /// Size of its file system in bytes, or -1.
        total_bytes: i64 [4..] = -1;
        /// Bytes left there for the broker, or -1.
        usable_bytes: i64 [4..] = -1;
        /// True if it takes no new partitions.
        is_cordoned: bool [5..];
    }

    /// A topic in a directory.
    pub struct DescribeLogDirsTopic {
        /// The topic's name.
        name: Str [0..];
        /// The partitions.
        partitions: Vec<DescribeLogDirsPartition> [0..];
    }

    /// A partition in a directory.
    pub struct DescribeLogDirsPartition {
        /// The partition.
        partition_index: i32 [0..];
        /// Bytes of its segments.
        partition_size: i64 [0..];
        /// Offsets by which its end lies behind: behind the high watermark, or, for a copy under
        /// way to another directory, behind the log that it copies.
        offset_lag: i64 [0..];
        /// True for such a copy.
        is_future_key: bool [0..];
    }
}
