//! From bytes to records: cutting at delimiters, keys from values.

use corelane_storage::batch::Record;

/// Bytes that one record of the input may have: what a broker could be set up to take.
pub(super) const RECORD_BYTES_MAX: usize = 100 << 20;

/// Why the input is no sequence of records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InputError {
    #[error(
        "{noun} {number} has more than {} MiB, the most that is taken; is --delimiter right?",
        RECORD_BYTES_MAX >> 20
    )]
    TooLong { noun: &'static str, number: u64 },
    #[error("{noun} {number} has no key separator; without --key-separator records have no keys")]
    NoSeparator { noun: &'static str, number: u64 },
}

/// How pieces of the input become records.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    /// What ends a record; none if all is one.
    pub(super) delimiter: Option<Vec<u8>>,
    pub(super) key_separator: Option<Vec<u8>>,
    /// What stands for null.
    pub(super) null_marker: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
}

/// The records of an input that comes in any pieces. Holds one record, and what was read behind it.
#[derive(Debug)]
pub(super) struct Splitter {
    shape: Shape,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that were made records.
    taken: usize,
    /// Bytes of `buffer`, behind `taken`, in which no delimiter begins.
    searched: usize,
    /// Records so far.
    number: u64,
}

impl Splitter {
    pub(super) fn new(shape: Shape) -> Splitter {
        Splitter { shape, buffer: Vec::new(), taken: 0, searched: 0, number: 0 }
    }

    /// Adds bytes of the input.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The number of the record returned last, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next record that is there as a whole; after the `end` of the input, the rest too.
    pub(super) fn next_record(&mut self, end: bool) -> Result<Option<Record>, InputError> {
        let rest = &self.buffer[self.taken..];
        let found = match &self.shape.delimiter {
            None => None,
            Some(delimiter) => find(&rest[self.searched..], delimiter)
                .map(|at| (self.searched + at, delimiter.len())),
        };
        let too_long = InputError::TooLong { noun: self.shape.noun(), number: self.number + 1 };
        let (length, delimiter_bytes) = match found {
            Some((length, _)) if length > RECORD_BYTES_MAX => return Err(too_long),
            Some(found) => found,
            None if rest.len() > RECORD_BYTES_MAX => return Err(too_long),
            // All of the input is one record, even if it is empty.
            None if end && self.shape.delimiter.is_none() && self.number == 0 => (rest.len(), 0),
            None if end && !rest.is_empty() => (rest.len(), 0),
            None => {
                let overlap = self.shape.delimiter.as_ref().map_or(0, |d| d.len() - 1);
                self.searched = rest.len().saturating_sub(overlap);
                return Ok(None);
            }
        };
        self.number += 1;
        let record = self.shape.record(&rest[..length], self.number);
        self.taken += length + delimiter_bytes;
        self.searched = 0;
        record.map(Some)
    }
}

impl Shape {
    /// What people call a piece of the input.
    pub(super) fn noun(&self) -> &'static str {
        match self.delimiter.as_deref() {
            Some(b"\n") => "line",
            _ => "record",
        }
    }

    /// A record yet without its time.
    fn record(&self, bytes: &[u8], number: u64) -> Result<Record, InputError> {
        let (key, value) = match &self.key_separator {
            None => (None, bytes),
            Some(separator) => {
                let at = find(bytes, separator)
                    .ok_or(InputError::NoSeparator { noun: self.noun(), number })?;
                (Some(&bytes[..at]), &bytes[at + separator.len()..])
            }
        };
        let is_null = |bytes: &[u8]| self.null_marker.as_deref() == Some(bytes);
        let field = |bytes: &[u8]| (!is_null(bytes)).then(|| bytes.to_vec());
        Ok(Record {
            key: key.and_then(field),
            value: field(value),
            headers: self.headers.clone(),
            timestamp_ms: 0,
        })
    }
}

/// Where `needle`, which is not empty, begins.
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + bytes[from..].iter().position(|byte| *byte == needle[0])?;
        if bytes[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{InputError, RECORD_BYTES_MAX, Shape, Splitter, find};

    fn values(shape: &Shape, input: &[u8], piece: usize) -> Vec<Option<Vec<u8>>> {
        let mut splitter = Splitter::new(shape.clone());
        let mut values = Vec::new();
        for piece in input.chunks(piece) {
            splitter.push(piece);
            while let Some(record) = splitter.next_record(false).unwrap() {
                values.push(record.value);
            }
        }
        while let Some(record) = splitter.next_record(true).unwrap() {
            values.push(record.value);
        }
        assert_eq!(splitter.number(), values.len() as u64);
        values
    }

    fn text(values: Vec<Option<Vec<u8>>>) -> Vec<String> {
        let text = |value: Option<Vec<u8>>| {
            value.map_or("(null)".into(), |value| String::from_utf8(value).unwrap())
        };
        values.into_iter().map(text).collect()
    }

    #[test]
    fn records_end_with_delimiters_however_the_input_comes() {
        let lines = Shape { delimiter: Some(b"\n".to_vec()), ..Shape::default() };
        let crlf = Shape { delimiter: Some(b"\r\n".to_vec()), ..Shape::default() };
        for piece in 1..20 {
            assert_eq!(
                text(values(&lines, b"one\n\ntwo\nrest", piece)),
                ["one", "", "two", "rest"]
            );
            assert_eq!(text(values(&lines, b"one\n", piece)), ["one"]);
            assert_eq!(text(values(&lines, b"", piece)), [""; 0]);
            assert_eq!(text(values(&crlf, b"a\r\r\nb\nc\r\n\r\n", piece)), ["a\r", "b\nc", ""]);
        }
    }

    #[test]
    fn all_may_be_one_record() {
        for input in ["", "a\nb\n"] {
            assert_eq!(text(values(&Shape::default(), input.as_bytes(), 2)), [input]);
        }
    }

    #[test]
    fn keys_come_before_the_first_separator() {
        let shape = Shape {
            delimiter: Some(b"\n".to_vec()),
            key_separator: Some(b"::".to_vec()),
            null_marker: Some(b"NULL".to_vec()),
            headers: vec![("h".into(), Some(b"v".to_vec()))],
        };
        let mut splitter = Splitter::new(shape);
        splitter.push(b"k::a::b\n::\nk::NULL\nNULL::x\nnone");
        let mut next = |end| {
            splitter.next_record(end).map(|record| record.map(|record| (record.key, record.value)))
        };
        let some = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(next(false), Ok(Some((some("k"), some("a::b")))));
        assert_eq!(next(false), Ok(Some((some(""), some("")))));
        assert_eq!(next(false), Ok(Some((some("k"), None))));
        assert_eq!(next(false), Ok(Some((None, some("x")))));
        assert_eq!(next(false), Ok(None));
        assert_eq!(next(true), Err(InputError::NoSeparator { noun: "line", number: 5 }));
    }

    #[test]
    fn a_record_without_end_is_refused_before_it_fills_the_memory() {
        let mut splitter = Splitter::new(Shape { delimiter: Some(vec![0]), ..Shape::default() });
        splitter.push(b"short\0");
        splitter.push(&vec![b'x'; RECORD_BYTES_MAX + 1]);
        assert_eq!(splitter.next_record(false).unwrap().unwrap().value.unwrap(), b"short");
        assert_eq!(
            splitter.next_record(false),
            Err(InputError::TooLong { noun: "record", number: 2 })
        );
    }

    #[test]
    fn needles_are_found() {
        assert_eq!(find(b"aab", b"ab"), Some(1));
        assert_eq!(find(b"aa", b"ab"), None);
        assert_eq!(find(b"", b"a"), None);
    }
}
