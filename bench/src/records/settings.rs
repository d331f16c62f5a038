//! Sizes, keys, compression and content, as a user names them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use corelane_storage::batch::Compression;
use serde::{Deserialize, Serialize};

use super::keys::Keys;
use crate::error::BenchError;

/// Largest batch, as large as one request may be.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// Largest pool.
const POOL_BYTES_MAX: usize = 16 << 30;

/// What records are like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordSettings {
    /// Bytes of a record's value.
    pub record_bytes: usize,
    /// Bytes of a batch at most, before it is compressed.
    pub batch_bytes: usize,
    /// Keys.
    pub keys: Keys,
    /// How batches are compressed.
    pub compression: Codec,
    /// A file whose bytes are the values, cut every `record_bytes`, from its start again at its end.
    pub payload_file: Option<PathBuf>,
    /// Share of the bytes of generated values that compress to nearly nothing; the others do not
    /// compress at all.
    pub compressibility: f64,
    /// Bytes of different batches before compression; then the first is sent again.
    pub pool_bytes: usize,
    /// What keys and values are drawn from: the same seed gives the same batches.
    pub seed: u64,
}

impl Default for RecordSettings {
    /// 100 B without keys in batches of 64 KiB that do not compress.
    fn default() -> RecordSettings {
        RecordSettings {
            record_bytes: 100,
            batch_bytes: 64 << 10,
            keys: Keys::None,
            compression: Codec::default(),
            payload_file: None,
            compressibility: 0.0,
            pool_bytes: 64 << 20,
            seed: 1,
        }
    }
}

impl RecordSettings {
    /// # Errors
    /// [`BenchError::Argument`] for sizes and shares that can't be.
    pub(crate) fn check(&self) -> Result<(), BenchError> {
        let wrong = |text: String| Err(BenchError::Argument(text));
        let largest = self.record_bytes.max(self.batch_bytes);
        if largest > BATCH_BYTES_MAX {
            return wrong(format!("{largest} bytes: a batch has at most {BATCH_BYTES_MAX}"));
        }
        if self.pool_bytes > POOL_BYTES_MAX {
            return wrong(format!("a pool has at most {POOL_BYTES_MAX} bytes"));
        }
        if !(0.0..=1.0).contains(&self.compressibility) {
            return wrong(format!("compressibility {}: expected 0 to 1", self.compressibility));
        }
        if self.payload_file.is_some() && self.record_bytes == 0 {
            return wrong("a file cut in records of 0 bytes has no end".to_owned());
        }
        self.keys.check()
    }
}

/// How batches are compressed: `none`, `gzip`, `snappy`, `lz4` or `zstd`, the first and the last with
/// a level if wished: `zstd:9`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Codec {
    /// The codec.
    pub compression: Compression,
    /// Its level; none: the codec's default.
    pub level: Option<i32>,
}

impl Default for Codec {
    fn default() -> Codec {
        Codec { compression: Compression::None, level: None }
    }
}

impl FromStr for Codec {
    type Err = String;

    fn from_str(text: &str) -> Result<Codec, String> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let (compression, levels) = match name {
            "none" => (Compression::None, None),
            "gzip" => (Compression::Gzip, Some(1..=9)),
            "snappy" => (Compression::Snappy, None),
            "lz4" => (Compression::Lz4, None),
            "zstd" => (Compression::Zstd, Some(1..=22)),
            _ => return Err("expected none, gzip, snappy, lz4 or zstd".to_owned()),
        };
        let level = match (level, levels) {
            (None, _) => None,
            (Some(_), None) => return Err(format!("{name} has no levels")),
            (Some(level), Some(levels)) => {
                let (lowest, highest) = (levels.start(), levels.end());
                let expected = || format!("expected a level of {lowest} to {highest}");
                let level: i32 = level.parse().map_err(|_| expected())?;
                Some(levels.contains(&level).then_some(level).ok_or_else(expected)?)
            }
        };
        Ok(Codec { compression, level })
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.compression {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        })?;
        self.level.map_or(Ok(()), |level| write!(f, ":{level}"))
    }
}

impl From<Codec> for String {
    fn from(codec: Codec) -> String {
        codec.to_string()
    }
}

impl TryFrom<String> for Codec {
    type Error = String;

    fn try_from(text: String) -> Result<Codec, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::{Codec, Keys, RecordSettings};

    #[test]
    fn codecs_are_read_and_told() {
        for text in ["none", "gzip", "gzip:9", "snappy", "lz4", "zstd", "zstd:19"] {
            assert_eq!(text.parse::<Codec>().unwrap().to_string(), text);
        }
        for wrong in ["", "brotli", "gzip:0", "gzip:10", "zstd:23", "zstd:", "lz4:1", "none:1"] {
            assert!(wrong.parse::<Codec>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        RecordSettings::default().check().unwrap();
        for change in [
            (|s| s.record_bytes = 1 << 40) as fn(&mut RecordSettings),
            |s| s.batch_bytes = usize::MAX,
            |s| s.pool_bytes = usize::MAX,
            |s| s.compressibility = 1.1,
            |s| s.compressibility = f64::NAN,
            |s| s.keys = Keys::Uniform { keys: 0 },
            |s| (s.payload_file, s.record_bytes) = (Some("f".into()), 0),
        ] {
            let mut settings = RecordSettings::default();
            change(&mut settings);
            assert!(settings.check().is_err(), "{settings:?}");
        }
    }

    #[test]
    fn settings_survive_json() {
        let keys = Keys::Zipf { keys: 1000, exponent: 1.2 };
        let compression = "zstd:3".parse().unwrap();
        let settings = RecordSettings { keys, compression, ..RecordSettings::default() };
        let json = serde_json::to_string(&settings).unwrap();
        assert!(json.contains(r#""keys":"zipf:1000:1.2","compression":"zstd:3""#), "{json}");
        assert_eq!(serde_json::from_str::<RecordSettings>(&json).unwrap(), settings);
    }
}
