//! Compressing records as a stream, in the codecs and framings that Kafka's clients read.

use std::io::{self, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use zstd::zstd_safe::CParameter;

use super::Compression;

/// Level of Zstandard: its own default, and Kafka's.
const ZSTD_LEVEL: i32 = 3;

/// Bytes after which Zstandard ends a block: it compresses a block at a time, and 128 KiB, its own
/// choice, take it half a millisecond.
const ZSTD_BLOCK_BYTES: usize = 32 << 10;

/// log2 of the records from which on Zstandard takes tables of its own choosing. It takes them for as
/// long a stream as may come, and clearing them costs more than a small batch.
const ZSTD_TABLES_LOG_MAX: u32 = 17;

/// log2 of the least window that it has.
const ZSTD_WINDOW_LOG_MIN: u32 = 10;

/// Bytes of one Snappy block: as xerial's library makes them.
const SNAPPY_BLOCK_BYTES: usize = 32 << 10;

/// Magic, version 1, readable by version 1.
const XERIAL_HEADER: [u8; 16] =
    [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];

/// Appends what is written to it, compressed, to a vector.
pub(super) enum CompressStream {
    None(Vec<u8>),
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Snappy {
        out: Vec<u8>,
        block: Vec<u8>,
    },
    Lz4(Box<FrameEncoder<Vec<u8>>>),
    Zstd {
        encoder: zstd::stream::write::Encoder<'static, Vec<u8>>,
        /// Bytes since the last block's end.
        in_block: usize,
    },
}

impl CompressStream {
    /// Appends to `out`; about `expected_bytes` are to come.
    pub(super) fn new(
        compression: Compression,
        mut out: Vec<u8>,
        expected_bytes: u64,
    ) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => CompressStream::None(out),
            Compression::Gzip => {
                let level = flate2::Compression::default();
                CompressStream::Gzip(flate2::write::GzEncoder::new(out, level))
            }
            Compression::Snappy => {
                out.extend_from_slice(&XERIAL_HEADER);
                CompressStream::Snappy { out, block: Vec::with_capacity(SNAPPY_BLOCK_BYTES) }
            }
            Compression::Lz4 => {
                // Java's client reads no other blocks.
                let frame = FrameInfo::new()
                    .block_mode(BlockMode::Independent)
                    .block_size(BlockSize::Max64KB);
                CompressStream::Lz4(Box::new(FrameEncoder::with_frame_info(frame, out)))
            }
            Compression::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(out, ZSTD_LEVEL)?;
                let bits = u64::BITS - expected_bytes.leading_zeros();
                if bits < ZSTD_TABLES_LOG_MAX {
                    let log = bits.max(ZSTD_WINDOW_LOG_MIN);
                    for parameter in [
                        CParameter::WindowLog(log),
                        CParameter::HashLog(log),
                        CParameter::ChainLog(log),
                    ] {
                        encoder.set_parameter(parameter)?;
                    }
                }
                CompressStream::Zstd { encoder, in_block: 0 }
            }
        })
    }

    /// Takes in all of `bytes`.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        match self {
            CompressStream::None(out) => out.extend_from_slice(bytes),
            CompressStream::Gzip(encoder) => encoder.write_all(bytes)?,
            CompressStream::Lz4(encoder) => encoder.write_all(bytes)?,
            CompressStream::Zstd { encoder, in_block } => {
                encoder.write_all(bytes)?;
                *in_block += bytes.len();
                if *in_block >= ZSTD_BLOCK_BYTES {
                    encoder.flush()?;
                    *in_block = 0;
                }
            }
            CompressStream::Snappy { out, block } => {
                while !bytes.is_empty() {
                    let room = SNAPPY_BLOCK_BYTES - block.len();
                    let (now, later) = bytes.split_at(room.min(bytes.len()));
                    block.extend_from_slice(now);
                    bytes = later;
                    if block.len() == SNAPPY_BLOCK_BYTES {
                        put_block(out, block)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// All that was appended.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            CompressStream::None(out) => Ok(out),
            CompressStream::Gzip(encoder) => encoder.finish(),
            CompressStream::Lz4(encoder) => encoder.finish().map_err(io::Error::other),
            CompressStream::Zstd { encoder, .. } => encoder.finish(),
            CompressStream::Snappy { mut out, mut block } => {
                if !block.is_empty() {
                    put_block(&mut out, &mut block)?;
                }
                Ok(out)
            }
        }
    }
}

fn put_block(out: &mut Vec<u8>, block: &mut Vec<u8>) -> io::Result<()> {
    let compressed = snap::raw::Encoder::new().compress_vec(block)?;
    out.extend_from_slice(&(compressed.len() as u32).to_be_bytes());
    out.extend_from_slice(&compressed);
    block.clear();
    Ok(())
}
