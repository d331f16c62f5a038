//! Which keys, how often.

use std::fmt;
use std::str::FromStr;

use rand::distr::{Distribution, Uniform};
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::Zipf;
use serde::{Deserialize, Serialize};

use crate::error::BenchError;

/// Most different keys.
const KEYS_MAX: u64 = 1 << 40;

/// Largest exponent: nearly all records have the first key then.
const EXPONENT_MAX: f64 = 100.0;

/// Digits of a key; all keys are equally long.
const KEY_DIGITS: usize = 13;

/// Keys of records: `none`, `uniform:N` or `zipf:N[:S]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Keys {
    /// No key: batches go to all partitions in turn.
    #[default]
    None,
    /// Every key as often as every other.
    Uniform {
        /// Different keys.
        keys: u64,
    },
    /// The kth key with a probability that falls as 1/k^S, as words do in texts.
    Zipf {
        /// Different keys.
        keys: u64,
        /// S.
        exponent: f64,
    },
}

impl Keys {
    /// Bytes of each key; none without keys.
    pub(super) fn key_bytes(&self) -> Option<usize> {
        (*self != Keys::None).then_some(KEY_DIGITS)
    }

    /// # Errors
    /// [`BenchError::Argument`] for a number or an exponent that can't be.
    pub(super) fn check(&self) -> Result<(), BenchError> {
        let (keys, exponent) = match *self {
            Keys::None => return Ok(()),
            Keys::Uniform { keys } => (keys, 1.0),
            Keys::Zipf { keys, exponent } => (keys, exponent),
        };
        if !(1..=KEYS_MAX).contains(&keys) {
            return Err(BenchError::Argument(format!("{keys} keys: expected 1 to {KEYS_MAX}")));
        }
        if !(0.0..=EXPONENT_MAX).contains(&exponent) {
            let text = format!("exponent {exponent}: expected 0 to {EXPONENT_MAX}");
            return Err(BenchError::Argument(text));
        }
        Ok(())
    }

    /// Where keys come from; none without keys.
    pub(super) fn source(&self) -> Result<Option<KeySource>, BenchError> {
        self.check()?;
        let refused = |error: String| BenchError::Argument(format!("keys {self}: {error}"));
        Ok(match *self {
            Keys::None => None,
            Keys::Uniform { keys } => {
                let uniform = Uniform::new(0, keys).map_err(|error| refused(error.to_string()))?;
                Some(KeySource::Uniform(uniform))
            }
            Keys::Zipf { keys, exponent } => {
                let zipf = Zipf::new(keys as f64, exponent);
                Some(KeySource::Zipf(zipf.map_err(|error| refused(error.to_string()))?))
            }
        })
    }
}

/// Draws keys.
pub(super) enum KeySource {
    Uniform(Uniform<u64>),
    Zipf(Zipf<f64>),
}

impl KeySource {
    /// The number of the next key, from 0; of Zipf's, 0 is the most frequent.
    pub(super) fn draw(&self, rng: &mut Xoshiro256PlusPlus) -> u64 {
        match self {
            KeySource::Uniform(uniform) => uniform.sample(rng),
            KeySource::Zipf(zipf) => zipf.sample(rng) as u64 - 1,
        }
    }
}

/// A key's bytes.
pub(super) fn key(number: u64) -> Vec<u8> {
    format!("{number:0KEY_DIGITS$}").into_bytes()
}

impl FromStr for Keys {
    type Err = String;

    fn from_str(text: &str) -> Result<Keys, String> {
        let expected = || "expected none, uniform:N or zipf:N[:S], as zipf:100000:1.1".to_owned();
        let mut parts = text.split(':');
        let kind = parts.next();
        let keys = parts.next().map(|keys| keys.parse::<u64>().map_err(|_| expected()));
        let exponent = parts.next().map(|exponent| exponent.parse::<f64>().map_err(|_| expected()));
        let keys = match (kind, keys.transpose()?, exponent.transpose()?, parts.next()) {
            (Some("none"), None, None, None) => Keys::None,
            (Some("uniform"), Some(keys), None, None) => Keys::Uniform { keys },
            (Some("zipf"), Some(keys), exponent, None) => {
                Keys::Zipf { keys, exponent: exponent.unwrap_or(1.0) }
            }
            _ => return Err(expected()),
        };
        keys.check().map_err(|error| error.to_string())?;
        Ok(keys)
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Keys::None => write!(f, "none"),
            Keys::Uniform { keys } => write!(f, "uniform:{keys}"),
            Keys::Zipf { keys, exponent } => write!(f, "zipf:{keys}:{exponent}"),
        }
    }
}

impl From<Keys> for String {
    fn from(keys: Keys) -> String {
        keys.to_string()
    }
}

impl TryFrom<String> for Keys {
    type Error = String;

    fn try_from(text: String) -> Result<Keys, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;

    use super::{KEY_DIGITS, KEYS_MAX, Keys, key};

    const DRAWS: usize = 200_000;

    fn counts(keys: &str, kinds: usize) -> Vec<usize> {
        let source = keys.parse::<Keys>().unwrap().source().unwrap().unwrap();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
        let mut counts = vec![0; kinds];
        (0..DRAWS).for_each(|_| counts[source.draw(&mut rng) as usize] += 1);
        counts
    }

    #[test]
    fn keys_are_read_and_told() {
        for text in ["none", "uniform:5", "zipf:1000:1.5", "zipf:1000:0"] {
            assert_eq!(text.parse::<Keys>().unwrap().to_string(), text);
        }
        assert_eq!("zipf:9".parse(), Ok(Keys::Zipf { keys: 9, exponent: 1.0 }));
        for wrong in [
            "",
            "uniform",
            "uniform:0",
            "uniform:5:1",
            "zipf:0",
            "zipf:5:-1",
            "zipf:5:NaN",
            "zipf:5:1:1",
            "none:1",
        ] {
            assert!(wrong.parse::<Keys>().is_err(), "{wrong}");
        }
        assert_eq!(key(KEYS_MAX - 1).len(), KEY_DIGITS);
        assert_eq!(key(42), b"0000000000042");
    }

    #[test]
    fn uniform_keys_are_equally_frequent() {
        let expected = DRAWS / 100;
        for count in counts("uniform:100", 100) {
            // Six standard deviations of a count of 2,000.
            assert!(count.abs_diff(expected) < 270, "{count}");
        }
    }

    #[test]
    fn the_kth_key_of_zipf_is_a_kth_as_frequent_as_the_first() {
        for (keys, exponent) in [("zipf:1000", 1.0), ("zipf:1000:0.5", 0.5), ("zipf:1000:1.5", 1.5)]
        {
            let counts = counts(keys, 1000);
            let harmonic: f64 = (1..=1000).map(|k| f64::from(k).powf(-exponent)).sum();
            for k in [1, 2, 3, 5, 10, 20] {
                let expected = DRAWS as f64 * f64::from(k).powf(-exponent) / harmonic;
                let off = (counts[k as usize - 1] as f64 - expected).abs();
                assert!(off < 6.0 * expected.sqrt(), "{keys}, {k}: {off} off {expected}");
            }
            // And the whole tail: what the first ten have not.
            let head: usize = counts[..10].iter().sum();
            let share: f64 = (1..=10).map(|k| f64::from(k).powf(-exponent)).sum::<f64>() / harmonic;
            assert!((head as f64 / DRAWS as f64 - share).abs() < 0.01, "{keys}: {head}");
        }
    }
}
