//! What is printed of a record.

use std::io::{self, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use corelane_storage::batch::Record;
use serde::Serialize;

use crate::cli::escapes::unescape;

/// A record, and where it is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// What is printed of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// The value, and a delimiter.
    Raw,
    /// An object on a line.
    Json,
    /// Pieces of a template.
    Template(Vec<Piece>),
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes as they are.
    Text(Vec<u8>),
    /// What a letter stands for.
    Field(Field),
}

/// What the letters stand for; those of kcat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `%t`
    Topic,
    /// `%p`
    Partition,
    /// `%o`
    Offset,
    /// `%k`
    Key,
    /// `%v`, `%s`
    Value,
    /// `%h`
    Headers,
    /// `%T`
    Timestamp,
    /// `%K`
    KeyBytes,
    /// `%S`
    ValueBytes,
}

impl Format {
    /// `raw`, `json`, or a template.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Format, String> {
        match text {
            "raw" => Ok(Format::Raw),
            "json" => Ok(Format::Json),
            template if template.contains(['%', '\\']) => {
                template_of(template).map(Format::Template)
            }
            _ => Err("expected raw, json, or a template such as '%o %k %v\\n'".to_owned()),
        }
    }

    /// Writes a record.
    ///
    /// # Errors
    /// As writing fails.
    pub fn write(
        &self,
        out: &mut impl Write,
        place: Place<'_>,
        record: &Record,
        delimiter: &[u8],
    ) -> io::Result<()> {
        match self {
            Format::Raw => {
                out.write_all(record.value.as_deref().unwrap_or_default())?;
                out.write_all(delimiter)
            }
            Format::Json => {
                serde_json::to_writer(&mut *out, &Shown::new(place, record))?;
                out.write_all(b"\n")
            }
            Format::Template(pieces) => pieces.iter().try_for_each(|piece| match piece {
                Piece::Text(bytes) => out.write_all(bytes),
                Piece::Field(field) => field.write(out, place, record),
            }),
        }
    }
}

fn template_of(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        let mut bytes = unescape(before)?;
        let letter = after.chars().next();
        let field = match letter {
            Some('t') => Some(Field::Topic),
            Some('p') => Some(Field::Partition),
            Some('o') => Some(Field::Offset),
            Some('k') => Some(Field::Key),
            Some('v' | 's') => Some(Field::Value),
            Some('h') => Some(Field::Headers),
            Some('T') => Some(Field::Timestamp),
            Some('K') => Some(Field::KeyBytes),
            Some('S') => Some(Field::ValueBytes),
            Some('%') => {
                bytes.push(b'%');
                None
            }
            Some(other) => return Err(format!("unknown %{other}; see --help for what there is")),
            None => return Err("a % at the end; %% is a percent sign".to_owned()),
        };
        if !bytes.is_empty() {
            pieces.push(Piece::Text(bytes));
        }
        pieces.extend(field.map(Piece::Field));
        rest = &after[1..];
    }
    let bytes = unescape(rest)?;
    if !bytes.is_empty() {
        pieces.push(Piece::Text(bytes));
    }
    Ok(pieces)
}

impl Field {
    fn write(self, out: &mut impl Write, place: Place<'_>, record: &Record) -> io::Result<()> {
        let length = |field: &Option<Vec<u8>>| field.as_ref().map_or(-1, |f| f.len() as i64);
        match self {
            Field::Topic => write!(out, "{}", place.topic),
            Field::Partition => write!(out, "{}", place.partition),
            Field::Offset => write!(out, "{}", place.offset),
            Field::Key => out.write_all(record.key.as_deref().unwrap_or_default()),
            Field::Value => out.write_all(record.value.as_deref().unwrap_or_default()),
            Field::Timestamp => write!(out, "{}", record.timestamp_ms),
            Field::KeyBytes => write!(out, "{}", length(&record.key)),
            Field::ValueBytes => write!(out, "{}", length(&record.value)),
            Field::Headers => {
                for (i, (name, value)) in record.headers.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(out, "{comma}{name}=")?;
                    out.write_all(value.as_deref().unwrap_or_default())?;
                }
                Ok(())
            }
        }
    }
}

/// A record as JSON. Bytes that are not UTF-8 are told as base64, under another name.
#[derive(Serialize)]
struct Shown<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: Option<i64>,
    #[serde(flatten)]
    key: Key<'a>,
    #[serde(flatten)]
    value: Value<'a>,
    headers: Vec<Header<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Key<'a> {
    Text { key: Option<&'a str> },
    Binary { key_base64: String },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Value<'a> {
    Text { value: Option<&'a str> },
    Binary { value_base64: String },
}

#[derive(Serialize)]
struct Header<'a> {
    name: &'a str,
    #[serde(flatten)]
    value: Value<'a>,
}

impl<'a> Shown<'a> {
    fn new(place: Place<'a>, record: &'a Record) -> Shown<'a> {
        let header = |(name, value): &'a (String, Option<Vec<u8>>)| Header {
            name,
            value: Value::new(value.as_deref()),
        };
        Shown {
            topic: place.topic,
            partition: place.partition,
            offset: place.offset,
            timestamp: Some(record.timestamp_ms).filter(|timestamp| *timestamp >= 0),
            key: match text(record.key.as_deref()) {
                Ok(key) => Key::Text { key },
                Err(bytes) => Key::Binary { key_base64: BASE64_STANDARD.encode(bytes) },
            },
            value: Value::new(record.value.as_deref()),
            headers: record.headers.iter().map(header).collect(),
        }
    }
}

impl<'a> Value<'a> {
    fn new(bytes: Option<&'a [u8]>) -> Value<'a> {
        match text(bytes) {
            Ok(value) => Value::Text { value },
            Err(bytes) => Value::Binary { value_base64: BASE64_STANDARD.encode(bytes) },
        }
    }
}

fn text(bytes: Option<&[u8]>) -> Result<Option<&str>, &[u8]> {
    bytes.map(|bytes| std::str::from_utf8(bytes).map_err(|_| bytes)).transpose()
}

#[cfg(test)]
mod tests {
    use corelane_storage::batch::Record;

    use super::{Format, Place};

    fn written(format: &str, record: &Record) -> String {
        let place = Place { topic: "t", partition: 3, offset: 41 };
        let mut out = Vec::new();
        Format::parse(format).unwrap().write(&mut out, place, record, b"|").unwrap();
        String::from_utf8(out).unwrap()
    }

    fn record() -> Record {
        Record {
            key: Some("ключ".into()),
            value: Some("va\"l".into()),
            headers: vec![("a".into(), Some("1".into())), ("b".into(), None)],
            timestamp_ms: 1_700_000_000_123,
        }
    }

    #[test]
    fn templates_have_kcats_letters() {
        let all = "%t/%p/%o %k(%K)=%v(%S) %s [%h] %T 100%%\\t\\x21\\n";
        let expected = "t/3/41 ключ(8)=va\"l(4) va\"l [a=1,b=] 1700000000123 100%\t!\n";
        assert_eq!(written(all, &record()), expected);
        assert_eq!(written("%k,%K,%S\\n", &Record::default()), ",-1,-1\n");
        for wrong in ["", "yaml", "%", "%q", "%o\\", "100%ü"] {
            assert!(Format::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn json_says_what_is_binary_and_what_is_null() {
        assert_eq!(
            written("json", &record()),
            "{\"topic\":\"t\",\"partition\":3,\"offset\":41,\"timestamp\":1700000000123,\
             \"key\":\"ключ\",\"value\":\"va\\\"l\",\"headers\":[{\"name\":\"a\",\"value\":\"1\"},\
             {\"name\":\"b\",\"value\":null}]}\n"
        );
        let binary = Record { value: Some(vec![0xff, 0]), timestamp_ms: -1, ..Record::default() };
        assert_eq!(
            written("json", &binary),
            "{\"topic\":\"t\",\"partition\":3,\"offset\":41,\"timestamp\":null,\"key\":null,\
             \"value_base64\":\"/wA=\",\"headers\":[]}\n"
        );
    }

    #[test]
    fn raw_is_the_value_and_nothing_else() {
        assert_eq!(written("raw", &record()), "va\"l|");
        assert_eq!(written("raw", &Record::default()), "|");
    }
}
