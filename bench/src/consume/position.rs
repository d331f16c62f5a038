//! How far a partition has been read.

use corelane_storage::batch::{BatchError, BatchHeader};

use crate::load::Work;

/// How far a partition has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) index: i32,
    pub(super) next: i64,
    /// Where to stop; none: never.
    pub(super) end: Option<i64>,
}

impl Position {
    pub(super) fn has_more(&self) -> bool {
        self.end.is_none_or(|end| self.next < end)
    }

    /// Takes the whole batches at the front of `records`: checks them, moves behind them, and
    /// counts what had not been read before; `each` is told of them.
    pub(super) fn take(
        &mut self,
        records: &[u8],
        mut each: impl FnMut(&BatchHeader),
    ) -> Result<Work, BatchError> {
        let mut work = Work::default();
        let mut rest = records;
        while let Ok(header) = BatchHeader::read(rest)
            && let Some(batch) = rest.get(..header.total_bytes())
        {
            header.verify_crc(batch)?;
            let before = self.next.max(header.base_offset());
            let end = header.last_offset() + 1;
            // Compaction leaves gaps; a batch that is read from its midst was counted before.
            let fresh = (end - before).clamp(0, i64::from(header.records_count().max(0)));
            work.records += fresh as u64;
            work.bytes += batch.len() as u64;
            if end > self.next {
                each(header);
                self.next = end;
            }
            rest = &rest[batch.len()..];
        }
        Ok(work)
    }
}

#[cfg(test)]
mod tests {
    use corelane_storage::batch::BatchBuilder;

    use super::{Position, Work};

    fn batch(base_offset: i64, records: usize) -> Vec<u8> {
        let builder = (0..records).fold(BatchBuilder::new(), |b, _| b.value(1, vec![7; 10]));
        builder.stamped(base_offset, 0).build()
    }

    #[test]
    fn whole_batches_are_taken_and_counted_once() {
        let (mut position, mut told) = (Position { index: 0, next: 12, end: Some(25) }, 0);
        let (first, second, third) = (batch(10, 5), batch(15, 5), batch(20, 5));
        let cut = &third[..third.len() - 1];
        let records = [&first[..], &second, cut].concat();
        let work = position.take(&records, |_| told += 1).unwrap();
        let bytes = (first.len() + second.len()) as u64;
        assert_eq!((work, position.next), (Work { records: 8, bytes }, 20));
        assert!(position.has_more());
        assert_eq!(position.take(&third, |_| told += 1).unwrap().records, 5);
        assert!(!position.has_more());
        assert_eq!(position.take(&first, |_| told += 1).unwrap().records, 0);
        assert_eq!((position.next, told), (25, 3));
    }

    #[test]
    fn a_batch_that_changed_on_its_way_is_noticed() {
        let mut wrong = batch(0, 3);
        *wrong.last_mut().unwrap() ^= 1;
        let mut position = Position { index: 0, next: 0, end: None };
        assert!(position.take(&wrong, |_| panic!("told")).is_err());
        assert_eq!((position.next, position.has_more()), (0, true));
        assert_eq!(position.take(b"short", |_| panic!("told")).unwrap(), Work::default());
    }
}
