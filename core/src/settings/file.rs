//! The TOML file. Kafka's dotted names are what TOML calls tables: `log.retention.ms = 1`,
//! `[log.retention]` with `ms = 1`, and `"log.retention.ms" = 1` say the same.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::gather::Collected;
use super::source::{Given, Source};

/// Largest file taken.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The key that says which version of this format a file is of.
const VERSION_KEY: &str = "config.version";
const VERSION: &str = "1";

/// Reads all that the file at `path` gives.
pub(super) fn read(path: &Path, collected: &mut Collected) {
    match read_text(path) {
        Ok(text) => parse(path, &text, collected),
        Err(words) => collected.problems.add_anywhere(format!("{}: {words}", path.display())),
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let metadata = file.metadata().map_err(|error| unreadable(&error))?;
    if metadata.is_dir() {
        return Err("is a directory: name the file in it with --config".to_owned());
    }
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err("is larger than 1 MiB: this is no configuration file".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("is not UTF-8 (line {line}): TOML files are; save it again as UTF-8")
    })
}

fn unreadable(error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::NotFound => "name a file that exists with --config, or leave it out",
        io::ErrorKind::PermissionDenied => "let the broker's user read it",
        _ => "name a readable file with --config",
    };
    format!("can't be read: {error}; {advice}")
}

/// From offsets in the text to lines and columns.
struct Place<'a> {
    path: Arc<PathBuf>,
    text: &'a str,
}

impl Place<'_> {
    fn of(&self, span: Range<usize>) -> Source {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Source::File {
            path: self.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

fn parse(path: &Path, text: &str, collected: &mut Collected) {
    let place = Place { path: Arc::new(path.to_owned()), text };
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            let source = place.of(error.span().unwrap_or(0..0));
            return collected.problems.add(&source, syntax(error.message()));
        }
    };
    let mut found = Collected::default();
    flatten(table.get_ref(), "", &place, &mut found);
    // Its tables are sorted by name; whoever mends the file goes from its top to its end.
    found.given.sort_by_key(|given| given.source.place());
    let (version, given): (Vec<_>, Vec<_>) =
        found.given.into_iter().partition(|given| given.name == VERSION_KEY);
    if let Some(other) = version.iter().find(|given| given.text != VERSION) {
        let words = format!(
            "this file is of version {}; this corelane reads version {VERSION}",
            other.text
        );
        // What a key means in another version is not ours to judge.
        return collected.problems.add(&other.source, words);
    }
    collected.given.extend(given);
    collected.problems.extend(found.problems);
}

/// TOML's own words, and what they mean for dotted names.
fn syntax(message: &str) -> String {
    let message = message.lines().collect::<Vec<_>>().join("; ");
    let conflict = ["duplicate key", "cannot extend value", "dotted key"];
    if conflict.iter().any(|words| message.contains(words)) {
        return format!(
            "{message}: TOML takes each key once, each table either in dots or under one [header], and \
             nothing below a key that has a value. In quotes, every key stands by itself: \
             \"max.connections.per.ip\" = 100"
        );
    }
    format!("this is not TOML: {message}")
}

/// As deep as TOML's parser lets tables be: 80.
fn flatten(table: &DeTable<'_>, above: &str, place: &Place<'_>, found: &mut Collected) {
    for (key, value) in table {
        let name = match above {
            "" => key.get_ref().to_string(),
            above => format!("{above}.{}", key.get_ref()),
        };
        if let DeValue::Table(below) = value.get_ref() {
            flatten(below, &name, place, found);
            continue;
        }
        let source = place.of(key.span());
        match value_text(value) {
            Ok((text, is_array)) => found.given.push(Given { name, text, is_array, source }),
            Err(words) => found.problems.add(&source, format!("`{name}`: {words}")),
        }
    }
}

/// The value as text, and whether it is an array.
fn value_text(value: &Spanned<DeValue<'_>>) -> Result<(String, bool), String> {
    let DeValue::Array(elements) = value.get_ref() else {
        return Ok((scalar(value.get_ref())?, false));
    };
    let mut texts = Vec::new();
    for element in elements {
        let text = scalar(element.get_ref())?;
        if text.contains(',') {
            return Err(format!("an element of the array has a comma: \"{text}\""));
        }
        texts.push(text);
    }
    Ok((texts.join(","), true))
}

fn scalar(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Boolean(word) => Ok(word.to_string()),
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Integer(number) => {
            let value = i64::from_str_radix(number.as_str(), number.radix());
            value.map(|value| value.to_string()).map_err(|_| "the number is too large".to_owned())
        }
        DeValue::Datetime(_) => Err("no key has a date for a value".to_owned()),
        DeValue::Array(_) => Err("no key has arrays in an array".to_owned()),
        DeValue::Table(_) => Err("no key has tables in an array".to_owned()),
    }
}
