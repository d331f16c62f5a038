//! `corelane group`, with members of librdkafka.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};

use super::harness::broker::Broker;
use super::harness::options::Options;
use super::harness::rdkafka_client::{self, PATIENCE};
use super::run::{Ran, fed, run};

fn broker() -> Broker {
    let group_delay_ms = Some(100);
    Broker::any(Options { default_partitions: 2, group_delay_ms, ..Options::default() })
}

/// A topic with two partitions of ten records.
fn fill(bootstrap: &str, topic: &str) {
    run(bootstrap, &format!("topic create {topic} --partitions 2")).succeeds();
    for partition in ["0", "1"] {
        let arguments = ["produce", topic, "--partition", partition];
        fed(bootstrap, &arguments, b"0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n").succeeds();
    }
}

/// A member that has read `records` and committed that.
fn member(broker: &Broker, group: &str, topic: &str, records: usize) -> BaseConsumer {
    let settings = [
        ("group.id", group),
        ("auto.offset.reset", "earliest"),
        ("client.id", "reader"),
        ("enable.auto.offset.store", "true"),
    ];
    let member = rdkafka_client::consumer(broker, &settings);
    member.subscribe(&[topic]).expect("subscribe");
    (0..records).for_each(|_| drop(rdkafka_client::next_message(&member)));
    member.commit_consumer_state(CommitMode::Sync).expect("a commit");
    member
}

fn rows(ran: &Ran) -> Vec<Vec<&str>> {
    ran.text().lines().map(|line| line.split('\t').collect()).collect()
}

/// Group, topic, partition, committed offset, start, end, lag.
fn offsets(bootstrap: &str, group: &str) -> Vec<Vec<String>> {
    let ran = run(bootstrap, &format!("group describe {group}")).succeeds();
    let first = |row: Vec<&str>| row[1..7].iter().map(ToString::to_string).collect();
    rows(&ran).into_iter().map(first).collect()
}

fn wait_until_empty(bootstrap: &str, group: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ran = run(bootstrap, &format!("group describe {group} --state")).succeeds();
        if rows(&ran)[0][1] == "Empty" {
            return;
        }
        assert!(Instant::now() < deadline, "its members have left: {ran:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_group_is_described_reset_and_deleted() {
    let broker = broker();
    let b = broker.bootstrap();
    fill(&b, "cmd-work");
    let reader = member(&broker, "cmd-readers", "cmd-work", 20);
    fed(&b, &["produce", "cmd-work", "--partition", "1"], b"x\ny\nz\n").succeeds();

    let listed = run(&b, "group list").succeeds();
    assert!(listed.text().contains("cmd-readers\tStable\tclassic\tconsumer\n"), "{listed:?}");
    assert!(!run(&b, "group list --state empty").succeeds().text().contains("cmd-readers"));
    let described = run(&b, "group describe cmd-readers").succeeds();
    let told = rows(&described);
    assert_eq!(told[0][..7], ["cmd-readers", "cmd-work", "0", "10", "0", "10", "0"]);
    assert_eq!(told[1][..7], ["cmd-readers", "cmd-work", "1", "10", "0", "13", "3"]);
    assert_eq!(told[0][8..], ["127.0.0.1", "reader"]);
    let json = run(&b, "group describe cmd-readers --json").succeeds().json();
    let group = &json["groups"][0];
    assert_eq!((&group["lag"], &group["assignor"]), (&3.into(), &"range".into()), "{group}");
    let member = &group["members"][0];
    assert_eq!(member["partitions"][1], serde_json::json!({"topic": "cmd-work", "partition": 1}));
    assert_eq!(group["offsets"][0]["member"], member["member"]);
    let members = run(&b, "group describe cmd-readers --members").succeeds();
    assert_eq!(rows(&members)[0][5..], ["2", "cmd-work:0,1"]);

    // Whoever is in would commit on top.
    let who = ["'cmd-readers' has 1 member (reader at 127.0.0.1)", "while nobody is in"];
    let reset = "group reset-offsets cmd-readers --all-topics --to-earliest";
    run(&b, &format!("{reset} --execute")).says(1, &who);
    run(&b, reset).says(0, &who);
    run(&b, "group delete --yes cmd-readers").says(1, &who[..1]);
    run(&b, "group delete-offsets --yes cmd-readers --topic cmd-work:0")
        .says(1, &["partition 0 of topic 'cmd-work'", "a member of the group reads topic"]);
    drop(reader);
    wait_until_empty(&b, "cmd-readers");

    let shift = "group reset-offsets cmd-readers --topic cmd-work:1 --shift-by -4";
    let shown = run(&b, shift).says(0, &["nothing was changed", "--execute"]);
    assert_eq!(rows(&shown)[0], ["cmd-readers", "cmd-work", "1", "10", "6", "0", "13", "7"]);
    assert_eq!(offsets(&b, "cmd-readers")[1], ["cmd-work", "1", "10", "0", "13", "3"]);
    run(&b, &format!("{shift} --execute")).succeeds();
    let after = offsets(&b, "cmd-readers");
    assert_eq!(after[0], ["cmd-work", "0", "10", "0", "10", "0"], "it was not named");
    assert_eq!(after[1], ["cmd-work", "1", "6", "0", "13", "7"]);
    run(&b, "group delete-offsets --yes cmd-readers --topic cmd-work:0").succeeds();
    assert_eq!(offsets(&b, "cmd-readers").len(), 1);
    let deleted = run(&b, "group delete --yes cmd-readers cmd-other")
        .says(3, &["'cmd-other' does not exist", "1 of 2 groups deleted"]);
    assert_eq!(deleted.text(), "group 'cmd-readers' deleted\n");
    run(&b, "group describe cmd-readers").says(1, &["'cmd-readers' does not exist"]);
}

#[test]
fn offsets_go_where_they_are_told() {
    let broker = broker();
    let b = broker.bootstrap();
    fill(&b, "cmd-goals");
    let set = |target: &str| {
        let line = format!("group reset-offsets cmd-goal --topic cmd-goals {target} --execute");
        let ran = run(&b, &line).succeeds();
        let told: Vec<i64> = rows(&ran).iter().map(|row| row[4].parse().unwrap()).collect();
        let kept = offsets(&b, "cmd-goal");
        let kept: Vec<i64> = kept.iter().map(|row| row[2].parse().unwrap()).collect();
        assert_eq!(told, kept, "{ran:?}");
        (kept, ran.stderr)
    };
    // The group is made by it.
    assert_eq!(set("--to-latest").0, [10, 10]);
    assert_eq!(set("--to-earliest").0, [0, 0]);
    assert_eq!(set("--to-offset 7").0, [7, 7]);
    assert_eq!(set("--shift-by 2").0, [9, 9]);
    let (clamped, words) = set("--to-offset 99");
    assert_eq!(clamped, [10, 10]);
    assert!(words.contains("offset 99 is not there; the log ends at 10"), "{words}");
    assert_eq!(set("--to-datetime 1970-01-02").0, [0, 0]);
    assert_eq!(set("--to-datetime 2200-01-01T00:00:00.000").0, [10, 10]);
    assert_eq!(set("--by-duration P1D").0, [0, 0]);
    assert_eq!(set("--to-current").0, [0, 0]);

    let export = "group reset-offsets cmd-goal --all-topics --to-offset 3 --export";
    let exported = run(&b, export).succeeds();
    assert_eq!(exported.text(), "cmd-goals,0,3\ncmd-goals,1,3\n");
    let import = ["group", "reset-offsets", "cmd-goal", "--from-file", "-", "--execute", "--json"];
    let lines = [&exported.stdout[..], b"other,cmd-goals,0,9\n"].concat();
    let json = fed(&b, &import, &lines).succeeds().json();
    assert_eq!((&json["executed"], &json["offsets"][1]["new_offset"]), (&true.into(), &3.into()));
    assert_eq!(offsets(&b, "cmd-goal")[0][2], "3");
    run(&b, "group delete --yes cmd-goal").succeeds();
}

#[test]
fn mistakes_are_told_with_what_to_do() {
    let broker = broker();
    let b = broker.bootstrap();
    fill(&b, "cmd-right");
    let make = "group reset-offsets cmd-righteous --topic cmd-right:0 --to-offset 5 --execute";
    run(&b, make).succeeds();
    for line in ["group describe cmd-righteou", "group delete --yes cmd-righteou"] {
        run(&b, line).says(1, &["did you mean 'cmd-righteous'?", "corelane group list"]);
    }
    let described = run(&b, "group describe cmd-nobody cmd-righteous").says(3, &["'cmd-nobody'"]);
    assert!(described.text().starts_with("cmd-righteous\tcmd-right\t0\t5\t"), "{described:?}");
    let reset = "group reset-offsets cmd-righteous";
    for (rest, word) in [
        ("--topic cmd-wrong --to-latest", "'cmd-wrong' does not exist"),
        ("--topic cmd-right:7 --to-latest", "has no partition 7; its partitions are 0 to 1"),
        ("--topic cmd-right:1 --shift-by 1", "nothing is committed that could be shifted"),
        ("--from-file /nowhere.csv", "reading offsets of /nowhere.csv"),
    ] {
        run(&b, &format!("{reset} {rest} --execute")).says(1, &[word]);
    }
    run(&b, "group reset-offsets cmd-new --all-topics --to-latest")
        .says(1, &["'cmd-new' has committed no offsets", "--topic"]);
    // A part of it can be done.
    run(&b, &format!("{reset} --topic cmd-right --shift-by 1 --execute"))
        .says(3, &["partition 1 of topic 'cmd-right'", "1 of 2 offsets set"]);
    assert_eq!(offsets(&b, "cmd-righteous"), [["cmd-right", "0", "6", "0", "10", "4"]]);
    run(&b, "group delete-offsets --yes cmd-righteous --topic cmd-other")
        .says(1, &["has committed no offset of topic 'cmd-other'"]);
    run(&b, "group delete-offsets --yes cmd-nobody --topic t").says(1, &["does not exist"]);
    for (line, word) in [
        ("group delete cmd-righteous", "give --yes"),
        ("group delete-offsets cmd-righteous --topic cmd-right", "give --yes"),
        ("group describe", "<GROUP"),
        ("group describe x --all-groups", "cannot be used with"),
        ("group reset-offsets x --all-topics", "--to-earliest"),
        ("group reset-offsets x --to-latest", "--topic"),
        ("group reset-offsets x --topic t:x --to-latest", "TOPIC:0,1"),
    ] {
        run(&b, line).says(2, &[word]);
    }
    run(&b, "group delete --yes cmd-righteous").succeeds();
}

#[test]
fn offsets_of_a_deleted_topic_are_not_made_up() {
    let broker = broker();
    let b = broker.bootstrap();
    fill(&b, "cmd-gone");
    fill(&b, "cmd-stays");
    let topics = "--topic cmd-gone --topic cmd-stays --to-offset 4 --execute";
    run(&b, &format!("group reset-offsets cmd-both {topics}")).succeeds();
    run(&b, "topic delete --yes cmd-gone").succeeds();
    // Kafka keeps such offsets for a while, and tells of them; where that topic ends it can't say.
    let ran = run(&b, "group describe cmd-both").succeeds();
    for row in rows(&ran) {
        let expected = match row[1] {
            "cmd-gone" => ["4", "-", "-", "-"],
            _ => ["4", "0", "10", "6"],
        };
        assert_eq!(row[3..7], expected, "{ran:?}");
    }
    assert_eq!(rows(&ran).iter().filter(|row| row[1] == "cmd-stays").count(), 2);
    run(&b, "group delete --yes cmd-both").succeeds();
}
