//! Members at random over virtual time: they join, beat, give up, commit, leave, vanish, lose answers and come back, topics
//! are made, grown and deleted, writes and long work take their time, and the broker is killed in between.
//!
//! What must hold: no partition is ever in the hands of two members that live; a member's epoch never goes back; what was
//! read back after a kill is what was there; in the end every partition is with one member that wants it.

use std::collections::{BTreeMap, BTreeSet};

use corelane_net::codec::Uuid;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, ConsumerTopicPartitions,
};

use super::super::super::mutants::{Mutant, activate};
use super::super::super::turn::Waiter;
use super::consumer_stage::{GROUP, Stage};
use crate::seeded::Rng;

const SEEDS: u64 = 300;
const NAMES: [&str; 4] = ["t0", "t1", "t2", "t3"];

#[derive(Clone, Debug)]
struct Client {
    id: String,
    instance: Option<String>,
    wants: Vec<&'static str>,
    range: bool,
    epoch: i32,
    /// What it reads.
    owned: BTreeSet<(Uuid, i32)>,
    /// What it was told last.
    told: BTreeSet<(Uuid, i32)>,
    asked: Option<Waiter>,
    /// Gone until it joins anew.
    is_out: bool,
    /// Everything is said in the next heartbeat, as after a lost answer.
    says_all: bool,
}

struct Run {
    stage: Stage,
    rng: Rng,
    clients: Vec<Client>,
    ids: u64,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut rng = Rng::new(seed);
        let mut stage = Stage::new();
        for name in NAMES.iter().take(1 + rng.below(3) as usize) {
            stage.set_topic(name, 1 + rng.below(6) as i32);
        }
        let clients = 1 + rng.below(6);
        let mut run = Run { stage, rng, clients: Vec::new(), ids: 0 };
        for number in 0..clients {
            let instance = run.rng.below(3).eq(&0).then(|| format!("static-{number}"));
            let client = Client {
                id: run.new_id(),
                instance,
                wants: run.wish(),
                range: run.rng.below(3) == 0,
                epoch: 0,
                owned: BTreeSet::new(),
                told: BTreeSet::new(),
                asked: None,
                is_out: false,
                says_all: true,
            };
            run.clients.push(client);
        }
        run
    }

    fn new_id(&mut self) -> String {
        self.ids += 1;
        format!("member-{}", self.ids)
    }

    fn wish(&mut self) -> Vec<&'static str> {
        match self.rng.below(2) {
            0 => NAMES.to_vec(),
            _ => NAMES.into_iter().filter(|_| self.rng.below(2) == 0).collect(),
        }
    }

    fn play(&mut self, steps: usize) {
        for _ in 0..steps {
            let number = self.rng.below(self.clients.len() as u64) as usize;
            match self.rng.below(60) {
                0..=24 => self.send(number),
                25..=34 => drop(self.stage.settle_one()),
                35..=38 => drop(self.stage.work_one()),
                39..=45 => self.give_up_some(number),
                46 => self.leave(number),
                47 => self.vanish(number),
                48 => self.lose_answer(number),
                49..=52 => self.pass(),
                53 => self.change_topics(),
                54 => self.change_wish(number),
                55 => self.kill(),
                _ => self.read_answers(),
            }
            self.check();
        }
    }

    fn send(&mut self, number: usize) {
        let client = &self.clients[number];
        if client.asked.is_some() {
            return;
        }
        if client.is_out {
            let id = self.new_id();
            let client = &mut self.clients[number];
            (client.id, client.epoch, client.is_out) = (id, 0, false);
        }
        let client = &mut self.clients[number];
        client.says_all |= client.epoch == 0;
        let is_join = client.epoch == 0;
        assert!(!is_join || client.owned.is_empty());
        let owned = || {
            let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
            client.owned.iter().for_each(|(id, index)| topics.entry(*id).or_default().push(*index));
            let topic = |(topic_id, partitions)| ConsumerTopicPartitions { topic_id, partitions };
            topics.into_iter().map(topic).collect::<Vec<_>>()
        };
        let request = ConsumerGroupHeartbeatRequest {
            group_id: GROUP.into(),
            member_id: (&*client.id).into(),
            member_epoch: client.epoch,
            instance_id: client.instance.as_deref().map(Into::into),
            // Longer than a run: who does not give up in time is tested elsewhere.
            rebalance_timeout_ms: if client.says_all { 10_000_000 } else { -1 },
            subscribed_topic_names: client
                .says_all
                .then(|| client.wants.iter().map(|name| (*name).into()).collect()),
            server_assignor: client.range.then(|| "range".into()),
            topic_partitions: Some(owned()),
            ..Default::default()
        };
        client.says_all = false;
        let waiter = self.stage.send(&request);
        self.clients[number].asked = Some(waiter);
        self.read_answers();
    }

    fn read_answers(&mut self) {
        for number in 0..self.clients.len() {
            let asked = self.clients[number].asked;
            if let Some(answer) = asked.and_then(|waiter| self.stage.answer(waiter)) {
                self.clients[number].asked = None;
                self.hear(number, &answer);
            }
        }
    }

    fn hear(&mut self, number: usize, answer: &ConsumerGroupHeartbeatResponse) {
        let client = &mut self.clients[number];
        match answer.error_code {
            ErrorCode::None => {
                assert!(
                    answer.member_epoch >= client.epoch,
                    "{client:?} went back to {}",
                    answer.member_epoch
                );
                client.epoch = answer.member_epoch;
                if let Some(assignment) = &answer.assignment {
                    client.told = assignment
                        .topic_partitions
                        .iter()
                        .flat_map(|topic| {
                            topic.partitions.iter().map(|index| (topic.topic_id, *index))
                        })
                        .collect();
                    // What is new it reads at once; what it is to give up it may read a while.
                    client.owned.extend(client.told.iter().copied());
                }
            }
            ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId => {
                client.owned.clear();
                client.epoch = 0;
                client.says_all = true;
                // As clients do, under the same id.
            }
            ErrorCode::GroupIdNotFound => {
                client.owned.clear();
                client.epoch = 0;
            }
            // Its predecessor has not been given up yet, or its successor is in.
            ErrorCode::UnreleasedInstanceId | ErrorCode::FencedInstanceId => {
                client.owned.clear();
                client.is_out = true;
            }
            other => panic!("{other:?}: {answer:?}"),
        }
    }

    /// As its application lets it: not always all at once.
    fn give_up_some(&mut self, number: usize) {
        let client = &mut self.clients[number];
        let told = client.told.clone();
        client.owned.retain(|partition| told.contains(partition) || self.rng.below(2) == 0);
    }

    fn leave(&mut self, number: usize) {
        let client = &self.clients[number];
        if client.asked.is_some() || client.is_out || client.epoch == 0 {
            return;
        }
        let for_a_while = client.instance.is_some();
        let request = ConsumerGroupHeartbeatRequest {
            group_id: GROUP.into(),
            member_id: (&*client.id).into(),
            member_epoch: if for_a_while { -2 } else { -1 },
            instance_id: client.instance.as_deref().map(Into::into),
            ..Default::default()
        };
        self.stage.send(&request);
        self.vanish(number);
    }

    /// It is gone, without a word.
    fn vanish(&mut self, number: usize) {
        let client = &mut self.clients[number];
        client.owned.clear();
        client.told.clear();
        client.asked = None;
        client.is_out = true;
        client.says_all = true;
    }

    /// It asks again, and says everything.
    fn lose_answer(&mut self, number: usize) {
        let client = &mut self.clients[number];
        if client.asked.take().is_some() {
            client.says_all = true;
        }
    }

    fn pass(&mut self) {
        // All live members beat in time: how long that is is tested elsewhere.
        for number in 0..self.clients.len() {
            self.beat_now(number);
        }
        let ms = 1_000 + self.rng.below(9_000);
        self.stage.pass(ms);
        self.read_answers();
    }

    fn beat_now(&mut self, number: usize) {
        if self.clients[number].is_out {
            return;
        }
        self.send(number);
        self.stage.settle();
        self.read_answers();
    }

    fn change_topics(&mut self) {
        let name = NAMES[self.rng.below(4) as usize];
        match self.stage.topics.by_name.get(name).map(|facts| facts.partitions) {
            Some(_) if self.rng.below(4) == 0 => self.stage.delete_topic(name),
            Some(count) if count < 12 => drop(self.stage.set_topic(name, count + 1)),
            Some(_) => {}
            None => drop(self.stage.set_topic(name, 1 + self.rng.below(5) as i32)),
        }
    }

    fn change_wish(&mut self, number: usize) {
        let wants = self.wish();
        let client = &mut self.clients[number];
        client.wants = wants;
        client.says_all = true;
    }

    fn kill(&mut self) {
        self.stage.kill();
        for client in &mut self.clients {
            if client.asked.take().is_some() {
                client.says_all = true;
            }
        }
    }

    fn check(&self) {
        let mut owners: BTreeMap<(Uuid, i32), &str> = BTreeMap::new();
        for client in &self.clients {
            for partition in &client.owned {
                let other = owners.insert(*partition, &client.id);
                assert!(other.is_none(), "{partition:?} is with {other:?} and {}", client.id);
            }
        }
    }

    /// Everything calms down.
    fn end(&mut self) {
        for round in 0.. {
            assert!(round < 200, "the group does not come to rest: {:?}", self.stage.describe());
            for number in 0..self.clients.len() {
                if self.clients[number].is_out {
                    // Until its predecessor is given up.
                    self.send(number);
                }
                self.beat_now(number);
                let client = &mut self.clients[number];
                let told = client.told.clone();
                client.owned.retain(|partition| told.contains(partition));
                self.check();
            }
            self.stage.pass(5_000);
            let described = self.stage.describe();
            let all_are_in = described.members.len() == self.clients.len()
                && self.clients.iter().all(|client| !client.is_out && client.epoch > 0);
            let all_are_there = self
                .clients
                .iter()
                .all(|client| client.epoch == described.group_epoch && client.owned == client.told);
            if &*described.group_state == "Stable" && all_are_in && all_are_there {
                break;
            }
        }
        let mut expected = BTreeSet::new();
        for name in self.clients.iter().flat_map(|client| &client.wants) {
            if let Some(facts) = self.stage.topics.by_name.get(*name) {
                expected.extend((0..facts.partitions).map(|index| (facts.id, index)));
            }
        }
        let owned = self.clients.iter().flat_map(|client| client.owned.iter().copied());
        assert_eq!(owned.collect::<BTreeSet<_>>(), expected);
        let described = self.stage.describe();
        self.stage.kill();
        assert_eq!(self.stage.describe(), described, "what is read back is what was there");
    }
}

#[test]
fn no_partition_is_with_two_members() {
    (0..SEEDS).for_each(live);
}

/// The world of one seed, until it has come to rest.
fn live(seed: u64) {
    let mut run = Run::new(seed);
    run.play(400);
    run.end();
}

/// Worlds until one sees the fault.
fn caught(mutant: Mutant) {
    let _active = activate(mutant);
    let seed = (0..SEEDS).find(|&seed| std::panic::catch_unwind(|| live(seed)).is_err());
    let seed = seed.unwrap_or_else(|| panic!("{mutant:?} was not caught in {SEEDS} seeds"));
    println!("{mutant:?} is caught with seed {seed}");
}

#[test]
fn taking_what_another_holds_is_caught() {
    caught(Mutant::TakeHeldPartitions);
}

#[test]
fn forgetting_who_owns_is_caught() {
    caught(Mutant::ForgetWhoOwns);
}

#[test]
fn leaving_without_tombstones_is_caught() {
    caught(Mutant::LeaveWithoutTombstones);
}

#[test]
fn answering_before_the_write_is_caught() {
    caught(Mutant::AnswerBeforeWrite);
}
