//! Each topic cut into runs, one for each of its readers.

use super::{Owners, Question, count};

pub(super) fn assign(question: &Question) -> Owners {
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); question.topics.len()];
    for member in in_order(question) {
        for &topic in &*question.members[member].topics {
            readers[topic].push(member);
        }
    }
    let cut = |(topic, readers): (&super::AskedTopic, Vec<usize>)| {
        let partitions = count(topic.partitions);
        let mut owners = Vec::with_capacity(partitions);
        for (place, &member) in readers.iter().enumerate() {
            let extra = usize::from(place < partitions % readers.len());
            owners.extend(std::iter::repeat_n(Some(member), partitions / readers.len() + extra));
        }
        owners.resize(partitions, None);
        owners
    };
    question.topics.iter().zip(readers).map(cut).collect()
}

/// Static members first, by name, so that one that comes back with another id gets the same.
fn in_order(question: &Question) -> Vec<usize> {
    let mut order: Vec<usize> = (0..question.members.len()).collect();
    order.sort_by_key(|&member| {
        let member = &question.members[member];
        (member.instance_id.is_none(), &member.instance_id, &member.id)
    });
    order
}
