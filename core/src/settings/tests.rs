use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use corelane_storage::log::Durability;

use super::*;
use crate::catalog::config::broker_key;

/// A file of this test's own, gone with it.
struct TomlFile(PathBuf);

impl TomlFile {
    fn new(name: &str, text: impl AsRef<[u8]>) -> TomlFile {
        let name = format!("corelane-settings-{}-{name}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        TomlFile(path)
    }
}

impl Drop for TomlFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn flags(pairs: &[(&str, &str)]) -> Vec<Given> {
    let given =
        |(key, text): &(&str, &str)| Given::new(*key, *text, Source::Flag(format!("--set {key}")));
    pairs.iter().map(given).collect()
}

fn environment(pairs: &[(&str, &str)]) -> Environment {
    Environment::new(pairs.iter().map(|(name, text)| (OsString::from(name), OsString::from(text))))
}

fn of_flags(pairs: &[(&str, &str)]) -> Gathered {
    gather(flags(pairs), None, &Environment::default())
}

fn of_file(name: &str, text: impl AsRef<[u8]>) -> Gathered {
    let file = TomlFile::new(name, text);
    gather(Vec::new(), Some(file.0.clone()), &Environment::default())
}

/// What is wrong, without the directory of the file.
fn problems(gathered: &Gathered) -> Vec<String> {
    let Err(problems) = Configuration::new(gathered) else { return Vec::new() };
    let bare = |text: String| match text.split_once(".toml:") {
        Some((_, rest)) => rest.to_owned(),
        None => text,
    };
    problems.iter().map(|problem| bare(problem.to_string())).collect()
}

fn flag_problems(pairs: &[(&str, &str)]) -> String {
    problems(&of_flags(pairs)).join("\n")
}

fn text(gathered: &Gathered, name: &str) -> String {
    gathered.text(name).unwrap_or("nothing").to_owned()
}

#[test]
fn the_table_is_sound() {
    let (mut names, mut variables, mut flags) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for key in keys() {
        assert!(names.insert(key.name), "{} twice", key.name);
        assert!(key.help.ends_with('.') && key.help.len() <= 110, "{}: {}", key.name, key.help);
        for variable in key.variables() {
            assert!(variables.insert(variable.clone()), "{variable} twice");
        }
        assert!(key.flag.is_none_or(|flag| flags.insert(flag)), "{:?} twice", key.flag);
        // A default is a value like any other, in its one form.
        if let Some(default) = key.default_text() {
            assert_eq!(key.canonical(default).as_deref(), Ok(default), "{}", key.name);
        }
        let is_own = key.name.starts_with("corelane.") || key.name.contains('<');
        assert!(is_own || broker_key(key.name).is_some(), "{} can be described", key.name);
    }
    for key in keys().iter().filter(|key| matches!(key.kind, super::kind::Kind::Config)) {
        assert!(key.definition().is_some(), "{}", key.name);
    }
}

#[test]
fn a_start_without_settings_is_well() {
    let configuration = Configuration::new(&of_flags(&[])).unwrap();
    assert_eq!(configuration.listeners.len(), 1);
    assert_eq!(configuration.listeners[0].name, "PLAINTEXT");
    assert_eq!(configuration.connection_limits, ConnectionLimits::none(1));
    assert_eq!(configuration.idle_timeout, Duration::from_secs(600));
    assert_eq!(configuration.max_request_bytes, 100 << 20);
    assert_eq!(configuration.default_partitions, 1);
    assert_eq!((configuration.shards, configuration.cache_bytes), (None, None));
    assert_eq!(configuration.durability, Durability::Written);
    let http = configuration.http_listen.unwrap();
    assert_eq!((http.address.to_string().as_str(), http.told), ("127.0.0.1:9644", false));
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_file() {
    let toml = "num.partitions = 2\nlog.segment.bytes = '2MiB'\ncorelane.shards = 2\n\
                [message]\nmax.bytes = 2\n";
    let file = TomlFile::new("precedence", toml);
    let environment = environment(&[
        ("CORELANE_DEFAULT_PARTITIONS", "3"),
        ("CORELANE_MESSAGE_MAX_BYTES", "3"),
        ("CORELANE_CONFIG", "/nowhere/the/flag/goes/before/it"),
        ("PATH", "/bin"),
    ]);
    let gathered = gather(flags(&[("num.partitions", "4")]), Some(file.0.clone()), &environment);
    assert_eq!(problems(&gathered), Vec::<String>::new());
    assert!(gathered.warnings.is_empty());
    let value = |name: &str| {
        let setting = gathered.get(name).unwrap();
        (text(&gathered, name), setting.source.kind())
    };
    assert_eq!(value("num.partitions"), ("4".to_owned(), "flag"));
    assert_eq!(value("message.max.bytes"), ("3".to_owned(), "environment"));
    assert_eq!(value("log.segment.bytes"), ("2097152".to_owned(), "file"));
    assert_eq!(value("corelane.durability"), ("default".to_owned(), "default"));
    let place = gathered.get("log.segment.bytes").unwrap().source.to_string();
    assert!(place.ends_with(".toml:2:13"), "{place}");

    let named = environment_file(&file);
    let gathered = gather(Vec::new(), None, &named);
    assert_eq!(text(&gathered, "num.partitions"), "2", "the file that the environment names");
}

fn environment_file(file: &TomlFile) -> Environment {
    environment(&[("CORELANE_CONFIG", file.0.to_str().unwrap())])
}

#[test]
fn dots_tables_and_quotes_say_the_same() {
    for (name, toml) in [
        ("dots", "log.retention.ms = 5000"),
        ("table", "[log.retention]\nms = 5_000"),
        ("tables", "[log]\nretention = { ms = '5s' }"),
        ("quotes", "\"log.retention.ms\" = 5000"),
        ("half", "[log]\n\"retention.ms\" = 0x1388"),
        ("version", "config.version = 1\nlog.retention.ms = 5000"),
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

#[test]
fn variables_are_read_by_either_name_and_strange_ones_are_named() {
    let environment = environment(&[
        ("CORELANE_LISTEN", "127.0.0.1:21000,INTERNAL://127.0.0.1:21001"),
        ("CORELANE_LOG_RETENTION_MS", "7d"),
        ("CORELANE_LISTENER_NAME_INTERNAL_MAX_CONNECTIONS", "5"),
        ("CORELANE_SHARD", "3"),
        ("CORELANE_SSL_KEY_PASSWORD", "hunter2"),
        ("CORELANE_NOBODY_KNOWS_WHAT_THIS_IS", "3"),
        ("CORELANE_LOG", "debug"),
        ("CORELANE_TEST_SEED", "1"),
        ("CORELANE_NODE_ID", "1"),
        ("CORELANE_CACHE_BYTES", ""),
    ]);
    let gathered = gather(Vec::new(), None, &environment);
    assert_eq!(text(&gathered, "log.retention.ms"), "604800000");
    assert_eq!(
        gathered.warnings,
        [
            "CORELANE_NOBODY_KNOWS_WHAT_THIS_IS has no effect: no such setting",
            "CORELANE_SHARD has no effect: no such setting; did you mean CORELANE_SHARDS?",
            "CORELANE_SSL_KEY_PASSWORD has no effect: Kafka has ssl.key.password, Corelane does not: \
             there is no TLS yet",
        ]
    );
    let found = problems(&gathered);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with(
            "CORELANE_CACHE_BYTES: `corelane.cache.bytes` is \"\": the value is empty"
        )
    );

    let both = [("CORELANE_DATA_DIR", "a"), ("CORELANE_LOG_DIRS", "b")];
    let both = gather(Vec::new(), None, &self::environment(&both));
    assert!(problems(&both)[0].contains("was given before, by CORELANE_DATA_DIR: give it once"));
}

#[test]
fn a_flag_is_given_once() {
    let twice = [("corelane.shards", "2"), ("corelane.shards", "3")];
    assert!(flag_problems(&twice).contains("`corelane.shards` was given before"));
    assert_eq!(flag_problems(&[("corelane.shards", "2"), ("corelane.shards", "2")]), "");
}

#[test]
fn values_have_one_form() {
    for (key, given, kept) in [
        ("socket.request.max.bytes", "1GiB", "1073741824"),
        ("connections.max.idle.ms", "10min", "600000"),
        ("connections.max.idle.ms", "-1", "-1"),
        ("log.retention.ms", "-1", "-1"),
        ("log.retention.bytes", "5GB", "5000000000"),
        ("log.cleanup.policy", "delete, compact", "delete,compact"),
        ("auto.create.topics.enable", "FALSE", "false"),
        ("corelane.http.listen", "none", "none"),
        ("corelane.http.listen", "[::1]:80", "[::1]:80"),
        ("listener.name.PLAINTEXT.max.connections", "7", "7"),
    ] {
        let gathered = of_flags(&[(key, given)]);
        let found = problems(&gathered);
        assert_eq!(found, Vec::<String>::new(), "{key}={given}");
        let key = key.replace("PLAINTEXT", "plaintext");
        assert_eq!(text(&gathered, &key), kept, "{key}={given}");
    }
    for (key, given, expected) in [
        ("socket.request.max.bytes", "3GiB", "expected 64KiB to 1GiB"),
        ("connections.max.idle.ms", "5", "expected at least 1000 ms, or -1 for never"),
        ("max.connections", "0", "expected a whole number, at least 1"),
        ("log.segment.bytes", "5", "Value must be at least 1048576"),
        ("log.retention.ms", "0", "Value must be -1 (no limit), or at least 1"),
        ("log.retention.hours", "7d", "Not a number of type INT"),
        ("log.roll.hours", "0", "Value must be at least 1"),
        ("log.dirs", "a,b", "expected one directory, not 2"),
        ("corelane.http.listen", "9644", "expected HOST:PORT"),
        ("corelane.durability", "none", "expected default or strict"),
        ("num.partitions", "10001", "expected a whole number from 1 to 10000"),
        ("num.partitions", "99999999999999999999", "expected a whole number from 1 to 10000"),
        ("corelane.cache.bytes", "99999999999999999999", "expected a whole number of bytes"),
        ("listeners", "a:1,,b:2", "there is nothing between two commas"),
        (
            "listener.name.other.max.connections",
            "1",
            "there is no such listener: there is PLAINTEXT",
        ),
        ("max.connections.per.ip.overrides", "10.0.0.1", "expected HOST:NUMBER"),
    ] {
        let found = flag_problems(&[(key, given)]);
        assert!(found.contains(expected), "{key}={given}: {found}");
    }
}

#[test]
fn what_a_topic_is_created_with_comes_from_here() {
    let gathered = of_flags(&[("log.retention.minutes", "3"), ("corelane.durability", "strict")]);
    let configuration = Configuration::new(&gathered).unwrap();
    let settings = configuration.settings_at(&[9092]);
    assert_eq!(settings.on_command_line("log.retention.minutes"), Some("3"));
    assert_eq!(settings.on_command_line("log.flush.interval.messages"), Some("1"));
    assert_eq!(settings.on_command_line("log.retention.hours"), None);
    assert_eq!(settings.default_of("advertised.listeners"), Some("PLAINTEXT://127.0.0.1:9092"));
}

/// The listeners as `NAME bind -> advertised`.
fn listeners(pairs: &[(&str, &str)]) -> Vec<String> {
    let found = Configuration::new(&of_flags(pairs)).unwrap_or_else(|error| panic!("{error}"));
    let words = |one: &Listener| {
        format!("{} {} -> {}", one.name, one.bind, one.advertise.at(one.bind.port))
    };
    found.listeners.iter().map(words).collect()
}

#[test]
fn listeners_have_names_and_what_clients_are_told() {
    let of = |listen, advertise| {
        listeners(&[("listeners", listen), ("advertised.listeners", advertise)])
    };
    assert_eq!(
        listeners(&[("listeners", "127.0.0.1:1,[::1]:2,internal://localhost:3")]),
        [
            "PLAINTEXT 127.0.0.1:1 -> 127.0.0.1:1",
            "LISTENER_2 [::1]:2 -> [::1]:2",
            "INTERNAL localhost:3 -> localhost:3"
        ]
    );
    assert_eq!(of("0.0.0.0:1", "kafka"), ["PLAINTEXT 0.0.0.0:1 -> kafka:1"]);
    assert_eq!(of("IN://0.0.0.0:1", "kafka:9"), ["IN 0.0.0.0:1 -> kafka:9"], "it is the only one");
    assert_eq!(of("[::]:1", "[fd00::1]:9"), ["PLAINTEXT [::]:1 -> [fd00::1]:9"]);
    assert_eq!(of("PLAINTEXT://:1", "fd00::1"), ["PLAINTEXT :1 -> [fd00::1]:1"]);
    assert_eq!(
        of("0.0.0.0:1,OUT://0.0.0.0:2", "in.example.org:7,OUT://out.example.org"),
        ["PLAINTEXT 0.0.0.0:1 -> in.example.org:7", "OUT 0.0.0.0:2 -> out.example.org:2"]
    );
}

#[test]
fn listeners_that_can_not_be_are_refused_each_in_its_words() {
    let of = |listen, advertise| {
        flag_problems(&[("listeners", listen), ("advertised.listeners", advertise)])
    };
    let alone = |listen| flag_problems(&[("listeners", listen)]);
    for (found, expected) in [
        (alone("127.0.0.1"), "expected an address and a port"),
        (alone("127.0.0.1:99999"), "expected an address and a port"),
        (alone("no.such.host.invalid:1"), "a name that it can resolve"),
        (alone("a b://127.0.0.1:1"), "expected a name of at most 64 letters"),
        (alone("0.0.0.0:1"), "is every address, but clients need one to connect to: give the name"),
        (alone(":1"), "is every address"),
        (alone("[::]:1"), "is every address"),
        (alone("A://127.0.0.1:1,a://127.0.0.1:2"), "names A twice"),
        (alone("A-B://127.0.0.1:1,a_b://127.0.0.1:2"), "twice"),
        (alone("127.0.0.1:1,127.0.0.1:1"), "are both on 127.0.0.1:1"),
        (of("A://0.0.0.0:1,B://127.0.0.1:1", "A://h"), "are both on 127.0.0.1:1"),
        (alone("SSL://127.0.0.1:1"), "this protocol is not there yet; use PLAINTEXT://127.0.0.1:1"),
        (of("127.0.0.1:1", "0.0.0.0:1"), "no client can connect to that: give the name"),
        (of("127.0.0.1:1", "[::]"), "no client can connect to that"),
        (of("127.0.0.1:1", "host:0"), "expected a host name or address, and perhaps a port"),
        (of("127.0.0.1:1", "http://host:1/x"), "expected a host name or address"),
        (of("127.0.0.1:1", "OTHER://host"), "names OTHER, but there is no such listener"),
        (of("127.0.0.1:1", "host,PLAINTEXT://host"), "names PLAINTEXT"),
    ] {
        assert!(found.contains(expected), "{expected}: {found}");
    }
    let map = |text| flag_problems(&[("listener.security.protocol.map", text)]);
    assert!(map("PLAINTEXT:SSL").contains("the protocol SSL is not there yet, only PLAINTEXT"));
    assert!(map("PLAINTEXT").contains("expected NAME:PLAINTEXT"));
    assert_eq!(map("PLAINTEXT:plaintext,CONTROLLER:PLAINTEXT"), "");
    let named =
        [("listeners", "SSL://127.0.0.1:1"), ("listener.security.protocol.map", "SSL:PLAINTEXT")];
    assert_eq!(flag_problems(&named), "", "a name is only a name");
}

#[test]
fn limits_are_read() {
    let gathered = of_flags(&[
        ("listeners", "127.0.0.1:1,MY-NET://127.0.0.1:2"),
        ("max.connections", "10"),
        ("listener.name.my_net.max.connections", "5"),
        ("max.connections.per.ip", "0"),
        ("max.connections.per.ip.overrides", "127.0.0.1:3,[::1]:4"),
    ]);
    let limits = Configuration::new(&gathered).unwrap().connection_limits;
    assert_eq!((limits.broker, limits.per_ip), (10, 0));
    assert_eq!(limits.listeners, [usize::MAX, 5]);
    let overrides: Vec<_> =
        limits.per_ip_overrides.iter().map(|(ip, n)| (ip.to_string(), *n)).collect();
    assert_eq!(overrides, [("127.0.0.1".to_owned(), 3), ("::1".to_owned(), 4)]);
}
