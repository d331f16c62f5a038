//! When requests are meant to leave, whatever the answers do.

/// Requests at equal distances, dealt to all lanes in turn; of them, one thread's. All times are
/// nanoseconds since the run's start. Pure arithmetic: however far the sending falls behind, nothing
/// is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    interval_ns: f64,
    /// The thread's first lane among all lanes, and the distance to its next.
    first: u64,
    stride: u64,
    /// Lanes of the thread, and of all threads.
    own: u64,
    all: u64,
    released: u64,
}

impl Schedule {
    /// The part of thread `thread` of `threads` in a schedule of `requests_per_s`, which `lanes`
    /// lanes share: lane n belongs to thread n modulo `threads`. None if it has no lane.
    pub(crate) fn new(
        requests_per_s: f64,
        thread: usize,
        threads: usize,
        lanes: usize,
    ) -> Option<Schedule> {
        let own = lanes.saturating_sub(thread).div_ceil(threads.max(1));
        (own > 0).then_some(Schedule {
            interval_ns: 1e9 / requests_per_s,
            first: thread as u64,
            stride: threads as u64,
            own: own as u64,
            all: lanes as u64,
            released: 0,
        })
    }

    /// When the next request is meant to leave.
    pub(crate) fn next_ns(&self) -> u64 {
        self.time_of_ns((self.released % self.own) as usize, self.released / self.own)
    }

    /// The next request, if its time has come: the lane's number on this thread, and the time.
    pub(crate) fn release(&mut self, now_ns: u64) -> Option<(usize, u64)> {
        let time_ns = self.next_ns();
        if time_ns > now_ns {
            return None;
        }
        let lane = (self.released % self.own) as usize;
        self.released += 1;
        Some((lane, time_ns))
    }

    /// The time of the `nth` request, counted from 0, of the thread's lane of this number.
    pub(crate) fn time_of_ns(&self, lane: usize, nth: u64) -> u64 {
        let request = nth * self.all + self.first + lane as u64 * self.stride;
        (self.interval_ns * request as f64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    #[test]
    fn requests_are_due_at_their_time_in_turn() {
        let mut schedule = Schedule::new(1000.0, 0, 1, 3).unwrap();
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
        let mut schedule = Schedule::new(1e6, 0, 1, 1).unwrap();
        let times: Vec<_> = std::iter::from_fn(|| schedule.release(3_500)).collect();
        assert_eq!(times, [(0, 0), (0, 1000), (0, 2000), (0, 3000)]);
    }

    #[test]
    fn threads_share_the_rate_and_every_lane_has_its_part() {
        for (threads, lanes) in [(4, 8), (3, 4), (4, 2)] {
            let (mut all, mut by_lane) = (Vec::new(), vec![0; lanes]);
            for thread in 0..threads {
                let Some(mut schedule) = Schedule::new(2000.0, thread, threads, lanes) else {
                    assert!(thread >= lanes);
                    continue;
                };
                while let Some((lane, time_ns)) = schedule.release(999_999_999) {
                    by_lane[thread + lane * threads] += 1;
                    all.push(time_ns);
                }
            }
            all.sort_unstable();
            assert_eq!(all.len(), 2000);
            assert!(all.windows(2).all(|pair| pair[1] - pair[0] == 500_000));
            assert_eq!(by_lane, vec![2000 / lanes; lanes]);
        }
    }

    #[test]
    fn a_day_at_a_million_a_second_does_not_drift() {
        let schedule = Schedule::new(1e6, 0, 1, 1).unwrap();
        assert_eq!(schedule.time_of_ns(0, 86_400_000_000), 86_400_000_000_000);
    }
}
