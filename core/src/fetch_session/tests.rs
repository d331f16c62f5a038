use std::time::Duration;

use corelane_net::codec::{Str, Uuid};
use corelane_net::messages::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic};

use super::{
    Asked, Asking, Begun, FetchKind, Opening, SessionCache, SessionError, SessionLimits, Shown,
    cache, next_epoch,
};
use crate::catalog::name::MAX_NAME_BYTES;
use crate::seeded::Rng;

const QUIET: Shown =
    Shown { high_watermark: 5, log_start: 0, has_records: false, must_tell: false };
const RECORDS: Shown = Shown { has_records: true, ..QUIET };
const ERROR: Shown =
    Shown { high_watermark: -1, log_start: -1, has_records: false, must_tell: true };
const SMALL: SessionLimits =
    SessionLimits { sessions_max: 2, partitions_max: 10, protected: Duration::from_secs(120) };

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn topic(name: &str, partitions: &[(i32, i64)]) -> FetchTopic {
    let partition = |(partition, fetch_offset): &(i32, i64)| FetchPartition {
        partition: *partition,
        fetch_offset: *fetch_offset,
        partition_max_bytes: 100,
        ..Default::default()
    };
    FetchTopic {
        topic: name.into(),
        topic_id: Uuid([name.len() as u8; 16]),
        partitions: partitions.iter().map(partition).collect(),
    }
}

fn request(session_id: i32, session_epoch: i32, topics: Vec<FetchTopic>) -> FetchRequest {
    FetchRequest { session_id, session_epoch, topics, ..Default::default() }
}

fn asked(topics: &[FetchTopic], by_id: bool) -> Vec<Asked> {
    let mut asking = Asking::new(topics, by_id);
    for topic in topics {
        let key = asking.topic(topic);
        topic.partitions.chunks(2).for_each(|some| asking.partitions(&key, some));
    }
    asking.asked()
}

fn begin(
    cache: &mut SessionCache,
    request: &FetchRequest,
    by_id: bool,
    now: Duration,
) -> Result<Begun, SessionError> {
    cache.begin(request, asked(&request.topics, by_id), by_id, now)
}

fn named(asked: &[Asked]) -> Vec<(i32, i64)> {
    asked.iter().map(|asked| (asked.key.index, asked.position.offset)).collect()
}

/// One shard of one, and what a client does with it.
struct World {
    cache: SessionCache,
    now: Duration,
    next_random: u32,
}

impl World {
    fn new(limits: SessionLimits) -> World {
        World { cache: SessionCache::new(limits, 0, 1), now: at(1), next_random: 7 }
    }

    /// Opens a session over partitions of topic `t` that all have nothing; its id, or 0.
    fn open(&mut self, partitions: &[(i32, i64)]) -> i32 {
        let request = request(0, 0, vec![topic("t", partitions)]);
        let begun = begin(&mut self.cache, &request, false, self.now).unwrap();
        assert_eq!(begun.kind, FetchKind::Opening);
        let opening = Opening { by_id: false, random: self.next_random };
        self.next_random += 1;
        self.cache.open(opening, self.now, begun.asked.iter().map(|asked| (asked, QUIET)))
    }

    /// A request that goes on: its partitions, and the epoch that its answer needs.
    fn go_on(&mut self, request: &FetchRequest) -> Result<(Vec<Asked>, i32), SessionError> {
        let begun = begin(&mut self.cache, request, false, self.now)?;
        let FetchKind::Incremental { next_epoch, .. } = begun.kind else {
            panic!("{:?}", begun.kind)
        };
        Ok((begun.asked, next_epoch))
    }

    /// Goes on without changes; the partitions that are told, given what each has.
    fn told(&mut self, id: i32, epoch: i32, shown: impl Fn(i32) -> Shown) -> Vec<i32> {
        let (asked, next_epoch) = self.go_on(&request(id, epoch, vec![])).unwrap();
        let answered = asked.iter().map(|asked| (asked.place, shown(asked.key.index)));
        let told = self.cache.tell(id, next_epoch, answered).unwrap();
        let told = asked.iter().zip(told).filter(|(_, told)| *told);
        told.map(|(asked, _)| asked.key.index).collect()
    }
}

#[test]
fn a_session_that_is_opened_in_steps_is_like_any_other_or_is_not_there() {
    let mut world = World::new(SMALL);
    let all: Vec<(i32, i64)> = (0..8).map(|index| (index, 5)).collect();
    let begun = begin(&mut world.cache, &request(0, 0, vec![topic("t", &all)]), false, at(1));
    let begun = begun.unwrap();
    let shown = |asked| (asked, QUIET);
    let opening = Opening { by_id: false, random: 7 };
    let id = world.cache.open(opening, at(1), begun.asked[..3].iter().map(shown));
    assert!(world.cache.extend(id, at(1), begun.asked[3..].iter().map(shown)));
    world.cache.check();
    assert!(world.told(id, 1, |_| QUIET).is_empty());
    let news = |index| if index == 6 { RECORDS } else { QUIET };
    assert_eq!(world.told(id, 2, news), [6]);
    // There is room for two more, not for three.
    let opening = Opening { by_id: false, random: 8 };
    let other = world.cache.open(opening, at(1), begun.asked[..1].iter().map(shown));
    assert!(!world.cache.extend(other, at(1), begun.asked[1..3].iter().map(shown)));
    world.cache.check();
    assert_eq!(world.cache.len(), 1);
    assert!(!world.cache.extend(other, at(1), begun.asked[1..2].iter().map(shown)), "it is gone");
}

#[test]
fn a_partition_named_twice_counts_once_with_the_last_position() {
    let topics = [
        topic("t", &[(0, 1), (1, 2), (0, 3)]),
        topic("uu", &[(0, 4)]),
        topic("t", &[(1, 5), (2, 6)]),
    ];
    for by_id in [false, true] {
        assert_eq!(named(&asked(&topics, by_id)), [(0, 3), (1, 5), (0, 4), (2, 6)]);
    }
    assert!(asked(&[], true).is_empty());
}

#[test]
fn a_session_tells_only_what_has_changed() {
    let mut world = World::new(SMALL);
    let id = world.open(&[(0, 5), (1, 5), (2, 5)]);
    assert!(id > 0);
    assert_eq!(world.told(id, 1, |_| QUIET), [0i32; 0]);
    let grown = |index| Shown { high_watermark: if index == 1 { 6 } else { 5 }, ..QUIET };
    assert_eq!(world.told(id, 2, grown), [1]);
    assert_eq!(world.told(id, 3, grown), [0i32; 0], "it was told");
    let cut = |index| Shown { log_start: i64::from(index == 2), ..grown(index) };
    assert_eq!(world.told(id, 4, cut), [2]);
    let failing = |index| if index == 0 { ERROR } else { cut(index) };
    assert_eq!(world.told(id, 5, failing), [0]);
    assert_eq!(world.told(id, 6, failing), [0], "an error is told each time");
    assert_eq!(world.told(id, 7, cut), [0], "and that it is over");
    assert_eq!(world.told(id, 8, cut), [0i32; 0]);
}

#[test]
fn who_gets_records_goes_behind_the_others() {
    let mut world = World::new(SMALL);
    let id = world.open(&[(0, 0), (1, 0), (2, 0)]);
    let only = |wanted: i32| move |index| if index == wanted { RECORDS } else { QUIET };
    assert_eq!(world.told(id, 1, only(0)), [0]);
    let (asked, next_epoch) = world.go_on(&request(id, 2, vec![])).unwrap();
    assert_eq!(named(&asked), [(1, 0), (2, 0), (0, 0)]);
    world.cache.tell(id, next_epoch, asked.iter().map(|asked| (asked.place, RECORDS))).unwrap();
    let (asked, _) = world.go_on(&request(id, 3, vec![])).unwrap();
    assert_eq!(named(&asked), [(1, 0), (2, 0), (0, 0)], "all have had some");
}

#[test]
fn partitions_are_added_changed_and_forgotten() {
    let mut world = World::new(SMALL);
    let id = world.open(&[(0, 5), (1, 5)]);
    let mut change = request(id, 1, vec![topic("t", &[(0, 9), (3, 1)])]);
    let forgotten =
        |partitions| ForgottenTopic { topic: "t".into(), topic_id: Uuid::default(), partitions };
    change.forgotten_topics_data = vec![forgotten(vec![1, 77])];
    let (asked, next_epoch) = world.go_on(&change).unwrap();
    assert_eq!(named(&asked), [(0, 9), (3, 1)]);
    let answered = asked.iter().map(|asked| (asked.place, QUIET));
    let told = world.cache.tell(id, next_epoch, answered).unwrap();
    assert_eq!(told, [false, true], "what is added is told once");
    let mut last = request(id, 2, vec![]);
    last.forgotten_topics_data = vec![forgotten(vec![0, 3])];
    let begun = begin(&mut world.cache, &last, false, at(1)).unwrap();
    assert_eq!(begun.kind, FetchKind::Sessionless, "an empty session ends");
    assert!(world.cache.is_empty());
}

#[test]
fn a_wrong_epoch_id_or_way_of_naming_is_refused() {
    let mut world = World::new(SMALL);
    let id = world.open(&[(0, 0)]);
    let begin = |world: &mut World, id, epoch, by_id| {
        self::begin(&mut world.cache, &request(id, epoch, vec![]), by_id, at(1))
            .map(|begun| begun.kind)
    };
    assert_eq!(begin(&mut world, id + 1, 1, false), Err(SessionError::NotFound));
    assert_eq!(begin(&mut world, 0, 1, false), Err(SessionError::NotFound));
    assert_eq!(begin(&mut world, id, 2, false), Err(SessionError::InvalidEpoch));
    assert_eq!(begin(&mut world, id, -2, false), Err(SessionError::InvalidEpoch));
    assert_eq!(begin(&mut world, id, 2, true), Err(SessionError::InvalidEpoch));
    assert_eq!(begin(&mut world, id, 1, true), Err(SessionError::TopicIds));
    let next = FetchKind::Incremental { id, next_epoch: 2 };
    assert_eq!(begin(&mut world, id, 1, false), Ok(next), "none of them did harm");
    assert_eq!(begin(&mut world, id, 1, false), Err(SessionError::InvalidEpoch));
    assert_eq!(begin(&mut world, id, -1, false), Ok(FetchKind::Sessionless));
    assert_eq!(begin(&mut world, id, 2, false), Err(SessionError::NotFound), "it was closed");
}

#[test]
fn an_answer_that_was_overtaken_or_has_lost_its_session_fails() {
    let mut world = World::new(SMALL);
    let id = world.open(&[(0, 0)]);
    let (asked, first) = world.go_on(&request(id, 1, vec![])).unwrap();
    let (_, second) = world.go_on(&request(id, 2, vec![])).unwrap();
    let tell = |world: &mut World, epoch| {
        world.cache.tell(id, epoch, asked.iter().map(|asked| (asked.place, QUIET)))
    };
    assert_eq!(tell(&mut world, first), Err(SessionError::InvalidEpoch));
    assert_eq!(tell(&mut world, second), Ok(vec![false]));
    world.cache.close(id);
    assert_eq!(tell(&mut world, second), Err(SessionError::NotFound));
}

#[test]
fn epochs_wrap_around_to_1() {
    assert_eq!(next_epoch(0), 1);
    assert_eq!(next_epoch(i32::MAX - 1), i32::MAX);
    assert_eq!(next_epoch(i32::MAX), 1);
}

#[test]
fn a_new_session_takes_the_place_of_one_long_unused_or_old_and_smaller() {
    let mut world = World::new(SMALL);
    let (first, second) = (world.open(&[(0, 0), (1, 0)]), world.open(&[(0, 0)]));
    world.now = at(100);
    assert_eq!(world.open(&[(0, 0), (1, 0), (2, 0)]), 0, "both are young");
    assert_eq!(world.told(first, 1, |_| QUIET), [0i32; 0]);
    world.now = at(122);
    let third = world.open(&[(0, 0)]);
    assert!(third > 0);
    assert!(world.go_on(&request(second, 1, vec![])).is_err(), "unused for 121 s");
    assert_eq!(world.open(&[(0, 0), (1, 0)]), 0, "the first is old, but not smaller");
    let fourth = world.open(&[(0, 0), (1, 0), (2, 0)]);
    assert!(fourth > 0 && world.go_on(&request(first, 2, vec![])).is_err());
    assert!(world.go_on(&request(third, 1, vec![])).is_ok(), "young");
}

#[test]
fn partitions_are_limited_in_sum() {
    let mut world = World::new(SessionLimits { sessions_max: 100, ..SMALL });
    let many = |count| (0..count).map(|index| (index, 0)).collect::<Vec<_>>();
    assert_eq!(world.open(&many(11)), 0);
    let large = world.open(&many(8));
    assert!(large > 0);
    assert_eq!(world.open(&many(3)), 0);
    let small = world.open(&many(2));
    assert!(small > 0);
    let grown = request(small, 1, vec![topic("uu", &[(0, 0)])]);
    assert_eq!(world.go_on(&grown), Err(SessionError::NotFound), "it has outgrown the cache");
    assert!(world.open(&many(2)) > 0, "and its room is free again");
    world.cache.close(large);
    assert!(world.open(&many(8)) > 0);
}

#[test]
fn ids_tell_the_shard_and_are_never_given_twice() {
    let limits = SessionLimits { sessions_max: 5_000, ..SessionLimits::default() };
    let mut rng = Rng::new(11);
    for (shard, shards) in [(0, 1), (0, 3), (2, 3), (63, 64)] {
        let mut cache = SessionCache::new(limits, shard, shards);
        for round in 0..2_000u64 {
            // Now and then the same number again, and those at the ends.
            let random = match rng.below(4) {
                0 => 0,
                1 => u32::MAX,
                _ => rng.below(u64::from(u32::MAX)) as u32,
            };
            let id = cache.open(Opening { by_id: true, random }, at(1), [].into_iter());
            assert!(id > 0);
            assert_eq!(cache::owner(id, shards), Some(shard));
            assert_eq!(cache.len() as u64, round + 1, "not one that is taken");
        }
    }
    assert_eq!(cache::owner(0, 3), None);
    assert_eq!(cache::owner(-5, 3), None);
}

#[test]
fn a_session_of_another_shard_is_closed_there_by_a_full_request_only() {
    let cache = SessionCache::new(SMALL, 1, 3);
    let elsewhere = |id, epoch| cache.elsewhere(&request(id, epoch, vec![]));
    assert_eq!(elsewhere(5, 0), Some(2));
    assert_eq!(elsewhere(5, -1), Some(2));
    assert_eq!(elsewhere(5, 3), None);
    assert_eq!(elsewhere(4, 0), None, "its own");
    assert_eq!(elsewhere(0, 0), None);
}

/// Whatever a client sends, what is counted is what is there, and within the limits.
#[test]
fn random_clients_never_break_the_count() {
    let mut rng = Rng::new(5);
    let limits = SessionLimits { sessions_max: 6, partitions_max: 40, protected: at(120) };
    let mut cache = SessionCache::new(limits, 0, 1);
    let mut ids = vec![0];
    for step in 0..20_000u64 {
        let partitions: Vec<(i32, i64)> =
            (0..rng.below(12)).map(|_| (rng.below(30) as i32, 0)).collect();
        let names = ["t", "uu", "vvv"];
        let name = names[rng.below(3) as usize];
        let id = ids[rng.below(ids.len() as u64) as usize];
        let mut request = request(id, rng.below(6) as i32 - 1, vec![topic(name, &partitions)]);
        request.forgotten_topics_data = vec![ForgottenTopic {
            topic: Str::from(names[rng.below(3) as usize]),
            topic_id: Uuid::default(),
            partitions: (0..rng.below(30) as i32).collect(),
        }];
        let now = at(step * rng.below(20) / 10);
        let Ok(begun) = begin(&mut cache, &request, false, now) else { continue };
        let answered =
            |asked: &Asked| (asked.place, if asked.key.index % 3 == 0 { RECORDS } else { QUIET });
        match begun.kind {
            FetchKind::Sessionless => {}
            FetchKind::Opening => {
                let opening = Opening { by_id: false, random: step as u32 };
                ids.push(cache.open(opening, now, begun.asked.iter().map(|asked| (asked, QUIET))));
            }
            FetchKind::Incremental { id, next_epoch } => {
                let told = cache.tell(id, next_epoch, begun.asked.iter().map(answered)).unwrap();
                assert_eq!(told.len(), begun.asked.len());
            }
        }
        cache.check();
        ids.truncate(40);
    }
    assert!(!cache.is_empty());
}

/// A name that is not legal has any length, and a session is counted in partitions.
#[test]
fn a_topic_that_cannot_be_has_no_place_in_a_session() {
    let mut world = World::new(SMALL);
    let long = "x".repeat(MAX_NAME_BYTES + 1);
    for name in [&long, "ü", ""] {
        let request = request(0, 0, vec![topic("t", &[(0, 0)]), topic(name, &[(0, 0)])]);
        let begun = begin(&mut world.cache, &request, false, at(1)).unwrap();
        assert_eq!(begun.asked.len(), 2, "they are answered");
        let opening = Opening { by_id: false, random: 1 };
        let answered = begun.asked.iter().map(|asked| (asked, QUIET));
        let id = world.cache.open(opening, at(1), answered);
        assert_eq!((id, world.cache.len()), (0, 0), "{name}");

        let id = world.open(&[(0, 0)]);
        let more = self::request(id, 1, vec![topic(name, &[(0, 0)])]);
        assert_eq!(world.go_on(&more), Err(SessionError::NotFound), "{name}");
        assert!(world.cache.is_empty());
    }
    assert!(world.open(&[(0, 0)]) > 0);
}

#[test]
fn a_session_that_has_forgotten_most_of_its_partitions_holds_no_memory_for_them() {
    let mut world = World::new(SessionLimits { partitions_max: 5_000, ..SMALL });
    let all: Vec<i32> = (0..5_000).collect();
    let id = world.open(&all.iter().map(|index| (*index, 0)).collect::<Vec<_>>());
    let mut change = request(id, 1, vec![]);
    change.forgotten_topics_data = vec![ForgottenTopic {
        topic: "t".into(),
        topic_id: Uuid::default(),
        partitions: all[1..].to_vec(),
    }];
    assert_eq!(world.go_on(&change).map(|(asked, _)| named(&asked)), Ok(vec![(0, 0)]));
    world.cache.check();
}

#[test]
fn a_session_goes_on_where_its_connection_has_moved() {
    let mut here = World::new(SMALL);
    let mut there = World { cache: SessionCache::new(SMALL, 1, 2), ..World::new(SMALL) };
    here.cache = SessionCache::new(SMALL, 0, 2);
    let id = here.open(&[(0, 5), (1, 5)]);
    assert_eq!(here.told(id, 1, |_| QUIET), Vec::<i32>::new());

    let travelling = here.cache.leave(id).unwrap();
    here.cache.check();
    assert!(here.cache.is_empty() && here.cache.leave(id).is_none());
    assert_eq!(there.cache.arrive(travelling, at(2)), Some(id));
    there.cache.check();
    let only_1 = |index| if index == 1 { RECORDS } else { QUIET };
    assert_eq!(there.told(id, 2, only_1), [1], "neither forgotten nor told again");
    assert_eq!(here.go_on(&request(id, 3, vec![])), Err(SessionError::NotFound));

    // It ends where it is, though its id says where it was opened.
    let last = request(id, -1, vec![]);
    assert_eq!(here.cache.elsewhere(&last), None);
    assert_eq!(there.cache.elsewhere(&last), None);
    begin(&mut there.cache, &last, false, at(3)).unwrap();
    assert!(there.cache.is_empty());
    assert_eq!(there.cache.elsewhere(&last), Some(0), "as for any that is not here");
}

#[test]
fn a_session_that_finds_no_room_is_gone() {
    let (mut here, mut there) = (World::new(SMALL), World::new(SMALL));
    let id = here.open(&[(0, 5), (1, 5)]);
    there.open(&[(0, 5)]);
    there.open(&[(0, 5), (1, 5), (2, 5)]);
    let travelling = here.cache.leave(id).unwrap();
    assert_eq!(there.cache.arrive(travelling, at(2)), None);
    there.cache.check();
    assert_eq!((here.cache.len(), there.cache.len()), (0, 2));
}
