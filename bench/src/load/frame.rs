//! A request that is encoded once and sent again and again.

use bytes::Bytes;
use corelane_net::codec::{EncodeError, Encoder};
use corelane_net::messages::Request;

use super::lane::{Put, Turn};
use super::recorder::Work;
use crate::client::CLIENT_ID;

/// Where the correlation id stands: behind the length, the API key and the version.
const CORRELATION_START: usize = 8;
const CORRELATION_END: usize = 12;

/// An encoded request. Its records share their memory with those of other frames.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    first: Bytes,
    rest: Vec<Bytes>,
    len_bytes: usize,
    work: Work,
}

impl Frame {
    /// Encodes `request`, which carries `work`.
    pub(crate) fn new(request: &Request, version: i16, work: Work) -> Result<Frame, EncodeError> {
        let mut out = Encoder::new();
        request.encode(version, 0, Some(CLIENT_ID), &mut out)?;
        let len_bytes = out.len();
        let mut parts = out.take_memory();
        // There are at least a length and a header, and a payload never comes first.
        let first = parts.remove(0);
        debug_assert!(first.len() >= CORRELATION_END);
        Ok(Frame { first, rest: parts, len_bytes, work })
    }

    /// What it carries.
    pub(crate) fn work(&self) -> Work {
        self.work
    }

    /// Writes it with the correlation id of `turn`. Only the fields around large payloads are
    /// copied.
    pub(crate) fn put(&self, turn: Turn, out: &mut Encoder) -> Put {
        out.put(&self.first[..CORRELATION_START]);
        out.put(&turn.correlation_id.to_be_bytes());
        out.put(&self.first[CORRELATION_END..]);
        self.rest.iter().for_each(|part| out.put_payload(part));
        Put { bytes: self.len_bytes as u64, work: self.work }
    }
}

#[cfg(test)]
mod tests {
    use corelane_net::codec::Encoder;
    use corelane_net::messages::{PartitionProduceData, ProduceRequest, Request, TopicProduceData};

    use super::super::recorder::Asked;
    use super::{Frame, Turn, Work};

    #[test]
    fn only_the_correlation_id_differs() {
        for (version, len) in [(3, 10), (9, 10), (12, 64 << 10), (13, 3000)] {
            let data = PartitionProduceData { index: 7, records: Some(vec![9; len].into()) };
            let request = Request::from(ProduceRequest {
                topic_data: vec![TopicProduceData {
                    name: "t".into(),
                    partition_data: vec![data].into(),
                    ..Default::default()
                }]
                .into(),
                ..Default::default()
            });
            let frame = Frame::new(&request, version, Work::default()).unwrap();
            let mut out = Encoder::new();
            let asked = Asked { intended_ns: 0, sent_ns: 0 };
            let put = frame.put(Turn { correlation_id: 0x0102_0304, asked }, &mut out);
            assert_eq!(out.len() as u64, put.bytes);
            let (bytes, mut expected) = (out.take_bytes(), Encoder::new());
            request.encode(version, 0x0102_0304, Some("corelane-bench"), &mut expected).unwrap();
            assert_eq!(bytes, expected.take_bytes());
        }
    }
}
