//! `/healthz` and `/readyz` from start to stop, and ports that are taken.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::batch::Batch;
use crate::harness::broker::Broker;
use crate::harness::http::{address, get, try_get};
use crate::harness::options::Options;
use crate::harness::requests::{FetchLimits, create_ready_topic, fetch, produce};
use crate::watched;

/// Asks for `/readyz` again and again, once more after it is told to end; what was said, runs of the
/// same as one.
fn watch(place: SocketAddr, end: Arc<AtomicBool>) -> thread::JoinHandle<Vec<(u16, String)>> {
    thread::spawn(move || {
        let mut seen: Vec<(u16, String)> = Vec::new();
        loop {
            let last = end.load(Ordering::SeqCst);
            let said = try_get(place, "/readyz").map_or((0, String::new()), |a| (a.status, a.body));
            if seen.last() != Some(&said) {
                seen.push(said);
            }
            if last {
                return seen;
            }
            thread::sleep(Duration::from_millis(2));
        }
    })
}

#[test]
fn ready_from_the_start_line_to_the_stop() {
    if Broker::must_skip("metrics") {
        return;
    }
    let mut broker = Broker::start(watched());
    let place = address(&broker);
    assert_eq!((get(place, "/readyz").status, &*get(place, "/readyz").body), (200, "ready\n"));
    assert_eq!((get(place, "/healthz").status, &*get(place, "/healthz").body), (200, "ok\n"));

    // Answers that nobody reads keep a stop waiting, for 10 s.
    let connection = &mut broker.connect();
    create_ready_topic(connection, "t", 1);
    let batch = Batch::of(&[&[b'x'; 900_000]]).encode();
    for _ in 0..8 {
        connection.call(&produce(-1, "t", &[(0, &batch)])).expect("produced");
    }
    let limits = FetchLimits { max_wait_ms: 0, min_bytes: 1, max_bytes: 16 << 20 };
    let mut slow = broker.connect();
    for _ in 0..4 {
        slow.send(&fetch("t", &[(0, 0)], limits)).expect("sent");
    }
    let end = Arc::new(AtomicBool::new(false));
    let watcher = watch(place, end.clone());
    thread::sleep(Duration::from_millis(100));
    broker.terminate();
    end.store(true, Ordering::SeqCst);
    let seen = watcher.join().expect("no panic");
    let statuses: Vec<u16> = seen.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [200, 503, 0], "ready, stopping, gone: {seen:?}");
    assert!(seen[1].1.contains("stopping"), "{seen:?}");
}

#[test]
fn not_ready_before_it_serves() {
    if Broker::must_skip("metrics") {
        return;
    }
    let mut broker = Broker::start(watched());
    create_ready_topic(&mut broker.connect(), "t", 2_000);
    let place = address(&broker);
    broker.kill();
    // The same port again, so that somebody can wait there.
    let listen: &'static str = Box::leak(place.to_string().into_boxed_str());
    broker.options.http_listen = Some(listen);
    let end = Arc::new(AtomicBool::new(false));
    let watcher = watch(place, end.clone());
    broker.start_again();
    assert_eq!(get(place, "/readyz").status, 200, "it serves");
    end.store(true, Ordering::SeqCst);
    let seen = watcher.join().expect("no panic");
    let statuses: Vec<u16> = seen.iter().map(|(status, _)| *status).filter(|s| *s != 0).collect();
    assert!(matches!(&statuses[..], [503, 200] | [200]), "never ready too early: {seen:?}");
    for (_, said) in seen.iter().filter(|(status, _)| *status == 503) {
        assert!(said.contains("recovering"), "{said}");
    }
}

#[test]
fn a_taken_port_is_an_error_to_who_asked_for_it() {
    if Broker::must_skip("metrics") {
        return;
    }
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = taken.local_addr().expect("an address").to_string();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_corelane"))
        .args(["serve", "--listen", "127.0.0.1:0", "--http-listen", &place, "--data-dir"])
        .arg(concat!(env!("CARGO_TARGET_TMPDIR"), "/metrics-port-taken"))
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&place) && said.contains("--http-listen"), "{said}");
}

#[test]
fn a_taken_default_port_is_given_up() {
    if Broker::must_skip("metrics") {
        return;
    }
    // Whoever has it, this test or somebody else on this machine: it is taken.
    let _taken = TcpListener::bind("127.0.0.1:9644");
    let broker = Broker::start(Options { http_listen: None, ..Options::default() });
    let place = address(&broker);
    assert_ne!(place.port(), 9644);
    assert_eq!(get(place, "/readyz").status, 200);
    let said = broker.output();
    assert!(said.contains("127.0.0.1:9644 is taken"), "{said}");
}

#[test]
fn none_is_none() {
    if Broker::must_skip("metrics") {
        return;
    }
    let broker = Broker::start(Options { http_listen: Some("none"), ..Options::default() });
    assert!(!broker.output().contains("metrics at"), "{}", broker.output());
}
