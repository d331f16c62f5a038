//! From what a member owns to what it is to own, one safe step at a time: it gives up before others get, and
//! gets only what nobody holds. As Kafka's `CurrentAssignmentBuilder`.

use std::collections::BTreeSet;

use corelane_net::codec::Uuid;
use corelane_net::messages::ConsumerTopicPartitions;

use super::super::mutants::{Mutant, active};
use super::partitions::{Owned, Partitions, intersects};

/// Where a member stands on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberState {
    /// It has all that it is to have by its epoch.
    Stable,
    /// It is to give partitions up, and has not said that it has.
    UnrevokedPartitions,
    /// It is to get partitions that others still hold.
    UnreleasedPartitions,
    /// A newer broker has written something else.
    Unknown,
}

impl MemberState {
    /// As it is stored.
    pub fn number(self) -> i8 {
        match self {
            MemberState::Stable => 0,
            MemberState::UnrevokedPartitions => 1,
            MemberState::UnreleasedPartitions => 2,
            MemberState::Unknown => 127,
        }
    }

    /// As it was stored.
    pub fn of(number: i8) -> MemberState {
        match number {
            0 => MemberState::Stable,
            1 => MemberState::UnrevokedPartitions,
            2 => MemberState::UnreleasedPartitions,
            _ => MemberState::Unknown,
        }
    }
}

/// How a member stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The epoch expected of it; -2 if it is a static member that has left for a while.
    pub epoch: i32,
    /// The one before: the answer that told it the new one may be lost.
    pub previous_epoch: i32,
    /// Where it is on its way.
    pub state: MemberState,
    /// What it may read.
    pub assigned: Owned,
    /// What it is to give up.
    pub revoking: Owned,
}

/// A member that has just come.
pub const NEW: Standing = Standing {
    epoch: 0,
    previous_epoch: 0,
    state: MemberState::Stable,
    assigned: Owned::new(),
    revoking: Owned::new(),
};

/// What a member is to own, and from which epoch on.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The epoch.
    pub epoch: i32,
    /// The partitions.
    pub partitions: &'a Partitions,
}

/// The member must give up everything and join anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MustRejoin;

/// The next standing; `None` if nothing changes. `owned` is what the member says that it owns, if it says;
/// `is_free` whether nobody holds a partition; `is_read` whether it still reads the topic.
pub fn next(
    standing: &Standing,
    target: Target<'_>,
    owned: Option<&[ConsumerTopicPartitions]>,
    is_free: impl Fn(Uuid, i32) -> bool,
    is_read: impl Fn(Uuid) -> bool,
) -> Result<Option<Standing>, MustRejoin> {
    let step = Step { standing, target, owned };
    let epoch = match standing.state {
        MemberState::Stable if standing.epoch == target.epoch => return Ok(None),
        MemberState::Stable | MemberState::UnreleasedPartitions => standing.epoch,
        MemberState::UnrevokedPartitions => {
            if step.owns_any(&standing.revoking) {
                return Ok(None);
            }
            standing.epoch + 1
        }
        MemberState::Unknown if owned.is_some_and(<[_]>::is_empty) => target.epoch,
        MemberState::Unknown => return Err(MustRejoin),
    };
    let next = step.next(epoch, is_free, is_read);
    Ok((next != *standing).then_some(next))
}

struct Step<'a> {
    standing: &'a Standing,
    target: Target<'a>,
    owned: Option<&'a [ConsumerTopicPartitions]>,
}

impl Step<'_> {
    /// In doubt it does.
    fn owns_any(&self, partitions: &Owned) -> bool {
        let owns = self.owned.is_none_or(|owned| intersects(owned, partitions));
        owns && !active(Mutant::ForgetWhoOwns)
    }

    fn next(
        &self,
        epoch: i32,
        is_free: impl Fn(Uuid, i32) -> bool,
        is_read: impl Fn(Uuid) -> bool,
    ) -> Standing {
        let (mut kept, mut revoked, mut gained) = (Owned::new(), Owned::new(), Owned::new());
        let mut must_wait = false;
        let before = &self.standing.assigned;
        let topics: BTreeSet<Uuid> =
            before.keys().chain(self.target.partitions.keys()).copied().collect();
        for topic in topics {
            let wanted = self.target.partitions.get(&topic).filter(|_| is_read(topic));
            let wanted: &[i32] = wanted.map_or(&[], Vec::as_slice);
            let had = before.get(&topic);
            for (&partition, &since) in had.into_iter().flatten() {
                let goes_on = wanted.binary_search(&partition).is_ok();
                let place = if goes_on { &mut kept } else { &mut revoked };
                place.entry(topic).or_default().insert(partition, since);
            }
            for &partition in wanted {
                if had.is_some_and(|had| had.contains_key(&partition)) {
                    continue;
                }
                match is_free(topic, partition) {
                    true => {
                        gained.entry(topic).or_default().insert(partition, self.target.epoch);
                    }
                    false => must_wait = true,
                }
            }
        }
        if !revoked.is_empty() && self.owns_any(&revoked) {
            return Standing {
                epoch,
                previous_epoch: self.standing.epoch,
                state: MemberState::UnrevokedPartitions,
                assigned: kept,
                revoking: revoked,
            };
        }
        for (topic, partitions) in gained {
            kept.entry(topic).or_default().extend(partitions);
        }
        let state = if must_wait { MemberState::UnreleasedPartitions } else { MemberState::Stable };
        Standing {
            epoch: self.target.epoch,
            previous_epoch: self.standing.epoch,
            state,
            assigned: kept,
            revoking: Owned::new(),
        }
    }
}
