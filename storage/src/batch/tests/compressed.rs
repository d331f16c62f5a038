//! Compressed batches, as the different clients make them.

use std::io::Write;

use zerocopy::IntoBytes;

use crate::batch::{
    BatchHeader, COMPRESSION_MASK, CRC_START, Compression, HEADER_BYTES, LENGTH_OVERHEAD_BYTES,
};

/// `batch` (uncompressed) with its records compressed.
pub(crate) fn compress(batch: &[u8], codec: Compression) -> Vec<u8> {
    let records = &batch[HEADER_BYTES..];
    let records = match codec {
        Compression::None => records.to_vec(),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
            encoder.write_all(records).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Snappy => xerial(records),
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(records).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => zstd::encode_all(records, 3).unwrap(),
    };
    with_records(batch, codec, &records)
}

/// Snappy in one raw block, as some clients send it.
pub(crate) fn compress_raw_snappy(batch: &[u8]) -> Vec<u8> {
    let records = snap::raw::Encoder::new().compress_vec(&batch[HEADER_BYTES..]).unwrap();
    with_records(batch, Compression::Snappy, &records)
}

/// Snappy in the framing of xerial's Java library.
pub(crate) fn xerial(records: &[u8]) -> Vec<u8> {
    let mut out = [&[0x82][..], b"SNAPPY\0", &1u32.to_be_bytes(), &1u32.to_be_bytes()].concat();
    for block in records.chunks(32 << 10) {
        let block = snap::raw::Encoder::new().compress_vec(block).unwrap();
        out.extend_from_slice(&(block.len() as u32).to_be_bytes());
        out.extend_from_slice(&block);
    }
    out
}

/// `batch` with other bytes behind its header, which claim to be of `codec`; length and CRC are right.
pub(crate) fn with_records(batch: &[u8], codec: Compression, records: &[u8]) -> Vec<u8> {
    let bits = match codec {
        Compression::None => 0,
        Compression::Gzip => 1,
        Compression::Snappy => 2,
        Compression::Lz4 => 3,
        Compression::Zstd => 4,
    };
    let mut bytes = [&batch[..HEADER_BYTES], records].concat();
    let mut header = *BatchHeader::read(&bytes).unwrap();
    header.batch_length.set((bytes.len() - LENGTH_OVERHEAD_BYTES) as i32);
    header.attributes.set(header.attributes.get() & !COMPRESSION_MASK | bits);
    bytes[..HEADER_BYTES].copy_from_slice(header.as_bytes());
    header.crc.set(crc_fast::crc32_iscsi(&bytes[CRC_START..]));
    bytes[..HEADER_BYTES].copy_from_slice(header.as_bytes());
    bytes
}
