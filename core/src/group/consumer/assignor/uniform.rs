//! Equal numbers for members that all read the same topics; who has not too many keeps what it has.

use super::{Owners, Question, count};

pub(super) fn assign(question: &Question) -> Owners {
    let read = &*question.members[0].topics;
    let mut owners = question.owners_before();
    let total: usize = read.iter().map(|&topic| count(question.topics[topic].partitions)).sum();
    let mut quotas = quotas(question, &owners, total);
    for &topic in read {
        for owner in &mut owners[topic] {
            match *owner {
                Some(member) if quotas[member] > 0 => quotas[member] -= 1,
                _ => *owner = None,
            }
        }
    }
    let mut takers =
        (0..quotas.len()).flat_map(|member| std::iter::repeat_n(member, quotas[member]));
    for &topic in read {
        for owner in owners[topic].iter_mut().filter(|owner| owner.is_none()) {
            *owner = takers.next();
        }
    }
    owners
}

/// How many partitions each member gets. Those that have most keep one more, if not all can.
fn quotas(question: &Question, owners: &Owners, total: usize) -> Vec<usize> {
    let members = question.members.len();
    let mut owned = vec![0_usize; members];
    owners.iter().flatten().flatten().for_each(|&member| owned[member] += 1);
    let (each, extra) = (total / members, total % members);
    let mut order: Vec<usize> = (0..members).collect();
    order.sort_by_key(|&member| owned[member] <= each);
    let mut quotas = vec![each; members];
    order.iter().take(extra).for_each(|&member| quotas[member] += 1);
    quotas
}
