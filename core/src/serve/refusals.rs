//! When to say that connections are refused: whoever is at a limit tries again and again.

use std::collections::HashMap;
use std::time::Duration;

use crate::shard::ListenerId;
use crate::shard::admission::Refused;

/// A limit is named at most this often.
const INTERVAL: Duration = Duration::from_secs(60);

/// Refused connections that nobody was told of yet.
#[derive(Default)]
pub struct Refusals(HashMap<(ListenerId, Refused), Untold>);

struct Untold {
    count: u64,
    told_at: Option<Duration>,
}

impl Refusals {
    /// Counts one more; returns how many there are since the last time, if it is time to say it.
    pub fn add(&mut self, listener: ListenerId, refused: Refused, now: Duration) -> Option<u64> {
        let untold = Untold { count: 0, told_at: None };
        let untold = self.0.entry((listener, refused)).or_insert(untold);
        untold.count += 1;
        if untold.told_at.is_some_and(|told_at| now.saturating_sub(told_at) < INTERVAL) {
            return None;
        }
        untold.told_at = Some(now);
        Some(std::mem::take(&mut untold.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_named_once_a_minute_with_its_count() {
        let mut refusals = Refusals::default();
        let mut add = |listener, refused, second| {
            refusals.add(ListenerId(listener), refused, Duration::from_secs(second))
        };
        assert_eq!(add(0, Refused::Broker, 5), Some(1));
        assert_eq!(add(0, Refused::Broker, 6), None);
        assert_eq!(add(0, Refused::Address, 6), Some(1), "another limit");
        assert_eq!(add(1, Refused::Broker, 6), Some(1), "another listener");
        assert_eq!(add(0, Refused::Broker, 64), None);
        assert_eq!(add(0, Refused::Broker, 65), Some(3));
        assert_eq!(add(0, Refused::Broker, 66), None);
    }
}
