//! Clients against servers of every kind, on real sockets.

mod coordinators;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;

use super::foreign::Foreign;
use super::{Address, ClientError, Cluster, Connection, Settings};
use crate::codec::{Encoder, Str};
use crate::error_code::ErrorCode;
use crate::messages::{
    Api, ApiVersion, ApiVersionsResponse, DescribeClusterRequest, MetadataResponse,
    MetadataResponseBroker, Request, Response,
};

fn settings() -> Settings {
    Settings {
        connect_timeout: Duration::from_secs(5),
        answer_timeout: Duration::from_millis(300),
        answer_bytes_max: 64 << 10,
        ..Settings::new("test")
    }
}

/// A server that hands its connections, one after the other, to `serve`.
fn server(
    serve: impl Fn(usize, TcpStream) + Send + 'static,
) -> (Address, JoinHandle<()>, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let theirs = listener.try_clone().unwrap();
    let thread = thread::spawn(move || {
        for number in 0.. {
            match theirs.accept() {
                Ok((socket, _)) => serve(number, socket),
                Err(_) => break,
            }
        }
    });
    (address, thread, listener)
}

fn take(socket: &mut TcpStream) -> Option<Bytes> {
    let mut length = [0; 4];
    socket.read_exact(&mut length).ok()?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    socket.read_exact(&mut frame).ok()?;
    Some(frame.into())
}

fn put(socket: &mut TcpStream, response: &Response, version: i16, correlation_id: i32) {
    let mut out = Encoder::new();
    response.encode(version, correlation_id, &mut out).unwrap();
    let _ = socket.write_all(&out.take_bytes());
}

fn offering(apis: &[Api]) -> Response {
    let offered = |api: &Api| ApiVersion {
        api_key: api.key(),
        min_version: *api.versions().start(),
        max_version: *api.versions().end(),
    };
    let api_keys = apis.iter().map(offered).collect();
    ApiVersionsResponse { api_keys, ..Default::default() }.into()
}

/// What opening a connection to a server comes to that reads a request and sends `answer`.
fn opened(answer: &'static [u8], keep_open: bool) -> Result<Connection, ClientError> {
    let (address, ..) = server(move |_, mut socket| {
        take(&mut socket);
        let _ = socket.write_all(answer);
        if keep_open {
            thread::sleep(Duration::from_secs(2));
        }
    });
    Connection::open(&address, &settings())
}

fn foreign(answer: &'static [u8]) -> (Foreign, String) {
    match opened(answer, false) {
        Err(error @ ClientError::Foreign { .. }) => {
            let text = error.to_string();
            let ClientError::Foreign { foreign, .. } = error else { unreachable!() };
            (foreign, text)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn strangers_are_recognised() {
    let (http, text) = foreign(b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n");
    assert_eq!(http, Foreign::Http("HTTP/1.1 400 Bad Request".into()));
    assert!(text.contains("does not speak the Kafka protocol: it is an HTTP server"), "{text}");
    // An alert: unexpected message.
    let (tls, text) = foreign(&[0x15, 3, 1, 0, 2, 2, 10]);
    assert_eq!(tls, Foreign::Tls);
    assert!(text.contains("plaintext listener"), "{text}");
    assert_eq!(foreign(b"SSH-2.0-OpenSSH_9.2\r\n").0, Foreign::Text("SSH-2.0-OpenSSH_9.2".into()));
    let (bytes, text) = foreign(&[0xff; 9]);
    assert!(matches!(bytes, Foreign::Bytes(_)) && text.contains("ff ff"), "{text}");
    // A frame, but no answer to what was asked.
    let (bytes, _) = foreign(&[0, 0, 0, 6, 0, 0, 0, 9, 0, 0]);
    assert!(matches!(bytes, Foreign::Bytes(_)));
    let (bytes, _) = foreign(&[0, 0, 0, 0]);
    assert!(matches!(bytes, Foreign::Bytes(_)));
}

#[test]
fn silence_and_closing_are_told_apart() {
    let closed = opened(b"", false);
    assert!(matches!(closed, Err(ClientError::Unwelcome { .. })), "{closed:?}");
    let silent = opened(b"", true);
    assert!(matches!(silent, Err(ClientError::Silent { api: Api::ApiVersions, .. })), "{silent:?}");
    let stuck = opened(&[0, 0, 0, 50, 0, 0], true);
    assert!(matches!(stuck, Err(ClientError::Silent { .. })), "{stuck:?}");
    let (address, thread, listener) = server(|_, _| {});
    drop((thread, listener));
    // Nobody listens on port 1.
    let refused = Connection::open(&Address { port: 1, ..address }, &settings());
    assert!(matches!(refused, Err(ClientError::Connect { .. })), "{refused:?}");
}

#[test]
fn the_wish_to_stop_ends_a_wait() {
    let (address, ..) = server(|_, mut socket| while take(&mut socket).is_some() {});
    let settings = Settings { answer_timeout: Duration::from_secs(600), ..settings() };
    let stop = settings.stop.clone();
    let waiting = thread::spawn(move || Connection::open(&address, &settings));
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(waiting.join().unwrap(), Err(ClientError::Interrupted)));
}

#[test]
fn an_older_broker_is_asked_again_in_its_version() {
    // Of before KIP-511 the one, which names no versions; of after it the other.
    for (told, asked_again) in [(&[][..], 0), (&[Api::ApiVersions][..], 2)] {
        let (address, ..) = server(move |_, mut socket| {
            let refusal = ApiVersionsResponse {
                error_code: ErrorCode::UnsupportedVersion,
                api_keys: told
                    .iter()
                    .map(|api| ApiVersion { api_key: api.key(), min_version: 0, max_version: 2 })
                    .collect(),
                ..Default::default()
            };
            take(&mut socket);
            put(&mut socket, &refusal.into(), 0, 1);
            let again = take(&mut socket).unwrap();
            assert_eq!(again[2..4], i16::to_be_bytes(asked_again));
            put(&mut socket, &offering(&[Api::Metadata]), asked_again, 2);
        });
        let connection = Connection::open(&address, &settings()).unwrap();
        assert_eq!(connection.version(Api::Metadata).unwrap(), 13);
        let absent = connection.version(Api::Produce);
        assert!(matches!(absent, Err(ClientError::Unsupported { offered: None, .. })));
    }
}

#[test]
fn what_an_answer_claims_is_not_allocated() {
    let (address, ..) = server(|_, mut socket| {
        take(&mut socket);
        put(&mut socket, &offering(&[Api::DescribeCluster]), 3, 1);
        take(&mut socket);
        let _ = socket.write_all(&[0, 1, 0, 1, 0, 0]);
    });
    let mut connection = Connection::open(&address, &settings()).unwrap();
    let error = connection.call(&DescribeClusterRequest::default().into()).unwrap_err();
    let max_bytes = 64 << 10;
    assert!(
        matches!(&error, ClientError::TooLarge { length: 65_537, max_bytes: m, .. } if *m == max_bytes),
        "{error}"
    );
    assert!(connection.is_broken());
}

/// Answers ApiVersions and Metadata, and closes each connection after `answers` of them.
fn flaky(answers: usize) -> Address {
    let (address, ..) = server(move |_, mut socket| {
        let port = socket.local_addr().unwrap().port();
        for _ in 0..answers {
            let Some(frame) = take(&mut socket) else { return };
            let (header, request) = Request::decode(&frame).unwrap();
            let response = match request {
                Request::ApiVersions(_) => offering(&[Api::Metadata]),
                _ => MetadataResponse {
                    brokers: vec![MetadataResponseBroker {
                        node_id: 7,
                        host: Str::from("127.0.0.1"),
                        port: port.into(),
                        ..Default::default()
                    }],
                    controller_id: 7,
                    ..Default::default()
                }
                .into(),
            };
            put(&mut socket, &response, header.api_version, header.correlation_id);
        }
    });
    address
}

#[test]
fn a_cluster_is_reached_through_any_of_its_addresses() {
    let good = flaky(1000);
    let bad = Address { host: "127.0.0.1".into(), port: 1 };
    let bootstrap = vec![bad.clone(), good.clone()];
    let cluster = Cluster::connect(bootstrap, settings(), Duration::from_secs(5)).unwrap();
    assert_eq!((cluster.controller_id(), cluster.brokers()[&7].address.port), (7, good.port));
    let error = Cluster::connect(vec![bad.clone(), bad], settings(), Duration::from_secs(5));
    assert!(matches!(&error, Err(ClientError::NoBroker(errors)) if errors.len() == 2), "{error:?}");
}

#[test]
fn lost_connections_are_opened_again_until_time_is_up() {
    let address = flaky(3);
    let timeout = Duration::from_secs(20);
    let mut cluster = Cluster::connect(vec![address.clone()], settings(), timeout).unwrap();
    for _ in 0..5 {
        cluster.retry(|cluster| cluster.metadata(Some(&[]))).unwrap();
    }
    let error = Cluster::connect(vec![flaky(2)], settings(), Duration::from_millis(100))
        .unwrap()
        .retry(|_| -> Result<(), _> { Err(ClientError::UnknownBroker(3)) })
        .unwrap_err();
    assert!(matches!(&error, ClientError::GaveUp { .. }), "{error}");
    let mut tries = 0;
    let fatal = cluster.retry(|_| -> Result<(), _> {
        tries += 1;
        Err(ClientError::refused("x", ErrorCode::InvalidConfig, Some("no such key")))
    });
    assert_eq!(tries, 1);
    let text = fatal.unwrap_err().to_string();
    assert_eq!(text, "x: the broker refused with INVALID_CONFIG (40): no such key");
}

#[test]
fn a_trickle_of_bytes_does_not_put_off_the_end_of_a_wait() {
    let (address, ..) = server(|_, mut socket| {
        take(&mut socket);
        let _ = socket.write_all(&[0, 0, 0, 250]);
        // Each byte comes in time, all of them take twenty times as long as an answer may.
        while socket.write_all(&[0]).is_ok() {
            thread::sleep(Duration::from_millis(25));
        }
    });
    let trickle = Connection::open(&address, &settings());
    assert!(matches!(trickle, Err(ClientError::Silent { .. })), "{trickle:?}");
}

#[test]
fn a_connection_is_not_replaced_while_answers_are_due_on_it() {
    // Each serves one connection at a time.
    let (any, old, new) = (flaky(1000), flaky(1000), flaky(1000));
    let mut cluster = Cluster::connect(vec![any], settings(), Duration::from_secs(5)).unwrap();
    cluster.move_broker(7, old);
    let request: Request = crate::messages::MetadataRequest::default().into();
    cluster.broker(7).unwrap().send(&request).unwrap();
    let busy = cluster.broker(7).unwrap().call(&request);
    assert!(matches!(busy, Err(ClientError::Busy { due: 1, .. })), "{busy:?}");
    cluster.move_broker(7, new.clone());
    let lost = cluster.broker(7).map(|connection| connection.in_flight());
    assert!(matches!(lost, Err(ClientError::AnswersLost { due: 1, .. })), "{lost:?}");
    cluster.disconnect(7);
    let connection = cluster.broker(7).unwrap();
    assert_eq!((connection.address(), connection.in_flight()), (&new, 0));
    let unasked = connection.receive();
    assert!(matches!(unasked, Err(ClientError::NotAsked { .. })), "{unasked:?}");
}
