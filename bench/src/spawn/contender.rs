//! What can be measured: a broker that runs already, or one that is started for each run.

use std::ffi::OsString;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::broker_process::BrokerProcess;
use super::scratch::Scratch;
use crate::error::{BenchError, system};
use crate::plan::Target;
use crate::stop::Stop;

/// A broker to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contender {
    /// One that runs already, and goes on.
    Running(Target),
    /// A Corelane of this very program.
    Corelane,
    /// A command that starts a broker, with the command line of `corelane serve` behind it.
    Command(String),
    /// The null broker: nothing is faster.
    Null {
        /// It writes what is produced to the disk, and answers then.
        writes: bool,
    },
}

impl FromStr for Contender {
    type Err = String;

    /// `HOST:PORT`, `corelane`, `null`, `null-write` or `cmd:COMMAND`.
    fn from_str(text: &str) -> Result<Contender, String> {
        match text.trim() {
            "corelane" => Ok(Contender::Corelane),
            "null" => Ok(Contender::Null { writes: false }),
            "null-write" => Ok(Contender::Null { writes: true }),
            text => match text.strip_prefix("cmd:") {
                Some(command) if !command.trim().is_empty() => {
                    Ok(Contender::Command(command.trim().to_owned()))
                }
                None if text.contains(':') => {
                    Ok(Contender::Running(Target { bootstrap: text.to_owned(), broker_pid: None }))
                }
                _ => {
                    Err("expected HOST:PORT, corelane, null, null-write or cmd:COMMAND".to_owned())
                }
            },
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Contender::Running(target) => f.write_str(&target.bootstrap),
            Contender::Corelane => f.write_str("corelane"),
            Contender::Command(command) => write!(f, "cmd:{command}"),
            Contender::Null { writes: false } => f.write_str("null"),
            Contender::Null { writes: true } => f.write_str("null-write"),
        }
    }
}

/// How brokers are started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnArgs {
    /// Where their directories are made; each run has an empty one.
    pub dir: PathBuf,
    /// The cores that they may use; empty: all that this program may.
    pub cores: Vec<usize>,
    /// Further words of the command line of `corelane serve`; null brokers do not get them.
    pub args: Vec<String>,
}

/// A broker that serves.
#[derive(Debug)]
pub struct Serving {
    /// Where.
    pub target: Target,
    process: Option<BrokerProcess>,
}

impl Contender {
    /// True if a broker is started for each run.
    pub fn is_started(&self) -> bool {
        !matches!(self, Contender::Running(_))
    }

    /// Starts it where it does not run already, on an empty directory, and waits until it serves.
    /// `number` tells its directory from those of the other runs.
    ///
    /// # Errors
    /// [`BenchError::Spawn`] if it ends or does not serve, with its last words; others if it can't
    /// even be tried.
    pub fn start(
        &self,
        args: &SpawnArgs,
        scratch: &Scratch,
        number: usize,
        stop: &Stop,
    ) -> Result<Serving, BenchError> {
        if let Contender::Running(target) = self {
            return Ok(Serving { target: target.clone(), process: None });
        }
        let address = free_address()?;
        let data_dir = scratch.path().join(format!("run-{number}"));
        let words = self.command_line(address, &data_dir, &args.args)?;
        let process = BrokerProcess::start(&words, address, data_dir, &args.cores, stop)?;
        let target = Target { bootstrap: address.to_string(), broker_pid: Some(process.pid()) };
        Ok(Serving { target, process: Some(process) })
    }

    fn command_line(
        &self,
        address: SocketAddr,
        data_dir: &Path,
        args: &[String],
    ) -> Result<Vec<OsString>, BenchError> {
        let own = || std::env::current_exe().map_err(system("finding this program"));
        let mut words: Vec<OsString> = match self {
            Contender::Null { .. } => vec![own()?.into(), "bench".into(), "null-broker".into()],
            // What the user writes is for a shell to read: variables, quotes.
            Contender::Command(command) => {
                ["sh", "-c", &format!("exec env {command} \"$@\""), "sh", "serve"]
                    .map(OsString::from)
                    .to_vec()
            }
            Contender::Corelane | Contender::Running(_) => vec![own()?.into(), "serve".into()],
        };
        words.extend(["--listen".into(), address.to_string().into()]);
        match self {
            Contender::Null { writes: false } => {}
            Contender::Null { writes: true } => words.extend(["--write".into(), data_dir.into()]),
            _ => {
                words.extend(["--data-dir".into(), data_dir.into()]);
                words.extend(args.iter().map(OsString::from));
            }
        }
        Ok(words)
    }
}

impl Serving {
    /// A broker that runs already.
    pub(crate) fn running(target: Target) -> Serving {
        Serving { target, process: None }
    }

    /// The process's last words and exit status, if it was started here and has ended by itself.
    pub fn obituary(&mut self) -> Option<String> {
        self.process.as_mut()?.obituary()
    }

    /// The command line of what was started.
    pub fn command_line(&self) -> Option<&[String]> {
        self.process.as_ref().map(BrokerProcess::command_line)
    }

    /// The directory of what was started.
    pub fn data_dir(&self) -> Option<&Path> {
        self.process.as_ref().map(BrokerProcess::data_dir)
    }
}

/// A port of the loopback that is free now, and so is the one after it: some brokers need two.
/// Whoever takes it meanwhile is found out, for the started process does not listen then.
fn free_address() -> Result<SocketAddr, BenchError> {
    const TRIES: usize = 100;
    let failed = system("finding a free port");
    for _ in 0..TRIES {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(&failed)?;
        let address = listener.local_addr().map_err(&failed)?;
        let Some(next) = address.port().checked_add(1) else { continue };
        if TcpListener::bind((address.ip(), next)).is_ok() {
            return Ok(address);
        }
    }
    Err(failed(std::io::Error::from(std::io::ErrorKind::AddrInUse)))
}
