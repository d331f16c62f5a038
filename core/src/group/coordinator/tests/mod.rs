//! A coordinator without a shard: virtual time, a log in memory, waiters that are counted.

mod consumer;
mod consumer_model;
mod consumer_stage;
mod members;
mod migration;
mod model;
mod offsets;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::group_records::GroupRecord;
use corelane_net::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
    LeaveGroupRequest, MemberIdentity, OffsetCommitRequestPartition, SyncGroupRequest,
    SyncGroupRequestAssignment, SyncGroupResponse,
};

use super::super::rules::Rules;
use super::super::turn::{Answer, Now, Turn, Waiter, Write};
use super::{AskedOffset, CommitContext, Coordinator, JoinContext, TopicSearch};
use crate::catalog::config::Settings;

const GROUP: &str = "group";
const SESSION_MS: i32 = 10_000;
const REBALANCE_MS: i32 = 60_000;
const BEGUN_MS: i64 = 1_700_000_000_000;

/// A coordinator and everything around it.
struct World {
    coordinator: Coordinator,
    rules: Rules,
    now: Now,
    /// What is durable.
    log: Vec<GroupRecord>,
    pending: VecDeque<Write>,
    /// Who waits.
    waiting: BTreeSet<Waiter>,
    answers: BTreeMap<Waiter, Answer>,
    waiters: u64,
    unique: u64,
}

impl World {
    fn new() -> World {
        let settings = Settings::new(corelane_storage::log::Durability::Written);
        World {
            coordinator: Coordinator::default(),
            rules: Rules::of(&settings),
            now: Now { monotonic: Duration::from_secs(1_000), wall_ms: BEGUN_MS },
            log: Vec::new(),
            pending: VecDeque::new(),
            waiting: BTreeSet::new(),
            answers: BTreeMap::new(),
            waiters: 0,
            unique: 0,
        }
    }

    /// A step, whose writes are not durable yet.
    fn step<T>(&mut self, work: impl FnOnce(&mut Coordinator, &mut Turn<'_>) -> T) -> T {
        let mut turn = Turn::new(self.now, &self.rules);
        let value = work(&mut self.coordinator, &mut turn);
        for (waiter, answer) in turn.answers {
            assert!(self.waiting.remove(&waiter), "{waiter:?} is answered twice: {answer:?}");
            self.answers.insert(waiter, answer);
        }
        for write in turn.writes {
            assert!(!write.records.is_empty(), "nothing is written for nothing");
            self.pending.push_back(write);
        }
        assert!(self.coordinator.wakes.len() <= self.coordinator.groups.len());
        value
    }

    /// Makes the first write durable.
    fn settle_one(&mut self) -> bool {
        let Some(write) = self.pending.pop_front() else { return false };
        self.log.extend(write.records.iter().cloned());
        self.step(|coordinator, turn| coordinator.stored(write, turn));
        true
    }

    fn settle(&mut self) {
        while self.settle_one() {}
    }

    /// A step, and all that follows from it.
    fn take<T>(&mut self, work: impl FnOnce(&mut Coordinator, &mut Turn<'_>) -> T) -> T {
        let value = self.step(work);
        self.settle();
        value
    }

    /// Lets time pass; everything happens when it is due.
    fn pass(&mut self, ms: u64) {
        let end = self.now.monotonic + Duration::from_millis(ms);
        while let Some(wake) = self.coordinator.wake().filter(|wake| *wake <= end) {
            self.set_time(wake.max(self.now.monotonic));
            while self.take(|coordinator, turn| coordinator.expire(turn)) {}
        }
        self.set_time(end);
    }

    fn set_time(&mut self, monotonic: Duration) {
        let passed = monotonic - self.now.monotonic;
        self.now.monotonic = monotonic;
        self.now.wall_ms += i64::try_from(passed.as_millis()).unwrap();
    }

    fn new_waiter(&mut self) -> Waiter {
        self.waiters += 1;
        self.waiting.insert(Waiter(self.waiters));
        Waiter(self.waiters)
    }

    fn join_as(&mut self, version: i16, request: &JoinGroupRequest) -> Waiter {
        let waiter = self.new_waiter();
        self.unique += 1;
        let context = JoinContext {
            version,
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            unique_id: format!("{:04}", self.unique),
        };
        self.take(|coordinator, turn| coordinator.join(request, &context, waiter, turn));
        waiter
    }

    fn sync(&mut self, request: &SyncGroupRequest) -> Waiter {
        let waiter = self.new_waiter();
        self.step(|coordinator, turn| coordinator.sync(request, waiter, turn));
        waiter
    }

    fn joined(&mut self, waiter: Waiter) -> JoinGroupResponse {
        match self.answers.remove(&waiter) {
            Some(Answer::Join(answer)) => answer,
            other => panic!("not answered: {other:?}"),
        }
    }

    fn synced(&mut self, waiter: Waiter) -> SyncGroupResponse {
        match self.answers.remove(&waiter) {
            Some(Answer::Sync(answer)) => answer,
            other => panic!("not answered: {other:?}"),
        }
    }

    fn heartbeat(&mut self, id: &str, generation_id: i32) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id,
            member_id: id.into(),
            group_instance_id: None,
        };
        self.take(|coordinator, turn| coordinator.heartbeat(&request, turn))
    }

    fn leave(&mut self, leaving: &[(&str, Option<&str>)]) -> Vec<ErrorCode> {
        let identity = |(id, instance): &(&str, Option<&str>)| MemberIdentity {
            member_id: Str::from(*id),
            group_instance_id: instance.map(Str::from),
            reason: None,
        };
        let request = LeaveGroupRequest {
            group_id: GROUP.into(),
            members: leaving.iter().map(identity).collect(),
            ..Default::default()
        };
        let answer = self.take(|coordinator, turn| coordinator.leave(&request, turn));
        answer.members.iter().map(|member| member.error_code).collect()
    }

    fn commit(&mut self, id: &str, generation: i32, offset: i64) -> Result<ErrorCode, ErrorCode> {
        let context = commit_context(id, generation);
        let asked = [asked("t", 0, offset)];
        let codes = self.take(|coordinator, turn| coordinator.commit(&context, &asked, turn));
        codes.map(|codes| codes[0])
    }

    fn offset(&self) -> Option<i64> {
        self.coordinator.offset(GROUP, "t", 0).map(|committed| committed.offset)
    }

    fn state(&self) -> String {
        let described = self.coordinator.describe(GROUP);
        described.map_or("Dead".into(), |group| group.group_state.to_string())
    }

    /// What a broker has after it was killed now: a new one over the same log.
    fn reread(&self) -> Coordinator {
        let mut coordinator = Coordinator::default();
        self.log.iter().for_each(|record| coordinator.replay(record, self.now));
        let mut turn = Turn::new(self.now, &self.rules);
        let mut after = None;
        while let Some(last) = coordinator.resume(after.as_ref(), &mut turn) {
            after = Some(last);
        }
        assert!(turn.answers.is_empty() && turn.writes.is_empty());
        coordinator
    }

    /// Two members with ids "client-0001" and "client-0003"... in a stable group; the first leads.
    fn stable(&mut self, instances: &[Option<&str>]) -> Vec<String> {
        let waiters: Vec<Waiter> = instances
            .iter()
            .map(|instance| {
                let request = JoinGroupRequest {
                    group_instance_id: instance.map(Str::from),
                    ..join_request("")
                };
                // Version 3: the id is not asked for.
                self.join_as(3, &request)
            })
            .collect();
        self.pass(6_000);
        let joined: Vec<JoinGroupResponse> = waiters.iter().map(|w| self.joined(*w)).collect();
        let leader = joined[0].leader.clone();
        let ids: Vec<String> = joined.iter().map(|one| one.member_id.to_string()).collect();
        let shares: Vec<(String, String)> =
            ids.iter().map(|id| (id.clone(), format!("share of {id}"))).collect();
        let generation = joined[0].generation_id;
        let mut waiters = Vec::new();
        for id in &ids {
            let shares = if **id == *leader { &shares[..] } else { &[] };
            let request = sync_request(id, generation, shares);
            waiters.push((id.clone(), self.sync(&request)));
        }
        self.settle();
        for (id, waiter) in waiters {
            assert_eq!(self.synced(waiter).assignment, format!("share of {id}").into_bytes());
        }
        assert_eq!(self.state(), "Stable");
        ids
    }
}

fn join_request(member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: GROUP.into(),
        session_timeout_ms: SESSION_MS,
        rebalance_timeout_ms: REBALANCE_MS,
        member_id: member_id.into(),
        protocol_type: "consumer".into(),
        protocols: vec![protocol("range", &["t"])],
        ..Default::default()
    }
}

/// A protocol with a consumer's metadata.
fn protocol(name: &str, topics: &[&str]) -> JoinGroupRequestProtocol {
    let mut metadata = vec![0, 0];
    metadata.extend(u32::try_from(topics.len()).unwrap().to_be_bytes());
    for topic in topics {
        metadata.extend(u16::try_from(topic.len()).unwrap().to_be_bytes());
        metadata.extend(topic.as_bytes());
    }
    metadata.extend([255; 4]);
    JoinGroupRequestProtocol { name: name.into(), metadata: metadata.into() }
}

fn sync_request(id: &str, generation_id: i32, shares: &[(String, String)]) -> SyncGroupRequest {
    let share = |(id, share): &(String, String)| SyncGroupRequestAssignment {
        member_id: Str::from(&**id),
        assignment: Bytes::copy_from_slice(share.as_bytes()),
    };
    SyncGroupRequest {
        group_id: GROUP.into(),
        generation_id,
        member_id: id.into(),
        assignments: shares.iter().map(share).collect(),
        ..Default::default()
    }
}

fn commit_context(id: &str, generation: i32) -> CommitContext {
    CommitContext {
        version: 8,
        group_id: GROUP.into(),
        member_id: id.into(),
        group_instance_id: None,
        generation,
        retention_ms: -1,
    }
}

fn asked(topic: &str, partition_index: i32, committed_offset: i64) -> AskedOffset {
    let partition =
        OffsetCommitRequestPartition { partition_index, committed_offset, ..Default::default() };
    AskedOffset { topic: topic.into(), topic_id: Default::default(), partition }
}

/// Deletes the group, in as many steps as that takes.
fn delete(groups: &mut Coordinator, turn: &mut Turn<'_>) -> Result<(), ErrorCode> {
    let mut place = None;
    loop {
        if let ControlFlow::Break(deleted) = groups.delete(&GROUP.into(), &mut place, turn) {
            return deleted;
        }
    }
}

/// Lets the group grow old, in as many steps as that takes; all topics are there.
fn grow_old(groups: &mut Coordinator, turn: &mut Turn<'_>) {
    let mut place = None;
    while !groups.grow_old(&GROUP.into(), &mut place, |_| true, turn) {}
}
