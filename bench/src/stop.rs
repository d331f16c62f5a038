//! The wish to end early.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{BenchError, system};

/// Set once by Ctrl-C, by whoever holds a clone, or never. What looks at it does so at least every
/// [`Stop::LOOK_MS`].
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// No wait in this crate is longer without a look at the flag.
    pub const LOOK_MS: u64 = 50;

    /// A flag that nothing from outside sets.
    pub fn new() -> Stop {
        Stop::default()
    }

    /// A flag that SIGINT and SIGTERM set. The second of them ends the process at once.
    ///
    /// # Errors
    /// [`BenchError::System`] if the handlers can't be installed.
    pub fn on_signals() -> Result<Stop, BenchError> {
        let stop = Stop::new();
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // Handlers run in the order of their registration: the first signal finds it unset.
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, stop.0.clone())
                .map_err(system("handling signals"))?;
            signal_hook::flag::register(signal, stop.0.clone())
                .map_err(system("handling signals"))?;
        }
        Ok(stop)
    }

    /// Asks for the end.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// What is set, for those who know only flags.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }

    /// True if the end is asked for.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
