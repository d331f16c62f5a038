//! From one generation to the next.

use std::time::Duration;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;

use super::super::turn::{Then, Turn};
use super::time::{JoinTimer, millis};
use super::{ClassicGroup, State};

/// While nobody has joined who could lead, it is looked for one so often at most, however short a time
/// the members ask for.
const LEADER_WAIT_MIN: Duration = Duration::from_secs(1);

impl ClassicGroup {
    /// Begins a rebalance; if one is under way, ends it if it can be ended.
    pub(super) fn rebalance_or_complete(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            State::PreparingRebalance => self.complete_if_all_joined(turn),
            State::Empty | State::CompletingRebalance | State::Stable => {
                self.prepare_rebalance(turn);
            }
        }
    }

    /// Ends the wait for members if all are there; not during the initial delay, in which more
    /// of them are expected.
    pub(super) fn complete_if_all_joined(&mut self, turn: &mut Turn<'_>) {
        let may_end =
            self.state == State::PreparingRebalance && self.previous != Some(State::Empty);
        if may_end && self.all_have_joined() {
            self.complete_join_phase(turn);
        }
    }

    /// Calls all members to join again.
    pub(super) fn prepare_rebalance(&mut self, turn: &mut Turn<'_>) {
        if self.state == State::CompletingRebalance {
            self.take_shares_back(ErrorCode::RebalanceInProgress, turn);
        }
        self.pending_syncs.clear();
        self.sync_timer = None;
        let is_initial = self.state == State::Empty;
        self.go_to(State::PreparingRebalance, turn.now);
        if is_initial {
            let delay = turn.rules.initial_rebalance_delay;
            let remaining = self.rebalance_timeout().saturating_sub(delay);
            self.set_join_timer(turn.now.monotonic + delay, Some((delay, remaining)));
        } else if self.all_have_joined() {
            self.complete_join_phase(turn);
        } else {
            self.set_join_timer(turn.now.monotonic + self.rebalance_timeout(), None);
        }
    }

    /// The longest that any member asks for.
    pub(super) fn rebalance_timeout(&self) -> Duration {
        millis(self.members.values().map(|m| m.rebalance_timeout_ms).max().unwrap_or(0))
    }

    pub(super) fn set_join_timer(
        &mut self,
        deadline: Duration,
        initial: Option<(Duration, Duration)>,
    ) {
        self.join_timer = Some(JoinTimer { deadline, initial });
        self.arm(deadline);
    }

    /// Goes on with those that are there. Static members that are not keep their place.
    pub(super) fn complete_join_phase(&mut self, turn: &mut Turn<'_>) {
        self.join_timer = None;
        let absent = self
            .members
            .iter()
            .filter(|(_, member)| member.join_waiter.is_none() && member.instance_id.is_none());
        let absent: Vec<Str> = absent.map(|(id, _)| id.clone()).collect();
        absent.iter().for_each(|id| self.remove(id));
        if !self.has_leader_that_joined() && !self.members.is_empty() {
            let wait = self.rebalance_timeout().max(LEADER_WAIT_MIN);
            self.set_join_timer(turn.now.monotonic + wait, None);
            return;
        }
        self.begin_generation(turn);
    }

    /// Whether there is a leader that has joined; elects one if the old one has not.
    fn has_leader_that_joined(&mut self) -> bool {
        let has_joined = |id: &Str| self.members.get(id).is_some_and(|m| m.join_waiter.is_some());
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        let first = self.members.iter().find(|(_, member)| member.join_waiter.is_some());
        let Some((id, _)) = first else { return false };
        self.leader = Some(id.clone());
        true
    }

    fn begin_generation(&mut self, turn: &mut Turn<'_>) {
        // Kafka's wraps too; a client compares for equality.
        self.generation = self.generation.wrapping_add(1).max(0);
        self.pending_syncs.clear();
        if self.members.is_empty() {
            self.protocol = None;
            self.learn_subscriptions();
            self.go_to(State::Empty, turn.now);
            return turn.write(self.record(None), Then::Nothing);
        }
        self.protocol = self.elected_protocol();
        self.learn_subscriptions();
        self.go_to(State::CompletingRebalance, turn.now);
        let ids: Vec<Str> = self.members.keys().cloned().collect();
        for id in ids {
            let answer = self.current_answer(&id, self.is_leader(&id));
            self.complete_join(&id, answer, turn);
            self.show_life(&id, turn);
            if let Some(member) = self.members.get_mut(&id) {
                member.is_new = false;
            }
            self.pending_syncs.insert(id);
        }
        let deadline = turn.now.monotonic + self.rebalance_timeout();
        self.sync_timer = Some(deadline);
        self.arm(deadline);
    }
}
