//! Ends a connection that stands still. It looks a few times per shortest limit, so that the reader
//! and the writer only count steps and never ask for the time.

use std::time::Duration;

use super::closed::Closed;
use super::state::{Progress, State};
use crate::frame::Waiting;
use crate::limits::Limits;
use crate::stream::Timer;

/// Looks per shortest limit.
const LOOKS: u32 = 2;
/// Shortest pause between two looks.
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// Ends when the connection is to be ended.
pub(super) async fn run<T: Timer>(timer: &T, limits: &Limits, state: &State) -> Closed {
    let shortest = limits.idle_timeout.min(limits.read_timeout).min(limits.write_timeout);
    let pause = (shortest / LOOKS).max(PAUSE_MIN);
    let mut watchdog = Watchdog::new(state.progress());
    loop {
        timer.sleep(pause).await;
        if let Some(closed) = watchdog.look(state.progress(), pause, limits) {
            return closed;
        }
    }
}

/// How long each side has stood still.
struct Watchdog {
    last: Progress,
    reader_for: Duration,
    writer_for: Duration,
}

impl Watchdog {
    fn new(progress: Progress) -> Watchdog {
        Watchdog { last: progress, reader_for: Duration::ZERO, writer_for: Duration::ZERO }
    }

    /// Judges what is seen `pause` after the last look.
    fn look(&mut self, seen: Progress, pause: Duration, limits: &Limits) -> Option<Closed> {
        let reader_still = seen.reader_steps == self.last.reader_steps;
        let writer_still = seen.writer_steps == self.last.writer_steps;
        // The time that a frame waits for the budget is not its client's.
        let paused =
            seen.waiting == Waiting::Budget || seen.budget_pauses != self.last.budget_pauses;
        self.reader_for = match reader_still {
            true if paused => self.reader_for,
            true => self.reader_for + pause,
            false => Duration::ZERO,
        };
        self.writer_for = if writer_still { self.writer_for + pause } else { Duration::ZERO };
        self.last = seen;
        if seen.writing && self.writer_for >= limits.write_timeout {
            return Some(Closed::WriteTimeout);
        }
        match seen.waiting {
            Waiting::Rest(frame_bytes) if self.reader_for >= read_timeout(frame_bytes, limits) => {
                Some(Closed::ReadTimeout { frame_bytes })
            }
            Waiting::Frame
                if seen.in_flight == 0
                    && !seen.writing
                    && self.reader_for.min(self.writer_for) >= limits.idle_timeout =>
            {
                Some(Closed::IdleTimeout)
            }
            _ => None,
        }
    }
}

fn read_timeout(frame_bytes: usize, limits: &Limits) -> Duration {
    let seconds = frame_bytes / limits.read_bytes_per_second_min.max(1);
    limits.read_timeout.saturating_add(Duration::from_secs(seconds as u64))
}
