//! Who may commit and delete offsets.

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;

use super::super::turn::Turn;
use super::{ClassicGroup, State};

impl ClassicGroup {
    /// Whether a commit is taken: of a member in this generation, or of anybody while the group has
    /// no members.
    pub fn check_commit(
        &mut self,
        member_id: &str,
        instance_id: Option<&Str>,
        generation: i32,
        turn: &Turn<'_>,
    ) -> Result<(), ErrorCode> {
        if generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        if generation >= 0 || !member_id.is_empty() || instance_id.is_some() {
            self.check_member(member_id, instance_id)?;
            if generation != self.generation {
                return Err(ErrorCode::IllegalGeneration);
            }
        } else if self.state != State::Empty {
            return Err(ErrorCode::UnknownMemberId);
        }
        if self.state == State::CompletingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        self.show_life(member_id, turn);
        Ok(())
    }

    /// Whether the group may be deleted.
    pub fn check_delete(&self) -> Result<(), ErrorCode> {
        if self.state == State::Empty { Ok(()) } else { Err(ErrorCode::NonEmptyGroup) }
    }

    /// Whether single offsets may be deleted.
    pub fn check_delete_offsets(&self) -> Result<(), ErrorCode> {
        if self.state == State::Empty || self.is_of_consumers() {
            Ok(())
        } else {
            Err(ErrorCode::NonEmptyGroup)
        }
    }

    /// From when on an offset that was committed at `committed_ms` counts as unused (KIP-211); `None`
    /// as long as the group uses its offsets.
    pub fn unused_since_ms(&self, committed_ms: i64) -> Option<i64> {
        if self.protocol_type.is_none() {
            return Some(committed_ms);
        }
        if self.state == State::Empty {
            return Some(self.state_since_ms.unwrap_or(committed_ms));
        }
        let knows_topics = self.is_of_consumers() && self.subscribed.is_some();
        (knows_topics && self.state == State::Stable).then_some(committed_ms)
    }
}
