//! Printing for people and for pipes: a reader that has gone ends a command quietly.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

/// Standard output, buffered.
pub struct Output {
    writer: BufWriter<StdoutLock<'static>>,
}

impl Output {
    /// This process's.
    pub fn stdout() -> Output {
        Output { writer: BufWriter::with_capacity(64 << 10, io::stdout().lock()) }
    }

    /// Prints what was printed, now.
    ///
    /// # Errors
    /// The system's, but for a reader that has gone.
    pub fn finish(mut self) -> io::Result<()> {
        quietly(self.writer.flush())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// A reader that has gone (`corelane ... | head`) is no error.
pub fn quietly(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Whether standard output is looked at by a person who did not ask for no colour
/// (<https://no-color.org>).
pub fn is_coloured() -> bool {
    let is_asked_not_to = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal()
        && !is_asked_not_to
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
