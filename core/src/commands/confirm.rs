//! A question before what can't be undone.

use std::io::{self, IsTerminal, Write};

use super::Error;

/// Refuses to go on if nobody has said yes, and nobody can be asked.
///
/// # Errors
/// [`Error::Usage`]; `what` is what is not done without a word, as `topics are not deleted`.
pub(super) fn check_can_ask(yes: bool, what: &str) -> Result<(), Error> {
    let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
    match yes || can_ask {
        true => Ok(()),
        false => Err(Error::Usage(format!(
            "{what} without a word: there is no terminal to ask on, so give --yes"
        ))),
    }
}

/// Asks, on the terminal.
///
/// # Errors
/// [`Error::Input`].
pub(super) fn is_confirmed(question: &str) -> Result<bool, Error> {
    if io::stderr().lock().write_all(format!("{question} [y/N] ").as_bytes()).is_err() {
        // Nobody was asked.
        return Ok(false);
    }
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(Error::Input)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Names as a question has them.
pub(super) fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}
