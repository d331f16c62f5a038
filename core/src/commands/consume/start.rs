//! Where to start reading.

use jiff::Timestamp;
use jiff::civil::Date;

/// Where to start reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The first record.
    Beginning,
    /// What is produced from now on.
    End,
    /// This offset.
    Offset(i64),
    /// So many offsets before the end.
    BeforeEnd(i64),
    /// The first record of this time, ms since 1970, or later.
    At(i64),
    /// The first record of so many milliseconds ago, or later.
    Ago(i64),
}

impl Start {
    /// An offset, or -N.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn offset(text: &str) -> Result<Start, String> {
        let wrong = || "expected an offset, such as 1000, or -N for N before the end".to_owned();
        let number: i64 = text.parse().map_err(|_| wrong())?;
        match text.strip_prefix('-') {
            None => Ok(Start::Offset(number)),
            Some(_) => number.checked_neg().map(Start::BeforeEnd).ok_or_else(wrong),
        }
    }

    /// RFC 3339, a date, ms since 1970, or a time ago.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn timestamp(text: &str) -> Result<Start, String> {
        let wrong = || {
            "expected a time such as 2026-01-31T12:00:00Z, 2026-01-31, 1767225600000 (ms since \
             1970) or -10m (ms, s, m, h, d ago)"
                .to_owned()
        };
        if let Some(ago) = text.strip_prefix('-') {
            return ago_ms(ago).map(Start::Ago).ok_or_else(wrong);
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Start::At).map_err(|_| wrong());
        }
        let instant = text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond);
        let midnight = || {
            // A date would be read out of a time without a zone, too.
            let date: Date = text.parse().ok().filter(|date: &Date| date.to_string() == text)?;
            let zoned = date.at(0, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).ok()?;
            Some(zoned.timestamp().as_millisecond())
        };
        let at = instant.or_else(midnight).filter(|at| *at >= 0);
        at.map(Start::At).ok_or_else(wrong)
    }

    /// What this is at a partition whose offsets go from `first` up to `end`, if it needs not be
    /// looked up by time.
    pub fn resolve(self, first: i64, end: i64) -> Option<i64> {
        match self {
            Start::Beginning => Some(first),
            Start::End => Some(end),
            Start::Offset(offset) => Some(offset.clamp(first, end.max(first))),
            Start::BeforeEnd(count) => Some(end.saturating_sub(count).max(first)),
            Start::At(_) | Start::Ago(_) => None,
        }
    }

    /// The time to look up, ms since 1970.
    pub fn time_ms(self, now_ms: i64) -> Option<i64> {
        match self {
            Start::At(at) => Some(at),
            Start::Ago(ago) => Some(now_ms.saturating_sub(ago).max(0)),
            _ => None,
        }
    }
}

fn ago_ms(text: &str) -> Option<i64> {
    const UNITS: [(&str, i64); 5] =
        [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    UNITS.iter().find_map(|(unit, unit_ms)| {
        let count = text.strip_suffix(unit)?;
        let is_number = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| count.parse::<i64>().ok()?.checked_mul(*unit_ms))?
    })
}

#[cfg(test)]
mod tests {
    use super::Start;

    #[test]
    fn offsets_are_read() {
        assert_eq!(Start::offset("0"), Ok(Start::Offset(0)));
        assert_eq!(Start::offset("-5"), Ok(Start::BeforeEnd(5)));
        for wrong in ["", "-", "x", "1.5", "-9223372036854775808", "9223372036854775808"] {
            assert!(Start::offset(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_read() {
        let at = 1_769_860_800_000;
        assert_eq!(Start::timestamp("2026-01-31T12:00:00Z"), Ok(Start::At(at)));
        assert_eq!(Start::timestamp("2026-01-31T13:00:00+01:00"), Ok(Start::At(at)));
        assert_eq!(Start::timestamp("2026-01-31"), Ok(Start::At(at - 43_200_000)));
        assert_eq!(Start::timestamp("1769860800000"), Ok(Start::At(at)));
        assert_eq!(Start::timestamp("-10m"), Ok(Start::Ago(600_000)));
        assert_eq!(Start::timestamp("-250ms"), Ok(Start::Ago(250)));
        for wrong in ["", "-", "-m", "-10", "-10y", "--1s", "yesterday", "1960-01-01", "2026-13-01"]
        {
            assert!(Start::timestamp(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn starts_stay_within_a_partition() {
        assert_eq!(Start::Offset(5).resolve(10, 20), Some(10));
        assert_eq!(Start::Offset(50).resolve(10, 20), Some(20));
        assert_eq!(Start::BeforeEnd(3).resolve(10, 20), Some(17));
        assert_eq!(Start::BeforeEnd(i64::MAX).resolve(10, 20), Some(10));
        assert_eq!(Start::Ago(1).resolve(10, 20), None);
        assert_eq!(Start::Ago(10).time_ms(100), Some(90));
    }
}
