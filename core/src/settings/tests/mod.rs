mod file;
mod listener;

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
        ("CORELANE_SERVICE_HOST", "10.0.0.1"),
        ("CORELANE_PORT_9092_TCP", "tcp://10.0.0.1:9092"),
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
        ("max.connections.per.ip", "0", "is 0, which lets nobody in"),
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

/// The table of docs/configuration.md, as it should be.
fn documented() -> String {
    let row = |key: &Key| {
        let default = match key.default_text() {
            Some(text) => format!("`{text}`"),
            None => key.without_value().to_owned(),
        };
        let flag = key.flag.map_or_else(|| "`--set`".to_owned(), |flag| format!("`{flag}`"));
        let (name, variable, help) = (key.name, key.variable(), key.help);
        format!("| `{name}` | {default} | {flag} | `{variable}` | {help} |\n")
    };
    keys().iter().map(row).collect()
}

#[test]
fn the_document_has_every_key_as_it_is() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let text = fs::read_to_string(path).expect("docs/configuration.md is there");
    let head = "| key | default | flag | variable | what it does |\n|---|---|---|---|---|\n";
    let (_, rest) = text.split_once(head).expect("the table is there");
    let (table, _) = rest.split_once("\n\n").expect("it ends");
    assert!(
        format!("{table}\n") == documented(),
        "docs/configuration.md: the table of keys should be:\n{head}{}",
        documented()
    );
}
