//! Prometheus' text format, version 0.0.4.

use std::fmt::{self, Display, Write};

use corelane_storage::meters::Durations;

use super::families::Family;

/// `Content-Type` of a page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper edges of a histogram's buckets, in microseconds, and as they are told, in seconds.
const EDGES: [(u64, &str); 17] = [
    (50, "0.00005"),
    (100, "0.0001"),
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
];

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, but for a restart.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size, and their sum.
    Histogram,
}

impl Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        })
    }
}

/// A page being written. Each family once, all its samples behind its head.
#[derive(Default)]
pub struct Page {
    text: String,
    family: Option<&'static Family>,
}

impl Page {
    /// The samples from here on are of `family`.
    pub fn family(&mut self, family: &'static Family) {
        let Family { name, kind, help, .. } = family;
        self.put(format_args!("# HELP {name} {}\n# TYPE {name} {kind}\n", Escaped::help(help)));
        self.family = Some(family);
    }

    /// A family of one sample at most; one without a value is not told of.
    pub fn single(&mut self, family: &'static Family, value: Option<impl Display>) {
        self.family(family);
        if let Some(value) = value {
            self.sample("", value);
        }
    }

    /// One sample; `labels` as [`labels`] makes them.
    pub fn sample(&mut self, labels: &str, value: impl Display) {
        let name = self.name();
        self.text.push_str(name);
        if !labels.is_empty() {
            self.text.push('{');
            self.text.push_str(labels);
            self.text.push('}');
        }
        self.put(format_args!(" {value}\n"));
    }

    /// The samples of a histogram.
    pub fn histogram(&mut self, labels: &str, durations: &Durations) {
        let name = self.name();
        let comma = if labels.is_empty() { "" } else { "," };
        let counts = durations.counts_upto(&EDGES.map(|(edge_us, _)| edge_us));
        for (count, (_, edge)) in counts.into_iter().zip(EDGES) {
            self.put(format_args!("{name}_bucket{{{labels}{comma}le=\"{edge}\"}} {count}\n"));
        }
        let (count, sum) = (durations.count(), durations.sum().as_secs_f64());
        self.put(format_args!("{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}\n"));
        let (open, close) = if labels.is_empty() { ("", "") } else { ("{", "}") };
        self.put(format_args!("{name}_sum{open}{labels}{close} {sum}\n"));
        self.put(format_args!("{name}_count{open}{labels}{close} {count}\n"));
    }

    /// All of it.
    pub fn into_text(mut self) -> String {
        // It grew by doubling, and a slow client may hold it for a while.
        self.text.shrink_to_fit();
        self.text
    }

    fn name(&self) -> &'static str {
        self.family.map_or("", |family| family.name)
    }

    fn put(&mut self, arguments: fmt::Arguments<'_>) {
        // A string takes all there is memory for.
        let _ = self.text.write_fmt(arguments);
    }
}

/// Labels as a sample has them: `a="1",b="2"`.
pub fn labels(pairs: &[(&str, &dyn Display)]) -> String {
    let mut text = String::new();
    for (number, (name, value)) in pairs.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        let value = value.to_string();
        let _ = write!(text, "{comma}{name}=\"{}\"", Escaped::label(&value));
    }
    text
}

/// A text in which what would end it is escaped.
struct Escaped<'a> {
    text: &'a str,
    quotes: bool,
}

impl Escaped<'_> {
    fn help(text: &str) -> Escaped<'_> {
        Escaped { text, quotes: false }
    }

    fn label(text: &str) -> Escaped<'_> {
        Escaped { text, quotes: true }
    }
}

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.text.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' if self.quotes => f.write_str("\\\"")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    static DURATION: Family = Family {
        name: "a_duration_seconds",
        kind: Kind::Histogram,
        labels: &["x"],
        help: "Line \\ one\nand \"two\".",
        kafka: "",
    };

    #[test]
    fn what_would_end_a_text_is_escaped() {
        let labels = labels(&[("x", &"a\"b\\c\nd"), ("y", &7)]);
        assert_eq!(labels, r#"x="a\"b\\c\nd",y="7""#);
        let mut page = Page::default();
        page.family(&DURATION);
        page.sample(&labels, 1);
        let text = page.into_text();
        assert_eq!(
            text,
            "# HELP a_duration_seconds Line \\\\ one\\nand \"two\".\n\
             # TYPE a_duration_seconds histogram\n\
             a_duration_seconds{x=\"a\\\"b\\\\c\\nd\",y=\"7\"} 1\n"
        );
    }

    #[test]
    fn a_histogram_has_all_its_lines() {
        let mut durations = Durations::default();
        for took_us in [10, 100, 20_000_000] {
            durations.record(Duration::from_micros(took_us));
        }
        let mut page = Page::default();
        page.family(&DURATION);
        page.histogram("x=\"1\"", &durations);
        let text = page.into_text();
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(lines.len(), EDGES.len() + 3);
        assert_eq!(lines[0], "a_duration_seconds_bucket{x=\"1\",le=\"0.00005\"} 1");
        assert_eq!(lines[1], "a_duration_seconds_bucket{x=\"1\",le=\"0.0001\"} 2");
        assert_eq!(lines[EDGES.len() - 1], "a_duration_seconds_bucket{x=\"1\",le=\"10\"} 2");
        let end = [
            "a_duration_seconds_bucket{x=\"1\",le=\"+Inf\"} 3",
            "a_duration_seconds_sum{x=\"1\"} 20.00011",
            "a_duration_seconds_count{x=\"1\"} 3",
        ];
        assert_eq!(lines[EDGES.len()..], end);
    }

    #[test]
    fn edges_say_what_they_are() {
        for (edge_us, told) in EDGES {
            let told_us = told.parse::<f64>().unwrap() * 1e6;
            assert!((told_us - edge_us as f64).abs() < 1e-6, "{told}");
        }
    }
}
