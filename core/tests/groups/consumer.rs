//! Members of the consumer protocol (KIP-848): librdkafka's, and over the wire.

use std::time::{Duration, Instant};

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    DescribedConsumerGroup, DescribedConsumerGroupMember,
};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;

use crate::group::Group;
use crate::harness::broker::Broker;
use crate::harness::options::Options;
use crate::harness::rdkafka_client::{self, PATIENCE, Record, TestProducer, fresh_topic};
use crate::harness::requests::create_ready_topic;
use crate::harness::typed::typed;
use crate::harness::wire::Connection;

fn start(test: &str) -> Option<Broker> {
    let more = ["--set", "group.consumer.heartbeat.interval.ms=300"].map(String::from).to_vec();
    let options = Options { more, ..Options::default() };
    (!Broker::must_skip(test)).then(|| Broker::start(options))
}

fn member(broker: &Broker, group: &str, settings: &[(&str, &str)]) -> BaseConsumer {
    let defaults = [
        ("group.id", group),
        ("group.protocol", "consumer"),
        ("auto.offset.reset", "earliest"),
        ("enable.auto.commit", "false"),
    ];
    let all: Vec<_> = defaults.iter().chain(settings).copied().collect();
    rdkafka_client::consumer(broker, &all)
}

fn assigned(member: &BaseConsumer) -> Vec<(String, i32)> {
    let list = member.assignment().expect("an assignment");
    let mut all: Vec<(String, i32)> =
        list.elements().iter().map(|one| (one.topic().to_string(), one.partition())).collect();
    all.sort_unstable();
    all
}

/// Polls until `done`; how many records were read.
fn poll(members: &[&BaseConsumer], mut done: impl FnMut(usize) -> bool) -> usize {
    let deadline = Instant::now() + PATIENCE;
    let mut count = 0;
    while !done(count) {
        assert!(Instant::now() < deadline, "not done within {PATIENCE:?}");
        for (number, member) in members.iter().enumerate() {
            match member.poll(Duration::from_millis(20)) {
                Some(Ok(_)) => count += 1,
                None | Some(Err(KafkaError::MessageConsumption(_))) => {}
                Some(Err(error)) => panic!("member {number}: {error}"),
            }
        }
    }
    count
}

fn describe(broker: &Broker, group: &str) -> DescribedConsumerGroup {
    let request =
        ConsumerGroupDescribeRequest { group_ids: vec![group.into()], ..Default::default() };
    let mut connection = broker.connect();
    let mut answer = typed!(&mut connection, 1, ConsumerGroupDescribe, request);
    answer.groups.remove(0)
}

#[test]
fn members_share_and_the_broker_is_killed() {
    let Some(mut broker) = start("members_share_and_the_broker_is_killed") else { return };
    let topic = fresh_topic("modern");
    create_ready_topic(&mut broker.connect(), &topic, 4);
    let producer = TestProducer::new(&broker, &[]);
    for number in 0..100 {
        let value = Some(number.to_string().into_bytes());
        let record = Record { value, timestamp_ms: 1, ..Record::default() };
        producer.send(&topic, Some(number % 4), &record, number as usize);
    }
    producer.delivered(100);
    let first = member(&broker, "modern", &[]);
    first.subscribe(&[&topic]).expect("subscribe");
    poll(&[&first], |count| count == 100);
    first.commit_consumer_state(CommitMode::Sync).expect("committed");
    let second = member(&broker, "modern", &[("group.remote.assignor", "range")]);
    second.subscribe(&[&topic]).expect("subscribe");
    let both = [&first, &second];
    poll(&both, |_| assigned(&first).len() == 2 && assigned(&second).len() == 2);
    poll(&both, |_| &*describe(&broker, "modern").group_state == "Stable");
    let before = describe(&broker, "modern");
    assert_eq!((before.members.len(), &*before.assignor_name), (2, "range"));
    broker.kill();
    broker.start_again();
    let again = Instant::now() + Duration::from_secs(3);
    poll(&both, |_| Instant::now() > again);
    let after = describe(&broker, "modern");
    let epochs = |group: &DescribedConsumerGroup| {
        (group.group_epoch, group.members.iter().map(|m| m.member_epoch).collect::<Vec<_>>())
    };
    assert_eq!((epochs(&after), &*after.group_state), (epochs(&before), "Stable"));
    drop(first);
    let count = poll(&[&second], |_| assigned(&second).len() == 4);
    assert_eq!(count, 0, "all of it was committed");
}

#[test]
fn a_pattern_finds_topics_that_are_made_later() {
    let Some(broker) = start("a_pattern_finds_topics_that_are_made_later") else { return };
    let prefix = fresh_topic("pattern");
    let name = |end: &str| format!("{prefix}-{end}");
    create_ready_topic(&mut broker.connect(), &name("a"), 2);
    create_ready_topic(&mut broker.connect(), &name("other"), 2);
    let reader = member(&broker, "patterns", &[]);
    reader.subscribe(&[&format!("^{prefix}-[ab]$")]).expect("subscribe");
    poll(&[&reader], |_| assigned(&reader).len() == 2);
    create_ready_topic(&mut broker.connect(), &name("b"), 3);
    poll(&[&reader], |_| assigned(&reader).len() == 5);
    assert!(assigned(&reader).iter().all(|(topic, _)| *topic != name("other")));
}

fn beat(
    connection: &mut Connection,
    version: i16,
    request: &ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    typed!(connection, version, ConsumerGroupHeartbeat, request.clone())
}

fn join(group: &str, topic: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: group.into(),
        member_id: "me".into(),
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(vec![topic.into()]),
        topic_partitions: Some(vec![]),
        ..Default::default()
    }
}

#[test]
fn a_member_over_the_wire() {
    let Some(broker) = start("a_member_over_the_wire") else { return };
    let topic = fresh_topic("wire");
    let mut connection = broker.connect();
    create_ready_topic(&mut connection, &topic, 3);
    Group::new(&mut connection, "wire");
    Group::new(&mut connection, "wire-0");
    Group::new(&mut connection, "wire-pattern");
    let joined = beat(&mut connection, 1, &join("wire", &topic));
    assert_eq!((joined.error_code, joined.member_epoch), (ErrorCode::None, 1), "{joined:?}");
    assert_eq!(joined.assignment.expect("all").topic_partitions[0].partitions, [0, 1, 2]);
    // Before version 1 the broker makes the ids.
    let unnamed = ConsumerGroupHeartbeatRequest { member_id: "".into(), ..join("wire-0", &topic) };
    let made = beat(&mut connection, 0, &unnamed);
    assert_eq!(made.member_id.expect("an id").len(), 36);
    assert_eq!(beat(&mut connection, 1, &unnamed).error_code, ErrorCode::InvalidRequest);
    for pattern in ["(", "(a{1000}){1000}", &"x".repeat(30_000)] {
        let request = ConsumerGroupHeartbeatRequest {
            subscribed_topic_regex: Some(pattern.into()),
            ..join("wire-pattern", &topic)
        };
        let refused = beat(&mut connection, 1, &request);
        assert_eq!(refused.error_code, ErrorCode::InvalidRegularExpression);
    }
    let gone = describe(&broker, "wire-pattern");
    assert_eq!(gone.error_code, ErrorCode::GroupIdNotFound);
}

/// Members that read different topics make more work than one step does: it is done on another thread.
#[test]
fn a_large_group_is_shared_out_aside() {
    let Some(broker) = start("a_large_group_is_shared_out_aside") else { return };
    let (large, small) = (fresh_topic("large"), fresh_topic("small"));
    let mut connection = broker.connect();
    create_ready_topic(&mut connection, &large, 1_000);
    create_ready_topic(&mut connection, &small, 1);
    Group::new(&mut connection, "large");
    for number in 0..20 {
        let id = format!("member-{number}");
        let mut request =
            ConsumerGroupHeartbeatRequest { member_id: (&*id).into(), ..join("large", &large) };
        if number > 0 {
            let both = vec![(&*large).into(), (&*small).into()];
            request.subscribed_topic_names = Some(both);
        }
        let joined = beat(&mut connection, 1, &request);
        assert_eq!((joined.error_code, joined.member_epoch), (ErrorCode::None, number + 1));
    }
    let described = describe(&broker, "large");
    assert_eq!((described.group_epoch, described.assignment_epoch), (20, 20));
    let target = |member: &DescribedConsumerGroupMember| {
        let topics = member.target_assignment.topic_partitions.iter();
        topics.map(|topic| topic.partitions.len()).sum::<usize>()
    };
    let targets: Vec<usize> = described.members.iter().map(target).collect();
    assert_eq!(targets.iter().sum::<usize>(), 1_001);
    assert!(targets.iter().all(|count| [50, 51].contains(count)), "{targets:?}");
}
