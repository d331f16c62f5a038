//! What clients take for brokers: this host, or each of its shards.
//!
//! A host's id names its configs and its data; a node's id is what clients see. They are the same
//! unless each shard is told as a node of its own, at a port of its own. Nothing on disk has a
//! node's id: which shard owns what depends on how many there are.

use corelane_storage::ids::PartitionId;

use super::placement::shard_of;

/// Ids that the nodes of one host may have.
const NODES_PER_HOST: i32 = 1_024;

/// The nodes of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nodes {
    host_id: i32,
    /// How many shards are nodes of their own; `None`: the host is one node.
    shards: Option<usize>,
}

/// One node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: i32,
    /// Its place among the host's nodes: so much its ports lie above the listeners'.
    pub number: u16,
}

impl Nodes {
    /// The host as one node, which has its id.
    pub const fn one(host_id: i32) -> Nodes {
        Nodes { host_id, shards: None }
    }

    /// Each of `shards` shards (1,024 at most) as a node: host id x 1,024 + shard.
    pub const fn per_shard(host_id: i32, shards: usize) -> Nodes {
        Nodes { host_id, shards: Some(shards) }
    }

    /// The host's id.
    pub fn host_id(&self) -> i32 {
        self.host_id
    }

    /// True if each shard is a node.
    pub fn are_shards(&self) -> bool {
        self.shards.is_some()
    }

    /// The node that a shard belongs to.
    pub fn of_shard(&self, shard: usize) -> Node {
        match self.shards {
            None => Node { id: self.host_id, number: 0 },
            Some(_) => {
                let number = u16::try_from(shard).unwrap_or(0);
                Node { id: self.host_id * NODES_PER_HOST + i32::from(number), number }
            }
        }
    }

    /// The node that leads a partition.
    pub fn leader(&self, partition: PartitionId) -> Node {
        self.of_shard(self.shards.map_or(0, |shards| shard_of(partition, shards)))
    }

    /// The node that is told as the controller: every one answers what a controller does.
    pub fn controller(&self) -> Node {
        self.of_shard(0)
    }

    /// All of them, by id.
    pub fn all(&self) -> impl ExactSizeIterator<Item = Node> + use<> {
        let nodes = *self;
        (0..self.shards.unwrap_or(1)).map(move |shard| nodes.of_shard(shard))
    }

    /// The node of this id.
    pub fn find(&self, id: i32) -> Option<Node> {
        let shard = usize::try_from(id.checked_sub(self.of_shard(0).id)?).ok()?;
        (shard < self.all().len()).then(|| self.of_shard(shard))
    }

    /// The ids that there are, in words.
    pub fn ids(&self) -> String {
        let (first, last) = (self.of_shard(0).id, self.of_shard(self.all().len() - 1).id);
        if first == last { first.to_string() } else { format!("one of {first} to {last}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_one_node_or_as_many_as_it_has_shards() {
        let one = Nodes::one(1);
        assert_eq!(one.all().map(|node| (node.id, node.number)).collect::<Vec<_>>(), [(1, 0)]);
        assert_eq!((one.of_shard(7).id, one.ids()), (1, "1".to_owned()));
        let three = Nodes::per_shard(1, 3);
        let all: Vec<_> = three.all().map(|node| (node.id, node.number)).collect();
        assert_eq!(all, [(1_024, 0), (1_025, 1), (1_026, 2)]);
        assert_eq!(three.controller().id, 1_024);
        assert_eq!(three.find(1_026).map(|node| node.number), Some(2));
        assert_eq!(three.find(1_027), None);
        assert_eq!(three.find(1), None, "the host's own id is no node's");
        assert_eq!([-1, i32::MIN, i32::MAX].map(|id| three.find(id)), [None; 3]);
        assert_eq!(three.ids(), "one of 1024 to 1026");
        let most = Nodes::per_shard(1, 1_024);
        assert_eq!(most.all().last().map(|node| node.id), Some(2_047));
    }

    #[test]
    fn the_leader_is_the_owner() {
        let topic_id = corelane_storage::ids::TopicId([7; 16]);
        for index in 0..20 {
            let partition = PartitionId { topic_id, index };
            let leader = Nodes::per_shard(1, 3).leader(partition);
            assert_eq!(usize::from(leader.number), shard_of(partition, 3));
            assert_eq!(Nodes::one(1).leader(partition).id, 1);
        }
    }
}
