//! Whether the next entry of the journal waits a moment for company.
//!
//! Producers that each wait for their answer come in step with the journal's writes. Without a pause
//! one of them comes first, is written alone, and all the others wait for that: two writes a round
//! where one would do. Pure: told what was written, it says what to wait for.

use std::time::Duration;

/// Waits are this part of what a write takes: about what it costs an append to miss one.
const PATIENCE_PART: u32 = 2;

/// A disk that stalls is no reason to wait longer.
const PATIENCE_MAX: Duration = Duration::from_micros(200);

/// After waits in vain, so many entries at most go without one.
const PASSED_OVER_MAX: u32 = 64;

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// Until so many appends are there,
    pub goal: u64,
    /// or so much time has passed.
    pub patience: Duration,
}

/// What the entries before say of the next one.
#[derive(Debug, Default)]
pub(crate) struct Company {
    /// Appends in the last entry, and in the one before.
    last: [u64; 2],
    /// About what a write takes.
    write: Duration,
    /// Waits in vain, one after the other.
    vain: u32,
    /// Entries still to go without a wait.
    passed_over: u32,
}

impl Company {
    /// What an entry of `gathered` appends should wait for, if anything.
    pub(crate) fn wait(&mut self, gathered: u64) -> Option<Wait> {
        let goal = self.last[0].max(self.last[1]);
        let patience = (self.write / PATIENCE_PART).min(PATIENCE_MAX);
        // So few more would not be worth it.
        if gathered * 2 > goal || patience.is_zero() {
            return None;
        }
        if self.passed_over > 0 {
            self.passed_over -= 1;
            return None;
        }
        Some(Wait { goal, patience })
    }

    /// A wait has made `before` appends `after`.
    pub(crate) fn waited(&mut self, before: u64, after: u64) {
        // As many have gained a write as were held up.
        if after >= 2 * before {
            self.vain = 0;
            return;
        }
        self.vain += 1;
        self.passed_over = 1_u32.checked_shl(self.vain).unwrap_or(u32::MAX).min(PASSED_OVER_MAX);
    }

    /// An entry of so many appends was written.
    pub(crate) fn wrote(&mut self, appends: u64, took: Duration) {
        self.last = [appends, self.last[0]];
        self.write = if self.write.is_zero() { took } else { (self.write * 7 + took) / 8 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITE: Duration = Duration::from_micros(100);

    /// Entries of `rounds` rounds: each producer's next batch comes `think` after its answer.
    fn entries(producers: usize, think: Duration, rounds: usize) -> Vec<u64> {
        let mut company = Company::default();
        let mut ready_at: Vec<Duration> = (0..producers as u32).map(|n| WRITE / 50 * n).collect();
        let (mut now, mut entries) = (Duration::ZERO, Vec::new());
        for _ in 0..rounds {
            let there = |ready_at: &[Duration], now| {
                ready_at.iter().filter(|&&ready| ready <= now).count() as u64
            };
            now = now.max(*ready_at.iter().min().unwrap());
            let before = there(&ready_at, now);
            if let Some(Wait { goal, patience }) = company.wait(before) {
                let end = now + patience;
                ready_at.sort_unstable();
                now = ready_at.get(goal as usize - 1).map_or(end, |&ready| ready.clamp(now, end));
                company.waited(before, there(&ready_at, now));
            }
            let begun = now;
            now += WRITE;
            let mut written = 0;
            for ready in ready_at.iter_mut().filter(|ready| **ready <= begun) {
                written += 1;
                // Answers go out one after the other.
                *ready = now + think + WRITE / 50 * written;
            }
            company.wrote(u64::from(written), WRITE);
            entries.push(u64::from(written));
        }
        entries
    }

    #[test]
    fn producers_in_step_share_an_entry() {
        let entries = entries(8, WRITE / 10, 100);
        let shared = entries[4..].iter().filter(|&&appends| appends >= 7).count();
        assert!(shared >= 95, "{entries:?}");
    }

    #[test]
    fn one_producer_waits_for_nobody() {
        let mut company = Company::default();
        for _ in 0..10 {
            assert_eq!(company.wait(1), None);
            company.wrote(1, WRITE);
        }
    }

    #[test]
    fn who_waits_in_vain_soon_waits_seldom() {
        let mut company = Company::default();
        let mut waits = 0;
        for _ in 0..1_000 {
            // There was company, but what comes now comes alone.
            company.wrote(8, WRITE);
            if company.wait(1).is_some() {
                waits += 1;
                company.waited(1, 1);
            }
        }
        assert!((5..30).contains(&waits), "{waits}");
    }

    #[test]
    fn a_wait_that_pays_is_made_again_at_once() {
        let mut company = Company::default();
        company.wrote(8, WRITE);
        for came in [1, 8, 8] {
            let wait = std::iter::from_fn(|| Some(company.wait(1))).flatten().next();
            assert_eq!(wait, Some(Wait { goal: 8, patience: WRITE / PATIENCE_PART }));
            company.waited(1, came);
        }
        assert!(company.wait(1).is_some());
    }

    #[test]
    fn a_stalled_disk_is_not_waited_for() {
        let mut company = Company::default();
        company.wrote(8, Duration::from_secs(3));
        assert_eq!(company.wait(1).map(|wait| wait.patience), Some(PATIENCE_MAX));
    }
}
