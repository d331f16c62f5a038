//! Numbers with units.

const SIZES: &[(&str, u64)] = &[
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

const SPANS_MS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 7 * 86_400_000),
];

/// A number of bytes: digits, and perhaps a unit.
///
/// # Errors
/// What was expected.
pub fn bytes(text: &str) -> Result<u64, String> {
    with_unit(text, SIZES).ok_or_else(|| {
        "expected a whole number of bytes, such as 536870912, 512MiB or 2GB".to_owned()
    })
}

/// A span of time in milliseconds: digits, and perhaps a unit.
pub(super) fn milliseconds(text: &str) -> Result<u64, String> {
    with_unit(text, SPANS_MS).ok_or_else(|| {
        "expected milliseconds, or a whole number and a unit, such as 600000, 10min or 7d"
            .to_owned()
    })
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" => 1,
        unit => units.iter().find(|(name, _)| *name == unit)?.1,
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::{bytes, milliseconds};

    #[test]
    fn bytes_have_units() {
        assert_eq!(bytes("0"), Ok(0));
        assert_eq!(bytes("104857600"), Ok(104_857_600));
        assert_eq!(bytes("512MiB"), Ok(512 << 20));
        assert_eq!(bytes("2 GB"), Ok(2_000_000_000));
        assert_eq!(bytes("7B"), Ok(7));
        for wrong in ["", "MiB", "-1", "1.5GiB", "99999999TiB", "1 GiB x", "1m", "1 Gi B"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn spans_have_units() {
        assert_eq!(milliseconds("600000"), Ok(600_000));
        assert_eq!(milliseconds("10min"), Ok(600_000));
        assert_eq!(milliseconds("7d"), Ok(7 * 24 * 3_600_000));
        assert_eq!(milliseconds("5 s"), Ok(5_000));
        for wrong in ["", "d", "-1", "1y", "1.5h", "99999999999999999w", "7D"] {
            assert!(milliseconds(wrong).is_err(), "{wrong}");
        }
    }
}
