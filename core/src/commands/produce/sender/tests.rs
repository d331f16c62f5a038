//! A sender against brokers that move, throttle and say nothing, on real sockets.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use corelane_net::client::{Address, Cluster, Settings};
use corelane_net::codec::{Encoder, Str};
use corelane_net::messages::{
    Api, ApiVersion, ApiVersionsResponse, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, Request, Response, TopicProduceResponse,
};
use corelane_storage::batch::{Compressor, Record};

use super::super::super::session::Topic;
use super::super::queue::Numbered;
use super::Sender;

const TOPIC: Str = Str::from_static("t");

/// What a broker does with a batch.
#[derive(Clone, Copy)]
enum Manner {
    Silent,
    Acknowledges { throttle_time_ms: i32 },
}

/// A cluster of one broker, 7, which is wherever `port` says.
#[derive(Clone)]
struct Told {
    port: Arc<AtomicU16>,
    /// Records of what was produced.
    produced: mpsc::Sender<Bytes>,
}

/// A broker; its port.
fn start(told: &Told, manner: Manner) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = told.clone();
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let told = told.clone();
            thread::spawn(move || serve(socket, &told, manner));
        }
    });
    port
}

fn serve(mut socket: TcpStream, told: &Told, manner: Manner) -> Option<()> {
    loop {
        let mut length = [0; 4];
        socket.read_exact(&mut length).ok()?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        socket.read_exact(&mut frame).ok()?;
        let frame = Bytes::from(frame);
        let (header, request) = Request::decode(&frame).unwrap();
        let response = match (request, manner) {
            (Request::ApiVersions(_), _) => offered(),
            (Request::Metadata(_), _) => metadata(told.port.load(Ordering::Relaxed)),
            (Request::Produce(request), Manner::Silent) => {
                take(request, told);
                continue;
            }
            (Request::Produce(request), Manner::Acknowledges { throttle_time_ms }) => {
                let partition_responses = take(request, told);
                let topic =
                    TopicProduceResponse { name: TOPIC, partition_responses, ..Default::default() };
                let responses = vec![topic];
                ProduceResponse { responses, throttle_time_ms, ..Default::default() }.into()
            }
            other => panic!("{:?}", other.0),
        };
        let mut out = Encoder::new();
        response.encode(header.api_version, header.correlation_id, &mut out).unwrap();
        socket.write_all(&out.take_bytes()).ok()?;
    }
}

fn take(request: ProduceRequest, told: &Told) -> Vec<PartitionProduceResponse> {
    let partitions = request.topic_data.into_iter().flat_map(|topic| topic.partition_data);
    partitions
        .map(|partition| {
            let _ = told.produced.send(partition.records.unwrap());
            PartitionProduceResponse { index: partition.index, ..Default::default() }
        })
        .collect()
}

fn offered() -> Response {
    let version = |(api, version): (Api, i16)| ApiVersion {
        api_key: api.key(),
        min_version: version,
        max_version: version,
    };
    let versions = [(Api::ApiVersions, 3), (Api::Metadata, 9), (Api::Produce, 9)];
    let api_keys = versions.into_iter().map(version).collect();
    ApiVersionsResponse { api_keys, ..Default::default() }.into()
}

fn metadata(port: u16) -> Response {
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_id: 7,
        ..Default::default()
    };
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: 7,
            host: Str::from_static("127.0.0.1"),
            port: port.into(),
            ..Default::default()
        }],
        topics: vec![MetadataResponseTopic {
            name: Some(TOPIC),
            partitions: vec![partition(0), partition(1)],
            ..Default::default()
        }],
        ..Default::default()
    }
    .into()
}

fn told() -> (Told, mpsc::Receiver<Bytes>) {
    let (produced, received) = mpsc::channel();
    (Told { port: Arc::default(), produced }, received)
}

/// A sender of a cluster whose broker is at `port` to begin with.
fn sender(told: &Told, port: u16) -> Sender {
    told.port.store(port, Ordering::Relaxed);
    let bootstrap = vec![Address { host: "127.0.0.1".into(), port }];
    let timeout = Duration::from_secs(30);
    let mut cluster = Cluster::connect(bootstrap, Settings::new("test"), timeout).unwrap();
    let topic = Topic::find(&mut cluster, &TOPIC).unwrap();
    Sender::new(cluster, topic, Compressor::NONE, 1, "line").unwrap()
}

/// A batch of one record.
fn push(sender: &mut Sender, partition: usize, value: &str, now: Instant) {
    let record = Record { value: Some(value.into()), ..Record::default() };
    let queue = &mut sender.queues[partition];
    queue.push(Numbered { number: 1, record }, 1000, now);
    queue.close(now);
}

fn contains(batch: &Bytes, value: &str) -> bool {
    batch.windows(value.len()).any(|part| part == value.as_bytes())
}

#[test]
fn answers_of_where_a_broker_has_moved_to_are_not_those_due_where_it_was() {
    let (told, produced) = told();
    let old = start(&told, Manner::Silent);
    let new = start(&told, Manner::Acknowledges { throttle_time_ms: 0 });
    let mut sender = sender(&told, old);
    let now = Instant::now();
    push(&mut sender, 0, "first", now);
    sender.pump(now).unwrap();
    assert!(contains(&produced.recv().unwrap(), "first"));
    told.port.store(new, Ordering::Relaxed);
    sender.retry_at = Some(now);
    push(&mut sender, 1, "second", now);
    sender.pump(now).unwrap();
    assert_eq!(sender.records, 0, "nobody has acknowledged anything");
    let later = now + Duration::from_secs(1);
    sender.pump(later).unwrap();
    let again = [produced.recv().unwrap(), produced.recv().unwrap()];
    assert!(contains(&again[0], "first") && contains(&again[1], "second"), "{again:?}");
    sender.receive(7, later).unwrap();
    assert_eq!((sender.records, sender.is_empty()), (2, true));
}

#[test]
fn a_pause_that_is_over_wakes_nobody() {
    let (told, _produced) = told();
    let port = start(&told, Manner::Acknowledges { throttle_time_ms: 1000 });
    let mut sender = sender(&told, port);
    let now = Instant::now();
    push(&mut sender, 0, "first", now);
    sender.pump(now).unwrap();
    sender.receive(7, now).unwrap();
    assert_eq!(sender.records, 1);
    let over = now + Duration::from_secs(1);
    assert_eq!(sender.wake_at(), Some(over));
    push(&mut sender, 0, "second", now);
    sender.pump(over - Duration::from_millis(1)).unwrap();
    assert!(sender.links[&7].due.is_empty(), "the broker asked for a pause");
    sender.pump(over).unwrap();
    sender.receive(7, over - Duration::from_secs(2)).unwrap();
    assert_eq!(sender.records, 2);
    sender.pump(over).unwrap();
    assert_eq!(sender.wake_at(), None);
}

#[test]
fn what_is_due_without_a_connection_goes_out_again() {
    let (told, produced) = told();
    let port = start(&told, Manner::Silent);
    let mut sender = sender(&told, port);
    let now = Instant::now();
    push(&mut sender, 0, "first", now);
    sender.pump(now).unwrap();
    produced.recv().unwrap();
    sender.cluster.disconnect(7);
    let silent = now + Duration::from_secs(30);
    // The batch has waited as long as any may.
    assert!(sender.pump(silent).is_err());
    assert!(sender.links.is_empty(), "nothing is due any more");
}
