//! Connections that stall, and brokers that fall silent or hold their clients back.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use corelane_net::codec::Encoder;
use corelane_net::messages::{
    Api, ApiVersion, ApiVersionsResponse, MetadataResponse, MetadataResponseBroker, Request,
    Response,
};

use super::{at, load, ping_settings};
use crate::load::Pace;
use crate::null_broker::tests::Running;
use crate::ping_pong::{PingApi, PingPongArgs, PingPongSettings};
use crate::plan::Plan;
use crate::stop::Stop;

/// Passes bytes on, but for the first `stall` of every `period`.
fn stalling_proxy(broker: SocketAddr, stall: Duration, period: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let began = Instant::now();
    let pass = move |mut from: TcpStream, mut to: TcpStream| {
        let mut buf = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buf) {
            let into_period = began.elapsed().as_nanos() % period.as_nanos();
            let left = stall.as_nanos().saturating_sub(into_period);
            thread::sleep(Duration::from_nanos(left as u64));
            if to.write_all(&buf[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    };
    thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            let Ok(broker) = TcpStream::connect(broker) else { return };
            for socket in [&client, &broker] {
                socket.set_nodelay(true).unwrap();
            }
            let (back, forth) = (client.try_clone().unwrap(), broker.try_clone().unwrap());
            thread::spawn(move || pass(client, forth));
            thread::spawn(move || pass(broker, back));
        }
    });
    address
}

#[test]
fn a_stall_counts_for_every_request_it_holds_up_and_the_naive_figure_misses_it() {
    let broker = Running::start(None);
    let (stall, second) = (Duration::from_millis(100), Duration::from_secs(1));
    let proxy = stalling_proxy(broker.address, stall, second);
    let rate = 500.0;
    let args = PingPongArgs {
        pace: Pace::RequestsPerSecond(rate),
        settings: ping_settings(Some(rate)),
        load: load(2000),
    };
    let report = args.run(&at(proxy), &Stop::new()).unwrap();
    let result = &report.result;
    let (honest, naive) = (result.latency.unwrap(), result.naive_latency.unwrap());
    assert!(report.complete && honest.samples == 1000, "{report}");
    // A tenth of all requests meets a stall, and waits for half of it on average: so the slowest
    // hundredth waits for nine tenths of it at least.
    assert!(honest.p99_us >= 85_000.0, "{report}");
    assert!(honest.p99_9_us >= 95_000.0, "{report}");
    // A client that waits would have seen two slow ones of a thousand: these.
    assert!(naive.max_us >= 85_000.0, "{report}");
    // All but the first of a stall count from the answer before, which comes after it: 5 ms of the
    // mean are missed, however slow the machine is besides.
    assert!(honest.mean_us - naive.mean_us >= 4_000.0, "{report}");
    broker.end();
}

/// A broker that answers as told, or not at all; `answer` is given the number of the request on its
/// connection.
pub(super) fn broker_that(answer: fn(u64, &Request, SocketAddr) -> Option<Response>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move |mut client: TcpStream| -> Option<()> {
        for nth in 0u64.. {
            let mut prefix = [0; 4];
            client.read_exact(&mut prefix).ok()?;
            let mut frame = vec![0; u32::from_be_bytes(prefix) as usize];
            client.read_exact(&mut frame).ok()?;
            let frame = Bytes::from(frame);
            let (header, request) = Request::decode(&frame).ok()?;
            let Some(response) = answer(nth, &request, address) else { continue };
            let mut out = Encoder::new();
            response.encode(header.api_version, header.correlation_id, &mut out).ok()?;
            client.write_all(&out.take_bytes()).ok()?;
        }
        None
    };
    thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            thread::spawn(move || serve(client));
        }
    });
    address
}

/// Metadata and ApiVersions, of versions in which a client can be told to hold back.
pub(super) fn offered() -> Response {
    let offered = |api: Api, min_version, max_version| ApiVersion {
        api_key: api.key(),
        min_version,
        max_version,
    };
    let api_keys = vec![offered(Api::Metadata, 3, 8), offered(Api::ApiVersions, 0, 4)];
    ApiVersionsResponse { api_keys, ..Default::default() }.into()
}

#[test]
fn a_broker_that_falls_silent_is_told_by_what_it_did_not_answer() {
    let settings = ping_settings(Some(1000.0));
    let args = PingPongArgs { pace: Pace::RequestsPerSecond(1000.0), settings, load: load(100) };
    let silent = broker_that(|nth, _, _| (nth == 0).then(offered));
    let report = args.run(&at(silent), &Stop::new()).unwrap();
    // It waits for the answers for 5 s, and no longer. All but the handshake's are missing.
    assert!(!report.is_whole() && report.result.unanswered >= 99, "{report}");
    assert!(report.result.latency.unwrap().p50_us > 4_900_000.0, "{report}");
    assert!(report.result.broker_was_bottleneck, "{report}");
    assert!(report.to_string().contains("THE BROKER DID NOT KEEP UP"), "{report}");
}

#[test]
fn a_client_that_is_told_to_hold_back_does_and_says_what_it_cost() {
    let broker = broker_that(|nth, request, address| match request {
        Request::ApiVersions(_) => Some(offered()),
        _ => Some(Response::from(MetadataResponse {
            throttle_time_ms: if nth % 20 == 19 { 60 } else { 0 },
            brokers: vec![MetadataResponseBroker {
                host: address.ip().to_string().into(),
                port: i32::from(address.port()),
                ..Default::default()
            }],
            ..Default::default()
        })),
    });
    let ping = |rate: Option<f64>| PingPongArgs {
        pace: rate.map_or(Pace::InFlight(1), Pace::RequestsPerSecond),
        settings: PingPongSettings { api: PingApi::Metadata, ..ping_settings(rate) },
        load: load(600),
    };
    // One answer of twenty costs 60 ms: at most 20 in 60 ms.
    let report = ping(None).run(&at(broker), &Stop::new()).unwrap();
    let result = &report.result;
    assert!(report.complete && result.throttled >= 1, "{report}");
    assert!(result.throttle_ms_max == 60 && result.requests <= 20 * 12, "{report}");
    // In an open loop, those that are due meanwhile wait, and it is told of them.
    let report = ping(Some(200.0)).run(&at(broker), &Stop::new()).unwrap();
    let result = &report.result;
    assert!(report.complete && result.throttled >= 3, "{report}");
    assert_eq!(result.latency.unwrap().samples, 120, "{report}");
    assert!(result.latency.unwrap().p90_us > 20_000.0, "{report}");
}
