//! Many connections, without a storm.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::client::connect;
use crate::error::BenchError;
use crate::stop::Stop;

/// Most connections made in a second: a broker's queue of those not accepted yet is short, and a
/// client that finds it full waits for a second.
const PER_SECOND_MAX: u32 = 2_000;

/// Connections made before the first pause.
const BURST: u32 = 100;

/// Descriptors that are needed beside the connections.
const OTHER_DESCRIPTORS: u64 = 64;

/// Opens connections, at a rate that a broker bears.
pub(super) struct Connections {
    began: Instant,
    opened: u32,
}

impl Connections {
    /// Makes room for so many.
    ///
    /// # Errors
    /// [`BenchError::Argument`] if the process may not have that many.
    pub(super) fn open(count: usize) -> Result<Connections, BenchError> {
        let needed = count as u64 + OTHER_DESCRIPTORS;
        let limit = getrlimit(Resource::Nofile);
        // None is no limit.
        if limit.current.is_some_and(|current| current < needed) {
            let is_allowed = limit.maximum.is_none_or(|maximum| maximum >= needed);
            let raised = Rlimit { current: Some(needed), maximum: limit.maximum };
            if !is_allowed || setrlimit(Resource::Nofile, raised).is_err() {
                let maximum = limit.maximum.unwrap_or(u64::MAX);
                return Err(BenchError::Argument(format!(
                    "{count} connections need {needed} descriptors, and this process may have \
                     {maximum}: raise the hard limit (ulimit -Hn {needed}), or ask for fewer"
                )));
            }
        }
        Ok(Connections { began: Instant::now(), opened: 0 })
    }

    /// The next connection.
    ///
    /// # Errors
    /// Those of connecting, and [`BenchError::Interrupted`].
    pub(super) fn connect(&mut self, address: &str, stop: &Stop) -> Result<TcpStream, BenchError> {
        let due = Duration::from_secs(1) / PER_SECOND_MAX * self.opened.saturating_sub(BURST);
        self.opened += 1;
        thread::sleep(due.saturating_sub(self.began.elapsed()));
        if stop.is_set() {
            return Err(BenchError::Interrupted);
        }
        connect(address)
    }
}

#[cfg(test)]
mod tests {
    use super::Connections;

    #[test]
    fn what_the_system_does_not_allow_is_told_before_anything_is_opened() {
        let error = Connections::open(1 << 40).map(drop).unwrap_err().to_string();
        assert!(error.contains("ulimit -Hn"), "{error}");
        Connections::open(1).unwrap();
    }
}
