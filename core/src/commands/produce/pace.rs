//! No more records a second than wished: a bucket that holds a tenth of a second's worth.

use std::time::{Duration, Instant};

/// How long an idle time may be made up for.
const BURST: Duration = Duration::from_millis(100);

/// When the next record may go.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Option<Duration>,
    next: Instant,
}

impl Pace {
    /// `rate` records a second, or as many as there are.
    pub(super) fn new(rate: Option<u64>, now: Instant) -> Pace {
        let interval = rate.map(|rate| Duration::from_secs_f64(1.0 / rate.max(1) as f64));
        Pace { interval, next: now }
    }

    /// True if a record may go.
    pub(super) fn may_go(&mut self, now: Instant) -> bool {
        if self.interval.is_none() {
            return true;
        }
        if let Some(earliest) = now.checked_sub(BURST) {
            self.next = self.next.max(earliest);
        }
        now >= self.next
    }

    /// One has gone.
    pub(super) fn went(&mut self) {
        self.next += self.interval.unwrap_or_default();
    }

    /// When the next may, if not now.
    pub(super) fn next_at(&self, now: Instant) -> Option<Instant> {
        (self.interval.is_some() && self.next > now).then_some(self.next)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Pace;

    #[test]
    fn a_rate_is_kept_and_idleness_not_made_up_for() {
        let began = Instant::now();
        let mut pace = Pace::new(Some(1000), began);
        let gone = |pace: &mut Pace, ms| {
            let now = began + Duration::from_millis(ms);
            std::iter::from_fn(|| pace.may_go(now).then(|| pace.went())).count()
        };
        assert_eq!(gone(&mut pace, 0), 1);
        assert_eq!(gone(&mut pace, 50), 50);
        assert_eq!(gone(&mut pace, 50), 0);
        assert_eq!(gone(&mut pace, 60_000), 101);
        assert!(Pace::new(None, began).may_go(began));
    }
}
