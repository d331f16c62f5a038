//! What the value of a key may be, and its one form.

use super::host_port::HostPort;
use super::table::Key;
use super::units::{bytes, milliseconds};
use crate::catalog::config::{ConfigError, ConfigType, check_value, shown};

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// What the broker config of the same name may be; with units in `.bytes` and `.ms`.
    Config,
    /// A whole number.
    Whole {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// A number of bytes.
    Bytes {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// A span of time, or -1.
    SpanOrNever {
        /// Shortest.
        min_ms: u64,
    },
    /// `true` or `false`.
    Boolean,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// The path of one directory.
    Directory,
    /// `HOST:PORT` or `none`.
    AddressOrNone,
    /// Elements with commas between; what each may be shows when all are read.
    List,
}

/// Longest value: as long as Kafka can tell one.
const VALUE_BYTES_MAX: usize = crate::catalog::config::VALUE_BYTES_MAX;

impl Key {
    /// True if the file may give an array.
    pub(super) fn takes_list(&self) -> bool {
        let is_list = |of: &crate::catalog::config::Definition| of.config_type == ConfigType::List;
        match self.kind {
            Kind::List | Kind::Directory => true,
            Kind::Config => self.definition().is_some_and(is_list),
            _ => false,
        }
    }

    /// `text` in its one form.
    ///
    /// # Errors
    /// What was expected.
    pub(super) fn canonical(&self, text: &str) -> Result<String, String> {
        let text = text.trim();
        if text.len() > VALUE_BYTES_MAX {
            return Err(format!("expected at most {VALUE_BYTES_MAX} bytes"));
        }
        if text.is_empty() && !matches!(self.kind, Kind::Config) {
            return Err("the value is empty: give one, or leave the key out".to_owned());
        }
        match self.kind {
            Kind::Config => self.config(text),
            Kind::Whole { min, max } => {
                let number = text.parse().ok().filter(|number| (min..=max).contains(number));
                let number = number.ok_or_else(|| match max {
                    0x7fff_ffff => format!("expected a whole number, at least {min}"),
                    _ => format!("expected a whole number from {min} to {max}"),
                });
                number.map(|number| number.to_string())
            }
            Kind::Bytes { min, max } => {
                let number = bytes(text)?;
                if !(min..=max).contains(&number) {
                    return Err(format!("expected {} to {}", size(min), size(max)));
                }
                Ok(number.to_string())
            }
            Kind::SpanOrNever { min_ms } => span_or_never(text, min_ms),
            Kind::Boolean => match &*text.to_ascii_lowercase() {
                word @ ("true" | "false") => Ok(word.to_owned()),
                _ => Err("expected true or false".to_owned()),
            },
            Kind::OneOf(words) => {
                let known = words.contains(&text).then(|| text.to_owned());
                known.ok_or_else(|| format!("expected {}", words.join(" or ")))
            }
            Kind::Directory => directory(text),
            Kind::AddressOrNone => address_or_none(text),
            Kind::List => {
                let elements: Vec<&str> = text.split(',').map(str::trim).collect();
                match elements.contains(&"") {
                    true => Err("there is nothing between two commas".to_owned()),
                    false => Ok(elements.join(",")),
                }
            }
        }
    }

    fn config(&self, text: &str) -> Result<String, String> {
        let Some(definition) = self.definition() else { return Ok(text.to_owned()) };
        let is_number = text.parse::<i128>().is_ok();
        let in_units = match self.name.rsplit_once('.') {
            Some((_, "bytes")) if !is_number => Some(bytes(text)?),
            Some((_, "ms")) if !is_number => Some(milliseconds(text)?),
            _ => None,
        };
        let text = in_units.map_or_else(|| text.to_owned(), |number| number.to_string());
        match check_value(definition, &text) {
            Ok(()) => Ok(shown(definition, &text)),
            Err(ConfigError::InvalidValue { expected, .. }) => Err(expected),
            Err(other) => Err(other.to_string()),
        }
    }
}

fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.into_iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| bytes.to_string(), |(unit, name)| format!("{}{name}", bytes / unit))
}

fn span_or_never(text: &str, min_ms: u64) -> Result<String, String> {
    if text == "-1" {
        return Ok(text.to_owned());
    }
    let number = milliseconds(text)?;
    if number < min_ms || i64::try_from(number).is_err() {
        return Err(format!("expected at least {min_ms} ms, or -1 for never"));
    }
    Ok(number.to_string())
}

fn directory(text: &str) -> Result<String, String> {
    match text.split(',').count() {
        1 => Ok(text.to_owned()),
        count => Err(format!(
            "expected one directory, not {count}: all data is in one, and its path has no comma \
             (a RAID or LVM volume makes one file system of several disks)"
        )),
    }
}

fn address_or_none(text: &str) -> Result<String, String> {
    if text == "none" {
        return Ok(text.to_owned());
    }
    let address = HostPort::parse(text);
    address
        .map(|address| address.to_string())
        .ok_or_else(|| "expected HOST:PORT, as 127.0.0.1:9644 or [::1]:9644, or none".to_owned())
}
