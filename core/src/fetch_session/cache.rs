//! The sessions of one shard, and who makes room for whom.

use std::collections::HashMap;
use std::time::Duration;

use corelane_net::messages::{FetchRequest, ForgottenTopic};

use super::session::{Session, Shown, next_epoch};
use super::{Asked, PartitionKey, TopicKey};

/// `session_epoch` of a request that has no session, or ends the one that it names.
const FINAL_EPOCH: i32 = -1;
/// `session_epoch` of a request that wants a new session.
const INITIAL_EPOCH: i32 = 0;
/// `session_id` of no session.
const NO_SESSION: i32 = 0;

/// How much a shard remembers.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// Sessions; Kafka's `max.incremental.fetch.session.cache.slots`.
    pub sessions_max: usize,
    /// Partitions of all sessions together: some 300 bytes each, and at most 600, if each has a
    /// long topic name of its own.
    pub partitions_max: usize,
    /// A session that was used within this time keeps its place; Kafka's is two minutes.
    pub protected: Duration,
}

impl Default for SessionLimits {
    fn default() -> SessionLimits {
        SessionLimits {
            sessions_max: 1_000,
            partitions_max: 200_000,
            protected: Duration::from_secs(120),
        }
    }
}

/// Why a request can't go on with its session. The client then opens another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// FETCH_SESSION_ID_NOT_FOUND (70)
    #[error("no such fetch session")]
    NotFound,
    /// INVALID_FETCH_SESSION_EPOCH (71)
    #[error("not the next request of its fetch session")]
    InvalidEpoch,
    /// FETCH_SESSION_TOPIC_ID_ERROR (106)
    #[error("topics by id in a fetch session by name, or the other way round")]
    TopicIds,
}

/// What a request has to do with sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchKind {
    /// Nothing: all its partitions are answered.
    Sessionless,
    /// All its partitions are answered, and the answer opens a session if there is room.
    Opening,
    /// Goes on with a session: only what has changed is answered.
    Incremental {
        /// The session.
        id: i32,
        /// The epoch that it must still have when the answer is ready.
        next_epoch: i32,
    },
}

/// A request, as far as sessions go.
#[derive(Debug, PartialEq, Eq)]
pub struct Begun {
    /// How it is to be answered.
    pub kind: FetchKind,
    /// Its partitions.
    pub asked: Vec<Asked>,
}

/// A session to be opened.
pub struct Opening {
    /// Whether it names topics by id.
    pub by_id: bool,
    /// From which its id is made.
    pub random: u32,
}

/// A session on its way to another shard, with its connection.
#[derive(Debug)]
pub struct TravellingSession {
    id: i32,
    session: Session,
}

/// The sessions of one shard. A session's id says which shard has opened it: id mod shards. It is
/// there, unless its connection has moved and has taken it along.
#[derive(Debug)]
pub struct SessionCache {
    limits: SessionLimits,
    shard: usize,
    shards: usize,
    sessions: HashMap<i32, Session>,
    /// Of all sessions together.
    partitions: usize,
}

/// The shard that holds the session `id`, if it is one's id.
pub(super) fn owner(id: i32, shards: usize) -> Option<usize> {
    (id > NO_SESSION).then(|| id.unsigned_abs() as usize % shards.max(1))
}

impl SessionCache {
    /// An empty cache of `shard` among `shards`.
    pub fn new(limits: SessionLimits, shard: usize, shards: usize) -> SessionCache {
        SessionCache { limits, shard, shards, sessions: HashMap::new(), partitions: 0 }
    }

    /// The other shard on which the request ends a session, if it does: whoever reconnects may come
    /// to another shard than before.
    pub fn elsewhere(&self, request: &FetchRequest) -> Option<usize> {
        if !is_full(request) || self.sessions.contains_key(&request.session_id) {
            return None;
        }
        owner(request.session_id, self.shards).filter(|owner| *owner != self.shard)
    }

    /// Takes a session out, for its connection to take along.
    pub fn leave(&mut self, id: i32) -> Option<TravellingSession> {
        let session = self.sessions.remove(&id)?;
        self.partitions -= session.len();
        Some(TravellingSession { id, session })
    }

    /// Takes a session in; its id, or `None` if there is no room. (Or if there is one of this id, which
    /// only chance can bring about: ids are random. Its client then opens another.)
    pub fn arrive(&mut self, travelling: TravellingSession, now: Duration) -> Option<i32> {
        let TravellingSession { id, session } = travelling;
        if self.sessions.contains_key(&id) || !self.make_room(session.len(), now) {
            return None;
        }
        self.partitions += session.len();
        self.sessions.insert(id, session);
        Some(id)
    }

    /// Takes a request in that names the partitions `asked`; `by_id` in versions that name topics by id,
    /// `now` is monotonic.
    pub fn begin(
        &mut self,
        request: &FetchRequest,
        asked: Vec<Asked>,
        by_id: bool,
        now: Duration,
    ) -> Result<Begun, SessionError> {
        if !is_full(request) {
            return self.go_on(request, asked, by_id, now);
        }
        self.close(request.session_id);
        let opens = request.session_epoch == INITIAL_EPOCH;
        let kind = if opens { FetchKind::Opening } else { FetchKind::Sessionless };
        Ok(Begun { kind, asked })
    }

    fn go_on(
        &mut self,
        request: &FetchRequest,
        asked: Vec<Asked>,
        by_id: bool,
        now: Duration,
    ) -> Result<Begun, SessionError> {
        let id = request.session_id;
        let session = self.sessions.get_mut(&id).ok_or(SessionError::NotFound)?;
        if session.epoch != request.session_epoch {
            return Err(SessionError::InvalidEpoch);
        }
        if session.by_id != by_id {
            return Err(SessionError::TopicIds);
        }
        let before = session.len();
        if !are_legal(&asked) {
            // What it opens next gets no session.
            self.close(id);
            return Err(SessionError::NotFound);
        }
        asked.iter().for_each(|asked| session.put(&asked.key, asked.position));
        forget(session, &request.forgotten_topics_data);
        session.shrink();
        self.partitions = self.partitions - before + session.len();
        session.epoch = next_epoch(session.epoch);
        session.last_used = now;
        if session.len() == 0 {
            self.close(id);
            return Ok(Begun { kind: FetchKind::Sessionless, asked });
        }
        let kind = FetchKind::Incremental { id, next_epoch: session.epoch };
        let asked = session.asked();
        if self.partitions > self.limits.partitions_max {
            // It has outgrown the cache; what it opens next gets no session.
            self.close(id);
            return Err(SessionError::NotFound);
        }
        Ok(Begun { kind, asked })
    }

    /// Opens a session whose partitions have just been answered; its id, or 0 if there is no room,
    /// or if one is of a topic that can't be.
    pub fn open<'a>(
        &mut self,
        opening: Opening,
        now: Duration,
        answered: impl ExactSizeIterator<Item = (&'a Asked, Shown)> + Clone,
    ) -> i32 {
        let all_legal = are_legal(answered.clone().map(|(asked, _)| asked));
        if !all_legal || !self.make_room(answered.len(), now) {
            return NO_SESSION;
        }
        let mut session = Session::new(opening.by_id, now);
        for (asked, shown) in answered {
            session.add(asked, &shown);
        }
        let id = self.free_id(opening.random);
        self.partitions += session.len();
        self.sessions.insert(id, session);
        id
    }

    /// Adds partitions that were answered as well to a session that was just opened. If there is no room,
    /// or one is of a topic that can't be, it is closed, and there is none: false.
    pub fn extend<'a>(
        &mut self,
        id: i32,
        now: Duration,
        answered: impl ExactSizeIterator<Item = (&'a Asked, Shown)> + Clone,
    ) -> bool {
        let all_legal = are_legal(answered.clone().map(|(asked, _)| asked));
        let has_room = all_legal && self.make_room(answered.len(), now);
        let Some(session) = self.sessions.get_mut(&id) else { return false };
        if !has_room {
            self.close(id);
            return false;
        }
        let before = session.len();
        for (asked, shown) in answered {
            session.add(asked, &shown);
        }
        self.partitions += session.len() - before;
        true
    }

    /// Which of the partitions answered the answer must name. `next_epoch` is that of
    /// [`FetchKind::Incremental`].
    ///
    /// # Errors
    /// If meanwhile another request went on with the session, or it was closed.
    pub fn tell(
        &mut self,
        id: i32,
        next_epoch: i32,
        answered: impl Iterator<Item = (u64, Shown)>,
    ) -> Result<Vec<bool>, SessionError> {
        let session = self.sessions.get_mut(&id).ok_or(SessionError::NotFound)?;
        if session.epoch != next_epoch {
            return Err(SessionError::InvalidEpoch);
        }
        Ok(answered.map(|(place, shown)| session.tell(place, &shown)).collect())
    }

    /// Closes a session, if it is there.
    pub fn close(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.partitions -= session.len();
        }
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Partitions that they remember.
    pub fn partitions(&self) -> usize {
        self.partitions
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Makes room for a session of so many partitions; false if others need theirs more.
    fn make_room(&mut self, partitions: usize, now: Duration) -> bool {
        let SessionLimits { sessions_max, partitions_max, .. } = self.limits;
        if partitions > partitions_max {
            return false;
        }
        while self.sessions.len() >= sessions_max || self.partitions + partitions > partitions_max {
            let Some(id) = self.dispensable(partitions, now) else { return false };
            self.close(id);
        }
        true
    }

    /// The session that gives way to a new one of so many partitions: the one that was not used for
    /// longest, if that is long; else the smallest that is no longer young, if it is smaller.
    fn dispensable(&self, partitions: usize, now: Duration) -> Option<i32> {
        let is_past = |time: Duration| now.saturating_sub(time) > self.limits.protected;
        let (id, oldest) =
            self.sessions.iter().min_by_key(|(id, session)| (session.last_used, **id))?;
        if is_past(oldest.last_used) {
            return Some(*id);
        }
        let old = self.sessions.iter().filter(|(_, session)| is_past(session.created));
        let (id, smallest) = old.min_by_key(|(id, session)| (session.len(), **id))?;
        (smallest.len() < partitions).then_some(*id)
    }

    /// An id of this shard that no session has. Random, so that a client of an earlier run of the
    /// broker can't take another's session for its own.
    fn free_id(&self, random: u32) -> i32 {
        let (shard, shards) = (self.shard as u64, self.shards.max(1) as u64);
        let rounds = (i32::MAX as u64 - shard) / shards;
        let mut round = u64::from(random) % (rounds + 1);
        loop {
            let id = i32::try_from(round * shards + shard).unwrap_or(NO_SESSION);
            if id != NO_SESSION && !self.sessions.contains_key(&id) {
                return id;
            }
            round = (round + 1) % (rounds + 1);
        }
    }
}

#[cfg(test)]
impl SessionCache {
    /// Panics unless what is counted is what is there, within the limits.
    pub(super) fn check(&self) {
        let partitions: usize = self.sessions.values().map(Session::len).sum();
        assert_eq!(partitions, self.partitions);
        assert!(partitions <= self.limits.partitions_max);
        assert!(self.sessions.len() <= self.limits.sessions_max);
        self.sessions.values().for_each(Session::check);
    }
}

fn are_legal<'a>(asked: impl IntoIterator<Item = &'a Asked>) -> bool {
    let mut topics = asked.into_iter().map(|asked| &asked.key.topic);
    let mut last = None;
    topics.all(|topic| last.replace(topic) == Some(topic) || topic.is_legal())
}

/// True if the request names all its partitions, whatever session there was.
fn is_full(request: &FetchRequest) -> bool {
    matches!(request.session_epoch, FINAL_EPOCH | INITIAL_EPOCH)
}

fn forget(session: &mut Session, topics: &[ForgottenTopic]) {
    for topic in topics {
        let key = TopicKey::new(&topic.topic, topic.topic_id, session.by_id);
        for index in &topic.partitions {
            session.forget(&PartitionKey { topic: key.clone(), index: *index });
        }
    }
}
