//! Turns of the fetches of one connection: what one has loaded must be sent before the next loads.
//! So a client that asks for much and never reads holds one answer, not as many as it asks for.

use std::cell::RefCell;
use std::sync::Arc;

use corelane_storage::notify::Signal;

/// The turns of one connection.
#[derive(Default)]
pub struct Turns {
    last: RefCell<Option<Arc<Signal>>>,
}

/// A place in the order; the next one's turn comes when this is dropped, on whatever thread.
pub struct Turn {
    before: Option<Arc<Signal>>,
    ended: Arc<Signal>,
}

impl Turns {
    /// Takes the next place.
    pub fn take(&self) -> Turn {
        let ended = Signal::new();
        Turn { before: self.last.replace(Some(ended.clone())), ended }
    }
}

impl Turn {
    /// Waits until everybody before has ended.
    pub async fn come(&mut self) {
        if let Some(before) = &self.before {
            before.fired().await;
        }
        self.before = None;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Given up before it came: those behind would pass those before, which only costs memory,
        // and only a connection that is closing gives up.
        self.ended.fire();
    }
}
