//! From text to a value: the syntax of Kafka's `ConfigDef`, and its words for what is wrong.

use super::definition::{ConfigType, Definition, Rule};

/// What would have been right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// The value breaks the type or the rule; what was expected.
    Value(String),
    /// A list has an empty element.
    EmptyElement,
    /// Tiered storage is asked for.
    Tiered,
}

/// Checks one value.
pub(super) fn check(definition: &Definition, text: &str) -> Result<(), Wrong> {
    let wrong = |expected: String| Err(Wrong::Value(expected));
    match definition.config_type {
        ConfigType::Boolean => match boolean(text) {
            None => wrong("Expected value to be either true or false".to_owned()),
            Some(true) if matches!(definition.rule, Rule::NotTiered) => Err(Wrong::Tiered),
            Some(_) => Ok(()),
        },
        ConfigType::Int | ConfigType::Long => match whole(definition.config_type, text) {
            None => wrong(format!("Not a number of type {}", definition.config_type.name())),
            Some(number) => check_whole(definition.rule, number),
        },
        ConfigType::Double => match trim(text).parse::<f64>().ok().filter(|n| !n.is_nan()) {
            None => wrong(format!("Not a number of type {}", definition.config_type.name())),
            Some(number) => check_fraction(definition.rule, number),
        },
        ConfigType::Text => check_word(definition.rule, trim(text)),
        ConfigType::List => check_list(definition, text),
    }
}

fn check_whole(rule: Rule, number: i64) -> Result<(), Wrong> {
    let expected = match rule {
        Rule::AtLeast(min) | Rule::Between(min, _) if number < min => {
            format!("Value must be at least {min}")
        }
        Rule::Between(_, max) if number > max => format!("Value must be no more than {max}"),
        Rule::GzipLevel if number != -1 && !(1..=9).contains(&number) => {
            "Value must be between 1 and 9 or equal to -1".to_owned()
        }
        Rule::UnlimitedOrPositive if number == 0 => {
            "Value must be -1 (no limit), or at least 1".to_owned()
        }
        _ => return Ok(()),
    };
    Err(Wrong::Value(expected))
}

fn check_fraction(rule: Rule, number: f64) -> Result<(), Wrong> {
    let expected = match rule {
        Rule::Between(min, _) if number < min as f64 => format!("Value must be at least {min}"),
        Rule::Between(_, max) if number > max as f64 => format!("Value must be no more than {max}"),
        _ => return Ok(()),
    };
    Err(Wrong::Value(expected))
}

fn check_word(rule: Rule, word: &str) -> Result<(), Wrong> {
    match rule {
        Rule::OneOf(words) | Rule::ListOf(words) if !words.contains(&word) => {
            Err(Wrong::Value(format!("String must be one of: {}", words.join(", "))))
        }
        _ => Ok(()),
    }
}

fn check_list(definition: &Definition, text: &str) -> Result<(), Wrong> {
    let mut elements = elements(text);
    match definition.rule {
        Rule::ListOf(_) => elements.try_for_each(|element| match element {
            "" => Err(Wrong::EmptyElement),
            word => check_word(definition.rule, word),
        }),
        Rule::ThrottledReplicas => {
            let mut elements = elements.peekable();
            if elements.peek() == Some(&"*") || elements.all(is_replica) {
                return Ok(());
            }
            Err(Wrong::Value(format!(
                "{} must be the literal '*' or a list of replicas in the following format: \
                 [partitionId]:[brokerId],[partitionId]:[brokerId],...",
                definition.name
            )))
        }
        _ => Ok(()),
    }
}

/// `partition:broker`.
fn is_replica(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.split_once(':')
        .is_some_and(|(partition, broker)| is_number(partition) && is_number(broker))
}

/// As Java's `String.trim`.
fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

/// A boolean, in letters of any case.
pub(super) fn boolean(text: &str) -> Option<bool> {
    let text = trim(text);
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    is("true").then_some(true).or_else(|| is("false").then_some(false))
}

/// A whole number of this type.
pub(super) fn whole(config_type: ConfigType, text: &str) -> Option<i64> {
    match config_type {
        ConfigType::Int => trim(text).parse::<i32>().ok().map(i64::from),
        _ => trim(text).parse::<i64>().ok(),
    }
}

/// The elements of a list, as they stand between the commas; none of an empty list.
pub fn elements(text: &str) -> impl Iterator<Item = &str> {
    let text = trim(text);
    let count = if text.is_empty() { 0 } else { usize::MAX };
    text.split(',').map(trim).take(count)
}

/// As Java's `Double.toString`.
fn shown_double(number: f64) -> String {
    if number == 0.0 || (1e-3..1e7).contains(&number.abs()) || !number.is_finite() {
        return format!("{number:?}");
    }
    let scientific = format!("{number:E}");
    match scientific.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => scientific,
    }
}

/// A checked value as Kafka shows it: numbers and booleans in one form, lists without spaces and
/// repetitions. What can't be read is shown as it is.
pub fn shown(definition: &Definition, text: &str) -> String {
    let shown = match definition.config_type {
        ConfigType::Boolean => boolean(text).map(|value| value.to_string()),
        ConfigType::Int | ConfigType::Long => {
            whole(definition.config_type, text).map(|number| number.to_string())
        }
        // With a fraction always, as Java prints it.
        ConfigType::Double => trim(text).parse::<f64>().ok().map(shown_double),
        ConfigType::Text => Some(trim(text).to_owned()),
        ConfigType::List => {
            let mut shown: Vec<&str> = Vec::new();
            for element in elements(text) {
                // Repetitions are few where they mean anything; long lists keep theirs.
                if !matches!(definition.rule, Rule::ListOf(_)) || !shown.contains(&element) {
                    shown.push(element);
                }
            }
            Some(shown.join(","))
        }
    };
    shown.unwrap_or_else(|| text.to_owned())
}
