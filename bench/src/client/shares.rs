//! Which connection serves which partitions.

use std::collections::BTreeMap;

use super::topic::Partition;
use crate::error::BenchError;

/// Deals connections to leaders, and each leader's partitions to its connections. Where there are
/// more connections than partitions, several share one.
pub(crate) fn shares(
    partitions: &[Partition],
    connections: usize,
) -> Result<Vec<(String, Vec<i32>)>, BenchError> {
    let mut by_leader: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        by_leader.entry(&partition.leader).or_default().push(partition.index);
    }
    let leaders = by_leader.len();
    if connections < leaders {
        return Err(BenchError::Argument(format!(
            "{leaders} brokers lead the topic's partitions: as many connections are needed"
        )));
    }
    let mut shares = Vec::with_capacity(connections);
    for (number, (leader, indexes)) in by_leader.into_iter().enumerate() {
        let ours = (connections - number).div_ceil(leaders);
        for connection in 0..ours {
            let share: Vec<i32> = indexes.iter().copied().skip(connection).step_by(ours).collect();
            let share =
                if share.is_empty() { vec![indexes[connection % indexes.len()]] } else { share };
            shares.push((leader.to_owned(), share));
        }
    }
    Ok(shares)
}

#[cfg(test)]
mod tests {
    use super::{Partition, shares};

    fn partitions(leaders: &[&str]) -> Vec<Partition> {
        let partition = |(index, leader): (usize, &&str)| Partition {
            index: index as i32,
            leader: (*leader).to_owned(),
        };
        leaders.iter().enumerate().map(partition).collect()
    }

    #[test]
    fn every_partition_has_a_connection_to_its_leader() {
        let all = partitions(&["a", "b", "a", "a", "b"]);
        let dealt = shares(&all, 3).unwrap();
        let share = |leader: &str, indexes: &[i32]| (leader.to_owned(), indexes.to_vec());
        assert_eq!(dealt, [share("a", &[0, 3]), share("a", &[2]), share("b", &[1, 4])]);
        // More connections than partitions.
        let dealt = shares(&partitions(&["a", "a"]), 5).unwrap();
        let indexes: Vec<_> = dealt.iter().flat_map(|(_, indexes)| indexes.clone()).collect();
        assert_eq!(indexes, [0, 1, 0, 1, 0]);
        assert!(shares(&all, 1).is_err());
    }
}
