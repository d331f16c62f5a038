//! The form of a real page, as `promtool check metrics` looks at it; and that page, documentation
//! and dashboard speak of the same metrics.

use std::collections::{BTreeMap, BTreeSet};

use crate::groups::commit;
use crate::harness::batch::Batch;
use crate::harness::broker::Broker;
use crate::harness::http::{address, get};
use crate::harness::requests::{create_ready_topic, produce};
use crate::watched;

const DOC: &str = include_str!("../../../docs/metrics.md");
const DASHBOARD: &str = include_str!("../../../docs/grafana-dashboard.json");

/// What stands between two heads.
struct Family {
    kind: String,
    samples: Vec<Sample>,
}

type Labels = Vec<(String, String)>;

struct Sample {
    name: String,
    labels: Labels,
    value: f64,
}

/// A page, strictly by the rules of the text format 0.0.4.
fn parse(page: &str) -> BTreeMap<String, Family> {
    assert!(page.ends_with('\n'), "the last line ends");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let (name, help) = line.strip_prefix("# HELP ").unwrap().split_once(' ').unwrap();
        assert!(!help.trim().is_empty(), "{name}");
        let line = lines.next().unwrap();
        let (typed, kind) = line.strip_prefix("# TYPE ").unwrap().split_once(' ').unwrap();
        assert_eq!(name, typed, "TYPE follows HELP");
        let mut family = Family { kind: kind.to_owned(), samples: Vec::new() };
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            family.samples.push(sample(line));
        }
        assert!(families.insert(name.to_owned(), family).is_none(), "{name} twice");
    }
    families
}

fn is_name(text: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.chars().all(is_legal) && text.starts_with(|c: char| c.is_ascii_lowercase())
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
    let value: f64 = value.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
    assert!(value.is_finite(), "{line}");
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
        None => (series, ""),
    };
    assert!(is_name(name), "{line}");
    Sample { name: name.to_owned(), labels: labels_of(labels), value }
}

/// `a="1",b="2"`, with escapes.
fn labels_of(text: &str) -> Labels {
    let mut labels = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, behind) = rest.split_once("=\"").unwrap_or_else(|| panic!("{text}"));
        assert!(is_name(name), "{text}");
        let (mut value, mut end, mut escaped) = (String::new(), None, false);
        for (at, c) in behind.char_indices() {
            match c {
                _ if escaped => {
                    assert!(matches!(c, '\\' | '"' | 'n'), "{text}");
                    value.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    end = Some(at);
                    break;
                }
                c => value.push(c),
            }
        }
        labels.push((name.to_owned(), value));
        let behind = &behind[end.unwrap_or_else(|| panic!("{text}")) + 1..];
        rest = behind.strip_prefix(',').unwrap_or_else(|| {
            assert!(behind.is_empty(), "{text}");
            behind
        });
    }
    labels
}

/// Cumulative, with an `+Inf` that is the count, and a sum.
fn check_histogram(name: &str, samples: &[Sample]) {
    let mut series: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    let (mut counts, mut sums) = (BTreeMap::new(), BTreeSet::new());
    for sample in samples {
        let (le, labels): (Vec<_>, Vec<_>) =
            sample.labels.iter().cloned().partition(|(label, _)| label == "le");
        match sample.name.strip_prefix(name) {
            Some("_bucket") => {
                let edge = le[0].1.replace("+Inf", "inf").parse().unwrap();
                series.entry(labels).or_default().push((edge, sample.value));
            }
            Some("_count") => drop(counts.insert(labels, sample.value)),
            Some("_sum") => drop(sums.insert(labels)),
            _ => panic!("{} in {name}", sample.name),
        }
    }
    assert_eq!(series.len(), counts.len(), "{name}");
    assert_eq!(series.len(), sums.len(), "{name}");
    for (labels, buckets) in series {
        assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{name} {labels:?}");
        let last = buckets.last().unwrap();
        assert_eq!((last.0, last.1), (f64::INFINITY, counts[&labels]), "{name} {labels:?}");
    }
}

fn documented() -> BTreeMap<String, (String, Vec<String>)> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let name = cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?;
        if !is_name(name) || cells.len() != 7 {
            return None;
        }
        let labels = cells[3].split(", ").filter(|label| !label.is_empty());
        let labels = labels.map(|label| label.trim_matches('`').to_owned()).collect();
        Some((name.to_owned(), (cells[2].to_owned(), labels)))
    };
    DOC.lines().filter_map(row).collect()
}

fn page_of_a_used_broker() -> String {
    let broker = Broker::start(watched());
    let connection = &mut broker.connect();
    create_ready_topic(connection, "a.topic-with_all", 2);
    let batch = Batch::of(&[b"a"]).encode();
    let answer = connection.call(&produce(-1, "a.topic-with_all", &[(0, &batch), (7, &batch)]));
    answer.expect("an answer");
    commit(connection, "a group", "a.topic-with_all", &[(0, 0)]);
    let answer = get(address(&broker), "/metrics");
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    answer.body
}

#[test]
fn a_page_is_well_formed_and_documented() {
    if Broker::must_skip("metrics") {
        return;
    }
    let families = parse(&page_of_a_used_broker());
    let documented = documented();
    let names = |names: Vec<&String>| names.into_iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(families.keys().collect()), names(documented.keys().collect()));
    for (name, family) in &families {
        let (kind, labels) = &documented[name];
        assert_eq!(&family.kind, kind, "{name}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
        assert!(!family.samples.is_empty(), "{name}: a used broker has something to tell");
        if kind == "histogram" {
            check_histogram(name, &family.samples);
        }
        let mut seen = BTreeSet::new();
        for sample in &family.samples {
            assert!(sample.name == *name || kind == "histogram", "{} in {name}", sample.name);
            assert!(
                seen.insert((&sample.name, &sample.labels)),
                "{name} {:?} twice",
                sample.labels
            );
            let told: Vec<&String> =
                sample.labels.iter().map(|(label, _)| label).filter(|l| *l != "le").collect();
            assert_eq!(told, labels.iter().collect::<Vec<_>>(), "{name}");
            assert!(sample.value >= 0.0, "{name}");
        }
    }
}

/// The metrics that an expression of PromQL names.
fn metrics_in(expression: &str) -> Vec<String> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let is_metric = |word: &&str| word.starts_with("corelane_") || word.starts_with("process_");
    words.filter(is_metric).map(str::to_owned).collect()
}

#[test]
fn the_dashboard_asks_for_what_there_is() {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let documented = documented();
    let mut ids = BTreeSet::new();
    let mut expressions = Vec::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{panel}");
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        assert_eq!(panel["type"] == "row", targets.is_empty(), "{panel}");
        expressions.extend(targets.iter().map(|t| t["expr"].as_str().expect("text").to_owned()));
    }
    for variable in dashboard["templating"]["list"].as_array().expect("variables") {
        expressions.extend(variable["definition"].as_str().map(str::to_owned));
    }
    assert!(expressions.len() > 30);
    // Those that the documentation gives as examples, too.
    let examples = DOC.split('`').skip(1).step_by(2).filter(|code| code.contains('('));
    expressions.extend(examples.map(str::to_owned));
    for expression in &expressions {
        let pairs = [('(', ')'), ('{', '}'), ('[', ']')];
        for (open, close) in pairs {
            assert_eq!(expression.matches(open).count(), expression.matches(close).count());
        }
        for metric in metrics_in(expression) {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
                metric.strip_suffix(end).filter(|base| documented.contains_key(*base))
            });
            let known = documented.get(base.unwrap_or(&metric));
            let (kind, _) = known.unwrap_or_else(|| panic!("{metric} in {expression}"));
            assert_eq!(base.is_some(), kind == "histogram", "{metric} in {expression}");
        }
    }
}
