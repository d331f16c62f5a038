//! Topic names: Kafka's rules (`org.apache.kafka.common.internals.Topic`).

/// Longest name, in bytes: a partition's directory in Kafka must fit a file name of 255.
pub const MAX_NAME_BYTES: usize = 249;

/// Why a name is not legal, in words for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty.
    #[error("a topic name can't be empty")]
    Empty,
    /// It is "." or "..".
    #[error("a topic name can't be \".\" or \"..\"")]
    Dots,
    /// It has more than [`MAX_NAME_BYTES`].
    #[error("a topic name can't be longer than 249 characters")]
    TooLong,
    /// A character outside `[a-zA-Z0-9._-]`.
    #[error("a topic name has only ASCII letters, digits, '.', '_' and '-'")]
    Character,
}

/// Checks that `name` is legal.
pub fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name == "." || name == ".." {
        return Err(NameError::Dots);
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong);
    }
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if !name.bytes().all(legal) {
        return Err(NameError::Character);
    }
    Ok(())
}

/// Two names with the same key collide.
pub fn collision_key(name: &str) -> String {
    name.replace('.', "_")
}

/// True for topics that belong to the broker itself, not to its users.
pub fn is_internal(name: &str) -> bool {
    matches!(name, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}
