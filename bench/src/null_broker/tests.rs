//! The null broker over sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    Api, FetchPartition, FetchRequest, FetchTopic, ListOffsetsPartition, ListOffsetsRequest,
    ListOffsetsTopic, PartitionProduceData, ProduceRequest, Response, TopicProduceData,
};
use corelane_storage::batch::{BatchBuilder, BatchHeader};

use super::{NullBrokerArgs, NullBrokerReport, run};
use crate::client::{Control, Topic};
use crate::error::BenchError;
use crate::stop::Stop;

/// A null broker on a port of its own.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: Stop,
    thread: JoinHandle<Result<NullBrokerReport, BenchError>>,
}

impl Running {
    pub(crate) fn start(write_dir: Option<PathBuf>) -> Running {
        let args = NullBrokerArgs {
            listen: "127.0.0.1:0".to_owned(),
            write_dir,
            kept_bytes: 64 << 20,
            duration: Some(Duration::from_secs(60)),
            core: None,
        };
        let stop = Stop::new();
        let (tell, told) = flume::bounded(1);
        let its_stop = stop.clone();
        let thread =
            thread::spawn(move || run(&args, &its_stop, |address| tell.send(address).unwrap()));
        Running { address: told.recv().unwrap(), stop, thread }
    }

    pub(crate) fn end(self) -> NullBrokerReport {
        self.stop.set();
        self.thread.join().unwrap().unwrap()
    }
}

fn produce(topic: &Topic, partition: i32, batch: Vec<u8>) -> ProduceRequest {
    let data = PartitionProduceData { index: partition, records: Some(batch.into()) };
    let topic_data = TopicProduceData {
        name: topic.name.clone(),
        topic_id: topic.id,
        partition_data: vec![data].into(),
    };
    ProduceRequest { acks: -1, topic_data: vec![topic_data].into(), ..Default::default() }
}

fn produced(control: &mut Control, request: ProduceRequest) -> (ErrorCode, i64) {
    let Response::Produce(response) = control.call(&request.into()).unwrap() else {
        panic!("not an answer to Produce")
    };
    let partition = &response.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}

fn fetch(topic: &Topic, offset: i64, max_wait_ms: i32) -> FetchRequest {
    FetchRequest {
        max_wait_ms,
        min_bytes: 1,
        topics: vec![FetchTopic {
            topic: topic.name.clone(),
            topic_id: topic.id,
            partitions: vec![FetchPartition {
                fetch_offset: offset,
                partition_max_bytes: 1 << 20,
                ..Default::default()
            }],
        }],
        ..Default::default()
    }
}

fn fetched(control: &mut Control, request: FetchRequest) -> (ErrorCode, Vec<u8>) {
    let Response::Fetch(response) = control.call(&request.into()).unwrap() else {
        panic!("not an answer to Fetch")
    };
    let partition = &response.responses[0].partitions[0];
    let records = partition.records.iter().flat_map(|records| records.parts().concat());
    (partition.error_code, records.collect())
}

fn batch(records: usize) -> Vec<u8> {
    (0..records).fold(BatchBuilder::new(), |batch, n| batch.value(1, vec![n as u8; 100])).build()
}

#[test]
fn batches_are_checked_numbered_and_fetched_until_the_topic_goes() {
    let broker = Running::start(None);
    let mut control = Control::connect(&broker.address.to_string()).unwrap();
    let topic = Topic::create(&mut control, 3, &Stop::new()).unwrap();
    assert_eq!(topic.partitions.len(), 3);
    assert_eq!(topic.partitions[2].leader, broker.address.to_string());
    for base_offset in [0, 5] {
        let answer = produced(&mut control, produce(&topic, 0, batch(5)));
        assert_eq!(answer, (ErrorCode::None, base_offset));
    }
    let mut wrong = batch(5);
    *wrong.last_mut().unwrap() ^= 1;
    let answer = produced(&mut control, produce(&topic, 0, wrong));
    assert_eq!(answer, (ErrorCode::CorruptMessage, -1));
    let answer = produced(&mut control, produce(&topic, 3, batch(1)));
    assert_eq!(answer.0, ErrorCode::UnknownTopicOrPartition);

    let (code, records) = fetched(&mut control, fetch(&topic, 5, 0));
    let header = BatchHeader::read(&records).unwrap();
    assert_eq!((code, header.base_offset(), header.records_count()), (ErrorCode::None, 5, 5));
    header.verify_crc(&records).unwrap();
    let list = ListOffsetsRequest {
        topics: vec![ListOffsetsTopic {
            name: topic.name.clone(),
            partitions: vec![ListOffsetsPartition { timestamp: -1, ..Default::default() }],
        }],
        ..Default::default()
    };
    let Response::ListOffsets(response) = control.call(&list.into()).unwrap() else { panic!() };
    assert_eq!(response.topics[0].partitions[0].offset, 10);

    topic.delete_if_own(&mut control).unwrap();
    let gone = Topic::find(&mut control, &topic.name);
    assert!(matches!(gone, Err(BenchError::NoSuchTopic(_))));
    let report = broker.end();
    // Ours, and one that asked whether the new topic is served.
    assert_eq!((report.connections, report.faults), (2, 0), "{report}");
}

#[test]
fn a_fetch_waits_for_records_and_no_longer_than_it_says() {
    let broker = Running::start(None);
    let mut control = Control::connect(&broker.address.to_string()).unwrap();
    let topic = Topic::create(&mut control, 1, &Stop::new()).unwrap();
    let began = Instant::now();
    assert_eq!(fetched(&mut control, fetch(&topic, 0, 30)), (ErrorCode::None, vec![]));
    assert!(began.elapsed() >= Duration::from_millis(30));

    let mut other = Control::connect(&broker.address.to_string()).unwrap();
    let request = fetch(&topic, 0, 30_000);
    let waiting = thread::spawn(move || fetched(&mut other, request));
    produced(&mut control, produce(&topic, 0, batch(2)));
    let (_, records) = waiting.join().unwrap();
    assert_eq!(BatchHeader::read(&records).unwrap().records_count(), 2);
    assert!(began.elapsed() < Duration::from_secs(20));
    broker.end();
}

#[test]
fn with_a_disk_answers_come_after_the_write_and_in_order() {
    let dir = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let broker = Running::start(Some(dir));
    let mut control = Control::connect(&broker.address.to_string()).unwrap();
    let topic = Topic::create(&mut control, 1, &Stop::new()).unwrap();
    for n in 0..20 {
        let answer = produced(&mut control, produce(&topic, 0, batch(100)));
        assert_eq!(answer, (ErrorCode::None, n * 100));
    }
    // All is written: an answer that waited for one more write would wait for ever.
    topic.delete_if_own(&mut control).unwrap();
    let report = broker.end();
    assert!(report.produced_bytes > 20 * 100 * 100, "{report}");
}

#[test]
fn what_is_no_protocol_costs_its_own_connection() {
    let broker = Running::start(None);
    for bytes in [
        &[0xff; 64][..],
        &[0, 0, 0, 2, 0, 0],
        // An API that is not served: JoinGroup v0 without a body.
        &[0, 0, 0, 10, 0, 11, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
    ] {
        let mut socket = TcpStream::connect(broker.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.write_all(bytes).unwrap();
        let closed = socket.read(&mut [0; 1]);
        assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
    }
    // ApiVersions from the future is answered in version 0, with error 35 (KIP-511).
    let mut socket = TcpStream::connect(broker.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.write_all(&[0, 0, 0, 11, 0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 0]).unwrap();
    let mut answer = [0; 10];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(answer[4..], [0, 0, 0, 7, 0, 35]);
    let control = Control::connect(&broker.address.to_string()).unwrap();
    assert!(control.version(Api::Produce).unwrap() >= 12);
    let report = broker.end();
    assert_eq!(report.faults, 3, "{report}");
}
