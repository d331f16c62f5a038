//! The differences that are known: the table in `docs/differences.md`.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A field in which the two brokers' answers differ.
pub struct Difference {
    pub scenario: String,
    /// The step and the field.
    pub path: String,
    pub kafka: String,
    pub corelane: String,
}

impl Difference {
    /// In words; versions that differ alike are told together.
    fn describe(&self, path: &str) -> String {
        let Difference { scenario, kafka, corelane, .. } = self;
        format!("{scenario}: {path}\n    Kafka:    {kafka}\n    Corelane: {corelane}\n   ")
    }
}

/// The rows of the table. In each column but the reason, `*` stands for any text.
#[derive(Default)]
pub struct Known {
    rows: Vec<Row>,
}

struct Row {
    line: usize,
    columns: [String; 4],
    matched: Cell<bool>,
}

impl Known {
    /// Reads `| scenario | step: field | Kafka | Corelane | reason |`, below the line of dashes.
    pub fn read() -> Known {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/differences.md");
        let text = fs::read_to_string(&path).expect("docs/differences.md is there");
        let mut rows = Vec::new();
        let lines = text.lines().enumerate().skip_while(|(_, line)| !line.starts_with("|--"));
        for (number, line) in lines.skip(1).take_while(|(_, line)| line.starts_with('|')) {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [scenario, path, kafka, corelane, reason] = cells[..] else {
                panic!("docs/differences.md:{}: not five columns", number + 1)
            };
            assert!(
                !reason.is_empty(),
                "docs/differences.md:{}: the reason is missing",
                number + 1
            );
            let columns = [scenario, path, kafka, corelane];
            let columns = columns.map(|cell| cell.trim_matches('`').replace("\\|", "|"));
            rows.push(Row { line: number + 1, columns, matched: Cell::new(false) });
        }
        Known { rows }
    }

    /// What is wrong: differences that no row names, and (if everything was played) rows that name none.
    pub fn judge(&self, found: &[Difference], whole: bool) -> Vec<String> {
        let mut unknown: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for difference in found.iter().filter(|difference| !self.names(difference)) {
            let (version, rest) = difference.path.split_once(": ").expect("a step and a field");
            unknown.entry(difference.describe(rest)).or_default().push(version);
        }
        let say =
            |(what, versions): (String, Vec<&str>)| format!("{what} ({})", versions.join(" "));
        let mut complaints: Vec<String> = unknown.into_iter().map(say).collect();
        let idle = self.rows.iter().filter(|row| whole && !row.matched.get());
        complaints.extend(idle.map(|row| {
            format!(
                "docs/differences.md:{}: listed, but nothing differs so, or an earlier row says it",
                row.line
            )
        }));
        complaints
    }

    /// True if any row names it; the first that does is marked.
    fn names(&self, difference: &Difference) -> bool {
        let Difference { scenario, path, kafka, corelane } = difference;
        let values = [scenario, path, kafka, corelane];
        let fits = |row: &&Row| row.columns.iter().zip(values).all(|(p, v)| matches(p, v));
        let row = self.rows.iter().find(fits);
        row.inspect(|row| row.matched.set(true)).is_some()
    }
}

/// True if `text` is `pattern`, in which `*` stands for any text, also none.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(tail) = text.strip_prefix(head) else { return false };
    let mut cuts = (0..=tail.len()).filter(|cut| tail.is_char_boundary(*cut));
    cuts.any(|cut| matches(rest, &tail[cut..]))
}

#[test]
fn a_star_stands_for_any_text() {
    let fitting = [("*", ""), ("a*", "a"), ("*b*", "abc"), ("a*c*e", "abcde"), ("x", "x")];
    assert!(fitting.iter().all(|(pattern, text)| matches(pattern, text)));
    let others = [("", "a"), ("a*", "ba"), ("*b", "abc"), ("a*c*e", "abcd"), ("[0]", "0")];
    assert!(others.iter().all(|(pattern, text)| !matches(pattern, text)));
}
