//! AlterUserScramCredentials (KIP-554).

use bytes::Bytes;

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// SCRAM credentials to delete and to set.
    pub struct AlterUserScramCredentialsRequest {
        /// Those to delete.
        deletions: Vec<ScramCredentialDeletion> [0..];
        /// Those to set.
        upsertions: Vec<ScramCredentialUpsertion> [0..];
    }

    /// A credential to delete.
    pub struct ScramCredentialDeletion {
        /// The user's name.
        name: Str [0..];
        /// 1: SCRAM-SHA-256; 2: SCRAM-SHA-512.
        mechanism: i8 [0..];
    }

    /// A credential to set.
    pub struct ScramCredentialUpsertion {
        /// The user's name.
        name: Str [0..];
        /// 1: SCRAM-SHA-256; 2: SCRAM-SHA-512.
        mechanism: i8 [0..];
        /// Rounds of the hash.
        iterations: i32 [0..];
        /// Random bytes that the client chose.
        salt: Bytes [0..];
        /// The password, salted and hashed.
        salted_password: Bytes [0..];
    }

    /// What became of each user.
    pub struct AlterUserScramCredentialsResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// The users.
        results: Vec<AlterUserScramCredentialsResult> [0..];
    }

    /// What became of a user.
    pub struct AlterUserScramCredentialsResult {
        /// The user's name.
        user: Str [0..];
        /// Its error.
        error_code: ErrorCode [0..];
        /// What is wrong.
        error_message: Option<Str> [0.., null 0..];
    }
}
