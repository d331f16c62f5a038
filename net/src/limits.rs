//! What one connection may take.

use std::time::Duration;

/// Limits of a connection. Every one of them closes or slows that connection only.
///
/// Times are kept by a watchdog that looks a few times per shortest limit, so each may be exceeded
/// by up to half of the shortest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest frame, in bytes, its length prefix not counted. Kafka's `socket.request.max.bytes`.
    pub request_bytes_max: usize,
    /// Most elements of a request's arrays, all together: topics, partitions, names, ...
    pub request_elements_max: usize,
    /// Requests begun and not yet answered; at this many, no more is read.
    pub in_flight_max: usize,
    /// Bytes read at once while a frame's length is not known, and of a frame before any of it is
    /// reserved; so the most that a connection holds without a reservation.
    pub read_chunk_bytes: usize,
    /// Answers are gathered up to this many bytes before they are written.
    pub write_gather_bytes: usize,
    /// Bytes that are read or written in one go, and of one connection before others of the thread
    /// have their turn: a client that is always ready must not have the thread to itself.
    pub turn_bytes: usize,
    /// A connection with no request under way and nothing read for this long is closed. Kafka's
    /// `connections.max.idle.ms`.
    pub idle_timeout: Duration,
    /// A frame begun must be complete after this, plus what its length takes at
    /// `read_bytes_per_second_min`. The time that it waits for the budget is not counted.
    pub read_timeout: Duration,
    /// The slowest client that may send a long frame. While others wait for the budget, one that is
    /// slower in a single second, or too slow to be complete within `read_timeout`, is ended early.
    pub read_bytes_per_second_min: usize,
    /// A write that takes no byte for this long ends its connection.
    pub write_timeout: Duration,
    /// After the client has closed its side, or broken the protocol, answers still under way get
    /// this long.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            request_bytes_max: 100 << 20,
            request_elements_max: 1 << 18,
            in_flight_max: 32,
            read_chunk_bytes: 16 << 10,
            write_gather_bytes: 256 << 10,
            turn_bytes: 256 << 10,
            idle_timeout: Duration::from_secs(600),
            read_timeout: Duration::from_secs(30),
            read_bytes_per_second_min: 64 << 10,
            write_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(10),
        }
    }
}
