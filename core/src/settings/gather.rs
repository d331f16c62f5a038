//! All sources in their order, each value checked.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::environment::{CONFIG_VARIABLE, Environment};
use super::file;
use super::lookup::{self, Found};
use super::problem::Problems;
use super::source::{Given, Source};
use super::table::{Key, keys};

/// What the sources say, before anything is checked.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub given: Vec<Given>,
    pub problems: Problems,
    pub warnings: Vec<String>,
}

/// One key with the value that holds.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The key.
    pub key: &'static Key,
    /// Its name; a listener's in place of `<name>`.
    pub name: String,
    /// The value in its one form; `None` if it has none.
    pub text: Option<String>,
    /// Where it comes from.
    pub source: Source,
}

/// Every key with the value that holds, and what was wrong on the way.
#[derive(Debug)]
pub struct Gathered {
    settings: BTreeMap<String, Setting>,
    pub(super) problems: Problems,
    /// What has no effect, and may not be meant so.
    pub warnings: Vec<String>,
}

/// Gathers what `flags`, the environment and the file say; `config_file` goes before the file that
/// the environment names.
pub fn gather(
    flags: Vec<Given>,
    config_file: Option<PathBuf>,
    environment: &Environment,
) -> Gathered {
    let mut collected = Collected::default();
    let by_flag = config_file.map(|path| (path, Source::Flag("--config".to_owned())));
    let by_variable = || {
        let path = environment.config_file()?;
        Some((PathBuf::from(path), Source::Environment(CONFIG_VARIABLE.to_owned())))
    };
    match by_flag.or_else(by_variable) {
        Some((path, source)) if path.as_os_str().is_empty() => {
            collected.problems.add(&source, "the value is empty: name a file, or leave it out");
        }
        Some((path, _)) => file::read(&path, &mut collected),
        None => {}
    }
    environment.read(&mut collected);
    collected.given.extend(flags);
    let Collected { given, problems, warnings } = collected;
    let mut gathered = Gathered { settings: defaults(), problems, warnings };
    given.into_iter().for_each(|given| gathered.take(given));
    gathered
}

fn defaults() -> BTreeMap<String, Setting> {
    let setting = |key: &'static Key| Setting {
        key,
        name: key.name.to_owned(),
        text: key.default_text().map(str::to_owned),
        source: Source::Default,
    };
    keys().iter().map(|key| (key.name.to_owned(), setting(key))).collect()
}

impl Gathered {
    /// All of them, in the order of the table.
    pub fn settings(&self) -> Vec<&Setting> {
        let of_key = |key: &'static Key| {
            self.settings.values().filter(move |setting| std::ptr::eq(setting.key, key))
        };
        keys().iter().flat_map(of_key).collect()
    }

    /// The one of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Setting> {
        self.settings.get(name)
    }

    /// The value of this name, if it has one.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.text.as_deref()
    }

    /// True if somebody gave it a value.
    pub(super) fn is_told(&self, name: &str) -> bool {
        self.get(name).is_some_and(|setting| setting.source != Source::Default)
    }

    /// Takes one value; those of weaker sources have come before.
    fn take(&mut self, given: Given) {
        let Given { name, text, is_array, source } = given;
        let (key, name) = match lookup::find(&name) {
            Found::Key(key, name) => (key, name),
            Found::Fixed(fixed) => {
                if let Err(words) = fixed.check(&text) {
                    self.problems.add(&source, format!("`{}` {words}", fixed.name));
                }
                return;
            }
            Found::None(words) => {
                return self.problems.add(&source, format!("`{}`: {words}", shortened(&name)));
            }
        };
        if is_array && !key.takes_list() {
            let words = format!("`{name}`: expected one value, not an array");
            return self.problems.add(&source, words);
        }
        let text = match key.canonical(&text) {
            Ok(text) => text,
            Err(expected) => {
                let words = format!("`{name}` is \"{}\": {expected}", shortened(&text));
                return self.problems.add(&source, words);
            }
        };
        if let Some(before) = self.settings.get(&name)
            && before.source.precedence() == source.precedence()
            && (before.text.as_ref() != Some(&text) || matches!(source, Source::File { .. }))
        {
            let words = format!("`{name}` was given before, by {}: give it once", before.source);
            return self.problems.add(&source, words);
        }
        let setting = Setting { key, name: name.clone(), text: Some(text), source };
        self.settings.insert(name, setting);
    }
}

/// What somebody wrote, as much of it as helps.
fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 100;
    let mut shown: String = text.chars().take(CHARS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        shown.push_str("...");
    }
    shown
}
