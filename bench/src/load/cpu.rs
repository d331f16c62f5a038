//! What a thread has had of its core, and what it had to wait for.

use std::fs;

use rustix::time::{ClockId, clock_gettime};

use super::recorder::Recorder;

/// How a thread spent a while, nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuTime {
    /// It ran.
    pub(crate) ran_ns: u64,
    /// It was ready to run, and others had the core. 0 where the kernel does not say.
    pub(crate) waited_ns: u64,
}

impl CpuTime {
    /// Of the calling thread since it began.
    fn here() -> CpuTime {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        let ran_ns = u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + time.tv_nsec as u64;
        let schedstat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        CpuTime { ran_ns, waited_ns: waited_ns(&schedstat) }
    }
}

/// The second number of schedstat (Documentation/scheduler/sched-stats.rst): time on a run queue.
fn waited_ns(schedstat: &str) -> u64 {
    schedstat.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The calling thread's, from the first look within the window to the first after it.
#[derive(Default)]
pub(super) struct CpuWindow {
    start: Option<CpuTime>,
    end: Option<CpuTime>,
}

impl CpuWindow {
    pub(super) fn see(&mut self, now_ns: u64, recorder: &Recorder) {
        let window = recorder.window();
        if self.start.is_none() && now_ns >= window.start_ns {
            self.start = Some(CpuTime::here());
        }
        if self.end.is_none() && now_ns >= window.end_ns {
            self.end = Some(CpuTime::here());
        }
    }

    pub(super) fn used(&self) -> CpuTime {
        let (start, end) = (self.start.unwrap_or_default(), self.end.unwrap_or_default());
        CpuTime {
            ran_ns: end.ran_ns.saturating_sub(start.ran_ns),
            waited_ns: end.waited_ns.saturating_sub(start.waited_ns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::waited_ns;

    #[test]
    fn the_wait_for_a_core_is_read() {
        assert_eq!(waited_ns("123456 789 12\n"), 789);
        assert_eq!([waited_ns(""), waited_ns("1"), waited_ns("1 x 2")], [0, 0, 0]);
    }
}
