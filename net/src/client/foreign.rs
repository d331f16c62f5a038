//! What answers when it is no broker that was reached.

use std::fmt;

/// Bytes of an answer that are worth showing.
pub const SHOWN_BYTES: usize = 60;

/// Something else than a broker, judged by the first bytes that it sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// An HTTP server.
    Http(String),
    /// A TLS server, to which a plaintext request is nonsense.
    Tls,
    /// Anything that sends text: SSH, SMTP, Redis.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl Foreign {
    /// Judges the first bytes of an answer.
    pub fn recognise(first: &[u8]) -> Foreign {
        let first = &first[..first.len().min(SHOWN_BYTES)];
        // A TLS record: an alert or a handshake, of version 3.x.
        if let [0x15 | 0x16, 3, 0..=4, ..] = first {
            return Foreign::Tls;
        }
        let line = first.split(|byte| matches!(byte, b'\r' | b'\n')).find(|line| !line.is_empty());
        let text = line.and_then(|line| std::str::from_utf8(line).ok());
        match text.filter(|text| !text.contains(char::is_control)) {
            Some(text) if text.starts_with("HTTP/") => Foreign::Http(text.to_owned()),
            Some(text) => Foreign::Text(text.to_owned()),
            None => Foreign::Bytes(first.to_vec()),
        }
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Foreign::Http(line) => write!(f, "it is an HTTP server and answered \"{line}\""),
            Foreign::Tls => write!(
                f,
                "it answered as a TLS server does; encrypted connections are not supported, give \
                 the address of a plaintext listener"
            ),
            Foreign::Text(text) => write!(f, "it answered \"{text}\""),
            Foreign::Bytes(bytes) => {
                write!(f, "it answered with the bytes")?;
                bytes.iter().take(16).try_for_each(|byte| write!(f, " {byte:02x}"))
            }
        }
    }
}
