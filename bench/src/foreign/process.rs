//! A client's process, from its command line to its last word.

use std::ffi::OsString;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Client;
use crate::error::{BenchError, system};
use crate::spawn::{confine, cpu_set};
use crate::stop::Stop;

/// No client runs longer.
const DURATION_MAX: Duration = Duration::from_secs(3600);

/// How much of its output is read; what comes later is lost.
const OUTPUT_BYTES_MAX: u64 = 16 << 20;

/// Its last words, lines.
const WORDS_LINES_MAX: usize = 15;

/// What came of it.
pub(super) struct Ended {
    /// Both of its outputs, in no order.
    pub(super) output: String,
    status: ExitStatus,
    was_killed: Option<&'static str>,
}

/// Runs it on the cores, looking at it every [`Stop::LOOK_MS`].
pub(super) fn run(
    words: &[OsString],
    cores: &[usize],
    stop: &Stop,
    mut look: impl FnMut(),
) -> Result<Ended, BenchError> {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    confine(&mut command, cpu_set(cores)?);
    let program = words[0].to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|source| {
        BenchError::Foreign(format!(
            "starting {program}: {source} (docs/measuring.md has how to get it)"
        ))
    })?;
    let readers = [
        child.stdout.take().map(|pipe| thread::spawn(|| read(pipe))),
        child.stderr.take().map(|pipe| thread::spawn(|| read(pipe))),
    ];
    let began = Instant::now();
    let mut was_killed = None;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(system("waiting for the client"))? {
            break status;
        }
        was_killed = match (stop.is_set(), began.elapsed() > DURATION_MAX) {
            (true, _) => Some("interrupted"),
            (false, true) => Some("the client was ended after an hour"),
            (false, false) => None,
        };
        if was_killed.is_some() {
            break end(&mut child)?;
        }
        look();
        thread::sleep(Duration::from_millis(Stop::LOOK_MS));
    };
    let texts = readers.into_iter().flatten().map(|reader| reader.join().unwrap_or_default());
    Ok(Ended { output: texts.collect::<Vec<_>>().join("\n"), status, was_killed })
}

fn end(child: &mut Child) -> Result<ExitStatus, BenchError> {
    child.kill().and_then(|()| child.wait()).map_err(system("ending the client"))
}

/// To the end, so that the writer never waits.
fn read(mut pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    // What can't be read is missing from the output, which is then not understood.
    let _ = pipe.by_ref().take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes);
    let _ = std::io::copy(&mut pipe, &mut std::io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Ended {
    /// Why its figures are not those of a whole run.
    pub(super) fn fault(&self, client: Client) -> Option<String> {
        let failed =
            || format!("the {client:?} client has ended ({}){}", self.status, self.last_words());
        match self.was_killed {
            Some(reason) => Some(reason.to_owned()),
            None => (!self.status.success()).then(failed),
        }
    }

    /// The end of its output, as lines to append to a message.
    pub(super) fn last_words(&self) -> String {
        let lines: Vec<&str> = self.output.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(WORDS_LINES_MAX)..];
        last.iter().map(|line| format!("\n  | {line}")).collect()
    }
}
