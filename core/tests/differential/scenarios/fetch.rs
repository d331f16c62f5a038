//! Fetch without a session: what comes back from where, and how much.

use corelane_net::codec::Uuid;
use corelane_net::messages::{FetchPartition, FetchRequest, FetchTopic};

use crate::harness::batch::Batch;
use crate::harness::requests::produce_one;
use crate::stage::Stage;

const EVERY_NAMED_VERSION: &[i16] = &[4, 5, 6, 7, 8, 9, 10, 11, 12];
const SOME_VERSIONS: &[i16] = &[4, 7, 11, 12];

/// One partition to read.
pub fn partition(partition: i32, fetch_offset: i64) -> FetchPartition {
    let partition_max_bytes = 1 << 20;
    FetchPartition { partition, fetch_offset, partition_max_bytes, ..FetchPartition::default() }
}

/// One topic, named in both ways: the version decides which one is sent.
pub fn topic(name: &str, topic_id: Uuid, partitions: Vec<FetchPartition>) -> FetchTopic {
    FetchTopic { topic: name.into(), topic_id, partitions }
}

/// At once, without a session.
pub fn request(topics: Vec<FetchTopic>) -> FetchRequest {
    FetchRequest { max_bytes: 1 << 20, topics, ..FetchRequest::default() }
}

/// A topic whose partition 0 has three batches of two records, partition 1 one, partition 2 none.
fn filled(stage: &mut Stage<'_>, name: &str) -> Uuid {
    let id = stage.create_topic(name, 3, &[]);
    let mut connection = stage.connect();
    for (partition, values) in [(0, ["a", "b"]), (0, ["c", "d"]), (0, ["e", "f"]), (1, ["g", "h"])]
    {
        let values = values.map(str::as_bytes);
        produce_one(&mut connection, name, partition, &Batch::of(&values).encode());
    }
    id
}

pub fn play(stage: &mut Stage<'_>) {
    let id = filled(stage, "fetched");
    let of = |partitions: Vec<FetchPartition>| request(vec![topic("fetched", id, partitions)]);
    let ids = &[13, 14, 15, 16, 17, 18];
    let all = of(vec![partition(0, 0), partition(1, 0), partition(2, 0)]);
    stage.ask_at(EVERY_NAMED_VERSION, "all partitions", all.clone());
    stage.ask_at(ids, "all partitions", all.clone());
    for offset in [1, 4, 6] {
        stage.ask_at(&[4, 18], &format!("from offset {offset}"), of(vec![partition(0, offset)]));
    }
    for offset in [7, -1, i64::MAX, i64::MIN] {
        let request = of(vec![partition(0, offset)]);
        let step = format!("out of range at {offset}");
        stage.ask_at(SOME_VERSIONS, &step, request.clone());
        stage.ask_at(&[13, 18], &step, request);
    }
    let unknown_partition = of(vec![partition(3, 0), partition(0, 6), partition(-1, 0)]);
    stage.ask_at(&[4, 11, 12, 13, 18], "unknown partitions", unknown_partition);
    let unknown = request(vec![
        topic("nowhere", Uuid(*b"an unknown topic"), vec![partition(0, 0)]),
        topic("fetched", id, vec![partition(0, 6)]),
    ]);
    stage.ask_at(&[4, 11, 12, 13, 18], "an unknown topic", unknown);
    let zero = request(vec![topic("", Uuid::ZERO, vec![partition(0, 0)])]);
    stage.ask_at(&[4, 12, 13, 18], "neither name nor id", zero);
    let twice = of(vec![partition(0, 0), partition(0, 2)]);
    stage.ask_at(&[4, 12, 18], "a partition twice", twice);
    let split = request(vec![
        topic("fetched", id, vec![partition(0, 4)]),
        topic("fetched", id, vec![partition(1, 0)]),
    ]);
    stage.ask_at(&[4, 12, 18], "a topic twice", split);
    stage.ask_at(&[4, 12, 18], "no topic", request(Vec::new()));
    stage.ask_at(&[4, 12, 18], "no partition", of(Vec::new()));
    let committed = FetchRequest { isolation_level: 1, ..all.clone() };
    stage.ask_at(&[4, 11, 18], "read committed", committed);
    stage.ask_at(&[4, 18], "an unknown isolation", FetchRequest { isolation_level: 7, ..all });
    limits(stage, id);
    epochs(stage, id);
    replicas(stage, id);
}

/// KIP-74: whole batches, and at least one of them in an answer.
fn limits(stage: &mut Stage<'_>, id: Uuid) {
    for bytes in [0, 1, 100, 160, -1, i32::MIN, i32::MAX] {
        let limited = |partition_max_bytes: i32, max_bytes: i32| {
            let of = |index| FetchPartition { partition_max_bytes, ..partition(index, 0) };
            let topic = topic("fetched", id, vec![of(2), of(0), of(1)]);
            FetchRequest { max_bytes, ..request(vec![topic]) }
        };
        let large = 1 << 20;
        stage.ask_at(&[4, 18], &format!("{bytes} bytes a partition"), limited(bytes, large));
        stage.ask_at(&[4, 18], &format!("{bytes} bytes"), limited(large, bytes));
    }
    let waiting = |max_wait_ms, min_bytes| FetchRequest {
        max_wait_ms,
        min_bytes,
        ..request(vec![topic("fetched", id, vec![partition(0, 6)])])
    };
    for (max_wait_ms, min_bytes) in [(-1, 1), (i32::MIN, 1), (30, 1), (30_000, 0), (30_000, -1)] {
        let step = format!("waits {max_wait_ms} ms for {min_bytes} bytes");
        stage.ask_at(&[4, 18], &step, waiting(max_wait_ms, min_bytes));
    }
}

/// KIP-320 and KIP-595: epochs older and newer than the leader's.
fn epochs(stage: &mut Stage<'_>, id: Uuid) {
    let now = stage.leader_epoch();
    let at = |current_leader_epoch, last_fetched_epoch| {
        let partition =
            FetchPartition { current_leader_epoch, last_fetched_epoch, ..partition(0, 2) };
        request(vec![topic("fetched", id, vec![partition])])
    };
    let versions = &[9, 12, 13, 16, 18];
    stage.ask_at(versions, "the leader's epoch", at(now, -1));
    stage.ask_at(versions, "a later epoch", at(now + 1, -1));
    // An epoch before the first is only -1 where the first is 0, and -1 means "not known".
    stage.ask_at(versions, "an epoch of -2", at(-2, -1));
    let versions = &[12, 13, 18];
    stage.ask_at(versions, "last fetched in the leader's epoch", at(now, now));
    stage.ask_at(versions, "last fetched in a later epoch", at(now, now + 1));
    stage.ask_at(versions, "last fetched in an epoch of -2", at(now, -2));
}

/// Followers that there are not.
fn replicas(stage: &mut Stage<'_>, id: Uuid) {
    let all = request(vec![topic("fetched", id, vec![partition(0, 0)])]);
    let rack = FetchRequest { rack_id: "a rack".into(), ..all.clone() };
    stage.ask_at(&[11, 18], "from a rack", rack);
    for replica_id in [-2, -3, 99] {
        let mut asked = FetchRequest { replica_id, ..all.clone() };
        asked.replica_state.replica_id = replica_id;
        stage.ask_at(&[4, 12, 18], &format!("replica {replica_id}"), asked);
    }
    let cluster = FetchRequest { cluster_id: Some("another".into()), ..all };
    stage.ask_at(&[12, 18], "another cluster", cluster);
}

/// Batches that were compressed or stamped come back as they are stored.
pub fn stored(stage: &mut Stage<'_>) {
    let id = stage.create_topic("fetch-stamped", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let mut connection = stage.connect();
    produce_one(&mut connection, "fetch-stamped", 0, &Batch::of(&[b"one", b"two"]).encode());
    let request = request(vec![topic("fetch-stamped", id, vec![partition(0, 0)])]);
    stage.ask_at(&[4, 18], "stamped", request);
}
