//! What several runs came to: the middle and the ends.

use serde::{Deserialize, Serialize};

/// The least, the middle and the largest of some values.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Spread {
    pub min: f64,
    pub median: f64,
    pub max: f64,
    /// Values.
    pub count: usize,
}

impl Spread {
    /// Of the finite ones among `values`; none of none. Of an even number the median is between the
    /// two in the middle.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut sorted: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let (below, above) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Some(Spread { min, median: below.midpoint(above), max, count: sorted.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn the_middle_is_between_the_ends() {
        let of = |values: &[f64]| Spread::of(values.iter().copied());
        let spread = |min, median, max, count| Some(Spread { min, median, max, count });
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[f64::NAN, f64::INFINITY]), None);
        assert_eq!(of(&[2.0]), spread(2.0, 2.0, 2.0, 1));
        assert_eq!(of(&[3.0, f64::NAN, 1.0]), spread(1.0, 2.0, 3.0, 2));
        assert_eq!(of(&[9.0, 1.0, 3.0]), spread(1.0, 3.0, 9.0, 3));
    }
}
