//! Sizes, keys, compression and content, as a user names them.

use std::path::PathBuf;

use corelane_storage::batch::Compressor;
use serde::{Deserialize, Serialize};

use super::keys::Keys;
use crate::error::BenchError;

/// Largest batch, as large as one request may be.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// What a record takes beside key and value: lengths, attributes, deltas, number of headers.
const RECORD_OVERHEAD_BYTES: usize = 9;

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
    #[serde(with = "compressor_text")]
    pub compression: Compressor,
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
            compression: Compressor::NONE,
            payload_file: None,
            compressibility: 0.0,
            pool_bytes: 64 << 20,
            seed: 1,
        }
    }
}

impl RecordSettings {
    /// What a record takes on the wire and on disks, about; none if it is compressed, and nobody
    /// knows before.
    pub(crate) fn bytes_of_record(&self) -> Option<usize> {
        let key_bytes = self.keys.key_bytes().unwrap_or(0);
        let is_known = self.compression == Compressor::NONE;
        is_known.then_some(RECORD_OVERHEAD_BYTES + key_bytes + self.record_bytes)
    }

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

/// A compressor as its text: `none`, `zstd:3`.
mod compressor_text {
    use corelane_storage::batch::Compressor;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(of: &Compressor, into: S) -> Result<S::Ok, S::Error> {
        into.collect_str(of)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Compressor, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{Keys, RecordSettings};

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
