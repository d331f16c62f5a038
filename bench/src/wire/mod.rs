//! Frames to and from non-blocking sockets.
//!
//! - [`inbox`]: bytes in, whole frames out
//! - [`outbox`]: encoded frames in, bytes out as fast as the socket takes them

mod inbox;
mod outbox;

pub use inbox::FrameError;
pub(crate) use inbox::{Filled, Inbox};
pub(crate) use outbox::Outbox;
