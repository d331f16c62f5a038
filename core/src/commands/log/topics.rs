//! What the catalog of a data directory says.

use std::path::PathBuf;

use corelane_storage::command_log::CommandLogError;
use corelane_storage::ids::TopicId;
use corelane_storage::inspect::DataDir;

use super::Error;
use crate::catalog::command::DecodeError;
use crate::catalog::{Catalog, Command};

/// Why the catalog is not known.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// Its log can't be read.
    #[error(transparent)]
    Log(#[from] CommandLogError),
    /// There is none.
    #[error("{} has no catalog (catalog.*.log)", .0.display())]
    Missing(PathBuf),
    /// A record of it is whole, but no command.
    #[error("the catalog's log, record {number}: {source}")]
    Command {
        /// Which, from 0.
        number: usize,
        /// Why.
        source: DecodeError,
    },
}

/// The catalog, and what of its files the next start puts right: path, position, and what it does.
pub type ReadCatalog = (Catalog, Vec<(PathBuf, Option<u64>, String)>);

/// Reads the catalog as a start would.
pub fn read(dir: &DataDir) -> Result<ReadCatalog, CatalogError> {
    let missing = || CatalogError::Missing(dir.path().to_owned());
    let commands = dir.commands("catalog.log")?.ok_or_else(missing)?;
    let mut catalog = Catalog::default();
    for (number, payload) in commands.payloads.iter().enumerate() {
        let command =
            Command::decode(payload).map_err(|source| CatalogError::Command { number, source })?;
        catalog.apply(&command);
    }
    let mut mends = Vec::new();
    if commands.torn_bytes > 0 {
        let what = format!(
            "{} bytes of a torn record, which was never acknowledged: the next start cuts them",
            commands.torn_bytes
        );
        mends.push((commands.path.clone(), Some(commands.end_bytes), what));
    }
    for path in commands.invalid {
        let what = "a generation that does not hold: the next start removes it".to_owned();
        mends.push((path, None, what));
    }
    Ok((catalog, mends))
}

/// The id of the topic that `text` names, by name or by id in hexadecimal digits.
pub fn find(catalog: Option<&Catalog>, text: &str) -> Result<TopicId, Error> {
    let by_name = catalog.and_then(|catalog| catalog.topic(text)).map(|topic| topic.id);
    by_name.or_else(|| TopicId::from_hex(text)).ok_or_else(|| Error::NoTopic(text.to_owned()))
}
