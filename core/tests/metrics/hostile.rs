//! Clients that mean harm, or know no better.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::harness::broker::Broker;
use crate::harness::http::{address, exchange, get};
use crate::harness::process::resident_bytes;
use crate::harness::topics;
use crate::harness::typed;
use crate::watched;

fn status(place: SocketAddr, request: &[u8]) -> u16 {
    exchange(place, request).map_or(0, |answer| answer.status)
}

#[test]
fn what_is_no_request_gets_no_answer_that_harms() {
    if Broker::must_skip("metrics") {
        return;
    }
    let mut broker = Broker::start(watched());
    let place = address(&broker);
    assert_eq!(get(place, "/nothing").status, 404);
    assert_eq!(get(place, "/metrics/").status, 404);
    assert_eq!(get(place, "/metrics?a=b").status, 200);
    assert_eq!(get(place, "/").status, 200);
    assert_eq!(
        status(place, b"POST /metrics HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\n\r\nabc"),
        405
    );
    assert_eq!(status(place, b"DELETE / HTTP/1.1\r\nHost: b\r\n\r\n"), 405);
    let head = exchange(place, b"HEAD /metrics HTTP/1.1\r\nHost: b\r\n\r\n").expect("an answer");
    assert_eq!((head.status, &*head.body), (200, ""));
    for (name, request) in [
        ("noise", vec![0xff; 5_000]),
        ("Kafka", [&[0, 0, 0, 17][..], &[0, 18, 0, 0, 0, 0, 0, 1, 0, 7], b"client!"].concat()),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("a long path", [b"GET /", &[b'a'; 1 << 20][..], b" HTTP/1.1\r\n\r\n"].concat()),
        ("headers", [b"GET / HTTP/1.1\r\n".to_vec(), b"A: b\r\n".repeat(50_000)].concat()),
        ("a long header", [b"GET / HTTP/1.1\r\nA: ", &[b'a'; 4 << 20][..]].concat()),
        ("lengths", b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_vec()),
        ("a length", b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n".to_vec()),
    ] {
        let status = status(place, &request);
        assert!(status == 0 || (400..500).contains(&status), "{name}: {status}");
        assert_eq!(get(place, "/healthz").status, 200, "after {name}");
    }
    broker.assert_serves();
}

#[test]
fn a_body_without_end_is_not_read() {
    if Broker::must_skip("metrics") {
        return;
    }
    let broker = Broker::start(watched());
    let place = address(&broker);
    let mut stream = TcpStream::connect(place).expect("connected");
    stream.set_write_timeout(Some(Duration::from_secs(30))).expect("set");
    let head = b"POST / HTTP/1.1\r\nHost: b\r\nContent-Length: 1099511627776\r\n\r\n";
    stream.write_all(head).expect("sent");
    let (chunk, mut sent_bytes) = (vec![0; 1 << 20], 0);
    while sent_bytes < 1 << 30 && stream.write_all(&chunk).is_ok() {
        sent_bytes += chunk.len();
    }
    assert!(sent_bytes < 1 << 30, "it was cut off");
    assert_eq!(get(place, "/healthz").status, 200);
}

/// More than may be connected, who say nothing, or begin and stop: the others are served all the same.
#[test]
fn silent_clients_give_way() {
    if Broker::must_skip("metrics") {
        return;
    }
    let mut broker = Broker::start(watched());
    let place = address(&broker);
    let mut silent: Vec<TcpStream> =
        (0..80).map(|_| TcpStream::connect(place).expect("connected")).collect();
    for stream in silent.iter_mut().step_by(2) {
        stream.write_all(b"GET /metr").expect("sent");
    }
    broker.assert_serves();
    let began = Instant::now();
    assert_eq!(get(place, "/healthz").status, 200);
    println!("80 silent clients held the port for {:?}", began.elapsed());
    let mut rest = Vec::new();
    let ended = silent[0].read_to_end(&mut rest);
    assert!(ended.is_err() || rest.is_empty() || rest.starts_with(b"HTTP/1.1 4"), "{rest:?}");
}

/// Pages that nobody reads give way to one that is read.
#[test]
fn slow_readers_give_way() {
    if Broker::must_skip("metrics") {
        return;
    }
    let broker = Broker::start(watched());
    let (request, version) = topics::creation("many", 10_000, &[]);
    typed::call(&mut broker.connect(), version, request);
    let place = address(&broker);
    let mut readers = Vec::new();
    // Each has its own page: it has begun to come before the next one asks.
    for _ in 0..4 {
        let mut stream = TcpStream::connect(place).expect("connected");
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: b\r\n\r\n").expect("sent");
        stream.read_exact(&mut [0; 12]).expect("it begins");
        readers.push(stream);
    }
    let asked = Instant::now();
    let mut refused = 0;
    while get(place, "/metrics").status != 200 {
        refused += 1;
        assert!(
            asked.elapsed() < Duration::from_secs(50),
            "refused until the readers' time is over"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("refused {refused} times in {:?}", asked.elapsed());
    assert_eq!(get(place, "/healthz").status, 200);
}

/// Who asks for pages and does not read them holds a few, not one each.
#[test]
fn slow_readers_cost_little_memory() {
    if Broker::must_skip("metrics") {
        return;
    }
    let broker = Broker::start(watched());
    let (request, version) = topics::creation("many", 10_000, &[]);
    typed::call(&mut broker.connect(), version, request);
    let place = address(&broker);
    let page_bytes = get(place, "/metrics").body.len() as u64;
    let before = resident_bytes(broker.pid().expect("it runs"));
    let mut readers = Vec::new();
    for _ in 0..40 {
        let mut stream = TcpStream::connect(place).expect("connected");
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: b\r\n\r\n").expect("sent");
        readers.push(stream);
    }
    // One that comes behind them all is told: wait, or here it is.
    let answer = get(place, "/metrics");
    assert!(matches!(answer.status, 200 | 503), "{}", answer.head);
    let grown = resident_bytes(broker.pid().expect("it runs")).saturating_sub(before);
    // Four pages on their way, one being made and the numbers that it is made of.
    assert!(grown < 10 * page_bytes, "{grown} bytes for pages of {page_bytes}");
    assert_eq!(get(place, "/healthz").status, 200);
}
