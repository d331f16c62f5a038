//! What answers is no broker, or none that can be used.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use corelane_storage::batch::BatchBuilder;

use super::false_broker;
use super::run::run;

const COMMANDS: [&str; 13] = [
    "topic list",
    "topic create t",
    "topic describe t",
    "topic alter t --partitions 2",
    "topic delete --yes t",
    "produce t",
    "consume t",
    "cluster info",
    "group list",
    "group describe g",
    "group delete --yes g",
    "group reset-offsets g --topic t --to-latest",
    "group delete-offsets --yes g --topic t",
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

#[test]
fn a_damaged_batch_is_told_with_its_place_and_passed_over_on_demand() {
    let batch = |base: i64| {
        let builder = BatchBuilder::new().stamped(base, 0);
        builder.value(0, format!("{base}")).value(0, format!("{}", base + 1)).build()
    };
    let mut log = [batch(0), batch(2), batch(4)].concat();
    let broken = batch(0).len() + 70;
    log[broken] ^= 0xff;
    let broker = false_broker::start(log, 6);
    let ended = run(&broker, "consume t");
    let place = "partition 0 of topic 't', offset 2: corrupt batch: CRC-32C differs";
    let ended = ended.says(1, &[place, "--skip-corrupt passes over it"]);
    assert_eq!(ended.text(), "0\n1\n");
    let passed = run(&broker, "consume t --skip-corrupt").says(0, &[place, "up to offset 4"]);
    assert_eq!(passed.text(), "0\n1\n4\n5\n");
}

#[test]
fn a_broker_that_has_less_than_it_says_does_not_keep_one_waiting() {
    let log = BatchBuilder::new().stamped(0, 0).value(0, "x").build();
    let broker = false_broker::start(log[..40].to_vec(), 6);
    run(&broker, "consume t").says(1, &["answers with none from 0 on"]);
    let empty = false_broker::start(Vec::new(), 6);
    run(&empty, "consume t").says(1, &["records up to offset 6", "answers with none from 0 on"]);
    // The topic is all that this one offers.
    run(&empty, "produce t").says(1, &["InitProducerId", "--acks 1 goes without"]);
    run(&empty, "topic create u").says(1, &["CreateTopics", "does not offer it"]);
    run(&empty, "topic describe t").says(0, &[]);
}
