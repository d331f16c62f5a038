//! Members that read different topics: who reads a topic keeps what it has of it, what is free goes to
//! the reader that has least, and then partitions move from readers that have most to those that have least.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::{Owners, Question, count};

/// As in Kafka: that many rounds over all topics come near enough.
const ROUNDS_MAX: usize = 16;

pub(super) fn assign(question: &Question) -> Owners {
    let mut work = Work::new(question);
    let order = work.topics_in_order(question);
    for &topic in &order {
        work.hand_out(topic);
    }
    for _ in 0..ROUNDS_MAX {
        let moved: usize = order.iter().map(|&topic| work.balance(topic)).sum();
        if moved == 0 {
            break;
        }
    }
    work.owners
}

struct Work {
    owners: Owners,
    /// Partitions of each member, of all topics.
    loads: Vec<usize>,
    /// The readers of each topic.
    readers: Vec<Vec<usize>>,
}

impl Work {
    fn new(question: &Question) -> Work {
        let owners = question.owners_before();
        let mut loads = vec![0; question.members.len()];
        owners.iter().flatten().flatten().for_each(|&member| loads[member] += 1);
        let mut readers = vec![Vec::new(); question.topics.len()];
        for (member, asked) in question.members.iter().enumerate() {
            asked.topics.iter().for_each(|&topic| readers[topic].push(member));
        }
        Work { owners, loads, readers }
    }

    /// Topics with many partitions for each reader first: they leave the least choice.
    fn topics_in_order(&self, question: &Question) -> Vec<usize> {
        let mut order: Vec<usize> =
            (0..self.readers.len()).filter(|&topic| !self.readers[topic].is_empty()).collect();
        order.sort_by_key(|&topic| {
            let (partitions, readers) =
                (count(question.topics[topic].partitions), self.readers[topic].len());
            (Reverse(partitions * 1_000 / readers), readers, topic)
        });
        order
    }

    fn hand_out(&mut self, topic: usize) {
        let mut readers: BTreeSet<(usize, usize)> =
            self.readers[topic].iter().map(|&member| (self.loads[member], member)).collect();
        for owner in self.owners[topic].iter_mut().filter(|owner| owner.is_none()) {
            let Some((load, member)) = readers.pop_first() else { return };
            *owner = Some(member);
            self.loads[member] = load + 1;
            readers.insert((load + 1, member));
        }
    }

    /// Evens out the readers of one topic, as far as its partitions can; tells how many have moved.
    fn balance(&mut self, topic: usize) -> usize {
        let mut owned: Vec<Vec<usize>> = vec![Vec::new(); self.loads.len()];
        for (partition, owner) in self.owners[topic].iter().enumerate() {
            owner.iter().for_each(|&member| owned[member].push(partition));
        }
        let load = |member: &usize| (self.loads[*member], *member);
        let mut least: BTreeSet<_> = self.readers[topic].iter().map(load).collect();
        let givers = self.readers[topic].iter().filter(|member| !owned[**member].is_empty());
        let mut most: BTreeSet<_> = givers.map(load).collect();
        let mut moved = 0;
        while let (Some(&(low, taker)), Some(&(high, giver))) = (least.first(), most.last()) {
            if high <= low + 1 {
                break;
            }
            let Some(partition) = owned[giver].pop() else { break };
            self.owners[topic][partition] = Some(taker);
            owned[taker].push(partition);
            for (member, before, after) in [(giver, high, high - 1), (taker, low, low + 1)] {
                self.loads[member] = after;
                least.remove(&(before, member));
                least.insert((after, member));
                most.remove(&(before, member));
                if !owned[member].is_empty() {
                    most.insert((after, member));
                }
            }
            moved += 1;
        }
        moved
    }
}
