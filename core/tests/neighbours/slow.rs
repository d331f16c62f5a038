//! Guests that hardly read or hardly write.

use std::io::Read;
use std::time::Duration;

use crate::harness::batch::Batch;
use crate::harness::broker::Broker;
use crate::harness::requests::{FetchLimits, create_ready_topic, fetch, produce};
use crate::harness::wire::Connection;
use crate::neighbours;
use crate::stage::{Visit, beside, broker};

const SECOND: Duration = Duration::from_secs(1);

/// A topic with a partition that has 1 GiB.
pub fn fill(broker: &Broker, topic: &str) {
    let mut connection = broker.connect();
    create_ready_topic(&mut connection, topic, 1);
    let record = vec![b'x'; 1_000];
    let batch = Batch::of(&vec![&record[..]; 1_000]).encode();
    let frame = produce(1, topic, &[(0, &batch)]).frame(1);
    for _ in 0..1_100 {
        connection.send_raw(&frame).expect("sent");
        connection.receive().expect("an answer");
    }
}

fn read_slowly(visit: &Visit<'_>, connections: usize) {
    let limits = FetchLimits { max_wait_ms: 0, min_bytes: 1, max_bytes: i32::MAX };
    let frame = fetch("backlog", &[(0, 0)], limits).frame(1);
    let mut readers: Vec<Connection> = (0..connections).map(|_| visit.broker.connect()).collect();
    readers.iter_mut().for_each(|reader| reader.send_raw(&frame).expect("sent"));
    while !visit.is_over() {
        for reader in &mut readers {
            reader.stream.read_exact(&mut [0]).expect("a byte");
        }
        visit.sleep(SECOND);
    }
}

#[test]
#[ignore = "a measurement"]
fn one_reader_of_a_byte_a_second() {
    let broker = broker();
    fill(&broker, "backlog");
    beside("1 reader of 1 byte/s of 1 GiB", &broker, 1, |visit, _| read_slowly(visit, 1));
}

#[test]
#[ignore = "a measurement"]
fn many_readers_of_a_byte_a_second() {
    let broker = broker();
    fill(&broker, "backlog");
    beside("200 readers of 1 byte/s of 1 GiB", &broker, 1, |visit, _| read_slowly(visit, 200));
}

#[test]
#[ignore = "a measurement"]
fn producers_of_a_byte_a_second() {
    let broker = broker();
    let batch = Batch::of(&[&vec![7; 1_000_000]]).encode();
    let frame = produce(1, neighbours::TOPIC, &[(50, &batch)]).frame(1);
    beside("200 producers of 1 byte/s", &broker, 1, |visit, _| {
        let mut senders: Vec<Connection> = (0..200).map(|_| visit.broker.connect()).collect();
        for at in 0.. {
            // The length at once: it is the rest that comes slowly.
            let from = if at == 0 { 0 } else { at + 99 };
            senders.iter_mut().for_each(|one| one.send_raw(&frame[from..at + 100]).expect("sent"));
            visit.sleep(SECOND);
            if visit.is_over() {
                break;
            }
        }
    });
}
