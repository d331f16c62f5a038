//! `corelane tune check`: the findings on this machine, as a table, as lines or as JSON.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use corelane_tuning::{Finding, Plan, PortFacts, Severity, preflight};
use serde_json::json;

use super::output::{Output, is_coloured, quietly};
use crate::cli::TuneCommand;
use crate::runtime;
use crate::settings::{Configuration, Problems};

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is wrong.
    #[error(transparent)]
    Settings(#[from] Problems),
    /// The cores can't be counted.
    #[error("usable cores: {0}")]
    Cores(io::Error),
    /// Standard output refuses.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

/// Looks, prints, and says by its exit code whether a broker would start.
///
/// # Errors
/// Every [`Error`].
pub fn run(command: TuneCommand) -> Result<ExitCode, Error> {
    let TuneCommand::Check(options) = command;
    let findings = preflight(&plan(&Configuration::new(&options.settings.clone().gather())?)?);
    let prevented = findings.iter().any(|found| found.severity == Severity::PreventsStart);
    quietly(print(&findings, options.json, prevented))?;
    Ok(if prevented { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn plan(configuration: &Configuration) -> Result<Plan, Error> {
    let shards = match configuration.shards {
        Some(shards) => usize::from(shards),
        None => runtime::usable_cores().map_err(Error::Cores)?.len(),
    };
    let listen = |address| {
        let errno = runtime::bind(address).err().map(|cause| cause.raw_os_error().unwrap_or(0));
        PortFacts { address, errno }
    };
    let addresses = configuration.listeners.iter().flat_map(|listener| &listener.addresses);
    Ok(Plan {
        data_dir: configuration.data_dir.clone(),
        make_data_dir: false,
        shards,
        ports: addresses.copied().map(listen).collect(),
        cache_bytes: configuration.cache_bytes,
    })
}

fn print(findings: &[Finding], as_json: bool, prevented: bool) -> io::Result<()> {
    let mut out = Output::stdout();
    match (as_json, io::stdout().is_terminal()) {
        (true, _) => writeln!(out, "{:#}", to_json(findings, prevented))?,
        (false, true) => print_table(&mut out, findings)?,
        (false, false) => print_lines(&mut out, findings)?,
    }
    out.finish()
}

fn to_json(findings: &[Finding], prevented: bool) -> serde_json::Value {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let finding = |found: &Finding| {
        json!({
            "check": found.id,
            "status": found.severity.name(),
            "value": found.value,
            "problem": text(&found.what),
            "remedy": text(&found.remedy),
        })
    };
    let findings: Vec<_> = findings.iter().map(finding).collect();
    json!({ "starts": !prevented, "findings": findings })
}

/// One line per check, its columns divided by tabs: for `grep`, `cut` and logs.
fn print_lines(out: &mut Output, findings: &[Finding]) -> io::Result<()> {
    for found in findings {
        write!(out, "{}\t{}\t{}", found.id, found.severity.name(), found.value)?;
        if !found.what.is_empty() {
            write!(out, "\t{}\t{}", found.what, found.remedy)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn print_table(out: &mut Output, findings: &[Finding]) -> io::Result<()> {
    let coloured = is_coloured();
    let ids = findings.iter().map(|found| found.id.len()).max().unwrap_or(0);
    let statuses = findings.iter().map(|found| found.severity.name().len()).max().unwrap_or(0);
    writeln!(out, "{:ids$}  {:statuses$}  SEEN", "CHECK", "STATUS")?;
    for found in findings {
        let status = format!("{:statuses$}", found.severity.name());
        let status = if coloured { paint(&status, found.severity) } else { status };
        writeln!(out, "{:ids$}  {status}  {}", found.id, found.value)?;
    }
    for found in findings.iter().filter(|found| !found.what.is_empty()) {
        writeln!(out, "\n{}: {found}", found.id)?;
    }
    Ok(())
}

fn paint(text: &str, severity: Severity) -> String {
    let colour = match severity {
        Severity::PreventsStart => "1;31",
        Severity::Slows => "33",
        Severity::Unknown => "2",
        Severity::Fine => "32",
    };
    format!("\x1b[{colour}m{text}\x1b[0m")
}
