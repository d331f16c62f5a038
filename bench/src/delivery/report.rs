//! What became of every batch.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Batches on their way from producers to readers, those of the warm-up included.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Delivery {
    /// Readers, each of which reads everything.
    pub readers: usize,
    /// Batches sent.
    pub sent: u64,
    /// Batches that the broker has taken; with acks=0, the same.
    pub acknowledged: u64,
    /// Batches that the broker has refused.
    pub refused: u64,
    /// Batches that came to readers, each for the first time: `acknowledged` times `readers`, if
    /// all is well.
    pub delivered: u64,
    /// Acknowledged batches that a reader has not got, although later ones of the partition came.
    pub lost: u64,
    /// Batches that came to a reader once more.
    pub duplicated: u64,
    /// Batches that came to a reader after a later one of the partition.
    pub reordered: u64,
    /// Acknowledged batches that had not come to a reader when the run ended, with none behind them.
    pub undelivered: u64,
    /// Batches of others in the same topic.
    pub foreign: u64,
    /// Batches that were so late to readers, or never came, that their times had been forgotten: if
    /// there are any, the latency lacks the slowest.
    #[serde(default)]
    pub untimed: u64,
    /// Bytes of batches that the slowest reader got, 10^6 per second.
    pub slowest_reader_mb_per_s: f64,
    /// The same of the fastest.
    pub fastest_reader_mb_per_s: f64,
    /// Batches meant to leave before the end that the slowest reader got after it, or never.
    pub lag_batches_max: u64,
}

impl Delivery {
    /// True if every reader got every acknowledged batch, once, in order.
    pub fn is_faultless(&self) -> bool {
        self.lost + self.duplicated + self.reordered + self.undelivered == 0
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Delivery { readers, acknowledged, delivered, foreign, lag_batches_max, .. } = self;
        let who = if *readers == 1 { "1 reader".to_owned() } else { format!("{readers} readers") };
        write!(f, "  delivery   {delivered:>12}   of {acknowledged} batches to {who}")?;
        let faults = [
            ("LOST", self.lost),
            ("DUPLICATED", self.duplicated),
            ("REORDERED", self.reordered),
            ("UNDELIVERED", self.undelivered),
        ];
        if self.is_faultless() {
            write!(f, ", each once and in order")?;
        }
        writeln!(f)?;
        for (fault, count) in faults.into_iter().filter(|(_, count)| *count > 0) {
            writeln!(f, "  {fault:<11}{count:>12}")?;
        }
        if self.untimed > 0 {
            let untimed = self.untimed;
            writeln!(
                f,
                "  UNTIMED    {untimed:>12}   the latency is INCOMPLETE: it lacks the slowest"
            )?;
        }
        if *foreign > 0 {
            writeln!(f, "  foreign    {foreign:>12}   batches of others in the topic")?;
        }
        if *readers > 1 {
            let (slowest, fastest) = (self.slowest_reader_mb_per_s, self.fastest_reader_mb_per_s);
            writeln!(f, "  readers    {slowest:>12.1} to {fastest:.1} MB/s each")?;
            writeln!(f, "  lag        {lag_batches_max:>12}   batches of the slowest at the end")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Delivery;

    #[test]
    fn any_fault_is_seen_and_told() {
        let whole = Delivery { readers: 2, acknowledged: 5, delivered: 10, ..Delivery::default() };
        assert!(whole.is_faultless() && whole.to_string().contains("each once and in order"));
        for (change, told) in [
            ((|d| d.lost = 1) as fn(&mut Delivery), "LOST"),
            (|d| d.duplicated = 1, "DUPLICATED"),
            (|d| d.reordered = 1, "REORDERED"),
            (|d| d.undelivered = 1, "UNDELIVERED"),
        ] {
            let mut faulty = whole.clone();
            change(&mut faulty);
            let text = faulty.to_string();
            assert!(!faulty.is_faultless(), "{text}");
            assert!(text.contains(told) && !text.contains("once and in order"), "{text}");
        }
        let untimed = Delivery { untimed: 7, ..whole };
        assert!(untimed.to_string().contains("INCOMPLETE") && untimed.is_faultless());
    }
}
