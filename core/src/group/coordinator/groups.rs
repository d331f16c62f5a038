//! Listing, describing, deleting groups.

use std::ops::ControlFlow;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{DescribedGroup, ListedGroup};

use super::super::offsets::Place;
use super::super::rules::STEP_MAX;
use super::super::turn::{Then, Turn, Write};
use super::Coordinator;
use super::group::Group;

impl Coordinator {
    /// Some groups behind one of them, by name; none at the end.
    pub fn list(&self, after: Option<&Str>) -> Vec<ListedGroup> {
        self.behind(after).take(STEP_MAX).map(|(_, slot)| slot.group.listed()).collect()
    }

    /// The group behind this one, by name, and how many members it has.
    pub fn group_behind(&self, after: Option<&Str>) -> Option<(ListedGroup, usize)> {
        let (_, slot) = self.behind(after).next()?;
        Some((slot.group.listed(), slot.group.size()))
    }

    /// Ids of some groups behind one of them, by name; none at the end.
    pub fn ids(&self, after: Option<&Str>) -> Vec<Str> {
        self.behind(after).take(STEP_MAX).map(|(id, _)| id.clone()).collect()
    }

    /// Whether there is a group, of whichever protocol.
    pub fn has_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// A classic group, if it is there.
    pub fn describe(&self, group: &str) -> Option<DescribedGroup> {
        match self.groups.get(group).map(|slot| &slot.group) {
            Some(Group::Classic(group)) => Some(group.described()),
            Some(Group::Consumer(_)) | None => None,
        }
    }

    /// Deletes a group without members, with its offsets, of which each step takes some: callers let
    /// others have their turn, and come again with the same `place`.
    ///
    /// # Errors
    /// GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP: also in a later step, if somebody has joined meanwhile.
    pub fn delete(
        &mut self,
        group: &Str,
        place: &mut Option<Place>,
        turn: &mut Turn<'_>,
    ) -> ControlFlow<Result<(), ErrorCode>> {
        let Some(slot) = self.groups.get(group) else {
            return ControlFlow::Break(Err(ErrorCode::GroupIdNotFound));
        };
        if let Err(code) = slot.group.check_delete() {
            return ControlFlow::Break(Err(code));
        }
        let some: Vec<Place> =
            self.offsets.behind(group, place.as_ref()).take(STEP_MAX).map(|k| k.place()).collect();
        *place = some.last().cloned();
        self.forget(group, some, turn);
        if self.erase_if_unused(group, turn) {
            return ControlFlow::Break(Ok(()));
        }
        ControlFlow::Continue(())
    }

    /// Removes a group without members and offsets; false if it has some.
    pub(super) fn erase_if_unused(&mut self, group: &Str, turn: &mut Turn<'_>) -> bool {
        let Some(slot) = self.groups.get(group) else { return false };
        if self.offsets.live_count(group) > 0 || slot.group.check_delete().is_err() {
            return false;
        }
        turn.writes.push(Write { records: slot.group.tombstones(), then: Then::Nothing });
        self.with_consumer(group, |group| group.send_away(turn));
        self.remove(group);
        true
    }
}
