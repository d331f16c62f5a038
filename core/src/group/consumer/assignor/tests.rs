//! Every partition has one owner that reads its topic, the numbers are even, and little moves.

use std::collections::BTreeMap;

use super::*;
use crate::seeded::Rng;

fn topic(number: u8, partitions: i32) -> AskedTopic {
    AskedTopic { id: Uuid([number; 16]), partitions }
}

fn member(id: &str, topics: &[usize]) -> AskedMember {
    AskedMember {
        id: id.into(),
        instance_id: None,
        topics: topics.into(),
        before: Partitions::new(),
    }
}

fn counts(answer: &[Partitions]) -> Vec<usize> {
    answer.iter().map(|own| own.values().map(Vec::len).sum()).collect()
}

#[test]
fn range_gives_equal_partitions_of_all_topics_to_one_member() {
    let mut question = Question {
        assignor: Assignor::Range,
        topics: vec![topic(1, 5), topic(2, 5)],
        members: vec![member("a", &[0, 1]), member("b", &[0, 1])],
    };
    let own = |runs: [Vec<i32>; 2]| {
        let [first, second] = runs;
        Partitions::from([(Uuid([1; 16]), first), (Uuid([2; 16]), second)])
    };
    let answer = question.answer();
    assert_eq!(answer, [own([vec![0, 1, 2], vec![0, 1, 2]]), own([vec![3, 4], vec![3, 4]])]);
    // Static members come first.
    question.members[1].instance_id = Some("i".into());
    assert_eq!(question.answer()[0], own([vec![3, 4], vec![3, 4]]));
    question.members[0].topics = [1].into();
    question.members[1].topics = [0].into();
    assert_eq!(counts(&question.answer()), [5, 5]);
}

#[test]
fn nobody_and_nothing_are_shared_out() {
    for assignor in Assignor::ALL {
        let nobody = Question { assignor, topics: vec![topic(1, 3)], members: vec![] };
        assert_eq!(nobody.answer(), Vec::<Partitions>::new());
        let nothing = Question { assignor, topics: vec![], members: vec![member("a", &[])] };
        assert_eq!(nothing.answer(), [Partitions::new()]);
        let more = (0..5).map(|number| member(&number.to_string(), &[0])).collect();
        let few = Question { assignor, topics: vec![topic(1, 2)], members: more };
        assert_eq!(counts(&few.answer()).iter().sum::<usize>(), 2);
    }
}

/// Checks what holds for every assignor, and returns how many partitions have moved between members that stay.
fn check(question: &Question) -> usize {
    let answer = question.answer();
    let mut owners: BTreeMap<(Uuid, i32), usize> = BTreeMap::new();
    for (owner, own) in answer.iter().enumerate() {
        let reads: Vec<Uuid> =
            question.members[owner].topics.iter().map(|&place| question.topics[place].id).collect();
        for (id, partitions) in own {
            assert!(reads.contains(id) && partitions.is_sorted() && !partitions.is_empty());
            for &index in partitions {
                assert_eq!(owners.insert((*id, index), owner), None);
            }
        }
    }
    for (place, topic) in question.topics.iter().enumerate() {
        let is_read = question.members.iter().any(|member| member.topics.contains(&place));
        let owned = (0..topic.partitions).filter(|&index| owners.contains_key(&(topic.id, index)));
        assert_eq!(owned.count(), if is_read { count(topic.partitions) } else { 0 });
    }
    let moved = question.members.iter().enumerate().flat_map(|(number, member)| {
        let gone = move |id: Uuid, index: i32| (number, id, index);
        member.before.iter().flat_map(move |(id, all)| all.iter().map(move |&i| gone(*id, i)))
    });
    moved
        .filter(|(number, id, index)| owners.get(&(*id, *index)).is_some_and(|now| now != number))
        .count()
}

#[test]
fn uniform_is_even_and_moves_little() {
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let topics: Vec<AskedTopic> =
            (0..1 + rng.below(4)).map(|n| topic(n as u8, rng.below(20) as i32)).collect();
        let all: Vec<usize> = (0..topics.len()).collect();
        let ids = 1 + rng.below(7);
        let members = (0..ids).map(|id| member(&id.to_string(), &all)).collect();
        let mut question = Question { assignor: Assignor::Uniform, topics, members };
        for _ in 0..6 {
            let answer = question.answer();
            check(&question);
            let counts = counts(&answer);
            assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
            for (member, own) in question.members.iter_mut().zip(answer) {
                member.before = own;
            }
            // The same question, the same answer.
            assert_eq!(check(&question), 0);
            match rng.below(3) {
                0 => {
                    let more = member(&format!("more-{}", rng.below(1_000)), &all);
                    question.members.push(more);
                    let total = question.topics.iter().map(|t| count(t.partitions)).sum::<usize>();
                    assert!(check(&question) <= total.div_ceil(question.members.len()));
                }
                1 if question.members.len() > 1 => {
                    question.members.remove(0);
                    // Who stays keeps all that it has.
                    assert_eq!(check(&question), 0);
                }
                _ => {
                    question.topics[0].partitions += 3;
                    assert_eq!(check(&question), 0);
                }
            }
        }
    }
}

#[test]
fn members_that_read_different_topics_are_evened_out() {
    // Whoever reads only the small topic gets all of it from those that have much.
    let question = Question {
        assignor: Assignor::Uniform,
        topics: vec![topic(1, 12), topic(2, 4)],
        members: vec![member("a", &[0, 1]), member("b", &[1])],
    };
    assert_eq!(counts(&question.answer()), [12, 4]);
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let topics: Vec<AskedTopic> =
            (0..1 + rng.below(5)).map(|n| topic(n as u8, rng.below(15) as i32)).collect();
        let mut question = Question { assignor: Assignor::Uniform, topics, members: vec![] };
        for id in 0..1 + rng.below(6) {
            let read: Vec<usize> =
                (0..question.topics.len()).filter(|_| rng.below(2) == 0).collect();
            question.members.push(member(&id.to_string(), &read));
        }
        check(&question);
        let answer = question.answer();
        let counts = counts(&answer);
        // No partition could move from one reader to another and make them more even.
        for (giver, own) in answer.iter().enumerate() {
            for id in own.keys() {
                let place = question.topics.iter().position(|topic| topic.id == *id).unwrap();
                let readers = (0..counts.len())
                    .filter(|&other| question.members[other].topics.contains(&place));
                for taker in readers {
                    assert!(counts[giver] <= counts[taker] + 1, "seed {seed}: {counts:?}");
                }
            }
        }
        for (member, own) in question.members.iter_mut().zip(answer) {
            member.before = own;
        }
        assert_eq!(check(&question), 0);
    }
}
