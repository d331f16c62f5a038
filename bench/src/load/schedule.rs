//! When requests are meant to leave, whatever the answers do.

/// Requests at equal distances, dealt to lanes in turn. All times are nanoseconds since the run's
/// start. Pure arithmetic: however far the sending falls behind, nothing is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    interval_ns: f64,
    phase_ns: f64,
    lanes: u64,
    released: u64,
}

impl Schedule {
    /// The schedule of one thread of `threads`, which together send `requests_per_s`. The threads'
    /// requests fall between one another's.
    pub(crate) fn new(
        requests_per_s: f64,
        thread: usize,
        threads: usize,
        lanes: usize,
    ) -> Schedule {
        let interval_ns = 1e9 / requests_per_s * threads as f64;
        let phase_ns = interval_ns * thread as f64 / threads as f64;
        Schedule { interval_ns, phase_ns, lanes: lanes.max(1) as u64, released: 0 }
    }

    fn time_ns(&self, request: u64) -> u64 {
        (self.phase_ns + self.interval_ns * request as f64) as u64
    }

    /// When the next request is meant to leave.
    pub(crate) fn next_ns(&self) -> u64 {
        self.time_ns(self.released)
    }

    /// The next request, if its time has come: its lane, and its time.
    pub(crate) fn release(&mut self, now_ns: u64) -> Option<(usize, u64)> {
        let time_ns = self.next_ns();
        if time_ns > now_ns {
            return None;
        }
        let lane = (self.released % self.lanes) as usize;
        self.released += 1;
        Some((lane, time_ns))
    }

    /// The time of a lane's `nth` request, counted from 0.
    pub(crate) fn time_of_ns(&self, lane: usize, nth: u64) -> u64 {
        self.time_ns(nth * self.lanes + lane as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    #[test]
    fn requests_are_due_at_their_time_in_turn() {
        let mut schedule = Schedule::new(1000.0, 0, 1, 3);
        let mut released = Vec::new();
        for now_ns in (0..=5_000_000).step_by(250_000) {
            while let Some((lane, time_ns)) = schedule.release(now_ns) {
                assert_eq!(time_ns, now_ns);
                released.push(lane);
            }
        }
        assert_eq!(released, [0, 1, 2, 0, 1, 2]);
        assert_eq!(schedule.time_of_ns(1, 1), 4_000_000);
        assert_eq!(schedule.next_ns(), 6_000_000);
    }

    #[test]
    fn what_was_missed_is_still_due_with_its_own_time() {
        let mut schedule = Schedule::new(1e6, 0, 1, 1);
        let times: Vec<_> = std::iter::from_fn(|| schedule.release(3_500)).collect();
        assert_eq!(times, [(0, 0), (0, 1000), (0, 2000), (0, 3000)]);
    }

    #[test]
    fn threads_share_the_rate_and_alternate() {
        let mut all = Vec::new();
        for thread in 0..4 {
            let mut schedule = Schedule::new(2000.0, thread, 4, 2);
            while let Some((_, time_ns)) = schedule.release(999_999_999) {
                all.push(time_ns);
            }
        }
        all.sort_unstable();
        assert_eq!(all.len(), 2000);
        assert!(all.windows(2).all(|pair| pair[1] - pair[0] == 500_000));
    }

    #[test]
    fn a_day_at_a_million_a_second_does_not_drift() {
        let schedule = Schedule::new(1e6, 0, 1, 1);
        assert_eq!(schedule.time_of_ns(0, 86_400_000_000), 86_400_000_000_000);
    }
}
