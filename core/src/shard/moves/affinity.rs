//! What one connection asks of each shard, and where it should be: a pure rule.

use std::time::Duration;

/// Parts of requests between two looks. A part is what one request asks of one shard,
const PARTS_PER_LOOK: u32 = 8;
/// and a group's member counts for so many: it asks seldom, and its coordinator does not change.
const MEMBER_PARTS: u32 = 4;
/// Looks in a row at which the same shard must have most of the work,
const LOOKS: u32 = 3;
/// for at least so long: what fills a batch for one partition after the other asks no shard for long.
const STEADY: Duration = Duration::from_secs(1);
/// Share of the work that is most of it.
const MOST: (u64, u64) = (7, 8);

/// What a hop costs, as bytes that are copied from core to core: many small requests weigh as much as
/// one large one.
const HOP_BYTES: u64 = 16 << 10;

/// How long a connection stays where its first move has brought it; each further one doubles it,
const STAY: Duration = Duration::from_secs(10);
/// so many times.
const DOUBLINGS_MAX: u32 = 6;

/// Where a connection should be, if not all shards were busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// At the shard that owns most of what it asks for.
    At(usize),
    /// Where it is, to which it has moved.
    Here,
}

/// What one connection asks of each shard.
#[derive(Debug)]
pub struct Affinity {
    home: usize,
    /// By shard, halved at each look; empty until another one than its own is asked.
    work: Vec<u64>,
    shards: usize,
    parts: u32,
    /// The other shard that has had most of the work at so many looks in a row, and since when.
    favourite: Option<(usize, u32, Duration)>,
    /// Before this it stays.
    rests_until: Duration,
    moves: u32,
}

impl Affinity {
    /// Of a connection that has come to shard `home` of `shards` by so many moves, at `now`
    /// (monotonic).
    pub fn new(home: usize, shards: usize, moves: u32, now: Duration) -> Affinity {
        let stay = STAY * (1 << moves.saturating_sub(1).min(DOUBLINGS_MAX));
        let rests_until = if moves == 0 { Duration::ZERO } else { now + stay };
        Affinity { home, work: Vec::new(), shards, parts: 0, favourite: None, rests_until, moves }
    }

    /// How often it has moved.
    pub fn moves(&self) -> u32 {
        self.moves
    }

    /// A request asks `shard` for something about so many bytes. Now and then there follows a wish;
    /// `now` is asked for then.
    pub fn asks(
        &mut self,
        shard: usize,
        bytes: usize,
        now: impl FnOnce() -> Duration,
    ) -> Option<Wish> {
        self.weigh(shard, bytes, 1, now)
    }

    /// As [`Affinity::asks`], for a member of a group that `shard` coordinates.
    pub fn asks_as_member(&mut self, shard: usize, now: impl FnOnce() -> Duration) -> Option<Wish> {
        self.weigh(shard, 0, MEMBER_PARTS, now)
    }

    fn weigh(
        &mut self,
        shard: usize,
        bytes: usize,
        parts: u32,
        now: impl FnOnce() -> Duration,
    ) -> Option<Wish> {
        if self.work.is_empty() && (shard != self.home || self.moves > 0) {
            self.work = vec![0; self.shards];
        }
        let work = self.work.get_mut(shard)?;
        *work = work.saturating_add(HOP_BYTES + bytes as u64);
        self.parts += parts;
        if self.parts < PARTS_PER_LOOK {
            return None;
        }
        self.parts = 0;
        self.look(now())
    }

    fn look(&mut self, now: Duration) -> Option<Wish> {
        let all: u64 = self.work.iter().sum();
        let is_most = |work: u64| work.saturating_mul(MOST.1) >= all.saturating_mul(MOST.0);
        let most = self.work.iter().position(|work| is_most(*work));
        self.work.iter_mut().for_each(|work| *work /= 2);
        let Some(most) = most else {
            self.favourite = None;
            return None;
        };
        let (looks, since) = match self.favourite {
            Some((known, looks, since)) if known == most => (looks + 1, since),
            _ => (1, now),
        };
        self.favourite = Some((most, looks, since));
        let is_steady = looks >= LOOKS && now.saturating_sub(since) >= STEADY;
        if !is_steady || now < self.rests_until {
            return None;
        }
        Some(if most == self.home { Wish::Here } else { Wish::At(most) })
    }
}
