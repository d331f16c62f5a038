//! Characters that a shell makes hard to type.

/// The bytes that a text with \n, \r, \t, \0, \\ and \xNN means.
///
/// # Errors
/// What is wrong with it, for people.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.extend_from_slice(before.as_bytes());
        let Some(escaped) = after.chars().next() else {
            return Err("a backslash at the end; \\\\ is a backslash".to_owned());
        };
        rest = &after[escaped.len_utf8()..];
        out.push(match escaped {
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            '0' => 0,
            '\\' => b'\\',
            'x' => {
                let byte = rest.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
                rest = rest.get(2..).unwrap_or_default();
                byte.ok_or("expected two hexadecimal digits behind \\x")?
            }
            other => {
                return Err(format!(
                    "unknown escape \\{other}; there are \\n \\r \\t \\0 \\\\ \\xNN"
                ));
            }
        });
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn escapes_are_bytes() {
        assert_eq!(unescape("a\\n\\t\\0\\\\\\xffä").unwrap(), b"a\n\t\0\\\xff\xc3\xa4");
        for wrong in ["\\", "\\q", "\\x1", "\\xg0", "\\xä"] {
            assert!(unescape(wrong).is_err(), "{wrong}");
        }
    }
}
