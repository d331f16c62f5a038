//! Deliveries by an honest broker, and by one that lies.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use corelane_net::codec::Encoder;
use corelane_net::messages::{
    Api, PartitionProduceResponse, ProduceRequest, ProduceResponse, Request, Response,
    TopicProduceResponse,
};

use super::{DeliveryArgs, DeliveryKind, DeliverySettings};
use crate::consume::FetchSettings;
use crate::error::BenchError;
use crate::load::LoadArgs;
use crate::load_report::LoadReport;
use crate::null_broker::tests::Running;
use crate::plan::{Plan, Target};
use crate::produce::{ProducePace, ProduceSettings};
use crate::records::RecordSettings;
use crate::stop::Stop;

fn args(readers: usize, rate: f64) -> DeliveryArgs {
    DeliveryArgs {
        kind: if readers == 1 { DeliveryKind::EndToEnd } else { DeliveryKind::FanOut },
        pace: ProducePace::RecordsPerSecond(rate),
        settings: DeliverySettings {
            produce: ProduceSettings {
                topic: None,
                partitions: 3,
                records: RecordSettings {
                    batch_bytes: 1000,
                    pool_bytes: 100_000,
                    ..RecordSettings::default()
                },
                partitions_per_request: 1,
                connections: 2,
                acks: -1,
                in_flight: None,
                records_per_s: Some(rate),
            },
            readers,
            fetch: FetchSettings { fetch_bytes: 1 << 20, max_wait_ms: 50 },
        },
        is_confirmed: false,
        load: LoadArgs {
            duration: Duration::from_millis(400),
            warmup: Duration::from_millis(20),
            cores: vec![],
            bytes_max: u64::MAX,
            spin: false,
            allowance: Default::default(),
        },
    }
}

fn run(args: &DeliveryArgs, broker: SocketAddr) -> LoadReport {
    let target = Target { bootstrap: broker.to_string(), broker_pid: None };
    args.run(&target, &Stop::new()).unwrap()
}

#[test]
fn an_honest_broker_delivers_everything_once_and_in_order() {
    let broker = Running::start(None);
    for (readers, compression, keys, per_request) in
        [(1, "none", "none", 1), (3, "zstd", "none", 2), (2, "none", "zipf:50", 1)]
    {
        let mut args = args(readers, 10_000.0);
        let produce = &mut args.settings.produce;
        produce.records.compression = compression.parse().unwrap();
        produce.records.keys = keys.parse().unwrap();
        produce.partitions_per_request = per_request;
        let report = run(&args, broker.address);
        assert!(report.is_whole(), "{report}");
        let result = &report.result;
        let delivery = result.delivery.as_ref().unwrap();
        assert_eq!(delivery.sent, delivery.acknowledged, "{report}");
        assert_eq!(delivery.delivered, delivery.sent * readers as u64, "{report}");
        assert!(delivery.sent > 100 && delivery.foreign == 0, "{report}");
        // A record lies in its batch until all of its request is there; the window is all that counts.
        let latency = result.latency.unwrap();
        assert!(latency.samples > 100 * readers as u64, "{report}");
        let acknowledged = &result.parts["acknowledged"];
        assert!(acknowledged.requests > 100 && acknowledged.latency.is_some(), "{report}");
        assert_eq!(result.requests, acknowledged.requests, "{report}");
    }
    broker.end();
}

#[test]
fn other_batches_in_the_topic_are_no_duplicates() {
    let broker = Running::start(None);
    let target = Target { bootstrap: broker.address.to_string(), broker_pid: None };
    let mut control = crate::client::Control::connect(&target.bootstrap).unwrap();
    let topic = crate::client::Topic::create(&mut control, 3, &Stop::new()).unwrap();
    let mut ours = args(1, 5_000.0);
    ours.settings.produce.topic = Some(topic.name.to_string());
    let mut theirs = ours.clone();
    theirs.load.duration = Duration::from_millis(200);
    let address = broker.address;
    let other = thread::spawn(move || run(&theirs, address));
    thread::sleep(Duration::from_millis(20));
    let report = run(&ours, broker.address);
    assert!(other.join().unwrap().result.delivery.unwrap().foreign > 0);
    assert!(report.is_whole() && report.result.delivery.unwrap().foreign > 0);
    broker.end();
}

#[test]
fn what_cannot_be_verified_is_refused() {
    let broker = Running::start(None);
    for change in [
        (|args| args.settings.produce.connections = 4) as fn(&mut DeliveryArgs),
        |args| args.settings.readers = 0,
        |args| args.settings.readers = usize::MAX,
        |args| args.pace = ProducePace::RecordsPerSecond(1e300),
    ] {
        let mut args = args(1, 100.0);
        change(&mut args);
        let target = Target { bootstrap: broker.address.to_string(), broker_pid: None };
        let error = args.run(&target, &Stop::new()).unwrap_err();
        assert!(matches!(error, BenchError::Argument(_)), "{error}");
    }
    broker.end();
}

/// What a lying broker does to one of its Produce requests.
#[derive(Clone, Copy, Debug)]
enum Lie {
    /// It says that it has taken it, and has not.
    Lose,
    /// It takes it twice.
    Repeat,
    /// It takes it after the next.
    Delay,
}

fn read_frame(from: &mut TcpStream) -> Option<Bytes> {
    let mut prefix = [0; 4];
    from.read_exact(&mut prefix).ok()?;
    let mut frame = vec![0; u32::from_be_bytes(prefix) as usize];
    from.read_exact(&mut frame).ok()?;
    Some(frame.into())
}

fn write_frame(to: &mut TcpStream, frame: &[u8]) -> Option<()> {
    to.write_all(&[&(frame.len() as u32).to_be_bytes(), frame].concat()).ok()
}

fn exchange(broker: &mut TcpStream, frame: &[u8]) -> Option<Bytes> {
    write_frame(broker, frame)?;
    read_frame(broker)
}

/// Says that all of a request was taken.
fn acknowledge(request: ProduceRequest, version: i16, correlation_id: i32) -> Bytes {
    let taken = |index| PartitionProduceResponse { index, ..Default::default() };
    let responses = request.topic_data.into_iter().map(|topic| TopicProduceResponse {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partition_responses: topic.partition_data.into_iter().map(|d| taken(d.index)).collect(),
    });
    let responses = responses.collect();
    let response = Response::from(ProduceResponse { responses, ..Default::default() });
    let mut out = Encoder::new();
    response.encode(version, correlation_id, &mut out).unwrap();
    out.take_bytes().slice(4..)
}

/// One client of the liar, one request after the other; the 50th Produce request of all is lied about.
fn serve(
    mut client: TcpStream,
    mut broker: TcpStream,
    port: u16,
    lie: Lie,
    count: &AtomicU64,
) -> Option<()> {
    let mut delayed: Option<Bytes> = None;
    loop {
        let frame = read_frame(&mut client)?;
        let (header, request) = Request::decode(&frame).unwrap();
        let (version, correlation_id) = (header.api_version, header.correlation_id);
        let answer = match request {
            Request::Produce(request) => {
                let is_chosen = count.fetch_add(1, Ordering::Relaxed) == 50;
                match lie {
                    Lie::Lose if is_chosen => acknowledge(request, version, correlation_id),
                    Lie::Delay if is_chosen => {
                        delayed = Some(frame);
                        acknowledge(request, version, correlation_id)
                    }
                    Lie::Repeat if is_chosen => {
                        exchange(&mut broker, &frame)?;
                        exchange(&mut broker, &frame)?
                    }
                    _ => {
                        let answer = exchange(&mut broker, &frame)?;
                        if let Some(late) = delayed.take() {
                            exchange(&mut broker, &late)?;
                        }
                        answer
                    }
                }
            }
            Request::Metadata(_) => {
                let answer = exchange(&mut broker, &frame)?;
                let (_, response) = Response::decode(Api::Metadata, version, &answer).unwrap();
                let Response::Metadata(mut metadata) = response else { panic!("{response:?}") };
                metadata.brokers.iter_mut().for_each(|broker| broker.port = i32::from(port));
                let mut out = Encoder::new();
                Response::from(metadata).encode(version, correlation_id, &mut out).unwrap();
                out.take_bytes().slice(4..)
            }
            _ => exchange(&mut broker, &frame)?,
        };
        write_frame(&mut client, &answer)?;
    }
}

fn liar(broker: SocketAddr, lie: Lie) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicU64::new(0));
    thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            let Ok(broker) = TcpStream::connect(broker) else { return };
            for socket in [&client, &broker] {
                socket.set_nodelay(true).unwrap();
            }
            let count = count.clone();
            thread::spawn(move || serve(client, broker, address.port(), lie, &count));
        }
    });
    address
}

#[test]
fn a_broker_that_lies_is_noticed() {
    let broker = Running::start(None);
    for (lie, expected) in
        [(Lie::Lose, (1, 0, 0)), (Lie::Repeat, (0, 1, 0)), (Lie::Delay, (0, 0, 1))]
    {
        let mut args = args(1, 5_000.0);
        args.settings.produce.partitions = 1;
        args.settings.produce.connections = 1;
        let report = run(&args, liar(broker.address, lie));
        let delivery = report.result.delivery.as_ref().unwrap();
        let found = (delivery.lost, delivery.duplicated, delivery.reordered);
        assert_eq!(found, expected, "{lie:?}: {report}");
        assert!(report.complete && !report.is_whole(), "{lie:?}: {report}");
        assert!(delivery.sent > 100 && delivery.undelivered == 0, "{lie:?}: {report}");
    }
    broker.end();
}
