//! Keys and values as printable text: nothing that a producer sent may move the cursor, ring the
//! bell or end the line.

use std::fmt::Write;

use corelane_storage::batch::Limited;

/// In quotes, as a Rust or JSON programmer would write it; bytes that are no UTF-8 as `\xNN`. What
/// was left out is counted behind it.
pub fn escaped(field: &Limited) -> String {
    let mut out = String::with_capacity(field.bytes.len() + 2);
    out.push('"');
    for chunk in field.bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if is_unprintable(c) => {
                    let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push('"');
    let left = field.total_bytes - field.bytes.len() as u64;
    if left > 0 {
        let _ = write!(out, " (and {left} bytes)");
    }
    out
}

/// Control characters, and those that turn the direction of writing or can't be seen.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use corelane_storage::batch::Limited;

    use super::escaped;

    fn of(bytes: &[u8]) -> String {
        escaped(&Limited { bytes: bytes.to_vec(), total_bytes: bytes.len() as u64 })
    }

    #[test]
    fn nothing_reaches_the_terminal_that_is_not_text() {
        assert_eq!(of(b"plain \xc3\xa4"), "\"plain \u{e4}\"");
        assert_eq!(of(b"a\"b\\c\n\r\t"), r#""a\"b\\c\n\r\t""#);
        assert_eq!(of(b"\x1b[2J\x07\x00"), r#""\u{1b}[2J\u{7}\u{0}""#);
        assert_eq!(of(b"\xff\xfe!"), r#""\xff\xfe!""#);
        assert_eq!(of("\u{202e}x\u{feff}".as_bytes()), r#""\u{202e}x\u{feff}""#);
        assert_eq!(of(b""), "\"\"");
        let cut = Limited { bytes: b"ab".to_vec(), total_bytes: 10 };
        assert_eq!(escaped(&cut), "\"ab\" (and 8 bytes)");
    }
}
