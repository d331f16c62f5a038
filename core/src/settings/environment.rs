//! Environment variables: `CORELANE_` and the key's name, or a shorter one that the table names.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::gather::Collected;
use super::kafka_keys;
use super::lookup::{FIXED, listener_key, nearest};
use super::source::{Given, Source};
use super::table::{derived_variable, keys};

const PREFIX: &str = "CORELANE_";

/// Where the file is.
pub(super) const CONFIG_VARIABLE: &str = "CORELANE_CONFIG";

/// Variables that are no keys: the log's filter, and what tests and other commands read.
const OTHERS: &[&str] =
    &[CONFIG_VARIABLE, "CORELANE_LOG", "CORELANE_BOOTSTRAP", "CORELANE_TIMEOUT", "CORELANE_KILLS"];
const OTHER_PREFIXES: &[&str] = &[
    "CORELANE_TEST_",
    "CORELANE_SIM_",
    "CORELANE_BENCH_",
    // Kubernetes gives them to every pod beside a service of the name corelane.
    "CORELANE_PORT",
    "CORELANE_SERVICE_",
];

/// The variables that begin with `CORELANE_`.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// This process's.
    pub fn of_process() -> Environment {
        Environment::new(std::env::vars_os())
    }

    /// Of these; others than Corelane's are left out.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Environment {
        let ours = |name: &OsString| name.as_encoded_bytes().starts_with(PREFIX.as_bytes());
        Environment(variables.into_iter().filter(|(name, _)| ours(name)).collect())
    }

    /// The file that [`CONFIG_VARIABLE`] names.
    pub(super) fn config_file(&self) -> Option<&OsString> {
        self.0.get(std::ffi::OsStr::new(CONFIG_VARIABLE))
    }

    /// Every key that is set; variables that stand for none become warnings.
    pub(super) fn read(&self, collected: &mut Collected) {
        let known = known_variables();
        for (name, value) in &self.0 {
            let shown = name.to_string_lossy().into_owned();
            let source = Source::Environment(shown.clone());
            if OTHERS.contains(&&*shown) || OTHER_PREFIXES.iter().any(|p| shown.starts_with(p)) {
                continue;
            }
            let key = known.get(&shown).cloned().or_else(|| listener_limit(&shown));
            let Some(key) = key else {
                collected.warnings.push(unknown(&shown, &known));
                continue;
            };
            match value.to_str() {
                Some(text) => collected.given.push(Given::new(key, text, source)),
                None => collected.problems.add(&source, "the value is not UTF-8"),
            }
        }
    }
}

/// From a variable to its key.
fn known_variables() -> BTreeMap<String, String> {
    let of_keys = keys().iter().filter(|key| !key.name.contains('<')).flat_map(|key| {
        key.variables().into_iter().map(move |variable| (variable, key.name.to_owned()))
    });
    let fixed = FIXED.iter().map(|fixed| (derived_variable(fixed.name), fixed.name.to_owned()));
    of_keys.chain(fixed).collect()
}

fn listener_limit(variable: &str) -> Option<String> {
    let rest = variable.strip_prefix("CORELANE_LISTENER_NAME_")?;
    let listener = rest.strip_suffix("_MAX_CONNECTIONS").filter(|name| !name.is_empty())?;
    Some(listener_key(listener))
}

fn unknown(variable: &str, known: &BTreeMap<String, String>) -> String {
    let bare = variable.strip_prefix(PREFIX).unwrap_or(variable);
    let kafka = bare.to_ascii_lowercase().replace('_', ".");
    if let Some(reason) = kafka_keys::reason(&kafka) {
        return format!("{variable} has no effect: Kafka has {kafka}, Corelane does not: {reason}");
    }
    let candidates = known.keys().map(String::as_str).chain(OTHERS.iter().copied());
    match nearest(variable, candidates) {
        Some(near) => format!("{variable} has no effect: no such setting; did you mean {near}?"),
        None => format!("{variable} has no effect: no such setting"),
    }
}
