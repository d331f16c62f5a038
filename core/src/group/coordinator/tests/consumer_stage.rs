//! A coordinator of groups of the consumer protocol without a shard: topics, virtual time, a log in memory, long work
//! that is done when the test says so.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::group_records::GroupRecord;
use corelane_net::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, ConsumerTopicPartitions,
    DescribedConsumerGroup,
};

use super::super::super::consumer::{Job, Pattern};
use super::super::super::rules::Rules;
use super::super::super::topics::{TopicFacts, Topics};
use super::super::super::turn::{Answer, Now, Turn, Waiter, Write};
use super::super::{BeatContext, Coordinator};
use crate::catalog::config::Settings;

pub(super) const GROUP: &str = "group";

/// Topics by name.
#[derive(Debug, Default)]
pub(super) struct TestTopics {
    pub by_name: BTreeMap<Str, TopicFacts>,
    pub version: u64,
}

impl Topics for TestTopics {
    fn version(&self) -> u64 {
        self.version
    }

    fn facts(&self, name: &str) -> Option<TopicFacts> {
        self.by_name.get(name).copied()
    }

    fn name(&self, id: Uuid) -> Option<Str> {
        self.by_name.iter().find(|(_, facts)| facts.id == id).map(|(name, _)| name.clone())
    }

    fn count(&self) -> usize {
        self.by_name.len()
    }

    fn names(&self) -> Vec<Str> {
        self.by_name.keys().cloned().collect()
    }
}

pub(super) struct Stage {
    pub coordinator: Coordinator,
    pub rules: Rules,
    pub topics: TestTopics,
    pub now: Now,
    /// What is durable.
    pub log: Vec<GroupRecord>,
    pub pending: VecDeque<Write>,
    pub jobs: VecDeque<Job>,
    pub answers: HashMap<Waiter, Answer>,
    pub waiters: u64,
    pub ids: u32,
}

impl Stage {
    pub fn new() -> Stage {
        Stage {
            coordinator: Coordinator::default(),
            rules: Rules::of(&Settings::new(corelane_storage::log::Durability::Written)),
            topics: TestTopics::default(),
            now: Now { monotonic: Duration::from_secs(1_000), wall_ms: 1_700_000_000_000 },
            log: Vec::new(),
            pending: VecDeque::new(),
            jobs: VecDeque::new(),
            answers: HashMap::new(),
            waiters: 0,
            ids: 0,
        }
    }

    pub fn with_topic(name: &str, partitions: i32) -> Stage {
        let mut stage = Stage::new();
        stage.set_topic(name, partitions);
        stage
    }

    /// Makes or grows a topic.
    pub fn set_topic(&mut self, name: &str, partitions: i32) -> Uuid {
        let known = self.topics.by_name.get(name).map(|facts| facts.id);
        let id = known.unwrap_or_else(|| {
            self.ids += 1;
            Uuid(u128::from(self.ids).to_be_bytes())
        });
        self.topics.by_name.insert(Str::from(name), TopicFacts { id, partitions });
        self.topics.version += 1;
        id
    }

    pub fn delete_topic(&mut self, name: &str) {
        self.topics.by_name.remove(name);
        self.topics.version += 1;
    }

    /// A step, whose writes are not durable yet.
    pub fn step<T>(&mut self, work: impl FnOnce(&mut Coordinator, &mut Turn<'_>) -> T) -> T {
        let mut turn = Turn::new(self.now, &self.rules).with_topics(&self.topics);
        let value = work(&mut self.coordinator, &mut turn);
        for (waiter, answer) in turn.answers {
            let before = self.answers.insert(waiter, answer);
            assert!(before.is_none(), "{waiter:?} is answered twice");
        }
        self.pending.extend(turn.writes);
        self.jobs.extend(turn.jobs);
        value
    }

    /// Makes the first write durable.
    pub fn settle_one(&mut self) -> bool {
        let Some(write) = self.pending.pop_front() else { return false };
        self.log.extend(write.records.iter().cloned());
        self.step(|coordinator, turn| coordinator.stored(write, turn));
        true
    }

    /// Does the first work.
    pub fn work_one(&mut self) -> bool {
        let Some(job) = self.jobs.pop_front() else { return false };
        let group = job.group.clone();
        let done = job.run();
        self.step(|coordinator, turn| coordinator.finish(&group, done, turn));
        true
    }

    pub fn settle(&mut self) {
        while self.settle_one() || self.work_one() {}
    }

    /// Lets time pass; everything happens when it is due.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now.monotonic + Duration::from_millis(ms);
        while let Some(wake) = self.coordinator.wake().filter(|wake| *wake <= end) {
            self.now.monotonic = wake.max(self.now.monotonic);
            while self.step(|coordinator, turn| coordinator.expire(turn)) {}
            self.settle();
        }
        self.now.monotonic = end;
        self.now.wall_ms += i64::try_from(ms).unwrap();
    }

    pub fn new_waiter(&mut self) -> Waiter {
        self.waiters += 1;
        Waiter(self.waiters)
    }

    /// A heartbeat, which is not answered yet.
    pub fn send(&mut self, request: &ConsumerGroupHeartbeatRequest) -> Waiter {
        let waiter = self.new_waiter();
        let regex = request.subscribed_topic_regex.as_deref().filter(|text| !text.is_empty());
        let context = BeatContext {
            version: 1,
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            unique_id: format!("made-up-{}", waiter.0),
            pattern: regex.map(|text| Pattern::new(text).unwrap()),
        };
        self.step(|coordinator, turn| coordinator.beat(request, &context, waiter, turn));
        waiter
    }

    pub fn answer(&mut self, waiter: Waiter) -> Option<ConsumerGroupHeartbeatResponse> {
        match self.answers.remove(&waiter)? {
            Answer::Beat(answer) => Some(answer),
            other => panic!("{other:?}"),
        }
    }

    pub fn beat(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> ConsumerGroupHeartbeatResponse {
        let waiter = self.send(request);
        self.settle();
        self.answer(waiter).expect("everything is settled")
    }

    /// As clients of this library join.
    pub fn join(&mut self, id: &str, topics: &[&str]) -> ConsumerGroupHeartbeatResponse {
        self.beat(&join(id, topics))
    }

    /// A heartbeat of a member that owns this.
    pub fn go_on(
        &mut self,
        id: &str,
        epoch: i32,
        owned: Option<&[(Uuid, &[i32])]>,
    ) -> ConsumerGroupHeartbeatResponse {
        self.beat(&beat(id, epoch, owned))
    }

    pub fn describe(&self) -> DescribedConsumerGroup {
        let turn = Turn::new(self.now, &self.rules).with_topics(&self.topics);
        self.coordinator.describe_consumer(&GROUP.into(), &turn).unwrap()
    }

    /// What a broker has after it was killed now: a new one over the same log.
    pub fn kill(&mut self) {
        self.pending.clear();
        self.jobs.clear();
        self.answers.clear();
        let mut coordinator = Coordinator::default();
        self.log.iter().for_each(|record| coordinator.replay(record, self.now));
        let mut turn = Turn::new(self.now, &self.rules);
        let mut after = None;
        while let Some(last) = coordinator.resume(after.as_ref(), &mut turn) {
            after = Some(last);
        }
        assert!(turn.answers.is_empty());
        self.coordinator = coordinator;
    }
}

pub(super) fn join(id: &str, topics: &[&str]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: GROUP.into(),
        member_id: id.into(),
        member_epoch: 0,
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(topics.iter().copied().map(Str::from).collect()),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    }
}

pub(super) fn beat(
    id: &str,
    member_epoch: i32,
    owned: Option<&[(Uuid, &[i32])]>,
) -> ConsumerGroupHeartbeatRequest {
    let topic = |(topic_id, partitions): &(Uuid, &[i32])| ConsumerTopicPartitions {
        topic_id: *topic_id,
        partitions: partitions.to_vec(),
    };
    ConsumerGroupHeartbeatRequest {
        group_id: GROUP.into(),
        member_id: id.into(),
        member_epoch,
        topic_partitions: owned.map(|owned| owned.iter().map(topic).collect()),
        ..Default::default()
    }
}

/// The partitions that an answer tells, of all topics.
pub(super) fn told(answer: &ConsumerGroupHeartbeatResponse) -> Option<Vec<i32>> {
    assert_eq!(answer.error_code, ErrorCode::None, "{answer:?}");
    let topics = &answer.assignment.as_ref()?.topic_partitions;
    Some(topics.iter().flat_map(|topic| topic.partitions.clone()).collect())
}
