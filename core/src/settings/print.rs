//! Every key with its value and source.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use serde::Serialize;

use super::configuration::Configuration;
use super::gather::{Gathered, Setting};
use super::source::Source;
use crate::cli::ConfigCommand;
use crate::cli::config::PrintOptions;
use crate::commands::tell;

/// Runs `corelane config`.
///
/// # Errors
/// Standard output's, but for a reader who has gone.
pub fn print(command: ConfigCommand) -> io::Result<ExitCode> {
    let ConfigCommand::Print(PrintOptions { settings, json, changed }) = command;
    let gathered = settings.gather();
    for warning in &gathered.warnings {
        tell(format_args!("corelane: {warning}"));
    }
    let mut shown = gathered.settings();
    shown.retain(|setting| !changed || setting.source != Source::Default);
    let text = match json {
        true => as_json(&shown)?,
        false if io::stdout().is_terminal() => as_page(&shown, wants_colour()),
        false => as_lines(&shown),
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    Ok(verdict(&gathered))
}

/// <https://no-color.org>
fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

fn verdict(gathered: &Gathered) -> ExitCode {
    match Configuration::new(gathered) {
        Ok(_) => ExitCode::SUCCESS,
        Err(problems) => {
            tell(format_args!("corelane: {problems}"));
            ExitCode::FAILURE
        }
    }
}

#[derive(Serialize)]
struct Row {
    key: String,
    /// `null` if there is none.
    value: Option<String>,
    /// `default`, `file`, `environment` or `flag`.
    source: &'static str,
    /// The place in the file, the variable or the flag; `null` for a default.
    place: Option<String>,
    flag: String,
    variable: String,
    help: &'static str,
}

fn as_json(settings: &[&Setting]) -> io::Result<String> {
    let row = |setting: &&'_ Setting| Row {
        key: setting.name.clone(),
        value: setting.text.clone(),
        source: setting.source.kind(),
        place: (setting.source != Source::Default).then(|| setting.source.to_string()),
        flag: setting.key.flag(),
        variable: setting.key.variable(),
        help: setting.key.help,
    };
    let rows: Vec<Row> = settings.iter().map(row).collect();
    let mut text = serde_json::to_string_pretty(&rows).map_err(io::Error::other)?;
    text.push('\n');
    Ok(text)
}

/// The value, or in parentheses what follows from there being none.
fn value(setting: &Setting) -> String {
    match &setting.text {
        Some(text) => text.clone(),
        None => format!("({})", setting.key.without_value()),
    }
}

/// For people: what is not the default stands out, and help stands below, so that it is whole at any
/// width.
fn as_page(settings: &[&Setting], in_colour: bool) -> String {
    let (bold, dim, plain) =
        if in_colour { ("\x1b[1m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
    let width = settings.iter().map(|setting| setting.name.chars().count()).max().unwrap_or(0);
    let mut page = String::new();
    for setting in settings {
        let (name, value, source) = (&setting.name, value(setting), &setting.source);
        let weight = if *source == Source::Default { "" } else { bold };
        page += &format!("{weight}{name:width$}  {value}{plain}  {dim}{source}{plain}\n");
        page += &format!("    {dim}{}{plain}\n", setting.key.help);
    }
    page
}

/// Columns of the same width in every run that has the same keys: key, value, source, help.
fn as_lines(settings: &[&Setting]) -> String {
    let cells: Vec<[String; 3]> = settings
        .iter()
        .map(|setting| [setting.name.clone(), value(setting), setting.source.to_string()])
        .collect();
    let width =
        |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    let mut text = String::new();
    for ([key, value, source], setting) in cells.iter().zip(settings) {
        let [k, v, s] = widths;
        let line = format!("{key:k$}  {value:v$}  {source:s$}  {}", setting.key.help);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
