//! The TOML file.

use super::*;

#[test]
fn dots_tables_and_quotes_say_the_same() {
    for (name, toml) in [
        ("dots", "log.retention.ms = 5000"),
        ("table", "[log.retention]\nms = 5_000"),
        ("tables", "[log]\nretention = { ms = '5s' }"),
        ("quotes", "\"log.retention.ms\" = 5000"),
        ("half", "[log]\n\"retention.ms\" = 0x1388"),
        ("version", "config.version = 1\nlog.retention.ms = 5000"),
        ("windows", "\u{feff}config.version = 1\r\nlog.retention.ms = 5000\r\n"),
    ] {
        let gathered = of_file(name, toml);
        assert_eq!(problems(&gathered), Vec::<String>::new(), "{toml}");
        assert_eq!(text(&gathered, "log.retention.ms"), "5000", "{toml}");
    }
    let lists = "listeners = ['127.0.0.1:1', 'A://127.0.0.1:2']\nlog.dir = ['d']\n\
                 \"max.connections\" = 5\nmax.connections.per.ip = 3\n";
    let gathered =
        of_file("lists", lists.replace("max.connections.per.ip", "\"max.connections.per.ip\""));
    assert_eq!(problems(&gathered), Vec::<String>::new());
    assert_eq!(text(&gathered, "listeners"), "127.0.0.1:1,A://127.0.0.1:2");
    assert_eq!(text(&gathered, "log.dirs"), "d", "by its other name");
    let [conflict] = &*problems(&of_file("conflict", lists.replace('"', ""))) else { panic!() };
    assert!(conflict.contains("In quotes, every key stands by itself"), "{conflict}");
}

#[test]
fn everything_wrong_in_a_file_is_told_with_its_place() {
    let toml = "log.retntion.ms = 5\n\
                corelane.shards = 0\n\
                \n\
                ssl.keystore.location = 'x'\n\
                num.partitions = [1]\n\
                node.id = 2\n\
                process.roles = ['controller', 'broker']\n\
                retention.ms = 5\n\
                log.segment = 'x'\n\
                listeners.PLAINTEXT = 'x'\n\
                message.max.bytes = 1.5\n\
                auto.create.topics.enable = 'yes'\n\
                log.roll.ms = 1979-05-27\n\
                \"log.message.timestamp.type\" = 'Now'\n\
                wholly.another.thing = 1\n\
                advertised.listeners = 'every one'\n\
                \"message.max.bytes\" = 7\n";
    let found = problems(&of_file("all-wrong", toml)).join("\n");
    for expected in [
        "1:14: `log.retntion.ms`: no such key; did you mean `log.retention.ms`?",
        "2:10: `corelane.shards` is \"0\": expected a whole number from 1 to 1024",
        "4:14: `ssl.keystore.location`: Kafka has this key, Corelane does not: there is no TLS yet",
        "5:5: `num.partitions`: expected one value, not an array",
        "6:6: `node.id` is always 1 here: one process is the whole cluster",
        "8:11: `retention.ms`: this is a config of topics; its default for all of them is `log.retention.ms`",
        "9:5: `log.segment`: not a key, only the beginning of: log.segment.bytes",
        "10:11: `listeners.PLAINTEXT`: no such key: `listeners` has a value, and nothing below it",
        "11:13: `message.max.bytes` is \"1.5\": expected a whole number of bytes",
        "12:20: `auto.create.topics.enable` is \"yes\": expected true or false",
        "13:10: `log.roll.ms`: no key has a date for a value",
        "14:1: `log.message.timestamp.type` is \"Now\": String must be one of: CreateTime, LogAppendTime",
        "15:16: `wholly.another.thing`: no such key; `corelane config print` lists them all",
        "16:12: `advertised.listeners` has \"every one\": expected a host name or address",
    ] {
        assert!(found.contains(expected), "{expected}\nis not in\n{found}");
    }
    assert_eq!(found.lines().count(), 14, "and no more:\n{found}");
}

#[test]
fn files_that_are_none_are_refused_each_in_its_words() {
    let one = |gathered: &Gathered| {
        let found = Configuration::new(gathered).unwrap_err();
        assert_eq!(found.iter().count(), 1, "{found}");
        found.to_string()
    };
    let missing = gather(Vec::new(), Some("/nowhere/a.toml".into()), &Environment::default());
    assert!(one(&missing).contains("/nowhere/a.toml: can't be read: No such file"));
    let directory = gather(Vec::new(), Some("/proc".into()), &Environment::default());
    assert!(one(&directory).contains("/proc: is a directory"));
    let unnamed = gather(Vec::new(), None, &environment(&[("CORELANE_CONFIG", "")]));
    assert!(one(&unnamed).starts_with("CORELANE_CONFIG: the value is empty: name a file"));
    assert!(one(&of_file("latin", b"a = 1\nb = '\xe9'\n")).contains("is not UTF-8 (line 2)"));
    assert!(one(&of_file("large", vec![b'#'; 2 << 20])).contains("larger than 1 MiB"));
    assert!(
        one(&of_file("v2", "config.version = 2\nno.such = 1"))
            .contains(":1:8: this file is of version 2; this corelane reads version 1")
    );
    assert!(one(&of_file("syntax", "listeners = \n")).contains("this is not TOML"));
    let twice = one(&of_file("twice", "[log]\nretention.ms = 1\n[log.retention]\nms = 2"));
    assert!(twice.contains(":3:"), "{twice}");
    let aliases = one(&of_file("aliases", "log.dirs = 'a'\nlog.dir = 'b'"));
    assert!(aliases.contains(":2:5: `log.dirs` was given before, by "), "{aliases}");
}

#[test]
fn a_hostile_file_is_an_error_and_no_more() {
    let deep_key = format!("{}a = 1", "a.".repeat(100_000));
    let deep_array = format!("a = {}", "[".repeat(200_000));
    let deep_table = format!("a = {}", "{a=".repeat(200_000));
    let long_key = format!("{} = 1", "k".repeat(900_000));
    for (name, toml) in [
        ("deep-key", &deep_key),
        ("deep-array", &deep_array),
        ("deep-table", &deep_table),
        ("long-key", &long_key),
    ] {
        let found = problems(&of_file(name, toml)).join("\n");
        assert!(!found.is_empty() && found.len() < 1_000, "{name}: {} bytes", found.len());
    }
}
