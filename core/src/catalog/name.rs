//! Topic names: Kafka's rules (`org.apache.kafka.common.internals.Topic`).

/// Longest name, in bytes: a partition's directory in Kafka must fit a file name of 255.
pub const MAX_NAME_BYTES: usize = 249;

/// Why a name is not legal, in words for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty.
    #[error("Topic name is invalid: the empty string is not allowed")]
    Empty,
    /// It is "." or "..".
    #[error("Topic name is invalid: '{0}' is not allowed")]
    Dots(String),
    /// It has more than [`MAX_NAME_BYTES`].
    #[error(
        "Topic name is invalid: the length of '{0}' is longer than the max allowed length \
         {MAX_NAME_BYTES}"
    )]
    TooLong(String),
    /// A character outside `[a-zA-Z0-9._-]`.
    #[error(
        "Topic name is invalid: '{0}' contains one or more characters other than ASCII \
         alphanumerics, '.', '_' and '-'"
    )]
    Character(String),
}

/// Checks that `name` is legal.
pub fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name == "." || name == ".." {
        return Err(NameError::Dots(name.to_owned()));
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong(name.to_owned()));
    }
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if !name.bytes().all(legal) {
        return Err(NameError::Character(name.to_owned()));
    }
    Ok(())
}

/// Two names with the same key collide.
pub fn collision_key(name: &str) -> String {
    name.replace('.', "_")
}

/// The name under which Kafka keeps its own catalog, which nobody may create.
pub const CLUSTER_METADATA: &str = "__cluster_metadata";

/// True for topics that belong to the broker itself, not to its users.
pub fn is_internal(name: &str) -> bool {
    matches!(name, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}
