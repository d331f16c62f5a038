//! Every metric there is: its name, type, labels and meaning, and where Kafka has the same.

use super::text::Kind;
use super::text::Kind::{Counter, Gauge, Histogram};

/// One metric.
#[derive(Debug)]
pub struct Family {
    /// As Prometheus knows it.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Names of its labels, in the order in which they are told.
    #[cfg_attr(not(test), expect(dead_code, reason = "documentation, held to it by a test"))]
    pub labels: &'static [&'static str],
    /// What it means; a sentence.
    pub help: &'static str,
    /// Kafka's MBean (and attribute) that comes closest; empty if there is none.
    #[cfg_attr(not(test), expect(dead_code, reason = "documentation, held to it by a test"))]
    pub kafka: &'static str,
}

macro_rules! families {
    ($( $section:literal { $(
        $family:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal, kafka $kafka:literal;
    )* } )*) => {
        $( $(
            pub static $family: Family = Family {
                name: $name, kind: $kind, labels: &[$($label),*], help: $help, kafka: $kafka,
            };
        )* )*

        /// All of them, by section, in the order in which they are told.
        #[cfg(test)]
        pub const SECTIONS: &[(&str, &[&Family])] = &[$( ($section, &[$( &$family ),*]) ),*];
    };
}

families! {
    "The process" {
        PROCESS_START: Gauge "process_start_time_seconds" []
            "Seconds since 1970 at which the process started.", kafka "java.lang:type=Runtime, StartTime";
        PROCESS_CPU: Counter "process_cpu_seconds_total" []
            "Processor time of all threads, in their own code and in the kernel.", kafka "java.lang:type=OperatingSystem, ProcessCpuTime";
        PROCESS_RESIDENT: Gauge "process_resident_memory_bytes" []
            "Memory that the process has in RAM.", kafka "";
        PROCESS_VIRTUAL: Gauge "process_virtual_memory_bytes" []
            "Address space that the process has.", kafka "java.lang:type=OperatingSystem, CommittedVirtualMemorySize";
        PROCESS_OPEN_FDS: Gauge "process_open_fds" []
            "File descriptors that are open.", kafka "java.lang:type=OperatingSystem, OpenFileDescriptorCount";
        PROCESS_MAX_FDS: Gauge "process_max_fds" []
            "File descriptors that may be open.", kafka "java.lang:type=OperatingSystem, MaxFileDescriptorCount";
        PROCESS_THREADS: Gauge "process_threads" []
            "Threads of the process.", kafka "java.lang:type=Threading, ThreadCount";
    }
    "The broker" {
        BUILD_INFO: Gauge "corelane_build_info" ["version", "commit"]
            "Always 1; the labels say which build runs.", kafka "kafka.server:type=app-info, version and commit-id";
        CLUSTER_INFO: Gauge "corelane_cluster_info" ["cluster_id", "node_id"]
            "Always 1 once it serves; the labels say who it is.", kafka "kafka.server:type=KafkaServer,name=ClusterId";
        UPTIME: Gauge "corelane_uptime_seconds" []
            "Time since the broker began to start.", kafka "java.lang:type=Runtime, Uptime";
        READY: Gauge "corelane_ready" []
            "1 if /readyz says so, else 0.", kafka "kafka.server:type=KafkaServer,name=BrokerState";
        TOPICS: Gauge "corelane_topics" []
            "Topics there are.", kafka "kafka.controller:type=KafkaController,name=GlobalTopicCount";
        PARTITIONS: Gauge "corelane_partitions" []
            "Partitions there are, of all topics.", kafka "kafka.controller:type=KafkaController,name=GlobalPartitionCount";
        PARTITIONS_OFFLINE: Gauge "corelane_partitions_offline" []
            "Partitions that serve nobody before a restart or a repair; the log says why.", kafka "kafka.controller:type=KafkaController,name=OfflinePartitionsCount";
        FILESYSTEM_SIZE: Gauge "corelane_filesystem_size_bytes" []
            "Size of the file system that holds the data directory.", kafka "";
        FILESYSTEM_USABLE: Gauge "corelane_filesystem_usable_bytes" []
            "What the broker may still write there.", kafka "";
    }
    "Requests" {
        REQUESTS: Counter "corelane_requests_total" ["api"]
            "Requests that have their answer.", kafka "kafka.network:type=RequestMetrics,name=RequestsPerSec,request=*";
        REQUEST_ERRORS: Counter "corelane_request_errors_total" ["api", "error"]
            "Errors in answers, by Kafka's name for them; one answer may hold many.", kafka "kafka.network:type=RequestMetrics,name=ErrorsPerSec,request=*,error=*";
        REQUEST_DURATION: Histogram "corelane_request_duration_seconds" ["api"]
            "From a request's last byte to its answer's turn on the connection; a Fetch waits for data in it, a Produce for the disk.", kafka "kafka.network:type=RequestMetrics,name=TotalTimeMs,request=*";
        REQUEST_BYTES: Counter "corelane_request_bytes_total" ["api"]
            "Bytes of requests, with their lengths and headers.", kafka "kafka.network:type=RequestMetrics,name=RequestBytes,request=*";
        RESPONSE_BYTES: Counter "corelane_response_bytes_total" ["api"]
            "Bytes of answers, with their lengths and headers.", kafka "";
    }
    "Connections" {
        CONNECTIONS: Gauge "corelane_connections" ["shard"]
            "Connections of clients that are open.", kafka "kafka.server:type=socket-server-metrics, connection-count";
        CONNECTIONS_ACCEPTED: Counter "corelane_connections_accepted_total" ["listener"]
            "Connections that were taken.", kafka "kafka.server:type=socket-server-metrics, connection-creation-total";
        CONNECTIONS_REFUSED: Counter "corelane_connections_refused_total" ["listener", "reason"]
            "Connections that were closed at once, by the limit that was reached: max.connections (broker), that of the listener, or that of the client's address.", kafka "";
        CONNECTIONS_CLOSED: Counter "corelane_connections_closed_total" ["shard", "reason"]
            "Connections that ended: closed by the client, lost, idle, too slow, for breaking the protocol, or by the broker.", kafka "kafka.server:type=socket-server-metrics, connection-close-total";
        CONNECTIONS_MOVED: Counter "corelane_connections_moved_total" ["shard"]
            "Connections that went on at another shard, which owns most of what they ask for.", kafka "";
    }
    "Shards" {
        SHARD_UP: Gauge "corelane_shard_up" ["shard"]
            "1 if the shard answered this scrape in time; if 0, what it alone knows is missing from this page.", kafka "";
        SHARD_BUSY: Counter "corelane_shard_busy_seconds_total" ["shard"]
            "Time in which the shard was not asleep.", kafka "kafka.server:type=KafkaRequestHandlerPool,name=RequestHandlerAvgIdlePercent (1 - idle)";
        SHARD_CPU: Counter "corelane_shard_cpu_seconds_total" ["shard", "mode"]
            "Processor time of the shard's thread, in its own code (user) and in the kernel (system).", kafka "kafka.network:type=SocketServer,name=NetworkProcessorAvgIdlePercent (1 - idle)";
        RING_ENTERS: Counter "corelane_shard_ring_enters_total" ["shard"]
            "System calls that gave operations to the shard's ring, took what was completed, or slept.", kafka "";
        SLEEPS: Counter "corelane_shard_sleeps_total" ["shard"]
            "Those of them that slept, for want of anything to do.", kafka "";
        TIMER_LATENESS: Histogram "corelane_shard_timer_lateness_seconds" ["shard"]
            "How much later than asked for the shard's timers fire, looked at four times a second: how long it is held.", kafka "";
        STAGE: Histogram "corelane_stage_duration_seconds" ["shard", "stage"]
            "What requests spend in each stage, by the shard on which it ends: parse, hop (to the owner of a partition), queue, append, write, flush (with the write), wait (a Fetch, for data), read, send. Of hop, queue, append, write, flush, wait and read one in eight is timed.", kafka "kafka.network:type=RequestMetrics,name=RequestQueueTimeMs, LocalTimeMs, RemoteTimeMs, ResponseQueueTimeMs, ResponseSendTimeMs";
        MAILBOX_DEPTH: Gauge "corelane_shard_mailbox_depth" ["shard"]
            "Calls of other shards that the shard has not begun.", kafka "kafka.network:type=RequestChannel,name=RequestQueueSize";
        SHARD_CALLS: Counter "corelane_shard_calls_total" ["shard"]
            "Calls that the shard made to others.", kafka "";
        SCRAPE_HOLD: Gauge "corelane_shard_scrape_hold_seconds" ["shard"]
            "Processor time that this scrape took from the shard without a pause, at most.", kafka "";
        MEMORY_USED: Gauge "corelane_memory_used_bytes" ["shard", "pool"]
            "Memory by the budget that accounts for it: requests under way, answers to fetches, newest data (tail_cache), what was read from segments a moment ago (read_back), bytes on their way to segments (unwritten; a part of tail_cache), journal entries not written yet; buffers is what all of these but requests hold together, as memory that is handed out, buffers_idle what is kept for the next.", kafka "kafka.network:type=SocketServer,name=MemoryPoolUsed";
        MEMORY_LIMIT: Gauge "corelane_memory_limit_bytes" ["shard", "pool"]
            "What may be taken from a budget; at the limit clients wait, or the oldest data leaves memory.", kafka "kafka.network:type=SocketServer,name=MemoryPoolAvailable";
    }
    "Disk" {
        JOURNAL_WRITE: Histogram "corelane_journal_write_duration_seconds" ["shard"]
            "Writes of journal entries, each one a group of batches of any partitions.", kafka "";
        JOURNAL_WRITTEN: Counter "corelane_journal_written_bytes_total" ["shard"]
            "Bytes of journal entries written, in whole blocks.", kafka "";
        JOURNAL_FILES: Gauge "corelane_journal_files" ["shard"]
            "Journal files that hold what is not safe elsewhere.", kafka "";
        SEGMENT_WRITE: Histogram "corelane_segment_write_duration_seconds" ["shard"]
            "Direct writes to segments; on a full disk the wait for space is in it.", kafka "";
        SEGMENT_WRITTEN: Counter "corelane_segment_written_bytes_total" ["shard"]
            "Bytes written to segments, in whole blocks.", kafka "";
        FSYNC: Histogram "corelane_fsync_duration_seconds" ["shard", "file"]
            "fdatasyncs of journal files and of segments.", kafka "kafka.log:type=LogFlushStats,name=LogFlushRateAndTimeMs";
        FLUSH_LAG: Gauge "corelane_flush_lag_seconds" ["shard"]
            "Age of the oldest bytes that are written and not flushed: what a power loss would cost.", kafka "";
        DISK_OPERATIONS: Counter "corelane_disk_operations_total" ["shard"]
            "Operations on files, and waits for a socket's room, given to the shard's ring.", kafka "";
        DISK_FULL: Gauge "corelane_disk_full" ["shard"]
            "1 while writes wait for space on a full disk, else 0.", kafka "";
        JOURNAL_FAILED: Gauge "corelane_journal_failed" ["shard"]
            "1 once the shard's journal can't be written: none of its partitions takes records before a restart.", kafka "kafka.log:type=LogManager,name=OfflineLogDirectoryCount";
    }
    "Compaction" {
        COMPACTIONS: Counter "corelane_compactions_total" ["shard"]
            "Logs compacted, each time counted.", kafka "";
        COMPACTIONS_FAILED: Counter "corelane_compactions_failed_total" ["shard"]
            "Compactions that met an error; the log says which. Those that a stop, a deletion or a change of the policy ends are not counted.", kafka "";
        COMPACTION_SECONDS: Counter "corelane_compaction_seconds_total" ["shard"]
            "Time that compactions took, with the rests that leave the shard to its clients.", kafka "kafka.log:type=LogCleaner,name=max-clean-time-secs";
        COMPACTION_READ: Counter "corelane_compaction_read_bytes_total" ["shard"]
            "Bytes that compaction read from segments: those not compacted yet are read twice.", kafka "";
        COMPACTION_WRITTEN: Counter "corelane_compaction_written_bytes_total" ["shard"]
            "Bytes that compaction wrote to new segments, in whole blocks.", kafka "";
        COMPACTION_FREED: Counter "corelane_compaction_freed_bytes_total" ["shard"]
            "Bytes by which compaction has made logs shorter.", kafka "kafka.log:type=LogCleaner,name=cleaner-recopy-percent";
        COMPACTION_DIRTY: Gauge "corelane_compaction_dirty_ratio_max" ["shard"]
            "Largest share of a compacted log that was not compacted, when compaction last looked; above min.cleanable.dirty.ratio it is behind.", kafka "kafka.log:type=LogCleanerManager,name=max-dirty-percent";
        UNCLEANABLE: Gauge "corelane_partitions_uncleanable" ["shard"]
            "Partitions that an error keeps from being compacted, so that they grow, before a restart or a change of their configs; the log says why.", kafka "kafka.log:type=LogCleanerManager,name=uncleanable-partitions-count,logDirectory=*";
    }
    "Fetches" {
        READS: Counter "corelane_reads_total" ["shard", "source"]
            "Partitions in answers to fetches, by where their batches came from: memory alone, the disk as well (read, directly), or a file that the kernel sends (through the page cache). The hit rate of the cache is the share of `memory`.", kafka "";
        READ_BYTES: Counter "corelane_read_bytes_total" ["shard", "source"]
            "Bytes of those batches.", kafka "";
        FETCHES_PARKED: Gauge "corelane_fetches_parked" ["shard"]
            "Fetches that wait for data.", kafka "kafka.server:type=DelayedOperationPurgatory,name=PurgatorySize,delayedOperation=Fetch";
        FETCH_SESSIONS: Gauge "corelane_fetch_sessions" ["shard"]
            "Fetch sessions that are open.", kafka "kafka.server:type=FetchSessionCache,name=NumIncrementalFetchSessions";
        FETCH_SESSION_PARTITIONS: Gauge "corelane_fetch_session_partitions" ["shard"]
            "Partitions that fetch sessions remember.", kafka "kafka.server:type=FetchSessionCache,name=NumIncrementalFetchPartitionsCached";
    }
    "Partitions" {
        RECEIVED_BYTES: Counter "corelane_partition_received_bytes_total" ["topic", "partition"]
            "Bytes of batches appended, as they came; what a producer sent again is not counted again.", kafka "kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec,topic=*";
        RECEIVED_RECORDS: Counter "corelane_partition_received_records_total" ["topic", "partition"]
            "Records appended.", kafka "kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec,topic=*";
        RECEIVED_BATCHES: Counter "corelane_partition_received_batches_total" ["topic", "partition"]
            "Batches appended.", kafka "";
        SENT_BYTES: Counter "corelane_partition_sent_bytes_total" ["topic", "partition"]
            "Bytes of batches in answers to fetches.", kafka "kafka.server:type=BrokerTopicMetrics,name=BytesOutPerSec,topic=*";
        SENT_RECORDS: Counter "corelane_partition_sent_records_total" ["topic", "partition"]
            "Records in answers to fetches: the offsets that the batches span.", kafka "";
        LOG_START: Gauge "corelane_partition_log_start_offset" ["topic", "partition"]
            "First offset that can be read.", kafka "kafka.log:type=Log,name=LogStartOffset,topic=*,partition=*";
        HIGH_WATERMARK: Gauge "corelane_partition_high_watermark" ["topic", "partition"]
            "Offset behind the last record that is acknowledged and can be read.", kafka "";
        LOG_END: Gauge "corelane_partition_log_end_offset" ["topic", "partition"]
            "Offset that the next record gets.", kafka "kafka.log:type=Log,name=LogEndOffset,topic=*,partition=*";
        SIZE: Gauge "corelane_partition_size_bytes" ["topic", "partition"]
            "Bytes of the log, what is still on its way to the disk included.", kafka "kafka.log:type=Log,name=Size,topic=*,partition=*";
        SEGMENTS: Gauge "corelane_partition_segments" ["topic", "partition"]
            "Segments of the log.", kafka "kafka.log:type=Log,name=NumLogSegments,topic=*,partition=*";
        OFFLINE: Gauge "corelane_partition_offline" ["topic", "partition"]
            "1 if the partition is offline, else 0.", kafka "";
    }
    "Groups" {
        COORDINATORS: Gauge "corelane_group_coordinators" ["shard", "state"]
            "Partitions of __consumer_offsets: those whose groups are being read back (loading), can be asked (active), or have stopped (failed).", kafka "kafka.server:type=group-coordinator-metrics, num-partitions";
        GROUP_LOAD: Histogram "corelane_group_load_duration_seconds" ["shard"]
            "How long it took to read the groups of one partition back.", kafka "kafka.server:type=group-coordinator-metrics, partition-load-time-avg and partition-load-time-max";
        REBALANCES: Counter "corelane_group_rebalances_total" ["shard"]
            "Rebalances that were completed.", kafka "kafka.server:type=group-coordinator-metrics, group-completed-rebalance-count";
        OFFSETS: Gauge "corelane_group_offsets" ["shard"]
            "Committed offsets that are kept, of all groups.", kafka "kafka.coordinator.group:type=GroupMetadataManager,name=NumOffsets";
        OFFSET_COMMITS: Counter "corelane_group_offset_commits_total" ["shard"]
            "Offsets that were committed; one request may commit many.", kafka "kafka.server:type=group-coordinator-metrics, offset-commit-count";
        OFFSETS_EXPIRED: Counter "corelane_group_offsets_expired_total" ["shard"]
            "Offsets that were forgotten because no one has used them for offsets.retention.minutes.", kafka "kafka.server:type=group-coordinator-metrics, offset-expiration-count";
        GROUPS: Gauge "corelane_groups" ["type", "state"]
            "Groups there are.", kafka "kafka.server:type=group-coordinator-metrics, group-count and consumer-group-count";
        GROUPS_OMITTED: Gauge "corelane_groups_omitted" []
            "Groups that are missing from the metrics below, for they would make the page too long.", kafka "";
        GROUP_MEMBERS: Gauge "corelane_group_members" ["group"]
            "Members of the group.", kafka "";
        GROUP_COMMITTED: Gauge "corelane_group_committed_offset" ["group", "topic", "partition"]
            "Offset that the group has committed: that of the next record to read.", kafka "";
        GROUP_LAG: Gauge "corelane_group_lag" ["group", "topic", "partition"]
            "Offsets between what the group has committed and the high watermark.", kafka "kafka.consumer:type=consumer-fetch-manager-metrics, records-lag";
    }
}
