//! A topic for as long as a run lasts.

use super::control::Control;
use super::topic::Topic;
use crate::error::BenchError;
use crate::plan::Target;
use crate::stop::Stop;

/// What came of using a topic.
pub(crate) struct Used<T> {
    pub(crate) value: T,
    /// A topic that was made and could not be deleted, and why.
    pub(crate) left_behind: Option<String>,
}

/// Uses the topic of this name, which must exist; without one makes a topic, and deletes it however
/// the use ends. No other is ever deleted.
///
/// # Errors
/// Those of finding or making it, and of the use.
pub(crate) fn with_topic<T>(
    target: &Target,
    name: Option<&str>,
    partitions: u32,
    stop: &Stop,
    make_use: impl FnOnce(&Topic, &mut Control) -> Result<T, BenchError>,
) -> Result<Used<T>, BenchError> {
    let mut control = Control::connect_until(&target.bootstrap, stop)?;
    let topic = match name {
        Some(name) => Topic::find(&mut control, name)?,
        None => Topic::create(&mut control, partitions, stop)?,
    };
    let value = make_use(&topic, &mut control);
    // The broker may have closed an idle connection, or may be another process by now.
    let deleted = topic
        .delete_if_own(&mut control)
        .or_else(|_| topic.delete_if_own(&mut Control::connect(&target.bootstrap)?));
    let left_behind = deleted.err().map(|error| format!("{}: {error}", topic.name));
    Ok(Used { value: value?, left_behind })
}
