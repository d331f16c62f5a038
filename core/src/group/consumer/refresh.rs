//! The topics have changed, or what is wanted of them: a new epoch, a new target.

use std::collections::{BTreeMap, BTreeSet};

use corelane_net::codec::{Str, Uuid};
use corelane_net::group_records::GroupRecord;

use super::super::topics::Topics;
use super::super::turn::Turn;
use super::ConsumerGroup;
use super::assignor::{AskedMember, Assignor, Question};
use super::job::{Done, Finding, Job, STEP_COST_MAX, STEP_TOPICS_MAX, matching, targets};
use super::member::Member;
use super::partitions::Partitions;
use super::pattern::{Matches, Pattern};

/// Names in the record of a pattern; it is looked through again after a restart anyway.
const PATTERN_RECORD_BYTES_MAX: usize = 800_000;

impl ConsumerGroup {
    /// Sees to it that the group has a target for the topics as they are; `has_changed` if a member wants other
    /// topics than before, or has come.
    pub(super) fn refresh(
        &mut self,
        has_changed: bool,
        records: &mut Vec<GroupRecord>,
        turn: &mut Turn<'_>,
    ) {
        let version = turn.topics.version();
        let is_unmatched = self.patterns.values().any(|matches| matches.version != Some(version));
        if has_changed || is_unmatched || self.seen_topics != Some(version) {
            self.match_patterns(records, turn);
            self.seen_topics = Some(version);
            self.update_epoch(has_changed, records, turn);
        }
        self.update_target(records, turn);
    }

    /// A new epoch, if members are to read something else than in this one.
    pub(super) fn update_epoch(
        &mut self,
        has_changed: bool,
        records: &mut Vec<GroupRecord>,
        turn: &mut Turn<'_>,
    ) {
        let hash = self.read(turn.topics).hash;
        if has_changed || hash != self.metadata_hash {
            turn.tally.rebalances += 1;
            let record = self.epoch_record(next_epoch(self.epoch), hash);
            self.emit(records, record);
        }
    }

    /// The ids of the topics that a member reads.
    pub(super) fn ids_read(&self, member: &Member, topics: &dyn Topics) -> BTreeSet<Uuid> {
        let matches = member.pattern().and_then(|pattern| self.patterns.get(pattern));
        let matched = matches.into_iter().flat_map(|matches| &matches.topics);
        let names = member.value.subscribed_topic_names.iter().chain(matched);
        names.filter_map(|name| topics.facts(name).map(|facts| facts.id)).collect()
    }

    fn match_patterns(&mut self, records: &mut Vec<GroupRecord>, turn: &mut Turn<'_>) {
        let version = turn.topics.version();
        let old = self.patterns.iter().filter(|(_, matches)| matches.version != Some(version));
        let old: Vec<(Str, Option<Pattern>)> =
            old.map(|(text, matches)| (text.clone(), matches.pattern.clone())).collect();
        if old.is_empty() || self.is_busy {
            return;
        }
        let names = turn.topics.names();
        let is_short = names.len() * old.len() <= STEP_TOPICS_MAX;
        if !is_short || old.iter().any(|(_, pattern)| pattern.is_none()) {
            let finding = Finding::Matches { version, names, patterns: old };
            return self.work_aside(finding, turn);
        }
        for (text, pattern) in old {
            let topics = matching(&names, pattern.as_ref());
            self.set_matches(&text, pattern, topics, version, records, turn);
        }
    }

    fn set_matches(
        &mut self,
        text: &Str,
        pattern: Option<Pattern>,
        topics: Vec<Str>,
        version: u64,
        records: &mut Vec<GroupRecord>,
        turn: &Turn<'_>,
    ) {
        let Some(matches) = self.patterns.get(text) else { return };
        let is_new = matches.version.is_none() || matches.topics != topics;
        if is_new {
            let mut left = PATTERN_RECORD_BYTES_MAX;
            let fit = topics.iter().take_while(|name| {
                left = left.saturating_sub(name.len() + 3);
                left > 0
            });
            let stored: Vec<Str> = fit.cloned().collect();
            records
                .push(GroupRecord::Consumer(self.pattern_record(text, stored, version, turn.now)));
        }
        self.change_matches(text, |matches| {
            *matches = Matches { pattern, topics, version: Some(version) };
        });
    }

    fn work_aside(&mut self, finding: Finding, turn: &mut Turn<'_>) {
        self.is_busy = true;
        turn.jobs.push(Job { group: self.id.clone(), finding });
    }

    fn update_target(&mut self, records: &mut Vec<GroupRecord>, turn: &mut Turn<'_>) {
        if self.epoch <= self.target_epoch || self.members.is_empty() || self.is_busy {
            return;
        }
        let question = self.question(turn);
        if question.cost() > STEP_COST_MAX {
            let finding = Finding::Target { epoch: self.epoch, question };
            return self.work_aside(finding, turn);
        }
        self.set_targets(targets(question), records, turn);
    }

    fn question(&mut self, turn: &Turn<'_>) -> Question {
        let read = self.read(turn.topics);
        let member = |(id, member): (&Str, &Member)| AskedMember {
            id: id.clone(),
            instance_id: member.value.instance_id.clone(),
            topics: read.places(&member.wish),
            before: self.targets.get(id).cloned().unwrap_or_default(),
        };
        let members = self.members.iter().map(member).collect();
        Question { assignor: self.assignor(turn), topics: read.topics.clone(), members }
    }

    /// The one that most members prefer, or the first that is configured.
    pub(super) fn assignor(&self, turn: &Turn<'_>) -> Assignor {
        let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
        for member in self.members.values() {
            let wish = member.value.server_assignor.as_deref().and_then(Assignor::named);
            wish.into_iter().for_each(|wish| *votes.entry(wish).or_default() += 1);
        }
        let most = votes.into_iter().max_by_key(|(_, count)| *count);
        most.map_or(turn.rules.default_assignor(), |(assignor, _)| assignor)
    }

    fn set_targets(
        &mut self,
        targets: Vec<(Str, Partitions)>,
        records: &mut Vec<GroupRecord>,
        turn: &Turn<'_>,
    ) {
        for (id, target) in targets {
            if self.members.contains_key(&id) && self.targets.get(&id) != Some(&target) {
                let record = self.target_record(&id, &target);
                self.emit(records, record);
            }
        }
        let record = self.target_epoch_record(self.epoch, turn.now);
        self.emit(records, record);
    }

    /// Long work is done; those who have waited for it are answered, unless there is more.
    pub fn finish(&mut self, done: Done, turn: &mut Turn<'_>) {
        // Else it was asked by a group of this name that is gone.
        if !std::mem::take(&mut self.is_busy) {
            return;
        }
        let mut records = Vec::new();
        match done {
            // Else the group has changed meanwhile, and asks again.
            Done::Target { epoch, targets } if epoch == self.epoch => {
                self.set_targets(targets, &mut records, turn);
            }
            Done::Matches { version, found } => {
                for (text, pattern, topics) in found {
                    self.set_matches(&text, pattern, topics, version, &mut records, turn);
                }
                self.update_epoch(false, &mut records, turn);
            }
            Done::Target { .. } => {}
            Done::Failed => return self.tell_waiting(records, turn),
        }
        self.refresh(false, &mut records, turn);
        match self.is_busy {
            true => turn.tell(records, None),
            false => self.tell_waiting(records, turn),
        }
    }
}

/// The epoch behind this one. At the end of all numbers members join anew.
pub(super) fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}
