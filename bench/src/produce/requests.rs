//! Which batches of the pool a connection sends where, request by request, again and again.

use std::collections::BTreeMap;

use corelane_net::messages::{PartitionProduceData, ProduceRequest, Request, TopicProduceData};

use crate::client::{Topic, shares};
use crate::error::BenchError;
use crate::load::Work;
use crate::records::Pool;

/// Milliseconds that the broker may take to acknowledge.
const TIMEOUT_MS: i32 = 30_000;

/// Different requests of all connections together: each keeps its fields in memory. Where there are
/// many connections each sends a part of the pool.
const REQUESTS_MAX: usize = 1 << 16;

/// Largest request, as Kafka's `socket.request.max.bytes`.
const REQUEST_BYTES_MAX: usize = 100 << 20;

/// The batches of one request, at most one to a partition: the partition, and the place in the pool.
pub(crate) type Carried = Vec<(i32, usize)>;

/// A connection's share of the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// `host:port` of the partitions' leader.
    pub(crate) leader: String,
    pub(crate) partitions: Vec<i32>,
}

impl Share {
    /// Deals the partitions to connections, each to its leader. A batch without keys goes wherever
    /// there is somebody to send it; keyed ones would lose their distribution if each connection
    /// had some of the partitions only, so each has all of its leader's, unless `is_exclusive`.
    pub(crate) fn deal(
        topic: &Topic,
        connections: usize,
        is_keyed: bool,
        is_exclusive: bool,
    ) -> Result<Vec<Share>, BenchError> {
        let mut dealt = shares(&topic.partitions, connections)?;
        if is_keyed && !is_exclusive {
            let mut by_leader: BTreeMap<String, Vec<i32>> = BTreeMap::new();
            for partition in &topic.partitions {
                by_leader.entry(partition.leader.clone()).or_default().push(partition.index);
            }
            for (leader, partitions) in &mut dealt {
                partitions.clone_from(&by_leader[leader]);
            }
        }
        let share = |(leader, partitions)| Share { leader, partitions };
        Ok(dealt.into_iter().map(share).collect())
    }
}

/// Deals a pool's batches to requests.
pub(crate) struct Deal<'a> {
    pub(crate) pool: &'a Pool,
    /// Partitions of a request at most.
    pub(crate) per_request: usize,
    /// Connections, which begin at different places of the pool.
    pub(crate) connections: usize,
}

impl Deal<'_> {
    /// The requests of the `nth` connection, in order; then the first again. None if no key belongs
    /// to these partitions.
    pub(crate) fn requests(&self, nth: usize, partitions: &[i32]) -> Vec<Carried> {
        let batches = self.pool.batches.len();
        let begin = nth * batches / self.connections.max(1);
        let requests_max = (REQUESTS_MAX / self.connections.max(1)).max(1);
        match self.pool.batches[0].partition {
            None => self.in_turn(begin, partitions, requests_max),
            Some(_) => self.by_key(begin, partitions, requests_max),
        }
    }

    /// All partitions in turn, each as often as the others.
    fn in_turn(&self, begin: usize, partitions: &[i32], requests_max: usize) -> Vec<Carried> {
        let batches = self.pool.batches.len();
        let per_request = self.per_request.clamp(1, partitions.len());
        let round = partitions.len() / greatest_common_divisor(partitions.len(), per_request);
        let wanted = batches.div_ceil(per_request).min(requests_max);
        let place = |nth: usize| (partitions[nth % partitions.len()], (begin + nth) % batches);
        let requests = 0..wanted.next_multiple_of(round);
        let carried = |request| (request * per_request..(request + 1) * per_request).map(place);
        requests.map(|request| carried(request).collect()).collect()
    }

    /// As a producer fills them; a second batch of a partition begins another request.
    fn by_key(&self, begin: usize, partitions: &[i32], requests_max: usize) -> Vec<Carried> {
        let mut requests: Vec<Carried> = Vec::new();
        let mut mine = vec![false; partitions.iter().max().map_or(0, |max| *max as usize + 1)];
        partitions.iter().for_each(|index| mine[*index as usize] = true);
        let batches = self.pool.batches.iter().enumerate();
        for (place, batch) in batches.cycle().skip(begin).take(self.pool.batches.len()) {
            let Some(partition) = batch.partition.filter(|p| mine.get(*p) == Some(&true)) else {
                continue;
            };
            let partition = partition as i32;
            let has_room = |last: &&mut Carried| {
                last.len() < self.per_request && last.iter().all(|(other, _)| *other != partition)
            };
            if let Some(last) = requests.last_mut().filter(has_room) {
                last.push((partition, place));
                continue;
            }
            if requests.len() == requests_max {
                break;
            }
            requests.push(vec![(partition, place)]);
        }
        requests
    }

    /// The request that carries these, and what it carries.
    ///
    /// # Errors
    /// [`BenchError::Argument`] if it would be larger than brokers take.
    pub(crate) fn encode(
        &self,
        topic: &Topic,
        carried: &Carried,
        acks: i16,
    ) -> Result<(Request, Work), BenchError> {
        let (mut work, mut bytes) = (Work::default(), 0);
        let mut partition_data = Vec::with_capacity(carried.len());
        for (index, place) in carried {
            let batch = &self.pool.batches[*place];
            work.add(batch.work);
            bytes += batch.bytes.len();
            partition_data
                .push(PartitionProduceData { index: *index, records: Some(batch.bytes.clone()) });
        }
        if bytes > REQUEST_BYTES_MAX {
            return Err(BenchError::Argument(format!(
                "a request of {bytes} bytes: brokers take {REQUEST_BYTES_MAX}; ask for smaller \
                 batches, or fewer partitions per request"
            )));
        }
        let topic_data = TopicProduceData {
            name: topic.name.clone(),
            topic_id: topic.id,
            partition_data: partition_data.into(),
        };
        let request = ProduceRequest {
            acks,
            timeout_ms: TIMEOUT_MS,
            topic_data: vec![topic_data].into(),
            ..Default::default()
        };
        Ok((request.into(), work))
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{Carried, Deal};
    use crate::records::{Pool, RecordSettings};
    use crate::stop::Stop;

    fn pool(keys: &str) -> Pool {
        let settings = RecordSettings {
            keys: keys.parse().unwrap(),
            pool_bytes: 100_000,
            batch_bytes: 1000,
            ..RecordSettings::default()
        };
        Pool::build(&settings, 10, 1, &Stop::new()).unwrap()
    }

    fn by_partition(requests: &[Carried]) -> BTreeMap<i32, usize> {
        let mut counts = BTreeMap::new();
        for (partition, _) in requests.iter().flatten() {
            *counts.entry(*partition).or_default() += 1;
        }
        counts
    }

    #[test]
    fn all_partitions_have_their_turn_and_all_batches_are_sent() {
        let pool = pool("none");
        for per_request in [1, 3, 4, 99] {
            let deal = Deal { pool: &pool, per_request, connections: 2 };
            let partitions: Vec<i32> = (0..10).collect();
            let requests = deal.requests(1, &partitions);
            for carried in &requests {
                assert_eq!(carried.len(), per_request.min(10));
                let different: BTreeSet<_> = carried.iter().map(|(index, _)| index).collect();
                assert_eq!(different.len(), carried.len());
            }
            let counts: BTreeSet<_> = by_partition(&requests).into_values().collect();
            assert_eq!(counts.len(), 1, "{per_request}: every partition as often");
            let sent: BTreeSet<_> = requests.iter().flatten().map(|(_, place)| place).collect();
            assert_eq!(sent.len(), pool.batches.len());
            assert_eq!(requests[0][0], (0, pool.batches.len() / 2));
        }
        // Many connections keep little each, but every partition.
        let deal = Deal { pool: &pool, per_request: 1, connections: 100_000 };
        assert_eq!(deal.requests(99_999, &[4, 5]).len(), 2);
    }

    #[test]
    fn keyed_batches_go_to_their_partition_in_the_order_of_the_pool() {
        let pool = pool("zipf:100");
        let deal = Deal { pool: &pool, per_request: 3, connections: 1 };
        let requests = deal.requests(0, &(0..10).collect::<Vec<_>>());
        let sent: Vec<_> = requests.iter().flatten().collect();
        assert!(sent.iter().all(|(p, place)| pool.batches[*place].partition == Some(*p as usize)));
        assert!(sent.iter().map(|(_, place)| *place).eq(0..pool.batches.len()));
        for carried in &requests {
            let different: BTreeSet<_> = carried.iter().map(|(index, _)| index).collect();
            assert!(different.len() == carried.len() && carried.len() <= 3);
        }
        let some = deal.requests(0, &[3]);
        assert!(!some.is_empty() && some.iter().flatten().all(|(index, _)| *index == 3));
        assert!(deal.requests(0, &[10]).is_empty());
    }
}
