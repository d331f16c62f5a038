//! How it goes, on a terminal, and how it went.

use std::fmt;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::super::print::human_bytes;

const PACE: Duration = Duration::from_millis(100);

/// A line that moves on stderr; nothing if that is no terminal, or people type the records.
pub(super) struct Progress {
    bar: ProgressBar,
    shown: Instant,
}

impl Progress {
    pub(super) fn new() -> Progress {
        let target = match io::stdin().is_terminal() || !io::stderr().is_terminal() {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(ProgressStyle::default_spinner());
        Progress { bar, shown: Instant::now() }
    }

    /// Shows how much was acknowledged and read.
    pub(super) fn show(&mut self, records: u64, read_bytes: u64) {
        if self.bar.is_hidden() || self.shown.elapsed() < PACE {
            return;
        }
        self.shown = Instant::now();
        let seconds = self.bar.elapsed().as_secs_f64().max(0.001);
        self.bar.set_message(format!(
            "{records} records, {} read, {:.0} records/s",
            human_bytes(read_bytes),
            records as f64 / seconds
        ));
        self.bar.tick();
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// The outcome.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) topic: String,
    pub(super) records: u64,
    /// Of keys and values.
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    #[serde(rename = "acknowledged")]
    pub(super) is_acknowledged: bool,
    #[serde(rename = "complete")]
    pub(super) is_complete: bool,
    pub(super) interrupted: bool,
}

impl Summary {
    pub(super) fn participle(&self) -> &'static str {
        match self.is_acknowledged {
            true => "were acknowledged",
            false => "were sent",
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds.max(1e-6);
        write!(
            f,
            "{}{} record{} ({}) to '{}' in {:.2} s: {:.0} records/s, {}/s",
            if self.interrupted { "interrupted: " } else { "" },
            self.records,
            if self.records == 1 { "" } else { "s" },
            human_bytes(self.bytes),
            self.topic,
            self.seconds,
            self.records as f64 / seconds,
            human_bytes((self.bytes as f64 / seconds) as u64),
        )?;
        if self.is_acknowledged { Ok(()) } else { write!(f, " (not acknowledged: acks=0)") }
    }
}
