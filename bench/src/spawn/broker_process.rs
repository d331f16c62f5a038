//! A broker's process: its own group, its output in a file, its directory its own. However this
//! program ends, the process ends too: by SIGTERM, by SIGKILL if that takes too long, and by the
//! kernel (PR_SET_PDEATHSIG) where this program is killed itself.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use corelane_net::messages::{MetadataRequest, Response};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::listening::owners;
use crate::client::Control;
use crate::error::BenchError;
use crate::stop::Stop;
use crate::usage::family;

/// How long it may take until it serves; a JVM on a busy machine needs many seconds.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// How long it may take to end after SIGTERM.
const END_TIMEOUT: Duration = Duration::from_secs(30);

/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(10);

/// Last words that are shown, bytes and lines.
const WORDS_BYTES_MAX: u64 = 8 << 10;
const WORDS_LINES_MAX: usize = 20;

/// A started broker. Dropped: ended, reaped, its directory removed.
#[derive(Debug)]
pub(super) struct BrokerProcess {
    child: Child,
    command_line: Vec<String>,
    data_dir: PathBuf,
    output: PathBuf,
    status: Option<ExitStatus>,
}

impl BrokerProcess {
    /// Starts it and waits until it serves at `address`.
    pub(super) fn start(
        words: &[OsString],
        address: SocketAddr,
        data_dir: PathBuf,
        cores: &[usize],
        stop: &Stop,
    ) -> Result<BrokerProcess, BenchError> {
        let output = data_dir.with_extension("log");
        let failed = |operation, path: &Path| {
            let path = path.to_owned();
            move |source| BenchError::File { operation, path, source }
        };
        fs::create_dir(&data_dir).map_err(failed("creating", &data_dir))?;
        let written = File::create(&output).map_err(failed("creating", &output))?;
        let errors = written.try_clone().map_err(failed("creating", &output))?;
        let command_line: Vec<String> =
            words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(written).stderr(errors);
        // Ctrl-C is for this program, which then ends its brokers itself.
        command.process_group(0);
        confine(&mut command, cpu_set(cores)?);
        let child = command.spawn().map_err(|source| BenchError::Spawn {
            command: command_line.join(" "),
            reason: source.to_string(),
            words: String::new(),
        })?;
        let mut process = BrokerProcess { child, command_line, data_dir, output, status: None };
        process.wait_until_served(address, stop)?;
        Ok(process)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn command_line(&self) -> &[String] {
        &self.command_line
    }

    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Its exit status and last words, if it has ended by itself.
    pub(super) fn obituary(&mut self) -> Option<String> {
        let status = self.ended()?;
        Some(format!("the broker's process has ended ({status}){}", self.last_words()))
    }

    fn wait_until_served(&mut self, address: SocketAddr, stop: &Stop) -> Result<(), BenchError> {
        let began = Instant::now();
        let failed = |process: &BrokerProcess, reason: String| BenchError::Spawn {
            command: process.command_line.join(" "),
            reason,
            words: process.last_words(),
        };
        loop {
            if let Some(status) = self.ended() {
                return Err(failed(self, format!("it ended at once ({status})")));
            }
            if stop.is_set() {
                return Err(BenchError::Interrupted);
            }
            if is_serving(address) {
                let owners = owners(address);
                let family = family(self.pid());
                // Where nobody is seen, /proc hides it.
                if owners.is_empty() || owners.iter().any(|pid| family.contains(pid)) {
                    return Ok(());
                }
                let reason = format!("{address} was taken by process {} meanwhile", owners[0]);
                return Err(failed(self, reason));
            }
            if began.elapsed() > START_TIMEOUT {
                let seconds = START_TIMEOUT.as_secs();
                return Err(failed(self, format!("it does not serve after {seconds} s")));
            }
            thread::sleep(LOOK);
        }
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() && self.is_over() {
            self.reap();
        }
        self.status
    }

    /// The end of its output, as lines to append to a message.
    fn last_words(&self) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&self.output)?;
            let len = file.metadata()?.len();
            file.seek(SeekFrom::Start(len.saturating_sub(WORDS_BYTES_MAX)))?;
            let mut bytes = Vec::new();
            file.take(WORDS_BYTES_MAX).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(WORDS_LINES_MAX)..];
        last.iter().map(|line| format!("\n  | {line}")).collect()
    }

    /// True if it has ended; it stays unreaped, and its number its own.
    fn is_over(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let id = WaitId::Pid(Pid::from_child(&self.child));
        matches!(waitid(id, options), Ok(Some(_)))
    }

    /// What the process itself has started and left goes before it is reaped: from then on the
    /// number may be another's.
    fn reap(&mut self) {
        self.signal_group(Signal::KILL);
        self.status = self.child.wait().ok();
    }

    fn end(&mut self) {
        if self.status.is_some() {
            return;
        }
        self.signal_group(Signal::TERM);
        let began = Instant::now();
        while self.ended().is_none() && began.elapsed() < END_TIMEOUT {
            thread::sleep(LOOK);
        }
        if self.status.is_none() {
            self.reap();
        }
    }

    /// The group was made with the child, and has its number, which nobody else can get while the
    /// child is unreaped.
    fn signal_group(&self, signal: Signal) {
        if self.status.is_none() {
            // Gone already is as good.
            let _ = kill_process_group(Pid::from_child(&self.child), signal);
        }
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        self.end();
        // What can't be removed goes with the scratch directory.
        let _ = fs::remove_dir_all(&self.data_dir);
        let _ = fs::remove_file(&self.output);
    }
}

/// True if clients would find a broker that has itself, and so all it needs to make topics.
fn is_serving(address: SocketAddr) -> bool {
    let request = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
    let asked = Control::connect(&address.to_string())
        .and_then(|mut control| control.call(&request.into()));
    matches!(asked, Ok(Response::Metadata(metadata)) if !metadata.brokers.is_empty())
}

/// The cores as the kernel wants them; none: no choice.
pub(crate) fn cpu_set(cores: &[usize]) -> Result<Option<CpuSet>, BenchError> {
    let mut set = CpuSet::new();
    for core in cores {
        if *core >= CpuSet::MAX_CPU {
            return Err(BenchError::Argument(format!("there is no core {core}")));
        }
        set.set(*core);
    }
    Ok((!cores.is_empty()).then_some(set))
}

/// The child runs on these cores only, and dies with this thread.
pub(crate) fn confine(command: &mut Command, cores: Option<CpuSet>) {
    let prepare = move || {
        if let Some(cores) = &cores {
            sched_setaffinity(None, cores)?;
        }
        // SAFETY: prctl with these arguments reads no memory.
        match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec only two system calls are made; nothing is allocated or locked.
    unsafe { command.pre_exec(prepare) };
}
