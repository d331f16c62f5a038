//! Where each partition goes on: pure.

use std::collections::BTreeMap;

use super::super::Partition;

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The first record there is.
    Earliest,
    /// The end.
    Latest,
    /// Where it stands; the end if it stands nowhere.
    Current,
    /// This offset.
    Offset(i64),
    /// So many forward, or back.
    Shift(i64),
    /// The first record of this time, ms since 1970, or later.
    Time(i64),
    /// Each partition its own.
    Listed(BTreeMap<Partition, i64>),
}

/// What is known of a partition.
#[derive(Clone, Debug)]
pub(super) struct Facts<'a> {
    pub(super) partition: &'a Partition,
    pub(super) committed: Option<i64>,
    pub(super) start: i64,
    /// Not below the start.
    pub(super) end: i64,
    /// The first offset of the time asked for; -1 or nothing if there is none.
    pub(super) at_time: Option<i64>,
}

/// Where it goes on, and what the user may not expect of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) offset: i64,
    pub(super) note: Option<String>,
}

/// Always within the log, as Kafka's tool has it.
///
/// # Errors
/// Why there is no such place, for people.
pub(super) fn plan(target: &Target, facts: &Facts<'_>) -> Result<Planned, String> {
    let Facts { partition, committed, start, end, at_time } = *facts;
    let wished = match target {
        Target::Earliest => start,
        Target::Latest => end,
        Target::Current => committed.unwrap_or(end),
        Target::Offset(offset) => *offset,
        Target::Shift(by) => {
            let committed = committed.ok_or("nothing is committed that could be shifted")?;
            committed.saturating_add(*by)
        }
        Target::Time(_) => at_time.filter(|offset| *offset >= 0).unwrap_or(end),
        Target::Listed(offsets) => *offsets.get(partition).ok_or("it is not in the file")?,
    };
    let offset = wished.clamp(start, end);
    let note = match wished {
        _ if wished < start => {
            Some(format!("offset {wished} is not there; the log begins at {start}"))
        }
        _ if wished > end => Some(format!("offset {wished} is not there; the log ends at {end}")),
        _ => None,
    };
    Ok(Planned { offset, note })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(target: Target, committed: Option<i64>, at_time: Option<i64>) -> (i64, bool) {
        let partition = ("t".into(), 0);
        let facts = Facts { partition: &partition, committed, start: 10, end: 20, at_time };
        let planned = plan(&target, &facts).unwrap();
        (planned.offset, planned.note.is_some())
    }

    #[test]
    fn each_target_has_its_place() {
        assert_eq!(planned(Target::Earliest, Some(15), None), (10, false));
        assert_eq!(planned(Target::Latest, Some(15), None), (20, false));
        assert_eq!(planned(Target::Current, Some(15), None), (15, false));
        assert_eq!(planned(Target::Current, None, None), (20, false));
        assert_eq!(planned(Target::Offset(12), None, None), (12, false));
        assert_eq!(planned(Target::Shift(-3), Some(15), None), (12, false));
        assert_eq!(planned(Target::Time(7), None, Some(11)), (11, false));
        // Nothing is as late: only what comes from now on is.
        assert_eq!(planned(Target::Time(7), Some(15), Some(-1)), (20, false));
        let listed = Target::Listed(BTreeMap::from([(("t".into(), 0), 13)]));
        assert_eq!(planned(listed, None, None), (13, false));
    }

    #[test]
    fn what_lies_outside_of_the_log_is_told_and_clamped() {
        assert_eq!(planned(Target::Offset(9), None, None), (10, true));
        assert_eq!(planned(Target::Offset(21), None, None), (20, true));
        assert_eq!(planned(Target::Shift(i64::MAX), Some(15), None), (20, true));
        assert_eq!(planned(Target::Shift(i64::MIN), Some(15), None), (10, true));
        // Retention has passed by what was committed.
        assert_eq!(planned(Target::Current, Some(3), None), (10, true));
    }

    #[test]
    fn what_has_no_place_is_an_error() {
        let partition = ("t".into(), 1);
        let facts =
            Facts { partition: &partition, committed: None, start: 0, end: 5, at_time: None };
        assert!(plan(&Target::Shift(1), &facts).is_err());
        assert!(plan(&Target::Listed(BTreeMap::new()), &facts).is_err());
    }
}
