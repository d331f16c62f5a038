//! `corelane topic`.

use super::run::{broker, fed, run};

#[test]
fn a_topic_lives_from_create_to_delete() {
    let broker = broker();
    let b = broker.bootstrap();
    let created = run(&b, "topic create cmd-life --partitions 3 --config retention.ms=86400000");
    assert_eq!(created.succeeds().text(), "topic 'cmd-life' created: 3 partitions\n");
    run(&b, "topic create cmd-life").says(1, &["'cmd-life' exists already", "--if-not-exists"]);
    let again = run(&b, "topic create cmd-life --if-not-exists --json").succeeds().json();
    assert_eq!((&again["created"], &again["partitions"]), (&false.into(), &3.into()));
    assert!(run(&b, "topic list").succeeds().text().contains("cmd-life\t3\t1\n"));

    let json = run(&b, "topic describe cmd-life --json").succeeds().json();
    let topic = &json["topics"][0];
    assert_eq!(topic["configs"]["retention.ms"], "86400000", "{topic}");
    assert_eq!(topic["partitions"].as_array().map(Vec::len), Some(3), "{topic}");
    assert_eq!((&topic["records"], &topic["bytes"]), (&0.into(), &0.into()), "{topic}");
    fed(&b, &["produce", "cmd-life", "--partition", "1"], b"one\ntwo\n").succeeds();
    let rows = run(&b, "topic describe cmd-life").succeeds();
    let row: Vec<&str> = rows.text().lines().nth(1).expect("partition 1").split('\t').collect();
    assert_eq!((row[1], &row[5..8]), ("1", &["0", "2", "2"][..]), "{rows:?}");

    let altered = "topic alter cmd-life --partitions 5 --config segment.bytes=1048576 \
                   --delete-config retention.ms";
    let words = run(&b, altered).succeeds();
    assert!(words.text().contains("5 partitions, 3 before"), "{words:?}");
    let json = run(&b, "topic describe cmd-life --json").succeeds().json();
    let configs = json["topics"][0]["configs"].as_object().expect("an object");
    assert_eq!(configs.keys().collect::<Vec<_>>(), ["segment.bytes"]);

    run(&b, "topic delete cmd-life").says(2, &["give --yes"]);
    let deleted = run(&b, "topic delete --yes cmd-life").succeeds();
    assert_eq!(deleted.text(), "topic 'cmd-life' deleted\n");
    run(&b, "topic delete --yes cmd-life").says(1, &["'cmd-life' does not exist"]);
}

#[test]
fn mistakes_are_told_with_what_to_do() {
    let broker = broker();
    let b = broker.bootstrap();
    run(&b, "topic create cmd-orders").succeeds();
    let near = ["'cmd-order' does not exist", "did you mean 'cmd-orders'?", "corelane topic list"];
    for line in [
        "topic describe cmd-order",
        "topic alter cmd-order --partitions 9",
        "topic delete --yes cmd-order",
        "produce cmd-order",
        "consume cmd-order",
    ] {
        run(&b, line).says(1, &near);
    }
    run(&b, "topic create no/slash").says(1, &["creating topic 'no/slash'", "INVALID_TOPIC"]);
    run(&b, "topic create cmd-x --config retention.mss=1").says(1, &["retention.mss"]);
    run(&b, "topic create cmd-x --replication-factor 3").says(1, &["INVALID_REPLICATION_FACTOR"]);
    run(&b, "topic alter cmd-orders --partitions 1").says(1, &["has 2", "can't be lowered to 1"]);
    run(&b, "topic alter cmd-orders --config nonsense=1").says(1, &["nonsense"]);
    for (line, word) in [
        ("topic alter cmd-orders", "--partitions"),
        ("topic create cmd-x --partitions 0", "0 is not in 1.."),
        ("topic create cmd-x --config retention.ms", "expected NAME=VALUE"),
        ("topic list --timeout 5", "such as 500ms"),
        ("topic list --timeout 1ms", "100ms to 24h"),
        ("topic list --bootstrap http://localhost:9092", "it is a URL"),
        ("topic list --bootstrap :9092", "the host is missing"),
        ("topic frobnicate", "unrecognized subcommand"),
    ] {
        run(&b, line).says(2, &[word]);
    }
}

#[test]
fn a_part_that_is_done_is_told_apart() {
    let broker = broker();
    let b = broker.bootstrap();
    run(&b, "topic create cmd-half").succeeds();
    let described = run(&b, "topic describe cmd-half cmd-nowhere").says(3, &["'cmd-nowhere'"]);
    assert!(described.text().starts_with("cmd-half\t0"), "{described:?}");
    let altered = "topic alter cmd-half --config retention.ms=5000 --partitions 100001";
    run(&b, altered).says(3, &["more partitions", "the configs were changed before"]);
    let deleted = run(&b, "topic delete --yes --json cmd-half cmd-nowhere");
    let json = deleted.says(3, &["1 of 2 topics deleted"]).json();
    assert_eq!(json["deleted"], serde_json::json!(["cmd-half"]));
    assert_eq!(json["failed"][0]["name"], "cmd-nowhere");
}
