//! From a fetch's bytes to records: batches checked, opened and filtered.

use corelane_net::messages::AbortedTransaction;
use corelane_storage::batch::{
    BatchError, BatchHeader, HEADER_BYTES, Record, RecordReader, RecordsError,
};

use super::aborted::Aborted;

/// Bytes to which a batch may be decompressed: all of it may be one record.
const OPENED_BYTES_MAX: u64 = 256 << 20;

/// A batch that can't be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
    #[error("{0}")]
    Batch(#[from] BatchError),
    #[error("{0}")]
    Records(#[from] RecordsError),
}

/// What a look at the next record has come to.
#[derive(Debug)]
pub(super) enum Next {
    /// A record.
    Record { offset: i64, record: Record },
    /// All of a batch was read, or there was nothing to read in it; read on at `position`.
    Passed { position: i64 },
    /// A batch that can't be read; whoever wishes may read on at `position`.
    Damaged { damage: Damage, position: i64 },
    /// No whole batch is left.
    End,
}

/// The batches of one partition's answer.
pub(super) struct Batches<'a> {
    bytes: &'a [u8],
    /// Offsets before this one are not wanted.
    position: i64,
    aborted: Aborted,
    /// The batch that is being read.
    open: Option<Open<'a>>,
}

struct Open<'a> {
    header: BatchHeader,
    reader: RecordReader<&'a [u8]>,
}

impl<'a> Batches<'a> {
    pub(super) fn new(
        bytes: &'a [u8],
        position: i64,
        aborted: Option<Vec<AbortedTransaction>>,
    ) -> Batches<'a> {
        Batches { bytes, position, aborted: Aborted::new(aborted), open: None }
    }

    /// The next record, or batch that has none. Records are made one at a time: a small batch may
    /// have many large ones.
    pub(super) fn next_record(&mut self) -> Next {
        match self.open.take() {
            Some(open) => self.read_on(open),
            None => self.next_batch(),
        }
    }

    fn read_on(&mut self, mut open: Open<'a>) -> Next {
        loop {
            match open.reader.next_record() {
                Ok(Some((offset, _))) if offset < self.position => {}
                Ok(Some((offset, record))) => {
                    self.open = Some(open);
                    return Next::Record { offset, record };
                }
                Ok(None) => return self.passed(&open.header),
                Err(error) => return self.damaged(error.into(), Some(&open.header)),
            }
        }
    }

    fn passed(&mut self, header: &BatchHeader) -> Next {
        self.position = self.position.max(header.last_offset().saturating_add(1));
        Next::Passed { position: self.position }
    }

    fn next_batch(&mut self) -> Next {
        let header = match BatchHeader::read(self.bytes) {
            Ok(header) if self.bytes.len() < header.total_bytes() => return Next::End,
            Ok(header) => *header,
            // The end may lie anywhere, even within a header.
            Err(BatchError::Corrupt(_)) if self.bytes.len() < HEADER_BYTES => return Next::End,
            Err(error) => {
                // Nothing says where the next batch begins.
                self.bytes = &[];
                return self.damaged(error.into(), None);
            }
        };
        let (batch, rest) = self.bytes.split_at(header.total_bytes());
        self.bytes = rest;
        if let Err(error) = header.verify_crc(batch) {
            return self.damaged(error.into(), Some(&header));
        }
        match self.open(&header, batch) {
            Ok(Some(reader)) => self.read_on(Open { header, reader }),
            Ok(None) => self.passed(&header),
            Err(error) => self.damaged(error.into(), Some(&header)),
        }
    }

    /// `None` if nothing in it is for whoever reads.
    fn open(
        &mut self,
        header: &BatchHeader,
        batch: &'a [u8],
    ) -> Result<Option<RecordReader<&'a [u8]>>, RecordsError> {
        let mut reader = RecordReader::up_to(header, &batch[HEADER_BYTES..], OPENED_BYTES_MAX)?;
        if header.is_control() {
            let marker = reader.next_record()?;
            self.aborted.covers(header, marker.is_some_and(|(_, record)| is_abort(&record)));
            return Ok(None);
        }
        Ok((!self.aborted.covers(header, false)).then_some(reader))
    }

    fn damaged(&mut self, damage: Damage, header: Option<&BatchHeader>) -> Next {
        let after = header.map(|header| header.last_offset().saturating_add(1));
        // A header that is damaged too may name any offset: only one close by is believed.
        let near = self.position..self.position.saturating_add(1 << 20);
        self.position = after
            .filter(|after| *after > self.position && near.contains(after))
            .unwrap_or(self.position.saturating_add(1));
        Next::Damaged { damage, position: self.position }
    }
}

/// A control record's key is its version and type; type 0 aborts.
fn is_abort(marker: &Record) -> bool {
    matches!(marker.key.as_deref(), Some([_, _, 0, 0, ..]))
}

#[cfg(test)]
mod tests {
    use corelane_net::messages::AbortedTransaction;
    use corelane_storage::batch::{BatchBuilder, Record};

    use super::{Batches, Next};

    fn batch(base: i64, values: &[&str]) -> Vec<u8> {
        let builder = BatchBuilder::new().stamped(base, 0);
        values.iter().fold(builder, |builder, value| builder.value(0, *value)).build()
    }

    /// Marks a batch as of a producer's transaction, and makes its CRC right.
    fn transactional(mut batch: Vec<u8>, producer_id: i64) -> Vec<u8> {
        batch[22] |= 1 << 4;
        batch[43..51].copy_from_slice(&producer_id.to_be_bytes());
        let crc = crc(&batch[21..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        batch
    }

    /// CRC-32C, bit by bit.
    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 }
            })
        })
    }

    fn marker(base: i64, producer_id: i64, kind: u8) -> Vec<u8> {
        let record = Record { key: Some(vec![0, 0, 0, kind]), ..Record::default() };
        let batch = BatchBuilder::new().stamped(base, 0).control().record(record).build();
        transactional(batch, producer_id)
    }

    fn read(bytes: &[u8], position: i64, aborted: Vec<AbortedTransaction>) -> (Vec<String>, i64) {
        let mut batches = Batches::new(bytes, position, Some(aborted));
        let (mut found, mut at) = (Vec::new(), position);
        loop {
            match batches.next_record() {
                Next::Record { offset, record } => {
                    let value = String::from_utf8(record.value.unwrap()).unwrap();
                    found.push(format!("{offset}:{value}"));
                }
                Next::Passed { position } => at = position,
                Next::Damaged { damage, position } => {
                    at = position;
                    found.push(format!("damaged: {damage}"));
                }
                Next::End => return (found, at),
            }
        }
    }

    #[test]
    fn records_before_the_position_and_cut_batches_are_passed_over() {
        let bytes = [batch(10, &["a", "b", "c"]), batch(20, &["d"])].concat();
        assert_eq!(
            read(&bytes, 11, vec![]),
            (vec!["11:b".into(), "12:c".into(), "20:d".into()], 21)
        );
        let cut = &bytes[..bytes.len() - 1];
        assert_eq!(read(cut, 12, vec![]), (vec!["12:c".into()], 13));
        assert_eq!(read(&bytes[..30], 10, vec![]), (vec![], 10));
    }

    #[test]
    fn damage_costs_its_own_batch() {
        let mut bytes = [batch(10, &["a", "b"]), batch(12, &["c"])].concat();
        bytes[62] ^= 1;
        let (found, position) = read(&bytes, 10, vec![]);
        assert_eq!(found, ["damaged: corrupt batch: CRC-32C differs", "12:c"]);
        assert_eq!(position, 13);
        // The magic byte: nothing behind it can be found.
        bytes[16] = 9;
        assert_eq!(read(&bytes, 10, vec![]).1, 11);
    }

    #[test]
    fn what_was_aborted_is_passed_over_and_no_more() {
        let bytes = [
            transactional(batch(0, &["a1"]), 1),
            transactional(batch(1, &["b1"]), 2),
            marker(2, 1, 0),
            transactional(batch(3, &["a2"]), 1),
            marker(4, 1, 1),
            marker(5, 2, 1),
            batch(6, &["plain"]),
        ]
        .concat();
        let aborted = AbortedTransaction { producer_id: 1, first_offset: 0 };
        let (found, position) = read(&bytes, 0, vec![aborted]);
        assert_eq!(found, ["1:b1", "3:a2", "6:plain"]);
        assert_eq!(position, 7);
        assert_eq!(read(&bytes, 0, vec![]).0.len(), 4);
    }
}
