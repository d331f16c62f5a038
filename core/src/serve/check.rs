//! `corelane serve --check`: whether a start would succeed. Nothing is changed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use corelane_storage::manifest;

use super::{ServeError, check_free, preflight, shards, warn_of};
use crate::cli::SettingOptions;
use crate::runtime::DataDirLock;
use crate::settings::Configuration;

/// Looks at all that a start depends on, and prints what it found to be right.
///
/// # Errors
/// What a start would fail of; all of it, where one does not follow from another.
pub fn check(options: SettingOptions) -> Result<(), ServeError> {
    let gathered = options.gather();
    warn_of(&gathered);
    let configuration = Configuration::new(&gathered)?;
    let shards = shards(&configuration)?;
    let data_dir = &configuration.data_dir;
    let machine = preflight(&existing(data_dir), shards);
    let data = look(data_dir);
    let ports = check_free(&configuration, Duration::ZERO);
    let data = match (machine, data, ports) {
        (Ok(()), Ok(data), Ok(())) => data,
        (machine, data, ports) => {
            let errors = [machine.err(), data.err(), ports.err()];
            return Err(ServeError::several(errors.into_iter().flatten().collect()));
        }
    };
    print!("{}", summary(&configuration, shards, &data));
    Ok(())
}

/// The directory, or the nearest one above it: whether one can be made there shows there.
fn existing(data_dir: &Path) -> PathBuf {
    let absolute = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    let found = absolute.ancestors().find(|dir| dir.exists());
    found.map_or_else(|| data_dir.to_owned(), Path::to_owned)
}

/// What is in the data directory, in words.
fn look(data_dir: &Path) -> Result<&'static str, ServeError> {
    DataDirLock::look(data_dir)?;
    Ok(match manifest::look(data_dir)? {
        None => "new",
        Some(fields) if fields.stopped_cleanly => "stopped cleanly",
        Some(_) => "not stopped cleanly: the start recovers",
    })
}

fn summary(configuration: &Configuration, shards: usize, data: &str) -> String {
    let mut text = "ok: the broker would start\n".to_owned();
    for listener in &configuration.listeners {
        let told = listener.advertise.at(listener.bind.port);
        text += &format!("  {} {} (advertised as {told})\n", listener.name, listener.bind);
    }
    let data_dir = configuration.data_dir.display();
    text + &format!("  {shards} shards, data in {data_dir} ({data})\n")
}
