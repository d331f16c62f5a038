//! Output: tables for people, lines with tabs and JSON for scripts.

use std::io::{self, IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::Error;
use super::output::is_coloured;

/// Prints a value as JSON, with a line feed behind.
pub(super) fn json(value: &impl Serialize) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value).map_err(|error| Error::Output(error.into()))?;
    writeln!(out).and_then(|()| out.flush()).map_err(Error::Output)
}

/// Prints lines of text.
pub(super) fn text(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(Error::Output)
}

/// Prints rows: on a terminal a table with a header, elsewhere lines with tabs and no header.
pub(super) fn rows(header: &[&str], rows: &[Vec<String>]) -> Result<(), Error> {
    match io::stdout().is_terminal() {
        true => text(&table(header, rows, is_coloured())),
        false => rows.iter().try_for_each(|row| text(&line(row))),
    }
}

/// What separates fields is no part of one.
fn line(row: &[String]) -> String {
    let fields = row.iter().map(|field| field.replace(['\t', '\n', '\r'], " "));
    fields.collect::<Vec<_>>().join("\t")
}

fn table(header: &[&str], rows: &[Vec<String>], coloured: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(|name| name.to_uppercase()));
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.to_string();
    let mut lines = text.lines().map(str::trim_end);
    let first = lines.next().unwrap_or_default();
    let first = match coloured {
        true => format!("\x1b[1m{first}\x1b[0m"),
        false => first.to_owned(),
    };
    std::iter::once(first.as_str()).chain(lines).collect::<Vec<_>>().join("\n")
}

/// A number, or '-' where it is not known.
pub(super) fn or_dash(number: Option<impl ToString>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// Bytes as people read them.
pub(super) fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut scaled = bytes as f64 / 1024.0;
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    format!("{scaled:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::{human_bytes, line, table};

    #[test]
    fn tables_are_aligned_and_lines_have_tabs() {
        let rows = [vec!["a".into(), "12".into()], vec!["longer".into(), "x\ty".into()]];
        assert_eq!(table(&["name", "n"], &rows[..1], false), "NAME  N\na     12");
        assert!(table(&["name"], &[], true).starts_with("\x1b[1mNAME"));
        assert_eq!(line(&rows[1]), "longer\tx y");
    }

    #[test]
    fn sizes_have_units() {
        let sizes = [0, 1023, 1024, 1536 << 10, u64::MAX].map(human_bytes);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "16384.0 PiB"]);
    }
}
