//! What a fuzzer calls, for what the catalog reads from its log and from clients. Each function
//! takes any bytes and panics if something does not hold.
//!
//! `cargo fuzz` (see `docs/fuzzing.md`) feeds them for as long as one likes, the tests with mutated
//! valid bytes from one seed.

use corelane_storage::log::Durability;

use crate::catalog::config::{
    Configs, Layers, Settings, broker_keys, check_broker, check_topic, log_config, topic_keys,
};
use crate::catalog::{Catalog, Command};

#[cfg(test)]
mod tests;

/// A command of the catalog's log: what is read is read again when it was written, and applied it
/// leaves a catalog that its own commands make again.
pub fn catalog_command(data: &[u8]) {
    let Ok(command) = Command::decode(data) else { return };
    assert_eq!(Command::decode(&command.encode()).as_ref(), Ok(&command));
    let mut catalog = Catalog::default();
    catalog.apply(&command);
    let mut again = Catalog::default();
    catalog.to_commands().iter().for_each(|command| again.apply(command));
    assert_eq!(again, catalog);
}

/// A config's value, for the key that the first byte chooses: what is accepted can be obeyed, and
/// what is described of it is accepted again.
pub fn config_value(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    topic_value(usize::from(choice), &text);
    broker_value(usize::from(choice), &text);
}

fn topic_value(choice: usize, text: &str) {
    let key = &topic_keys()[choice % topic_keys().len()];
    let settings = Settings::new(Durability::Written);
    let with = |text: &str, check: &dyn Fn(Layers<'_>)| {
        let topic = Configs::from([(key.definition.name.to_owned(), text.to_owned())]);
        let none = Configs::new();
        check(Layers { topic: &topic, broker: &none, cluster: &none, settings: &settings });
    };
    with(text, &|layers| {
        let accepted = check_topic(&layers);
        let shown = layers.topic_config(key).value;
        if accepted.is_err() {
            return;
        }
        log_config(&layers);
        let shown = shown.expect("a value that was set is described");
        with(&shown, &|layers| {
            assert_eq!(check_topic(&layers), Ok(()), "{shown:?} is described");
            assert_eq!(layers.topic_config(key).value.as_ref(), Some(&shown));
        });
    });
}

fn broker_value(choice: usize, text: &str) {
    let keys: Vec<_> = broker_keys().collect();
    let key = keys[choice % keys.len()];
    let broker = Configs::from([(key.definition.name.to_owned(), text.to_owned())]);
    if check_broker(&broker).is_err() {
        return;
    }
    let none = Configs::new();
    let settings = Settings::new(Durability::Written);
    let layers = Layers { topic: &none, broker: &broker, cluster: &none, settings: &settings };
    log_config(&layers);
    let shown = layers.broker_config(key).value.expect("a value that was set is described");
    let described = Configs::from([(key.definition.name.to_owned(), shown)]);
    assert_eq!(check_broker(&described), Ok(()), "{described:?} is described");
}
