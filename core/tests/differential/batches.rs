//! Record batches in words: what must be equal in them, and nothing that may not be.

use bytes::Bytes;
use corelane_net::codec::Records;
use corelane_net::messages::{FetchResponse, Response};

use crate::harness::wire::Decoder;

/// Bytes of a batch before its records.
const HEADER_BYTES: usize = 61;
/// Bit of the attributes: the broker stamped it, so its times and its checksum are of the moment.
const LOG_APPEND_TIME: i16 = 1 << 3;

/// Puts words in the place of the record batches in a Fetch answer.
pub fn describe_all(response: &mut Response) {
    let Response::Fetch(FetchResponse { responses, .. }) = response else { return };
    for partition in responses.iter_mut().flat_map(|topic| topic.partitions.iter_mut()) {
        if let Some(records) = &mut partition.records {
            let words = describe(&records.parts().concat());
            *records = Records::from(Bytes::from(words));
        }
    }
}

/// The batches one after the other, then what is left of a cut one.
fn describe(mut bytes: &[u8]) -> String {
    let mut words = Vec::new();
    while !bytes.is_empty() {
        let Some((batch, rest)) = first_batch(bytes) else {
            words.push(format!("and {} bytes of a batch", bytes.len()));
            break;
        };
        words.push(describe_batch(batch).expect("it has a header"));
        bytes = rest;
    }
    words.join("; ")
}

fn first_batch(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = i32::from_be_bytes(bytes.get(8..12)?.try_into().ok()?);
    let whole = usize::try_from(len).ok()?.checked_add(12)?;
    if whole < HEADER_BYTES { None } else { bytes.split_at_checked(whole) }
}

/// The header but for the leader epoch, which is the broker's own.
fn describe_batch(batch: &[u8]) -> std::io::Result<String> {
    let mut header = Decoder(batch);
    let (base_offset, len, _leader_epoch) = (header.i64()?, header.i32()?, header.i32()?);
    let (magic, crc, attributes) = (header.i8()?, header.i32()?, header.i16()?);
    let last_offset = base_offset + i64::from(header.i32()?);
    let times = if attributes & LOG_APPEND_TIME != 0 {
        header.take(16)?;
        "stamped".to_string()
    } else {
        format!("crc {crc:08x}, times {}..{}", header.i64()?, header.i64()?)
    };
    let (producer_id, producer_epoch, sequence) = (header.i64()?, header.i16()?, header.i32()?);
    let producer = if producer_id < 0 { "no producer" } else { "a producer" };
    Ok(format!(
        "{base_offset}..{last_offset}, {len} bytes, magic {magic}, attributes {attributes}, {times}, \
         {producer} epoch {producer_epoch} sequence {sequence}, {} records",
        header.i32()?
    ))
}
