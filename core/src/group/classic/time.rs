//! What happens when nobody does anything.

use std::time::Duration;

use corelane_net::codec::Str;

use super::super::turn::Turn;
use super::{ClassicGroup, State};

/// When the wait for members ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JoinTimer {
    pub deadline: Duration,
    /// During the initial delay: how long this part of it lasts, and how much longer it may.
    pub initial: Option<(Duration, Duration)>,
}

/// A time as clients say it; a negative one is none.
pub(in super::super) fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

impl ClassicGroup {
    /// The group wants to be looked at then; perhaps nothing has to be done.
    pub fn soonest(&self) -> Option<Duration> {
        self.soonest
    }

    pub(super) fn arm(&mut self, deadline: Duration) {
        self.soonest = Some(self.soonest.map_or(deadline, |soonest| soonest.min(deadline)));
    }

    /// Does what is due.
    pub fn expire(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now.monotonic;
        self.expire_pending_joins(now, turn);
        self.expire_sessions(now, turn);
        if self.join_timer.is_some_and(|timer| timer.deadline <= now) {
            self.expire_join_phase(turn);
        }
        if self.sync_timer.is_some_and(|deadline| deadline <= now) {
            self.expire_sync_phase(turn);
        }
        self.soonest = self.exact_soonest();
    }

    fn exact_soonest(&self) -> Option<Duration> {
        let sessions = self.members.values().filter_map(|member| member.session_deadline);
        let pending = self.pending_joins.values().copied();
        let phases = self.join_timer.map(|timer| timer.deadline).into_iter().chain(self.sync_timer);
        sessions.chain(pending).chain(phases).min()
    }

    fn expire_pending_joins(&mut self, now: Duration, turn: &mut Turn<'_>) {
        let due = self.pending_joins.iter().filter(|(_, deadline)| **deadline <= now);
        let due: Vec<Str> = due.map(|(id, _)| id.clone()).collect();
        due.iter().for_each(|id| self.remove(id));
        // Even in the initial delay, as in Kafka.
        let is_over = self.state == State::PreparingRebalance && self.all_have_joined();
        if !due.is_empty() && is_over {
            self.complete_join_phase(turn);
        }
    }

    fn expire_sessions(&mut self, now: Duration, turn: &mut Turn<'_>) {
        let due = self
            .members
            .iter()
            .filter(|(_, member)| member.session_deadline.is_some_and(|deadline| deadline <= now));
        let due: Vec<Str> = due.map(|(id, _)| id.clone()).collect();
        for id in due {
            let Some(member) = self.members.get_mut(&id) else { continue };
            // What was done for another one may have let it live on.
            if member.session_deadline.is_none_or(|deadline| deadline > now) {
                continue;
            }
            if member.is_excused() {
                member.session_deadline = None;
                continue;
            }
            self.dismiss(&id, turn);
            match self.state {
                State::Empty => {}
                State::PreparingRebalance if self.all_have_joined() => {
                    self.complete_join_phase(turn);
                }
                State::PreparingRebalance => {}
                State::CompletingRebalance | State::Stable => self.prepare_rebalance(turn),
            }
        }
    }

    fn expire_join_phase(&mut self, turn: &mut Turn<'_>) {
        let Some(timer) = self.join_timer.take() else { return };
        match timer.initial {
            Some((delay, remaining)) if self.new_member_added && !remaining.is_zero() => {
                self.new_member_added = false;
                let next = turn.rules.initial_rebalance_delay.min(remaining);
                let remaining = remaining.saturating_sub(delay);
                self.set_join_timer(turn.now.monotonic + next, Some((next, remaining)));
            }
            _ => self.complete_join_phase(turn),
        }
    }

    /// Members that have joined and do not ask for their share hold nobody up.
    fn expire_sync_phase(&mut self, turn: &mut Turn<'_>) {
        self.sync_timer = None;
        let is_late = matches!(self.state, State::CompletingRebalance | State::Stable);
        if !is_late || self.pending_syncs.is_empty() {
            return;
        }
        for id in std::mem::take(&mut self.pending_syncs) {
            self.dismiss(&id, turn);
        }
        self.prepare_rebalance(turn);
    }
}
