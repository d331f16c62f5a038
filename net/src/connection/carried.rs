//! What a connection takes along when it leaves for another thread.

use super::reader::Client;
use crate::frame::FrameReader;

/// What a connection brings along: nothing when it is new; when it has left, what was read of the
/// requests to come, and what its client has told of itself.
#[derive(Debug, Default)]
pub struct Carried {
    pub(super) frames: FrameReader,
    pub(super) client: Client,
}

const _: fn() = || {
    fn may_cross_threads<T: Send>() {}
    may_cross_threads::<Carried>();
};
