//! Running a command to its end.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use super::harness::broker::Broker;
use super::harness::options::Options;

/// What came of a command.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ran {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("UTF-8")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Panics unless it ended with this code and these words on stderr.
    pub fn says(self, code: i32, words: &[&str]) -> Ran {
        let missing = words.iter().find(|word| !self.stderr.contains(**word));
        assert!(self.code == code && missing.is_none(), "expected {code}, {words:?}: {self:#?}");
        self
    }

    /// Panics unless it succeeded.
    pub fn succeeds(self) -> Ran {
        assert_eq!(self.code, 0, "{self:#?}");
        self
    }
}

/// A broker with two partitions a topic by default.
pub fn broker() -> Broker {
    Broker::any(Options { default_partitions: 2, ..Options::default() })
}

/// A command that asks the broker at `bootstrap`.
pub fn command(bootstrap: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_corelane"));
    command.args(arguments).env("CORELANE_BOOTSTRAP", bootstrap);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn end(child: Child) -> Ran {
    let output = child.wait_with_output().expect("it ends");
    Ran {
        code: output.status.code().unwrap_or_else(|| panic!("{output:?}")),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs a command line, cut at blanks.
pub fn run(bootstrap: &str, line: &str) -> Ran {
    let arguments: Vec<&str> = line.split_whitespace().collect();
    end(command(bootstrap, &arguments).spawn().expect("it runs"))
}

/// Runs a command with this standard input.
pub fn fed(bootstrap: &str, arguments: &[&str], input: &[u8]) -> Ran {
    let mut child = command(bootstrap, arguments).stdin(Stdio::piped()).spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_vec();
    let feeding = std::thread::spawn(move || {
        // A command that fails early does not read all of it.
        let _ = stdin.write_all(&input);
    });
    let ran = end(child);
    feeding.join().expect("no panic");
    ran
}

pub fn interrupt(child: &Child) {
    // SAFETY: kill(2) touches no memory; the pid is a child that has not been reaped.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGINT) }, 0);
}
