//! Whether the next entry of the journal waits a moment for company.
//!
//! Producers that each wait for their answer come in step with the journal's writes. Without a pause
//! one of them comes first, is written alone, and all the others wait for that: two writes a round
//! where one would do. Pure: told what was written, it says what to wait for.

use std::time::Duration;

/// So many share a write's cost well enough: more company is not worth waiting for.
const ENOUGH: u64 = 8;

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
    /// Appends that waited when the last entry was written: its own, and those that came meanwhile.
    waiting: u64,
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
        let goal = self.waiting.min(ENOUGH);
        // So few would not be worth the time of so many.
        if goal == 0 || gathered * 2 > goal || self.write.is_zero() {
            return None;
        }
        if self.passed_over > 0 {
            self.passed_over -= 1;
            return None;
        }
        // Each that is missed waits for a write more, each that is there for no longer than this.
        let share = (goal - gathered) as f64 / goal as f64;
        Some(Wait { goal, patience: self.write.mul_f64(share).min(PATIENCE_MAX) })
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

    /// An entry of so many appends was written; meanwhile so many `came`.
    pub(crate) fn wrote(&mut self, appends: u64, came: u64, took: Duration) {
        self.waiting = appends + came;
        self.write = if self.write.is_zero() { took } else { (self.write * 7 + took) / 8 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITE: Duration = Duration::from_micros(100);

    /// Appends of each entry: each producer's next one comes `think` after its answer, one behind the other.
    fn entries(producers: u32, think: Duration, rounds: usize) -> Vec<u64> {
        let mut company = Company::default();
        // They do not come together at first.
        let mut due: Vec<Duration> = (0..producers).map(|n| WRITE * n / 4).collect();
        let (mut now, mut entries) = (Duration::ZERO, Vec::new());
        let there = |due: &[Duration], now| due.iter().filter(|&&due| due <= now).count() as u64;
        for _ in 0..rounds {
            due.sort_unstable();
            now = now.max(due[0]);
            let before = there(&due, now);
            if let Some(Wait { goal, patience }) = company.wait(before) {
                let end = now + patience;
                now = due.get(goal as usize - 1).map_or(end, |&due| due.clamp(now, end));
                company.waited(before, there(&due, now));
            }
            let begun = now;
            now += WRITE;
            let mut written = 0;
            for due in due.iter_mut().filter(|due| **due <= begun) {
                written += 1;
                *due = now + think + WRITE / 20 * written;
            }
            let written = u64::from(written);
            company.wrote(written, there(&due, now), WRITE);
            entries.push(written);
        }
        entries
    }

    #[test]
    fn producers_in_step_share_an_entry() {
        for producers in [2, 3, 8] {
            let entries = entries(producers, WRITE / 10, 200);
            let whole = entries[100..].iter().filter(|&&appends| appends == u64::from(producers));
            assert!(whole.count() >= 95, "{producers}: {entries:?}");
        }
    }

    #[test]
    fn many_producers_are_not_all_waited_for() {
        let mut company = Company::default();
        company.wrote(40, 24, WRITE);
        assert_eq!(company.wait(1).map(|wait| wait.goal), Some(ENOUGH));
        assert_eq!(company.wait(ENOUGH / 2 + 1), None);
    }

    #[test]
    fn producers_that_take_longer_are_not_waited_for() {
        // Each pause would be in vain, but for those that are made to see whether that is still so.
        let mut company = Company::default();
        let mut waits = 0;
        for _ in 0..1_000 {
            company.wrote(7, 1, WRITE);
            if company.wait(1).is_some() {
                waits += 1;
                company.waited(1, 1);
            }
        }
        assert!((5..30).contains(&waits), "{waits}");
    }

    #[test]
    fn one_producer_waits_for_nobody() {
        let mut company = Company::default();
        for _ in 0..10 {
            assert_eq!(company.wait(1), None);
            company.wrote(1, 0, WRITE);
        }
    }

    #[test]
    fn the_more_are_there_the_less_they_wait() {
        let mut company = Company::default();
        company.wrote(7, 1, WRITE);
        let patience =
            |company: &mut Company, gathered| company.wait(gathered).map(|wait| wait.patience);
        assert_eq!(patience(&mut company, 2), Some(WRITE * 3 / 4));
        assert_eq!(patience(&mut company, 4), Some(WRITE / 2));
        assert_eq!(patience(&mut company, 5), None);
    }

    #[test]
    fn a_wait_that_pays_is_made_again_at_once() {
        let mut company = Company::default();
        company.wrote(8, 0, WRITE);
        for came in [1, 8, 8] {
            let wait = std::iter::from_fn(|| Some(company.wait(1))).flatten().next();
            assert_eq!(wait.map(|wait| wait.goal), Some(8));
            company.waited(1, came);
        }
        assert!(company.wait(1).is_some());
    }

    #[test]
    fn a_stalled_disk_is_not_waited_for() {
        let mut company = Company::default();
        company.wrote(8, 0, Duration::from_secs(3));
        assert_eq!(company.wait(1).map(|wait| wait.patience), Some(PATIENCE_MAX));
    }
}
