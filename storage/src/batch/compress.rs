//! Compressing a batch's records, in the framings that every client reads.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

use super::Compression;

/// Bytes of one Snappy block, as Java's clients cut them.
const SNAPPY_BLOCK_BYTES: usize = 32 << 10;

/// Magic, version and oldest compatible version of xerial's framing.
const XERIAL_HEADER: &[u8; 16] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

/// A codec, and how hard it tries. As text: `none`, `gzip`, `zstd:9`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compressor {
    codec: Compression,
    level: i32,
}

/// Why there is no such [`Compressor`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompressorError {
    /// No codec of Kafka's.
    #[error("unknown codec '{0}'; there are none, gzip, snappy, lz4 and zstd")]
    Codec(String),
    /// A level that is no number.
    #[error("'{0}' is no compression level; expected a number, as in zstd:3")]
    Level(String),
    /// A codec without levels.
    #[error("{0} has no compression levels")]
    NoLevels(Compression),
    /// A level that the codec does not have.
    #[error("{codec} has no level {level}; its levels are {lowest} to {highest}")]
    OutOfRange {
        /// The codec.
        codec: Compression,
        /// The level asked for.
        level: i32,
        /// Its lowest.
        lowest: i32,
        /// Its highest.
        highest: i32,
    },
}

impl Compressor {
    /// Leaves records as they are.
    pub const NONE: Compressor = Compressor { codec: Compression::None, level: 0 };

    /// A codec at a level of its own: 1 to 9 for gzip, up to 22 for zstd (negative ones are faster);
    /// without one, the codec's default (6 and 3). The others have none.
    ///
    /// # Errors
    /// [`CompressorError::NoLevels`] and [`CompressorError::OutOfRange`].
    pub fn new(codec: Compression, level: Option<i32>) -> Result<Compressor, CompressorError> {
        let (levels, default) = match codec {
            Compression::Gzip => (1..=9, 6),
            Compression::Zstd => (zstd::compression_level_range(), zstd::DEFAULT_COMPRESSION_LEVEL),
            Compression::None | Compression::Snappy | Compression::Lz4 => {
                return match level {
                    None => Ok(Compressor { codec, level: 0 }),
                    Some(_) => Err(CompressorError::NoLevels(codec)),
                };
            }
        };
        let level = level.unwrap_or(default);
        if !levels.contains(&level) {
            let (lowest, highest) = levels.into_inner();
            return Err(CompressorError::OutOfRange { codec, level, lowest, highest });
        }
        Ok(Compressor { codec, level })
    }

    /// The codec.
    pub fn codec(self) -> Compression {
        self.codec
    }

    /// Appends `records` to `out`, compressed.
    ///
    /// # Errors
    /// As the codec refuses: memory that is not there.
    pub(super) fn compress(self, records: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match self.codec {
            Compression::None => out.extend_from_slice(records),
            Compression::Gzip => {
                let level = flate2::Compression::new(self.level.unsigned_abs());
                let mut encoder = GzEncoder::new(out, level);
                encoder.write_all(records)?;
                encoder.finish()?;
            }
            Compression::Snappy => put_xerial(records, out)?,
            Compression::Lz4 => {
                // Java's clients take no frame whose blocks depend on each other.
                let info = FrameInfo::new()
                    .block_mode(BlockMode::Independent)
                    .block_size(BlockSize::Max64KB);
                let mut encoder = FrameEncoder::with_frame_info(info, out);
                encoder.write_all(records)?;
                encoder.finish()?;
            }
            Compression::Zstd => zstd::stream::copy_encode(records, out, self.level)?,
        }
        Ok(())
    }
}

fn put_xerial(records: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.extend_from_slice(XERIAL_HEADER);
    let mut encoder = snap::raw::Encoder::new();
    for block in records.chunks(SNAPPY_BLOCK_BYTES) {
        let block = encoder.compress_vec(block)?;
        out.extend_from_slice(&(block.len() as u32).to_be_bytes());
        out.extend_from_slice(&block);
    }
    Ok(())
}

impl Default for Compressor {
    fn default() -> Self {
        Compressor::NONE
    }
}

impl fmt::Display for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.codec {
            Compression::Gzip | Compression::Zstd => write!(f, "{}:{}", self.codec, self.level),
            codec => write!(f, "{codec}"),
        }
    }
}

impl FromStr for Compressor {
    type Err = CompressorError;

    fn from_str(text: &str) -> Result<Compressor, CompressorError> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let codec = Compression::ALL
            .into_iter()
            .find(|codec| codec.name() == name)
            .ok_or_else(|| CompressorError::Codec(name.to_owned()))?;
        let level = level
            .map(|level| level.parse().map_err(|_| CompressorError::Level(level.to_owned())))
            .transpose()?;
        Compressor::new(codec, level)
    }
}

impl Compression {
    /// Every codec, in the order of its bits.
    pub const ALL: [Compression; 5] = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];

    /// The name that Kafka's `compression.type` gives it.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }

    /// Its bits in a batch's attributes.
    pub(super) fn bits(self) -> i16 {
        match self {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd => 4,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
