//! Decompressing a batch's records as a stream: as much as is asked for and no more, so that a few
//! compressed bytes that claim to be gigabytes cost neither memory nor time that nobody bounds.
//!
//! The codecs and framings are those of Kafka's clients: gzip (RFC 1952), Snappy raw or in xerial's
//! framing, LZ4 frames, Zstandard frames.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

use super::Compression;
use super::metered::Metered;
use super::snappy_block::SnappyBlock;

/// Bytes to which one batch's records may be decompressed.
pub const DECOMPRESSED_BYTES_MAX: u64 = 1 << 30;

/// Bytes that a Snappy block, which stays in memory as a whole, may yield. Clients make blocks of 32 to
/// 64 KiB; librdkafka does not divide a batch, and makes a block of all of it.
const SNAPPY_BLOCK_BYTES_MAX: usize = 16 << 20;

/// Bytes that a Snappy block yields in one step.
const SNAPPY_STEP_BYTES: usize = 64 << 10;

/// Snappy yields at most 64 bytes for every 3 it reads.
const SNAPPY_RATIO_MAX: usize = 22;

/// log2 of the largest window that Zstandard's highest levels use: 128 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];

/// The magic, the version and the oldest compatible version.
const XERIAL_HEADER_BYTES: usize = 16;

/// A batch's records, decompressed while they are read. A read takes in a bounded number of bytes:
/// it is [`io::ErrorKind::WouldBlock`] if they yield nothing, and the next one goes on.
pub(super) struct Decompressor<R: BufRead> {
    codec: Codec<R>,
    /// Bytes yielded so far.
    yielded: u64,
    limit_bytes: u64,
}

enum Codec<R: BufRead> {
    None(R),
    Gzip(Gzip<Metered<R>>),
    Snappy(Snappy<R>),
    Lz4(Box<lz4_flex::frame::FrameDecoder<R>>),
    Zstd(zstd::stream::read::Decoder<'static, Metered<R>>),
}

impl<R: BufRead> Decompressor<R> {
    /// Reads `records`, the bytes behind a batch's header, as `compression` says; an error once
    /// they yield more than `limit_bytes`.
    pub(super) fn new(compression: Compression, records: R, limit_bytes: u64) -> io::Result<Self> {
        let codec = match compression {
            Compression::None => Codec::None(records),
            Compression::Gzip => Codec::Gzip(Gzip::new(Metered::new(records))),
            Compression::Snappy => Codec::Snappy(Snappy::new(records)),
            Compression::Lz4 => Codec::Lz4(Box::new(lz4_flex::frame::FrameDecoder::new(records))),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(Metered::new(records))?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Codec::Zstd(decoder)
            }
        };
        Ok(Decompressor { codec, yielded: 0, limit_bytes })
    }
}

impl<R: BufRead> Read for Decompressor<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.codec {
            Codec::None(reader) => reader.read(buf),
            Codec::Gzip(gzip) => gzip.read(buf),
            Codec::Snappy(decoder) => decoder.read(buf),
            Codec::Lz4(decoder) => decoder.read(buf),
            Codec::Zstd(decoder) => {
                decoder.get_mut().refill();
                decoder.read(buf)
            }
        }?;
        self.yielded += count as u64;
        if self.yielded > self.limit_bytes {
            let what = format!("records decompress to more than {} bytes", self.limit_bytes);
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(count)
    }
}

pub(super) fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Members of gzip, one after the other. Each has to yield something: its decoder costs far more to
/// set up than its 20 bytes cost to send.
struct Gzip<R> {
    /// `None` after the last member.
    member: Option<GzDecoder<R>>,
    /// Nothing of this member was read yet.
    is_new: bool,
}

impl<R: BufRead> Gzip<Metered<R>> {
    fn new(records: Metered<R>) -> Self {
        Gzip { member: Some(GzDecoder::new(records)), is_new: true }
    }

    /// Reads from one member at most.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            member.get_mut().refill();
            let count = member.read(buf)?;
            if count > 0 {
                self.is_new = false;
                return Ok(count);
            }
            if std::mem::replace(&mut self.is_new, true) {
                return Err(invalid("a gzip member is empty"));
            }
            let is_last = member.get_mut().is_at_end()?;
            let records = self.member.take().map(GzDecoder::into_inner);
            self.member = records.filter(|_| !is_last).map(GzDecoder::new);
        }
        Ok(0)
    }
}

/// Snappy blocks: xerial's (length, then the block, again and again), or a raw one of all bytes.
struct Snappy<R> {
    input: R,
    framing: Option<Framing>,
    compressed: Vec<u8>,
    block: SnappyBlock,
    /// Bytes of `block` that were read.
    read: usize,
}

#[derive(Clone, Copy)]
enum Framing {
    Raw,
    Xerial,
}

impl<R: BufRead> Snappy<R> {
    fn new(input: R) -> Self {
        Snappy {
            input,
            framing: None,
            compressed: Vec::new(),
            block: SnappyBlock::default(),
            read: 0,
        }
    }

    /// Begins the next block; false at the end.
    fn next_block(&mut self) -> io::Result<bool> {
        self.compressed.clear();
        match self.framing {
            None => self.first_block()?,
            Some(Framing::Raw) => {}
            Some(Framing::Xerial) => self.next_xerial_block()?,
        }
        if self.compressed.is_empty() {
            return Ok(false);
        }
        let length = snap::raw::decompress_len(&self.compressed)?;
        if length == 0 {
            return Err(invalid("a Snappy block is empty"));
        }
        let plausible = self.compressed.len().saturating_mul(SNAPPY_RATIO_MAX);
        if length > SNAPPY_BLOCK_BYTES_MAX || length > plausible {
            return Err(invalid("a Snappy block claims to be too large"));
        }
        self.block = SnappyBlock::new(std::mem::take(&mut self.compressed), length);
        self.read = 0;
        Ok(true)
    }

    fn first_block(&mut self) -> io::Result<()> {
        self.take(XERIAL_HEADER_BYTES)?;
        if self.compressed.starts_with(&XERIAL_MAGIC) {
            self.framing = Some(Framing::Xerial);
            self.compressed.clear();
            return self.next_xerial_block();
        }
        self.framing = Some(Framing::Raw);
        self.take(SNAPPY_BLOCK_BYTES_MAX)
    }

    fn next_xerial_block(&mut self) -> io::Result<()> {
        self.take(4)?;
        // Streams that were appended to each other repeat the header.
        if self.compressed == XERIAL_MAGIC[..4] {
            self.take(XERIAL_HEADER_BYTES - 4)?;
            self.compressed.clear();
            self.take(4)?;
        }
        if self.compressed.is_empty() {
            return Ok(());
        }
        let length = <[u8; 4]>::try_from(&*self.compressed);
        let length =
            u32::from_be_bytes(length.map_err(|_| invalid("a Snappy length is cut short"))?);
        self.compressed.clear();
        if length as usize > SNAPPY_BLOCK_BYTES_MAX {
            return Err(invalid("a Snappy block claims to be too large"));
        }
        self.take(length as usize)?;
        if self.compressed.len() < length as usize || length == 0 {
            return Err(invalid("a Snappy block is cut short"));
        }
        Ok(())
    }

    /// Adds up to `count` bytes of the input: no more memory than there are bytes, whatever a
    /// length claims.
    fn take(&mut self, count: usize) -> io::Result<()> {
        self.input.by_ref().take(count as u64).read_to_end(&mut self.compressed).map(drop)
    }
}

impl<R: BufRead> Read for Snappy<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let is_at_end = self.read == self.block.block().len();
        if is_at_end && self.block.is_done() && !self.next_block()? {
            return Ok(0);
        }
        if self.read == self.block.block().len() {
            self.block.yield_upto(self.read + SNAPPY_STEP_BYTES)?;
        }
        let block = self.block.block();
        let count = buf.len().min(block.len() - self.read);
        buf[..count].copy_from_slice(&block[self.read..self.read + count]);
        self.read += count;
        Ok(count)
    }
}
