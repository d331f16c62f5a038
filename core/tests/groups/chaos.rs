//! Consumers that are killed, paused and added while records flow, and the broker killed in between: each
//! record is read at least once, in its partition's order, and commits never go back.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::*;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::{ClientContext, Message, Offset};

use crate::harness::broker::Broker;
use crate::harness::options::Options;
use crate::harness::random::Random;
use crate::harness::rdkafka_client::{PATIENCE, Record, TestProducer};
use crate::harness::requests::create_ready_topic;
use crate::harness::topics::try_call;
use crate::harness::wire::Connection;

const PARTITIONS: i32 = 6;
const TOPIC: &str = "chaos";
const GROUP: &str = "chaos";
const CHAOS: Duration = Duration::from_secs(24);
/// Where a process that is a consumer finds its broker.
const BOOTSTRAP: &str = "CORELANE_TEST_CHAOS_BOOTSTRAP";
/// And which protocol it speaks: `classic` or `consumer`.
const PROTOCOL: &str = "CORELANE_TEST_CHAOS_PROTOCOL";

/// What a consumer tells of itself, a line each.
#[derive(Debug)]
enum Told {
    /// Partition, offset, and the number in the record.
    Read(i32, i64, i64),
    /// Partition and offset of a commit that was acknowledged.
    Committed(i32, i64),
    /// It has been given other partitions, perhaps.
    Reassigned,
}

/// Tells of other partitions before the first record of them is read.
struct Rebalances;

impl ClientContext for Rebalances {}

impl ConsumerContext for Rebalances {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, _: &Rebalance<'_>) {
        println!("chaos: reassigned");
    }
}

/// No test: the program of a consumer, which [`Member::start`] runs as a process that can be killed.
#[test]
#[ignore = "run as a process of its own by the test below"]
fn consumer() {
    let Ok(bootstrap) = std::env::var(BOOTSTRAP) else { return };
    let protocol = std::env::var(PROTOCOL).expect("a protocol");
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("group.id", GROUP)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("reconnect.backoff.max.ms", "500")
        .set("group.protocol", &protocol);
    if protocol == "classic" {
        config
            .set("session.timeout.ms", "2000")
            .set("heartbeat.interval.ms", "300")
            .set("partition.assignment.strategy", "cooperative-sticky");
    }
    let consumer: BaseConsumer<Rebalances> =
        config.create_with_context(Rebalances).expect("a consumer");
    consumer.subscribe(&[TOPIC]).expect("subscribed");
    let mut since_commit = 0;
    loop {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            let number = String::from_utf8_lossy(message.payload().unwrap_or_default());
            let (partition, offset) = (message.partition(), message.offset());
            println!("chaos: read {partition} {offset} {number}");
            since_commit += 1;
        } else if since_commit > 0 {
            since_commit = 50;
        }
        if since_commit >= 50 {
            since_commit = 0;
            let position = consumer.position().expect("a position");
            // A refused commit is what happens to a member that has lost its place.
            if consumer.commit(&position, CommitMode::Sync).is_ok() {
                for one in position.elements() {
                    if let Offset::Offset(offset) = one.offset() {
                        let partition = one.partition();
                        println!("chaos: committed {partition} {offset}");
                    }
                }
            }
        }
    }
}

/// A consumer's process.
struct Member {
    child: Child,
}

impl Member {
    fn start(
        broker: &Broker,
        protocol: &str,
        number: usize,
        tell: Sender<(usize, Told)>,
    ) -> Member {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--ignored", "--exact", "chaos::consumer", "--nocapture"])
            .env(BOOTSTRAP, broker.bootstrap())
            .env(PROTOCOL, protocol)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a consumer");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                // What was said while it was killed may be cut.
                let told = parse(&line).is_none_or(|told| tell.send((number, told)).is_ok());
                if !told {
                    break;
                }
            }
        });
        Member { child }
    }

    fn signal(&mut self, signal: i32) {
        // SAFETY: kill(2) touches no memory; the pid is a child that has not been reaped.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parse(line: &str) -> Option<Told> {
    let mut words = line.split_once("chaos: ")?.1.split(' ');
    let kind = words.next()?;
    let mut number = || words.next()?.parse::<i64>().ok();
    match kind {
        "reassigned" => Some(Told::Reassigned),
        "committed" => Some(Told::Committed(number()? as i32, number()?)),
        "read" => Some(Told::Read(number()? as i32, number()?, number()?)),
        _ => None,
    }
}

/// What was seen, and what must hold of it.
#[derive(Default)]
struct Seen {
    /// By partition: whether the record of each offset was read by somebody.
    read: BTreeMap<i32, Vec<bool>>,
    /// By member and partition: the offset that it reads next.
    next: BTreeMap<(usize, i32), i64>,
    /// By partition: the highest commit that was acknowledged.
    acknowledged: BTreeMap<i32, i64>,
}

impl Seen {
    fn note(&mut self, member: usize, told: &Told) {
        match *told {
            Told::Reassigned => self.next.retain(|(of, _), _| *of != member),
            Told::Committed(partition, offset) => {
                let highest = self.acknowledged.entry(partition).or_insert(-1);
                *highest = offset.max(*highest);
            }
            Told::Read(partition, offset, number) => {
                assert_eq!(offset, number, "records lie in the order in which they were sent");
                let expected = self.next.insert((member, partition), offset + 1);
                let is_next = expected.is_none_or(|expected| expected == offset);
                assert!(is_next, "member {member} skips from {expected:?} to {partition}/{offset}");
                let read = self.read.entry(partition).or_default();
                let place = usize::try_from(offset).expect("an offset");
                read.resize(read.len().max(place + 1), false);
                read[place] = true;
            }
        }
    }

    fn take(&mut self, told: &Receiver<(usize, Told)>) {
        while let Ok((member, told)) = told.try_recv() {
            self.note(member, &told);
        }
    }

    fn has_all(&self, sent: &[i64]) -> bool {
        sent.iter().zip(0..).all(|(sent, partition)| {
            let read = self.read.get(&partition);
            let count = read.map_or(0, |read| read.iter().filter(|one| **one).count());
            count == *sent as usize
        })
    }
}

/// Committed offsets, as whoever asks sees them: they never go back.
#[derive(Default)]
struct Watcher {
    connection: Option<Connection>,
    highest: Vec<i64>,
    looks: usize,
}

impl Watcher {
    fn look(&mut self, broker: &Broker) -> Option<()> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(broker.address()).ok()?,
        };
        let topic = OffsetFetchRequestTopics {
            name: TOPIC.into(),
            partition_indexes: (0..PARTITIONS).collect(),
            ..Default::default()
        };
        let group = OffsetFetchRequestGroup {
            group_id: GROUP.into(),
            topics: Some(vec![topic]),
            ..Default::default()
        };
        let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
        let answer = try_call(&mut connection, (request.into(), 8)).ok()?;
        self.connection = Some(connection);
        let Response::OffsetFetch(mut answer) = answer else { panic!("{answer:?}") };
        let group = answer.groups.pop().expect("one group");
        if !group.error_code.is_none() {
            let soon = [ErrorCode::CoordinatorLoadInProgress, ErrorCode::NotCoordinator];
            assert!(soon.contains(&group.error_code), "{group:?}");
            return None;
        }
        let now = group.topics[0].partitions.iter().map(|one| one.committed_offset);
        let now: Vec<i64> = now.collect();
        let before = std::mem::replace(&mut self.highest, now);
        let back = before.iter().zip(&self.highest).position(|(before, now)| now < before);
        assert!(back.is_none(), "commits went back: {before:?}, {:?}", self.highest);
        self.looks += 1;
        Some(())
    }
}

/// Sends numbers to all partitions until it is told to stop; how many to each.
fn send(broker: &Broker, stop: Arc<AtomicBool>) -> thread::JoinHandle<Vec<i64>> {
    let settings = [("enable.idempotence", "true"), ("reconnect.backoff.max.ms", "500")];
    let producer = TestProducer::new(broker, &settings);
    thread::spawn(move || {
        let mut count = 0_usize;
        while !stop.load(Ordering::Relaxed) {
            for partition in 0..PARTITIONS {
                let number = count / PARTITIONS as usize;
                let value = Some(number.to_string().into_bytes());
                let record = Record { value, timestamp_ms: 1, ..Record::default() };
                producer.send(TOPIC, Some(partition), &record, count);
                count += 1;
            }
            thread::sleep(Duration::from_millis(4));
        }
        producer.delivered(count);
        vec![(count / PARTITIONS as usize) as i64; PARTITIONS as usize]
    })
}

/// What may happen. Each happens once before any happens again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Strike {
    KillBroker,
    KillMember,
    AddMember,
    PauseMember,
    GoOn,
}

const STRIKES: [Strike; 5] =
    [Strike::KillBroker, Strike::KillMember, Strike::AddMember, Strike::PauseMember, Strike::GoOn];

struct Chaos {
    /// What the members speak, one after the other.
    protocols: &'static [&'static str],
    rng: Random,
    members: Vec<Member>,
    started: usize,
    tell: Sender<(usize, Told)>,
    ahead: Vec<Strike>,
}

impl Chaos {
    fn add(&mut self, broker: &Broker) {
        let protocol = self.protocols[self.started % self.protocols.len()];
        let tell = self.tell.clone();
        self.members.push(Member::start(broker, protocol, self.started, tell));
        self.started += 1;
    }

    /// Something bad happens.
    fn strike(&mut self, broker: &mut Broker) -> Strike {
        if self.ahead.is_empty() {
            self.ahead.extend(STRIKES);
        }
        let next = self.rng.below(self.ahead.len() as u64) as usize;
        let strike = self.ahead.swap_remove(next);
        let number = self.rng.below(self.members.len() as u64) as usize;
        match strike {
            Strike::KillBroker => {
                broker.kill();
                broker.start_again();
            }
            Strike::KillMember => drop(self.members.swap_remove(number)),
            Strike::AddMember => self.add(broker),
            Strike::PauseMember => self.members[number].signal(libc::SIGSTOP),
            Strike::GoOn => self.members.iter_mut().for_each(|one| one.signal(libc::SIGCONT)),
        }
        strike
    }
}

#[test]
fn members_and_brokers_that_die_while_records_flow() {
    play(&["classic"]);
}

#[test]
fn members_of_the_consumer_protocol_and_brokers_that_die_while_records_flow() {
    play(&["consumer"]);
}

#[test]
fn members_of_both_protocols_and_brokers_that_die_while_records_flow() {
    play(&["classic", "consumer"]);
}

fn play(protocols: &'static [&'static str]) {
    if Broker::must_skip("members_and_brokers_that_die_while_records_flow") {
        return;
    }
    let short_sessions = [
        "group.min.session.timeout.ms=1000",
        "group.consumer.session.timeout.ms=2000",
        "group.consumer.heartbeat.interval.ms=300",
    ];
    let more = short_sessions.iter().flat_map(|one| ["--set".into(), (*one).into()]).collect();
    let options = Options { group_delay_ms: Some(300), more, ..Options::default() };
    let mut broker = Broker::start(options);
    create_ready_topic(&mut broker.connect(), TOPIC, PARTITIONS);
    let (tell, told) = channel();
    let rng = Random::from_environment(20_260_729);
    let mut chaos =
        Chaos { protocols, rng, members: Vec::new(), started: 0, tell, ahead: Vec::new() };
    (0..3).for_each(|_| chaos.add(&broker));
    let stop = Arc::new(AtomicBool::new(false));
    let sender = send(&broker, stop.clone());
    let (mut seen, mut watcher) = (Seen::default(), Watcher::default());
    let mut struck = BTreeSet::new();
    let began = Instant::now();
    let mut next_strike = began + Duration::from_secs(4);
    while began.elapsed() < CHAOS {
        if Instant::now() >= next_strike {
            let what = chaos.strike(&mut broker);
            println!("{:>6} ms: {what:?}", began.elapsed().as_millis());
            struck.insert(what);
            next_strike = Instant::now() + Duration::from_millis(500 + chaos.rng.below(2_000));
        }
        seen.take(&told);
        watcher.look(&broker);
        thread::sleep(Duration::from_millis(20));
    }
    stop.store(true, Ordering::Relaxed);
    let sent = sender.join().expect("everything is sent");
    chaos.members.iter_mut().for_each(|member| member.signal(libc::SIGCONT));
    let deadline = Instant::now() + PATIENCE;
    while !(seen.has_all(&sent) && watcher.highest == sent) {
        assert!(Instant::now() < deadline, "sent {sent:?}, committed {:?}", watcher.highest);
        seen.take(&told);
        watcher.look(&broker);
        thread::sleep(Duration::from_millis(20));
    }
    for (partition, offset) in &seen.acknowledged {
        assert!(*offset <= watcher.highest[*partition as usize], "{partition}: {offset}");
    }
    println!("{} of each partition, {} looks, {} members", sent[0], watcher.looks, chaos.started);
    assert_eq!(struck.len(), STRIKES.len(), "{struck:?}");
    assert!(watcher.looks > 100 && seen.acknowledged.len() == PARTITIONS as usize);
}
