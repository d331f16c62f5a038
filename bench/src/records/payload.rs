//! The bytes of values.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rand::Rng as _;
use rand::rngs::Xoshiro256PlusPlus;

use super::settings::RecordSettings;
use crate::error::BenchError;

/// The byte that compresses.
const FILLER: u8 = b'.';

/// Where values come from.
pub(super) enum Payload {
    /// Random bytes, and so many that compress.
    Generated {
        compressibility: f64,
        /// Bytes made so far, and those of them that are random.
        made_bytes: u64,
        random_bytes: u64,
    },
    /// A file's bytes, in a circle.
    File { bytes: Vec<u8>, next: usize },
}

impl Payload {
    /// # Errors
    /// A file that can't be read, or is empty.
    pub(super) fn new(settings: &RecordSettings) -> Result<Payload, BenchError> {
        Ok(match &settings.payload_file {
            None => Payload::Generated {
                compressibility: settings.compressibility,
                made_bytes: 0,
                random_bytes: 0,
            },
            Some(path) => {
                let bytes = read(path, settings.pool_bytes.max(settings.record_bytes))?;
                Payload::File { bytes, next: 0 }
            }
        })
    }

    /// The next value.
    pub(super) fn value(&mut self, len: usize, rng: &mut Xoshiro256PlusPlus) -> Vec<u8> {
        let mut value = vec![FILLER; len];
        match self {
            Payload::Generated { compressibility, made_bytes, random_bytes } => {
                *made_bytes += len as u64;
                // Of all values so far, so that short ones come to the right share as well.
                let random_share = 1.0 - *compressibility;
                let wanted = (*made_bytes as f64 * random_share).round() as u64;
                let fresh = wanted.saturating_sub(*random_bytes).min(len as u64);
                *random_bytes += fresh;
                rng.fill_bytes(&mut value[..fresh as usize]);
            }
            Payload::File { bytes, next } => {
                let mut rest = &mut value[..];
                while !rest.is_empty() {
                    let count = rest.len().min(bytes.len() - *next);
                    let (front, behind) = rest.split_at_mut(count);
                    front.copy_from_slice(&bytes[*next..*next + count]);
                    *next = (*next + count) % bytes.len();
                    rest = behind;
                }
            }
        }
        value
    }
}

/// As much of a file as is ever sent.
fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, BenchError> {
    let failed = |source| BenchError::File { operation: "reading", path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(bytes_max as u64).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.is_empty() {
        let text = format!("{} is empty: there is nothing to send", path.display());
        return Err(BenchError::Argument(text));
    }
    Ok(bytes)
}
