//! What answers is no broker, or none that can be used.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use super::run::run;

const COMMANDS: [&str; 8] = [
    "topic list",
    "topic create t",
    "topic describe t",
    "topic alter t --partitions 2",
    "topic delete --yes t",
    "produce t",
    "consume t",
    "cluster info",
];

/// A server that reads a little and sends `answer`; without one it says nothing and holds on.
fn server(answer: Option<&'static [u8]>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        let mut held = Vec::new();
        for mut socket in listener.incoming().flatten() {
            let _ = socket.read(&mut [0; 512]);
            match answer {
                Some(answer) => drop(socket.write_all(answer)),
                None => held.push(socket),
            }
        }
    });
    address
}

#[test]
fn every_command_says_what_it_has_reached_instead() {
    let http = server(Some(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"));
    let tls = server(Some(&[0x15, 3, 3, 0, 2, 2, 10]));
    let closing = server(Some(b""));
    let silent = server(None);
    for command in COMMANDS {
        let foreign = format!("{http} does not speak the Kafka protocol");
        run(&http, command).says(1, &[&foreign, "HTTP server", "400 Bad Request"]);
        run(&tls, command).says(1, &["as a TLS server does", "plaintext listener"]);
        run(&closing, command).says(1, &["closed the connection without an answer"]);
        run(&silent, &format!("{command} --timeout 300ms"))
            .says(1, &["did not answer ApiVersions within 300ms", "--timeout waits longer"]);
        run("127.0.0.1:1", command).says(1, &["can't connect to 127.0.0.1:1", "--bootstrap"]);
        run("127.0.0.1:1,[::1]:1", command).says(1, &["none of the brokers", "[::1]:1"]);
        run("no-such-host.invalid:1", command).says(1, &["no-such-host.invalid can't be resolved"]);
    }
}
