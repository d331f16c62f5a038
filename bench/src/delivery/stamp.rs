//! What tells a batch from all others of a run.
//!
//! A batch of a producer without id has two fields that mean nothing to brokers (producer epoch and
//! base sequence), which all of them keep, whatever the compression: 47 bits for a batch's number in
//! its partition. They are covered by the checksum. It is corrected by arithmetic, for CRCs are
//! linear: no byte of the payload is looked at.

use corelane_storage::batch::{BatchHeader, HEADER_BYTES};

/// Where the checksum stands in a header.
const CRC: std::ops::Range<usize> = 17..21;

/// Where the epoch and the sequence stand: 16 and 32 bits.
const NUMBER: std::ops::Range<usize> = 51..57;

/// The bits of a sequence; the sign is none of them.
const SEQUENCE_BITS: u32 = 31;

/// Numbers from here on are no batch's: 2^46.
pub(crate) const NUMBERS_END: u64 = 1 << (SEQUENCE_BITS + 15);

/// CRC-32C's polynomial, reflected.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// A batch's header, to be stamped again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stampable {
    header: [u8; HEADER_BYTES],
    /// What the last bit of the number does to the checksum.
    last_bit: u32,
}

impl Stampable {
    /// The header of `batch`, whose producer has no id.
    pub(crate) fn new(batch: &[u8]) -> Option<Stampable> {
        let header = *batch.first_chunk::<HEADER_BYTES>()?;
        let covered = batch.get(CRC.end..)?;
        // The number's last bit, alone, in as many zeros: the difference of two checksums.
        let mut flipped = covered.to_vec();
        flipped[NUMBER.end - 1 - CRC.end] ^= 0x80;
        let last_bit = crc_fast::crc32_iscsi(covered) ^ crc_fast::crc32_iscsi(&flipped);
        Some(Stampable { header, last_bit })
    }

    /// The header of the batch that is `number` in its partition.
    pub(crate) fn stamped(&self, number: u64) -> [u8; HEADER_BYTES] {
        let mut header = self.header;
        let epoch = (number >> SEQUENCE_BITS) as u16;
        let sequence = number as u32 & (u32::MAX >> 1);
        let mut change = [0; 6];
        change[..2].copy_from_slice(&epoch.to_be_bytes());
        change[2..].copy_from_slice(&sequence.to_be_bytes());
        for (byte, old) in change.iter_mut().zip(&mut header[NUMBER]) {
            *byte ^= std::mem::replace(old, *byte);
        }
        let mut crc = [0; 4];
        crc.copy_from_slice(&header[CRC]);
        let crc = u32::from_be_bytes(crc) ^ self.effect(change);
        header[CRC].copy_from_slice(&crc.to_be_bytes());
        header
    }

    /// What a change of the number does to the checksum: of each bit what the one behind it does,
    /// times x. A byte's lowest bit comes first.
    fn effect(&self, change: [u8; 6]) -> u32 {
        let (mut effect, mut bit) = (0, self.last_bit);
        for byte in change.iter().rev() {
            for shift in (0..8).rev() {
                effect ^= bit & 0u32.wrapping_sub(u32::from(byte >> shift & 1));
                bit = bit >> 1 ^ POLYNOMIAL & 0u32.wrapping_sub(bit & 1);
            }
        }
        effect
    }
}

/// A batch's number in its partition; none if it is not of the run that began at `run_ms`.
pub(crate) fn number(header: &BatchHeader, run_ms: i64) -> Option<u64> {
    let is_ours = !header.has_producer_id() && header.base_timestamp() == run_ms;
    let epoch = u64::try_from(header.producer_epoch()).ok()?;
    let sequence = u64::try_from(header.base_sequence()).ok()?;
    is_ours.then_some(epoch << SEQUENCE_BITS | sequence)
}

#[cfg(test)]
mod tests {
    use corelane_storage::batch::{BatchBuilder, BatchHeader};

    use super::{NUMBERS_END, Stampable, number};

    #[test]
    fn a_stamped_batch_has_the_right_checksum_and_its_number() {
        for (records, compression) in [(1, "none"), (7, "gzip"), (500, "zstd"), (3000, "none")] {
            let builder =
                (0..records).fold(BatchBuilder::new(), |b, n| b.value(77, vec![n as u8; 50]));
            let batch = builder.compression(compression.parse().unwrap()).build();
            let stampable = Stampable::new(&batch).unwrap();
            for expected in [0, 1, 255, 0x7fff_ffff, 0x8000_0000, 0x1234_5678_9abc, NUMBERS_END - 1]
            {
                let stamped = [&stampable.stamped(expected)[..], &batch[61..]].concat();
                let header = BatchHeader::validate_from_producer(&stamped).unwrap();
                assert_eq!(number(&header, 77), Some(expected), "{records} {compression}");
                assert_eq!(number(&header, 78), None);
                assert_eq!(header.records_count(), records);
            }
        }
        // What another producer has sent there.
        let foreign = BatchBuilder::new().value(77, b"x").producer(9, 0, 0).build();
        assert_eq!(number(BatchHeader::read(&foreign).unwrap(), 77), None);
        let unstamped = BatchBuilder::new().value(77, b"x").build();
        assert_eq!(number(BatchHeader::read(&unstamped).unwrap(), 77), None);
        assert_eq!(Stampable::new(&unstamped[..60]), None);
    }
}
