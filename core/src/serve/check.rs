//! `corelane serve --check`: whether a start would succeed. Nothing is changed.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use corelane_storage::manifest;

use super::{ServeError, check_free, ports, preflight, shards, warn_of};
use crate::cli::SettingOptions;
use crate::http;
use crate::runtime::data_dir_lock::SharedLock;
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
    let machine = preflight(&configuration, shards, false);
    let data = look(data_dir);
    let ports = ports::check(&configuration, shards).map_err(ServeError::from);
    let ports = ports.and_then(|()| check_free(&configuration, shards, Duration::ZERO));
    let http = configuration.http_listen.as_ref().map(http::bind).transpose();
    let data = match (machine, data, ports, http) {
        (Ok(()), Ok(data), Ok(()), Ok(_)) => data,
        (machine, data, ports, http) => {
            let http = http.err().map(ServeError::from);
            let errors = [machine.err(), data.err(), ports.err(), http];
            return Err(ServeError::several(errors.into_iter().flatten().collect()));
        }
    };
    // Who has closed standard output has the exit code.
    let _ = io::stdout().write_all(summary(&configuration, shards, data).as_bytes());
    Ok(())
}

/// What is in the data directory, in words.
fn look(data_dir: &Path) -> Result<&'static str, ServeError> {
    SharedLock::acquire(data_dir)?;
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
        let more = match ports::per_listener(configuration, shards) {
            1 => String::new(),
            count => format!("; the shards have {count} ports from there on"),
        };
        text += &format!("  {} {} (advertised as {told}{more})\n", listener.name, listener.bind);
    }
    let data_dir = configuration.data_dir.display();
    text + &format!("  {shards} shards, data in {data_dir} ({data})\n")
}
