//! Files of offsets, as Kafka's tool writes and reads them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use corelane_net::codec::Str;

use super::super::super::Error;
use super::super::Partition;

/// Bytes of a file; a line has some thirty.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// A line, without its end. Names of topics hold nothing that would have to be quoted.
pub(super) fn line(topic: &str, partition: i32, offset: i64) -> String {
    format!("{topic},{partition},{offset}")
}

/// The offsets in a file ('-' is standard input) that are of this group or of no named one.
pub(super) fn read(path: &Path, group: &str) -> Result<BTreeMap<Partition, i64>, Error> {
    let failed =
        |error: io::Error| Error::Data(format!("reading offsets of {}: {error}", path.display()));
    let mut text = String::new();
    let read = match path.as_os_str() == "-" {
        true => io::stdin().take(FILE_BYTES_MAX).read_to_string(&mut text),
        false => fs::File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text)),
    };
    if read.map_err(failed)? as u64 == FILE_BYTES_MAX {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    let offsets =
        parse(&text, group).map_err(|error| Error::Data(format!("{}: {error}", path.display())))?;
    match offsets.is_empty() {
        true => Err(Error::Data(format!("{} has no offsets of group '{group}'", path.display()))),
        false => Ok(offsets),
    }
}

fn parse(text: &str, group: &str) -> Result<BTreeMap<Partition, i64>, String> {
    let mut offsets = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let at = |what: &str| format!("line {}: {what}: {line}", number + 1);
        if line.trim().is_empty() {
            continue;
        }
        let fields = fields(line).ok_or_else(|| at("a quote is not closed"))?;
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let (topic, partition, offset) = match fields[..] {
            [topic, partition, offset] => (topic, partition, offset),
            [named, topic, partition, offset] if named == group => (topic, partition, offset),
            [_, _, _, _] => continue,
            _ => return Err(at("expected topic,partition,offset")),
        };
        let partition: i32 = partition.parse().map_err(|_| at("the partition is no number"))?;
        let offset: i64 = offset.parse().map_err(|_| at("the offset is no number"))?;
        if topic.is_empty() || partition < 0 || offset < 0 {
            return Err(at("expected topic,partition,offset"));
        }
        if offsets.insert((Str::from(topic), partition), offset).is_some() {
            return Err(at("this partition was named before"));
        }
    }
    Ok(offsets)
}

/// The fields of a line, some of which may stand in double quotes (RFC 4180).
fn fields(line: &str) -> Option<Vec<String>> {
    let (mut fields, mut rest) = (Vec::new(), line.trim());
    loop {
        let (field, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => match rest.split_once(',') {
                Some((field, behind)) => (field.trim().to_owned(), Some(behind)),
                None => (rest.trim().to_owned(), None),
            },
        };
        fields.push(field);
        match behind {
            Some(behind) => rest = behind.trim_start(),
            None => return Some(fields),
        }
    }
}

/// What stands before the closing quote, and what behind the comma after it.
fn quoted_field(quoted: &str) -> Option<(String, Option<&str>)> {
    let (mut field, mut rest) = (String::new(), quoted);
    loop {
        let (before, behind) = rest.split_once('"')?;
        field += before;
        match behind.strip_prefix('"') {
            Some(behind) => {
                field.push('"');
                rest = behind;
            }
            None => {
                let behind = behind.trim_start();
                return match behind.strip_prefix(',') {
                    Some(behind) => Some((field, Some(behind))),
                    None => behind.is_empty().then_some((field, None)),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_forms_are_read() {
        let text = "a,0,5\n\n\"a\",1, 6\r\n\"g,\"\"1\"\"\",b,0,7\nother,b,0,8\n";
        let offsets = parse(text, "g,\"1\"").unwrap();
        let expected = [(("a", 0), 5), (("a", 1), 6), (("b", 0), 7)];
        let expected: BTreeMap<Partition, i64> =
            expected.into_iter().map(|((topic, index), at)| ((topic.into(), index), at)).collect();
        assert_eq!(offsets, expected);
        assert_eq!(parse(&line("a", 3, 9), "g").unwrap(), BTreeMap::from([(("a".into(), 3), 9)]));
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, words) in [
            ("a,0", "line 1: expected topic,partition,offset"),
            ("a,0,1\na,x,1", "line 2: the partition is no number"),
            ("a,0,x", "the offset is no number"),
            ("a,0,-1", "expected topic"),
            (",0,1", "expected topic"),
            ("a,0,1\na,0,2", "line 2: this partition was named before"),
            ("\"a,0,1", "a quote is not closed"),
            ("g,a,0,1,2", "expected topic"),
        ] {
            let error = parse(text, "g").unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
