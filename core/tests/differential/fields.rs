//! An answer as lines of `path = value`, from its pretty `Debug` text, which has one field a line.

/// One field of an answer: where it is, and what it says.
pub type Field = (String, String);

/// A part of an answer.
#[derive(Debug)]
pub enum Value {
    Leaf(String),
    List(Vec<Value>),
    Struct(Vec<(String, Value)>),
}

/// What names an element of a list, the first that it has. Elements are known by name, not by position: most of
/// Kafka's lists come out of hash maps.
const KEYS: &[&str] = &[
    "name",
    "topic",
    "topic_name",
    "partition_index",
    "partition_id",
    "partition",
    "index",
    "api_key",
    "node_id",
    "broker_id",
    "resource_name",
    "topic_id",
    "config_name",
    "batch_index",
    "user",
    "entity_type",
];

/// Reads what `{:#?}` printed of a message.
pub fn parse(pretty: &str) -> Value {
    let mut lines = pretty.lines().map(str::trim);
    let (_, value) = parse_one(&mut lines).expect("a message has at least one line");
    value
}

/// The next value and the name before it; `None` at a closing bracket or at the end.
fn parse_one<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Option<(String, Value)> {
    let line = lines.next()?;
    let line = line.strip_suffix(',').unwrap_or(line);
    if matches!(line, "}" | "]" | ")") {
        return None;
    }
    let is_named = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let (name, rest) = match line.split_once(": ") {
        Some((name, rest)) if is_named(name) => (name, rest),
        _ => ("", line),
    };
    let mut inner = || std::iter::from_fn(|| parse_one(lines)).collect::<Vec<_>>();
    let value = match rest.chars().last() {
        Some('{') => Value::Struct(inner()),
        Some('[') => Value::List(inner().into_iter().map(|(_, value)| value).collect()),
        // `Some(...)` and the variant of the API: only what is within counts.
        Some('(') => inner().pop().map_or(Value::Leaf("()".into()), |(_, value)| value),
        _ if rest == "[]" => Value::List(Vec::new()),
        _ => Value::Leaf(rest.to_string()),
    };
    Some((name.to_string(), value))
}

/// Every leaf with its path, in the order of the declaration, elements of lists by their names.
pub fn flatten(value: &Value) -> Vec<Field> {
    let mut fields = Vec::new();
    flatten_into(value, "", &mut fields);
    fields
}

fn flatten_into(value: &Value, path: &str, fields: &mut Vec<Field>) {
    match value {
        Value::Leaf(text) => fields.push((path.to_string(), text.clone())),
        Value::Struct(members) => {
            for (name, member) in members {
                let dot = if path.is_empty() { "" } else { "." };
                flatten_into(member, &format!("{path}{dot}{name}"), fields);
            }
        }
        Value::List(elements) => match leaves(elements) {
            Some(leaves) => fields.push((path.to_string(), format!("[{}]", leaves.join(", ")))),
            None => flatten_list(elements, path, fields),
        },
    }
}

/// A list of structs. One that names an element twice numbers the later ones.
fn flatten_list(elements: &[Value], path: &str, fields: &mut Vec<Field>) {
    let mut named: Vec<(String, &Value)> = Vec::new();
    for element in elements {
        let name = name_of(element);
        let earlier = named.iter().filter(|(other, _)| *other == name).count();
        named.push((name, element));
        if earlier > 0 {
            let last = named.last_mut().expect("just pushed");
            last.0 = format!("{} again {earlier}", last.0);
        }
    }
    named.sort_by(|left, right| left.0.cmp(&right.0));
    for (name, element) in named {
        flatten_into(element, &format!("{path}[{name}]"), fields);
    }
}

fn name_of(element: &Value) -> String {
    let Value::Struct(members) = element else { return "?".into() };
    let key = KEYS.iter().find_map(|key| {
        let member = members.iter().find(|(name, _)| name == key);
        member.and_then(|(_, value)| match value {
            Value::Leaf(text) if text != "None" && text != "\"\"" => Some(text.trim_matches('"')),
            _ => None,
        })
    });
    key.unwrap_or("?").to_string()
}

fn leaves(elements: &[Value]) -> Option<Vec<&str>> {
    fn leaf(element: &Value) -> Option<&str> {
        match element {
            Value::Leaf(text) => Some(text),
            _ => None,
        }
    }
    elements.iter().map(leaf).collect()
}

#[test]
fn elements_are_known_by_their_names() {
    let pretty = "Metadata(\n    MetadataResponse {\n        rack: Some(\n            \"r: {\",\n        ),\n        \
                  brokers: [\n            1,\n            2,\n        ],\n        topics: [\n            Topic {\n                \
                  name: \"b\",\n                error: None,\n            },\n            Topic {\n                \
                  name: \"a\",\n                error: Other(\n                    7,\n                ),\n            \
                  },\n        ],\n        empty: [],\n    },\n)";
    let expected = [
        ("rack", "\"r: {\""),
        ("brokers", "[1, 2]"),
        ("topics[a].name", "\"a\""),
        ("topics[a].error", "7"),
        ("topics[b].name", "\"b\""),
        ("topics[b].error", "None"),
        ("empty", "[]"),
    ];
    let expected = expected.map(|(path, value)| (path.to_string(), value.to_string()));
    assert_eq!(flatten(&parse(pretty)), expected);
}
