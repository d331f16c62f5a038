//! Which errors pass, and how long to wait until they have.

use std::time::Duration;

use crate::error_code::ErrorCode;

const FIRST: Duration = Duration::from_millis(20);
const LAST: Duration = Duration::from_secs(1);

/// Waits that double, from 20 ms to a second.
#[derive(Clone, Copy, Debug)]
pub struct Backoff(Duration);

impl Backoff {
    /// At the first failure.
    pub const fn new() -> Backoff {
        Backoff(FIRST)
    }

    /// How long to wait now.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (wait * 2).min(LAST);
        wait
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff::new()
    }
}

/// True if the same request may succeed later, perhaps at another broker: Kafka's
/// `RetriableException`s.
pub fn is_retriable(code: ErrorCode) -> bool {
    use ErrorCode::*;
    matches!(
        code,
        CorruptMessage
            | UnknownTopicOrPartition
            | LeaderNotAvailable
            | NotLeaderOrFollower
            | RequestTimedOut
            | BrokerNotAvailable
            | ReplicaNotAvailable
            | NetworkException
            | CoordinatorLoadInProgress
            | CoordinatorNotAvailable
            | NotCoordinator
            | NotEnoughReplicas
            | NotEnoughReplicasAfterAppend
            | NotController
            | ConcurrentTransactions
            | KafkaStorageError
            | FetchSessionIdNotFound
            | InvalidFetchSessionEpoch
            | ListenerNotFound
            | FencedLeaderEpoch
            | UnknownLeaderEpoch
            | OffsetNotAvailable
            | EligibleLeadersNotAvailable
            | PreferredLeaderNotAvailable
            | ThrottlingQuotaExceeded
            | UnknownTopicId
            | InconsistentTopicId
            | FetchSessionTopicIdError
    )
}

#[cfg(test)]
mod tests {
    use super::{Backoff, is_retriable};
    use crate::error_code::ErrorCode;

    #[test]
    fn waits_double_up_to_a_second() {
        let mut backoff = Backoff::new();
        let waits: Vec<_> = (0..8).map(|_| backoff.next_wait().as_millis()).collect();
        assert_eq!(waits, [20, 40, 80, 160, 320, 640, 1000, 1000]);
    }

    #[test]
    fn refusals_for_good_are_not_repeated() {
        use ErrorCode::*;
        for code in [None, MessageTooLarge, TopicAuthorizationFailed, OffsetOutOfRange, Other(999)]
        {
            assert!(!is_retriable(code), "{code}");
        }
    }
}
