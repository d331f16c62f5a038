//! One connection, as seen by its shard: what the handler of its requests tells and asks.

use std::cell::{Cell, RefCell};

use corelane_net::messages::Request;
use corelane_storage::runtime::Runtime;

use super::affinity::{Affinity, Wish};
use crate::fetch_session::TravellingSession;
use crate::shard::Shard;

/// What a connection brings along beside its socket.
#[derive(Debug, Default)]
pub struct Travelled {
    moves: u32,
    session: Option<TravellingSession>,
}

/// One connection on its shard.
pub struct Locality {
    /// `None` where connections stay.
    affinity: Option<RefCell<Affinity>>,
    /// Where it goes, once that is decided.
    target: Cell<Option<usize>>,
    /// The fetch session that its client uses; 0 is none.
    session_id: Cell<i32>,
}

impl Locality {
    /// On `shard`, of a connection that brings this along.
    pub fn new(shard: &Shard, travelled: Travelled) -> Locality {
        let Travelled { moves, session } = travelled;
        let now = shard.runtime.monotonic();
        let moves_at_all = shard.loads.is_some() && shard.count > 1;
        let affinity = moves_at_all.then(|| Affinity::new(shard.id, shard.count, moves, now));
        let session_id = session.map_or(0, |session| {
            shard.fetch_sessions.borrow_mut().arrive(session, now).unwrap_or(0)
        });
        Locality {
            affinity: affinity.map(RefCell::new),
            target: Cell::new(None),
            session_id: Cell::new(session_id),
        }
    }

    /// A request asks `owner` for something about so many bytes; once for each shard it asks.
    pub fn asks(&self, shard: &Shard, owner: usize, bytes: usize) {
        let Some(affinity) = &self.affinity else { return };
        let wish = affinity.borrow_mut().asks(owner, bytes, || shard.runtime.monotonic());
        self.wishes(shard, wish);
    }

    fn wishes(&self, shard: &Shard, wish: Option<Wish>) {
        let (Some(wish), Some(loads)) = (wish, &shard.loads) else { return };
        if self.target.get().is_none() && !shard.stopping.is_disconnected() {
            self.target.set(loads.admit(wish, shard.id));
        }
    }

    /// As [`Locality::asks`], for the shard of the group that `request` is about, if it is about one.
    pub fn asks_group(&self, shard: &Shard, request: &Request) {
        let Some(affinity) = &self.affinity else { return };
        let Some(group) = group_of(request) else { return };
        let Ok(partition) = shard.group_partition(group) else { return };
        let (owner, now) = (shard.owner(partition), || shard.runtime.monotonic());
        let wish = affinity.borrow_mut().asks_as_member(owner, now);
        self.wishes(shard, wish);
    }

    /// A fetch asks for these partitions' bytes: each with its owner.
    pub fn fetches(&self, shard: &Shard, parts: impl Iterator<Item = (usize, usize)>) {
        if self.affinity.is_none() {
            return;
        }
        let mut by_owner = vec![None; shard.count];
        for (owner, bytes) in parts {
            let all = by_owner[owner].get_or_insert(0_usize);
            *all = all.saturating_add(bytes);
        }
        for (owner, bytes) in by_owner.into_iter().enumerate() {
            if let Some(bytes) = bytes {
                self.asks(shard, owner, bytes);
            }
        }
    }

    /// Its client uses this fetch session from now on; 0 is none.
    pub fn uses_session(&self, id: i32) {
        self.session_id.set(id);
    }

    /// Where it goes, if it does.
    pub fn target(&self) -> Option<usize> {
        self.target.get()
    }

    /// It leaves: what it takes along.
    pub fn leave(&self, shard: &Shard) -> Travelled {
        let moves = self.affinity.as_ref().map_or(0, |affinity| affinity.borrow().moves());
        let session = shard.fetch_sessions.borrow_mut().leave(self.session_id.get());
        Travelled { moves: moves.saturating_add(1), session }
    }
}

/// The group that a request is about, of the APIs that members use all the time.
fn group_of(request: &Request) -> Option<&str> {
    Some(match request {
        Request::Heartbeat(request) => &request.group_id,
        Request::ConsumerGroupHeartbeat(request) => &request.group_id,
        Request::OffsetCommit(request) => &request.group_id,
        Request::JoinGroup(request) => &request.group_id,
        Request::SyncGroup(request) => &request.group_id,
        _ => return None,
    })
}
