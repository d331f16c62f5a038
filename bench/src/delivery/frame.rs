//! A request that is encoded once, and whose batches are stamped each time that it is sent.

use bytes::Bytes;
use corelane_net::codec::Encoder;
use corelane_net::messages::Request;
use corelane_storage::batch::HEADER_BYTES;

use super::stamp::Stampable;
use crate::client::CLIENT_ID;
use crate::error::BenchError;
use crate::load::{Put, Turn, Work};

/// Where the correlation id stands: behind the length, the API key and the version.
const CORRELATION_START: usize = 8;
const CORRELATION_END: usize = 12;

/// An encoded Produce request, cut where batches' headers are.
pub(super) struct StampedFrame {
    pieces: Vec<Piece>,
    /// The partitions of its batches, in order.
    pub(super) partitions: Vec<i32>,
    len_bytes: usize,
    work: Work,
}

enum Piece {
    Bytes(Bytes),
    Header(i32, Stampable),
}

impl StampedFrame {
    /// Encodes `request`, which carries `batches` (each with its partition), in this order.
    pub(super) fn new(
        request: &Request,
        version: i16,
        batches: &[(i32, &Bytes)],
        work: Work,
    ) -> Result<StampedFrame, BenchError> {
        let mut out = Encoder::new();
        request.encode(version, 0, Some(CLIENT_ID), &mut out)?;
        let len_bytes = out.len();
        let mut pieces = Vec::new();
        let mut left = batches.iter().peekable();
        for mut part in out.take_memory() {
            while let Some((partition, batch)) = left.peek()
                && let Some(header) = batch.get(..HEADER_BYTES)
                && let Some(at) = part.windows(HEADER_BYTES).position(|window| window == header)
                && let Some(stampable) = Stampable::new(batch)
            {
                pieces.push(Piece::Bytes(part.split_to(at)));
                pieces.push(Piece::Header(*partition, stampable));
                part = part.slice(HEADER_BYTES..);
                left.next();
            }
            pieces.push(Piece::Bytes(part));
        }
        debug_assert!(left.peek().is_none(), "every batch is in the request");
        let partitions = batches.iter().map(|(partition, _)| *partition).collect();
        Ok(StampedFrame { pieces, partitions, len_bytes, work })
    }

    /// Writes it; `number` tells the number of the next batch of a partition.
    pub(super) fn put(
        &self,
        turn: Turn,
        mut number: impl FnMut(i32) -> u64,
        out: &mut Encoder,
    ) -> Put {
        let mut pieces = self.pieces.iter();
        // There are a length and a header before any batch.
        if let Some(Piece::Bytes(first)) = pieces.next() {
            out.put(&first[..CORRELATION_START]);
            out.put(&turn.correlation_id.to_be_bytes());
            out.put(&first[CORRELATION_END..]);
        }
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) => out.put_payload(bytes),
                Piece::Header(partition, header) => out.put(&header.stamped(number(*partition))),
            }
        }
        Put { bytes: self.len_bytes as u64, work: self.work }
    }

    /// What it carries.
    pub(super) fn work(&self) -> Work {
        self.work
    }
}

#[cfg(test)]
mod tests {
    use corelane_net::codec::Encoder;
    use corelane_net::messages::{Api, Request};
    use corelane_storage::batch::BatchHeader;

    use super::super::stamp::number;
    use super::{StampedFrame, Turn};
    use crate::client::Topic;
    use crate::load::Asked;
    use crate::produce::Deal;
    use crate::records::{Pool, RecordSettings};
    use crate::stop::Stop;

    #[test]
    fn every_batch_of_a_request_has_its_number() {
        // Some are copied into the fields around them, some are sent from where they lie.
        for batch_bytes in [300, 60_000] {
            let settings =
                RecordSettings { batch_bytes, pool_bytes: 200_000, ..RecordSettings::default() };
            let pool = Pool::build(&settings, 4, 55, &Stop::new()).unwrap();
            let deal = Deal { pool: &pool, per_request: 3, connections: 1 };
            let carried = vec![(2, 0), (0, 1), (3, 0)];
            let topic = Topic::of_test("t", 4);
            let (request, work) = deal.encode(&topic, &carried, -1).unwrap();
            let batches: Vec<_> = carried
                .iter()
                .map(|(index, place)| (*index, &pool.batches[*place].bytes))
                .collect();
            let frame = StampedFrame::new(&request, 12, &batches, work).unwrap();
            let (mut out, asked) = (Encoder::new(), Asked { intended_ns: 0, sent_ns: 0 });
            let turn = Turn { correlation_id: 7, asked };
            let put = frame.put(turn, |index| 1000 + index as u64, &mut out);
            let bytes = out.take_bytes();
            assert_eq!((put.bytes, put.work), (bytes.len() as u64, work));
            let body = bytes.slice(4..);
            let (header, decoded) = Request::decode(&body).unwrap();
            assert_eq!((header.correlation_id, frame.partitions), (7, vec![2, 0, 3]));
            let Request::Produce(decoded) = decoded else { panic!("{:?}", Api::Produce) };
            let mut seen = Vec::new();
            for data in decoded.topic_data.into_iter().flat_map(|topic| topic.partition_data) {
                let records = data.records.unwrap();
                let header = BatchHeader::validate_from_producer(&records).unwrap();
                seen.push((data.index, number(&header, 55)));
            }
            assert_eq!(seen, [(2, Some(1002)), (0, Some(1000)), (3, Some(1003))]);
        }
    }
}
