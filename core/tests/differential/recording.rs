//! A scenario's answers, as they are kept in a file.
//!
//! ```text
//! # Answers of Apache Kafka 4.3.1.
//! == v3: an unknown topic
//! topics[t].error_code = UnknownTopicOrPartition
//! ```
//!
//! Steps that follow each other and differ only in their version share their fields: `== v3 v4: an unknown topic`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::differences::Difference;
use super::fields::Field;

/// What stands for a field, or a whole element of a list, that an answer does not have.
const ABSENT: &str = "absent";
/// What stands for one that it has, in all its fields.
const GIVEN: &str = "given";

/// The fields of one answer by their paths.
type Fields<'a> = BTreeMap<&'a str, &'a str>;

/// Every step of a scenario with the fields of its answer.
#[derive(Default)]
pub struct Recording {
    steps: Vec<(String, Vec<Field>)>,
}

impl Recording {
    pub fn push(&mut self, step: &str, fields: Vec<Field>) {
        assert!(self.steps.iter().all(|(name, _)| name != step), "two steps are named {step}");
        let versioned = step.split_once(": ").is_none_or(|(version, _)| !version.contains(' '));
        assert!(versioned, "{step}: only a version stands before a colon");
        self.steps.push((step.to_string(), fields));
    }

    pub fn read(path: &Path) -> Recording {
        let text = fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("{}: {error}; record it first", path.display()));
        let mut recording = Recording::default();
        let mut steps = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            match (line.strip_prefix("== "), line.split_once(" = ")) {
                (Some(title), _) => {
                    steps = steps_of(title);
                    steps.iter().for_each(|step| recording.push(step, Vec::new()));
                }
                (None, Some((path, value))) => {
                    let first = recording.steps.len() - steps.len();
                    for (_, fields) in &mut recording.steps[first..] {
                        fields.push((path.to_string(), value.to_string()));
                    }
                }
                (None, None) => panic!("{}: not a field: {line}", path.display()),
            }
        }
        recording
    }

    pub fn write(&self, path: &Path) {
        let mut text = format!("# Answers of Apache Kafka {}.\n", kafka_version());
        for alike in
            self.steps.chunk_by(|(a, left), (b, right)| what(a) == what(b) && left == right)
        {
            let (step, fields) = &alike[0];
            let versions = alike.iter().filter_map(|(step, _)| step.split_once(": "));
            let versions: Vec<&str> = versions.map(|(version, _)| version).collect();
            let title = match versions[..] {
                [] => step.clone(),
                _ => format!("{}: {}", versions.join(" "), what(step)),
            };
            text += &format!("\n== {title}\n");
            fields.iter().for_each(|(path, value)| text += &format!("{path} = {value}\n"));
        }
        fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Where `played` differs from this recording.
    pub fn differences(&self, played: &Recording, scenario: &str) -> Vec<Difference> {
        let steps: BTreeSet<&String> = self.names().chain(played.names()).collect();
        let mut found = Vec::new();
        for step in steps {
            let (kafka, ours) = (self.fields_of(step), played.fields_of(step));
            // One refused the request: one difference, not one per field.
            let refused = kafka.contains_key("answer") || ours.contains_key("answer");
            let paths: BTreeSet<&str> = match refused {
                true => BTreeSet::from(["answer"]),
                false => kafka
                    .keys()
                    .chain(ours.keys())
                    .map(|path| given(path, [&kafka, &ours]))
                    .collect(),
            };
            for path in paths {
                let of = |side: &Fields<'_>| match side.get(path) {
                    Some(value) => value.to_string(),
                    None if refused || has(side, path) => GIVEN.to_string(),
                    None => ABSENT.to_string(),
                };
                let difference = Difference {
                    scenario: scenario.to_string(),
                    path: format!("{step}: {path}"),
                    kafka: of(&kafka),
                    corelane: of(&ours),
                };
                if difference.kafka != difference.corelane {
                    found.push(difference);
                }
            }
        }
        found
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        self.steps.iter().map(|(name, _)| name)
    }

    fn fields_of(&self, step: &str) -> Fields<'_> {
        let found = self.steps.iter().find(|(name, _)| name == step);
        found.map_or_else(
            || BTreeMap::from([("answer", "not asked for")]),
            |(_, fields)| fields.iter().map(|(path, value)| (&path[..], &value[..])).collect(),
        )
    }
}

/// The path itself; or that of the outermost list around it that is empty or null on one side; or that of the
/// outermost element around it that one side lacks as a whole.
fn given<'a>(path: &'a str, sides: [&Fields<'_>; 2]) -> &'a str {
    let mut lists = path.match_indices('[').map(|(start, _)| &path[..start]);
    if let Some(list) = lists.find(|list| sides.iter().any(|side| side.contains_key(list))) {
        return list;
    }
    let elements = path.match_indices(']').map(|(end, _)| &path[..=end]);
    let mut elements = elements.filter(|element| !sides.iter().all(|side| has(side, element)));
    elements.next().unwrap_or(path)
}

/// True if an answer has any field of this element.
fn has(side: &Fields<'_>, element: &str) -> bool {
    side.range(element..).next().is_some_and(|(path, _)| path.starts_with(element))
}

/// `v3 v4: what` is `v3: what` and `v4: what`.
fn steps_of(title: &str) -> Vec<String> {
    match title.split_once(": ") {
        Some((versions, what)) => {
            versions.split(' ').map(|version| format!("{version}: {what}")).collect()
        }
        None => vec![title.to_string()],
    }
}

/// What a step asks, whatever the version.
fn what(step: &str) -> &str {
    step.split_once(": ").map_or(step, |(_, what)| what)
}

/// As the name of the clients' jar has it.
fn kafka_version() -> String {
    let lib = std::env::var("KAFKA_LIB").expect("KAFKA_LIB is where Kafka's jars are");
    let jars = fs::read_dir(lib).expect("KAFKA_LIB can be read");
    let names = jars.flatten().filter_map(|jar| jar.file_name().into_string().ok());
    let version = |name: String| {
        let version = name.strip_prefix("kafka-clients-")?.strip_suffix(".jar")?.to_string();
        version.chars().all(|c| c.is_ascii_digit() || c == '.').then_some(version)
    };
    names.filter_map(version).max().expect("kafka-clients-VERSION.jar is among the jars")
}

#[test]
fn what_one_side_lacks_as_a_whole_is_one_difference() {
    let answer = |fields: &[(&str, &str)]| {
        let mut recording = Recording::default();
        let fields = fields.iter().map(|(path, value)| (path.to_string(), value.to_string()));
        recording.push("v1: asked", fields.collect());
        recording
    };
    let kafka = answer(&[("list[a].x", "1"), ("list[a].y", "2"), ("list[b].x", "3"), ("z", "4")]);
    let found = |ours: &[(&str, &str)]| -> Vec<(String, String, String)> {
        let differences = kafka.differences(&answer(ours), "s");
        differences.into_iter().map(|one| (one.path, one.kafka, one.corelane)).collect()
    };
    let row = |path: &str, kafka: &str, ours: &str| {
        (format!("v1: asked: {path}"), kafka.to_string(), ours.to_string())
    };
    let same = [("list[a].x", "1"), ("list[a].y", "2"), ("list[b].x", "3"), ("z", "4")];
    assert_eq!(found(&same), []);
    let one_missing = [("list[a].x", "1"), ("list[a].y", "9"), ("z", "4")];
    let expected = [row("list[a].y", "2", "9"), row("list[b]", "given", "absent")];
    assert_eq!(found(&one_missing), expected);
    assert_eq!(found(&[("list", "[]"), ("z", "4")]), [row("list", "given", "[]")]);
    assert_eq!(found(&[("answer", "closed")]), [row("answer", "given", "closed")]);
}
