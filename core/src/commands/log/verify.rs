//! `corelane log verify`: findings as they come, and a summary.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use corelane_storage::inspect::{
    DataDir, Finding, KnownCatalog, KnownTopic, Severity, Totals, Watcher, verify,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::{Error, topics};
use crate::catalog::Catalog;
use crate::cli::log::VerifyOptions;
use crate::commands::output::{is_coloured, quietly};

/// Verifies, prints, and says by its exit code whether there is damage.
pub fn run(options: &VerifyOptions) -> Result<ExitCode, Error> {
    let dir = DataDir::open(&options.dir.dir)?;
    let mut printer = Printer::new(options.dir.json);
    let known = known_catalog(&dir, &mut printer);
    let totals = verify(&dir, known.as_ref(), &mut printer)?;
    let damages = printer.counts[Severity::Damage as usize];
    quietly(printer.finish(&totals))?;
    Ok(if damages > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// `None`, and a finding, if the catalog can't be read.
fn known_catalog(dir: &DataDir, printer: &mut Printer) -> Option<KnownCatalog> {
    let tell = |printer: &mut Printer, severity, path, position, what| {
        printer.found(Finding { severity, path, position, partition: None, what });
    };
    let read = match topics::read(dir) {
        Ok(read) => read,
        Err(error) => {
            let path = dir.path().join("catalog");
            tell(printer, Severity::Damage, path, None, error.to_string());
            return None;
        }
    };
    let is_cut = read.cut.is_some();
    if let Some((path, position, what)) = read.cut {
        let is_clean = dir.manifest().is_ok_and(|manifest| manifest.stopped_cleanly);
        let severity = if is_clean { Severity::Damage } else { Severity::Mends };
        tell(printer, severity, path, Some(position), what);
    }
    for path in read.invalid {
        let what = "a generation that does not hold: the next start removes it".to_owned();
        tell(printer, Severity::Mends, path, None, what);
    }
    let known = read
        .catalog
        .topics()
        .map(|topic| KnownTopic { id: topic.id, partitions: topic.partitions });
    let topics = known.collect();
    printer.catalog = Some(read.catalog);
    Some(KnownCatalog { topics, is_cut })
}

struct Printer {
    as_json: bool,
    coloured: bool,
    catalog: Option<Catalog>,
    counts: [u64; 3],
    progress: ProgressBar,
    /// Of the first line that could not be printed.
    failed: io::Result<()>,
}

impl Printer {
    fn new(as_json: bool) -> Self {
        // Shown on stderr, and only if that is a terminal.
        let progress = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
        if let Ok(style) = ProgressStyle::with_template("{spinner} {bytes} read, {bytes_per_sec}") {
            progress.set_style(style);
        }
        progress.enable_steady_tick(Duration::from_millis(200));
        let coloured = is_coloured();
        Printer { as_json, coloured, catalog: None, counts: [0; 3], progress, failed: Ok(()) }
    }

    fn print(&mut self, line: &str) {
        if self.failed.is_ok() {
            let print = || writeln!(io::stdout(), "{line}");
            self.failed = match io::stdout().is_terminal() {
                true => self.progress.suspend(print),
                false => print(),
            };
        }
    }

    fn line(&self, finding: &Finding) -> String {
        let mut at = finding.path.display().to_string();
        if let Some(position) = finding.position {
            at += &format!(" at byte {position}");
        }
        if let Some(name) = self.partition_name(finding) {
            at += &format!(" ({name})");
        }
        let severity = format!("{:6}", finding.severity.name());
        let colour = match finding.severity {
            Severity::Damage => "1;31",
            Severity::Mends => "33",
            Severity::Note => "2",
        };
        let severity = match self.coloured {
            true => format!("\x1b[{colour}m{severity}\x1b[0m"),
            false => severity,
        };
        format!("{severity}  {at}: {}", finding.what)
    }

    fn partition_name(&self, finding: &Finding) -> Option<String> {
        let id = finding.partition?;
        let topic = self.catalog.as_ref()?.topic_by_id(id.topic_id)?;
        Some(format!("{}-{}", topic.name, id.index))
    }

    fn json(&self, finding: &Finding) -> String {
        json!({
            "severity": finding.severity.name(),
            "path": finding.path.display().to_string(),
            "position": finding.position,
            "topic_id": finding.partition.map(|id| id.topic_id.to_string()),
            "partition": finding.partition.map(|id| id.index),
            "what": finding.what,
        })
        .to_string()
    }

    fn finish(mut self, totals: &Totals) -> io::Result<()> {
        self.progress.finish_and_clear();
        let [damages, mends, notes] = self.counts;
        let Totals { partitions, segments, batches, records, bytes } = *totals;
        let line = match self.as_json {
            true => json!({
                "summary": {
                    "damage": damages, "mends": mends, "notes": notes, "partitions": partitions,
                    "segments": segments, "batches": batches, "records": records, "bytes": bytes,
                }
            })
            .to_string(),
            false => format!(
                "{}: {partitions} partitions, {segments} segments, {batches} batches, {records} \
                 records, {bytes} bytes read; {damages} damaged, {mends} to be mended by the next \
                 start, {notes} notes",
                if damages == 0 { "no damage" } else { "DAMAGE" }
            ),
        };
        self.print(&line);
        self.failed
    }
}

impl Watcher for Printer {
    fn found(&mut self, finding: Finding) {
        self.counts[finding.severity as usize] += 1;
        let line = if self.as_json { self.json(&finding) } else { self.line(&finding) };
        self.print(&line);
    }

    fn read(&mut self, bytes: u64) {
        self.progress.inc(bytes);
    }
}
