//! How far each partition was read, and how far it is to be: pure state.

use std::collections::BTreeMap;

/// One partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// The next offset wanted.
    pub(super) position: i64,
    /// Where to end, if anywhere.
    pub(super) end: Option<i64>,
    /// Answers in a row with nothing, although the end is not reached.
    idle_answers: u32,
    /// Bytes to ask for; more, if a batch does not fit.
    pub(super) fetch_bytes: i32,
}

/// Answers with nothing after which a broker is not believed to have anything.
const IDLE_ANSWERS_MAX: u32 = 20;

/// Bytes of one partition in one answer, to begin with.
const FETCH_BYTES: i32 = 4 << 20;

/// Largest such number.
const FETCH_BYTES_MAX: i32 = 192 << 20;

impl Reading {
    pub(super) fn new(position: i64, end: Option<i64>) -> Reading {
        Reading { position, end, idle_answers: 0, fetch_bytes: FETCH_BYTES }
    }

    pub(super) fn is_done(&self) -> bool {
        self.end.is_some_and(|end| self.position >= end)
    }

    /// Everything before this offset was read.
    pub(super) fn advance(&mut self, position: i64) {
        if position > self.position {
            self.position = position;
            self.idle_answers = 0;
        }
    }

    /// An answer had no record of this partition, though others may have taken its place. False once
    /// that has happened too often for an end that is known to be further on.
    pub(super) fn was_idle(&mut self, is_alone: bool, readable: i64) -> bool {
        let is_short = self.end.is_some_and(|end| readable >= end) && !self.is_done();
        self.idle_answers += u32::from(is_short && is_alone);
        self.idle_answers <= IDLE_ANSWERS_MAX
    }

    /// A batch was cut although it is the first: false if no more can be asked for.
    pub(super) fn ask_for_more(&mut self) -> bool {
        let grown = self.fetch_bytes.saturating_mul(2).min(FETCH_BYTES_MAX);
        std::mem::replace(&mut self.fetch_bytes, grown) < grown
    }
}

/// Partitions that are not done, by the broker that leads each.
pub(super) fn by_leader(
    readings: &BTreeMap<i32, Reading>,
    leaders: &BTreeMap<i32, i32>,
) -> Result<BTreeMap<i32, Vec<i32>>, i32> {
    let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (&partition, _) in readings.iter().filter(|(_, reading)| !reading.is_done()) {
        match leaders.get(&partition) {
            Some(&leader) if leader >= 0 => by_leader.entry(leader).or_default().push(partition),
            _ => return Err(partition),
        }
    }
    Ok(by_leader)
}

#[cfg(test)]
mod tests {
    use super::Reading;

    #[test]
    fn a_partition_is_done_at_its_end_and_never_when_followed() {
        let mut reading = Reading::new(5, Some(7));
        assert!(!reading.is_done());
        reading.advance(6);
        reading.advance(3);
        assert_eq!(reading.position, 6);
        reading.advance(9);
        assert!(reading.is_done());
        assert!(!Reading::new(i64::MAX, None).is_done());
        assert!(Reading::new(0, Some(0)).is_done());
    }

    #[test]
    fn a_broker_that_has_nothing_where_it_should_is_not_asked_for_ever() {
        let mut reading = Reading::new(5, Some(7));
        assert!((0..100).all(|_| reading.was_idle(true, 6)), "not yet readable");
        assert!((0..100).all(|_| reading.was_idle(false, 7)), "others came first");
        assert!((0..20).all(|_| reading.was_idle(true, 7)));
        assert!(!reading.was_idle(true, 7));
        assert!((0..100).all(|_| Reading::new(0, None).was_idle(true, 7)));
    }

    #[test]
    fn what_is_asked_for_grows_to_a_limit() {
        let mut reading = Reading::new(0, None);
        let grown = (0..100).filter(|_| reading.ask_for_more()).count();
        assert_eq!((grown, reading.fetch_bytes), (6, 192 << 20));
    }
}
