//! The configuration, from outside: what `corelane` says of good and bad settings, and what it exits with.

mod harness;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use corelane_net::messages::config_resource_type::{BROKER, TOPIC};
use harness::broker::{Broker, free_address};
use harness::options::Options;
use harness::requests::create_ready_topic;
use harness::topics::{alter, described};

/// How long a command may take that should end by itself.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A directory of one test.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Home {
        let name = format!("config-{}-{name}", std::process::id());
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&home).expect("a directory for the test");
        Home(home)
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).expect("written");
        path
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `corelane` in `home`, with nothing of this process's environment.
fn corelane(home: &Home, arguments: &[&str]) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::cargo_bin("corelane").expect("it is built");
    command.args(arguments).current_dir(&home.0).env_clear().timeout(TIMEOUT);
    command
}

/// What a refused command says on stderr; it exits with `code`, and says nothing on stdout.
fn refusal(command: &mut assert_cmd::Command, code: i32) -> String {
    let output = command.output().expect("it ran");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    said
}

fn stdout(command: &mut assert_cmd::Command) -> String {
    let output = command.assert().success().get_output().clone();
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn print_shows_every_key_with_its_source() {
    let home = Home::new("print");
    home.file("corelane.toml", "config.version = 1\n[log.retention]\nms = '7d'\n");
    let flags = ["config", "print", "--config", "corelane.toml", "--shards", "3"];
    let text = stdout(corelane(&home, &flags).env("CORELANE_NUM_PARTITIONS", "6"));
    let line = |key: &str| {
        let found = text.lines().find(|line| line.split_whitespace().next() == Some(key));
        found.unwrap_or_else(|| panic!("{key} is not in\n{text}"))
    };
    let words = |key: &str| -> Vec<String> {
        line(key).split_whitespace().skip(1).take(2).map(str::to_owned).collect()
    };
    assert_eq!(words("log.retention.ms"), ["604800000", "corelane.toml:3:1"]);
    assert_eq!(words("num.partitions"), ["6", "CORELANE_NUM_PARTITIONS"]);
    assert_eq!(words("corelane.shards"), ["3", "--shards"]);
    assert_eq!(words("message.max.bytes"), ["1048588", "default"]);
    assert!(line("log.retention.ms").ends_with("-1 is never."), "a line of help");
    assert!(text.lines().count() >= 28, "every key:\n{text}");

    let changed = [&flags[..], &["--changed", "--json"]].concat();
    let json = stdout(&mut corelane(&home, &changed));
    let rows: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let rows: Vec<_> = rows.as_array().expect("an array").iter().collect();
    let keys: Vec<_> = rows.iter().map(|row| row["key"].as_str().expect("a key")).collect();
    assert_eq!(keys, ["log.retention.ms", "corelane.shards"]);
    assert_eq!((&rows[0]["value"], &rows[0]["source"]), (&"604800000".into(), &"file".into()));
    assert_eq!(rows[1]["place"], "--shards");
}

#[test]
fn print_tells_what_is_wrong_and_ends_quietly_at_a_broken_pipe() {
    let home = Home::new("print-wrong");
    let output = corelane(&home, &["config", "print", "--set", "log.segmnt.bytes=5"]);
    let output = { output }.output().expect("it ran");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("did you mean `log.segment.bytes`?"), "{said}");
    assert!(!output.stdout.is_empty(), "the table is printed all the same");

    let mut command = Command::new(env!("CARGO_BIN_EXE_corelane"));
    command.args(["config", "print"]).env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn serve_tells_all_that_is_wrong_at_once() {
    let home = Home::new("all-wrong");
    home.file("c.toml", "corelane.shards = 'many'\nlog.cleaner.threads = 2\nlog.dir.s = 'd'\n");
    let said = refusal(
        corelane(&home, &["serve", "--config", "c.toml", "--listen", "0.0.0.0:21050"])
            .env("CORELANE_DURABILITY", "none")
            .env("CORELANE_SHRDS", "2"),
        1,
    );
    for expected in [
        "5 things are wrong with the configuration:",
        "- c.toml:1:10: `corelane.shards` is \"many\": expected a whole number from 1 to 1024",
        "- c.toml:2:13: `log.cleaner.threads`: Kafka has this key, Corelane does not: each shard",
        "- c.toml:3:9: `log.dir.s`: no such key",
        "- CORELANE_DURABILITY: `corelane.durability` is \"none\": expected default or strict",
        "- --listen: `listeners` has 0.0.0.0:21050, which is every address",
        "CORELANE_SHRDS has no effect: no such setting; did you mean CORELANE_SHARDS?",
    ] {
        assert!(said.contains(expected), "{expected}\nis not in\n{said}");
    }
    assert!(!home.0.join("corelane-data").exists(), "nothing was begun");
}

#[test]
fn files_that_are_none_are_refused() {
    let home = Home::new("no-files");
    home.file("latin.toml", b"log.dirs = '\xe9'");
    home.file("v7.toml", "config.version = 7");
    home.file("broken.toml", "listeners = [\n");
    for (file, expected) in [
        ("missing.toml", "missing.toml: can't be read: No such file"),
        (".", ".: is a directory: name the file in it with --config"),
        ("latin.toml", "latin.toml: is not UTF-8 (line 1)"),
        ("v7.toml", "v7.toml:1:8: this file is of version 7; this corelane reads version 1"),
        ("broken.toml", "this is not TOML"),
    ] {
        let by_flag = refusal(&mut corelane(&home, &["serve", "--config", file]), 1);
        assert!(by_flag.contains(expected), "{expected}: {by_flag}");
        let by_variable = refusal(corelane(&home, &["serve"]).env("CORELANE_CONFIG", file), 1);
        assert!(by_variable.contains(expected), "{expected}: {by_variable}");
    }
}

#[test]
fn a_command_line_that_can_not_be_read_is_another_exit_code() {
    let home = Home::new("usage");
    for arguments in [&["serve", "--no-such-flag"][..], &["serve", "--shards"], &["config"]] {
        let said = refusal(&mut corelane(&home, arguments), 2);
        assert!(said.contains("Usage") || said.contains("try '--help'"), "{said}");
    }
}

/// Names, lengths and bytes of all files below `dir`.
fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(contents(&path)),
            false => found.push((path.clone(), fs::read(path).expect("readable"))),
        }
    }
    found.sort();
    found
}

/// `serve --check` on this home's directory, on a free port.
fn check(home: &Home) -> assert_cmd::Command {
    let listen = free_address().to_string();
    corelane(
        home,
        &["serve", "--check", "--shards", "1", "--data-dir", "data", "--listen", &listen],
    )
}

#[test]
fn check_looks_and_leaves_all_as_it_is() {
    let home = Home::new("check");
    let said = stdout(&mut check(&home));
    assert!(said.starts_with("ok: the broker would start\n  PLAINTEXT 127.0.0.1:"), "{said}");
    assert!(said.ends_with("  1 shards, data in data (new)\n"), "{said}");
    assert!(!home.data().exists(), "no directory was made");

    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    fs::create_dir(home.data()).expect("made");
    fs::write(home.data().join("manifest"), vec![7; 8192]).expect("written");
    let said = refusal(check(&home).args(["--listen", &address]), 1);
    assert!(said.contains("2 things are wrong:"), "{said}");
    assert!(said.contains("neither of its two slots has a valid checksum"), "{said}");
    assert!(said.contains(&format!("can't listen on {address}")), "{said}");
    let said = refusal(check(&home).args(["--http-listen", &address]), 1);
    assert!(said.contains(&format!("can't listen on {address} for HTTP")), "{said}");

    fs::remove_file(home.data().join("manifest")).expect("removed");
    fs::create_dir(home.data().join("topics")).expect("made");
    let said = refusal(&mut check(&home), 1);
    assert!(said.contains("is missing or incomplete, but the directory holds `topics`"), "{said}");

    fs::remove_dir_all(home.data()).expect("removed");
    fs::write(home.data(), "a file").expect("written");
    refusal(&mut check(&home), 1);
    assert_eq!(fs::read(home.data()).expect("still there"), b"a file");
}

#[test]
fn check_sees_a_broker_and_how_it_ended() {
    let mut broker = Broker::start(Options::default());
    create_ready_topic(&mut broker.connect(), "t", 2);
    let home = Home::new("check-running");
    let data_dir = broker.data_dir().to_str().expect("UTF-8").to_owned();
    let said = refusal(check(&home).args(["--set", &format!("log.dirs={data_dir}")]), 1);
    assert!(said.contains("`log.dirs` was given before, by --data-dir"), "{said}");
    let listen = free_address().to_string();
    let arguments = ["serve", "--check", "--data-dir", &data_dir, "--listen", &listen];
    let said = refusal(&mut corelane(&home, &arguments), 1);
    assert!(said.contains("is in use by process"), "{said}");
    broker.assert_serves();

    for clean in [true, false] {
        if clean {
            broker.terminate()
        } else {
            broker.kill()
        }
        let before = contents(&broker.data_dir());
        let said = stdout(&mut corelane(&home, &arguments));
        let expected = if clean { "(stopped cleanly)" } else { "(not stopped cleanly: " };
        assert!(said.contains(expected), "{said}");
        assert!(contents(&broker.data_dir()) == before, "nothing was changed");
        broker.start_again();
    }
}

#[test]
fn what_is_said_at_the_start_is_what_clients_are_told() {
    let home = Home::new("told");
    let toml = "log.segment.bytes = '2MiB'\n[log.retention]\nminutes = 3\n";
    let file = home.file("c.toml", toml).to_str().expect("UTF-8").to_owned();
    let more = ["--config", &file, "--set", "message.max.bytes=100000", "--set"];
    let more = more.iter().copied().chain(["max.connections=500"]).map(str::to_owned).collect();
    let mut broker = Broker::start(Options { more, ..Options::default() });
    let connection = &mut broker.connect();
    let mut is = |name: &str| described(connection, BROKER, "1", name);
    assert_eq!(is("log.retention.minutes"), ("3".to_owned(), 4));
    assert_eq!(is("log.segment.bytes"), ("2097152".to_owned(), 4));
    assert_eq!(is("message.max.bytes"), ("100000".to_owned(), 4));
    assert_eq!(is("max.connections"), ("500".to_owned(), 4));
    assert_eq!(is("num.partitions"), ("4".to_owned(), 4));
    assert_eq!(is("log.roll.hours"), ("168".to_owned(), 5));

    create_ready_topic(connection, "t", 1);
    // Kafka too tells no source where a weaker key of the family is set.
    assert_eq!(described(connection, TOPIC, "t", "retention.ms").0, "180000");
    assert_eq!(described(connection, TOPIC, "t", "max.message.bytes"), ("100000".to_owned(), 4));
    alter(connection, BROKER, "", &[("message.max.bytes", Some("50000"))]);
    assert_eq!(described(connection, BROKER, "1", "message.max.bytes"), ("50000".to_owned(), 3));
    broker.terminate();
    broker.start_again();
    let connection = &mut broker.connect();
    let told = described(connection, TOPIC, "t", "max.message.bytes");
    assert_eq!(told, ("50000".to_owned(), 3), "what was set while it ran goes before the file");
}
