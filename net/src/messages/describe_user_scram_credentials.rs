//! DescribeUserScramCredentials (KIP-554).

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// Asks which SCRAM mechanisms users can log in with.
    pub struct DescribeUserScramCredentialsRequest {
        /// The users; null or empty is all of them.
        users: Option<Vec<DescribeUserScramCredentialsUser>> [0.., null 0..];
    }

    /// A user asked about.
    pub struct DescribeUserScramCredentialsUser {
        /// The user's name.
        name: Str [0..];
    }

    /// The users' mechanisms.
    pub struct DescribeUserScramCredentialsResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// The top-level error.
        error_code: ErrorCode [0..];
        /// The error in words.
        error_message: Option<Str> [0.., null 0..];
        /// One for each user.
        results: Vec<DescribeUserScramCredentialsResult> [0..];
    }

    /// A user's mechanisms.
    pub struct DescribeUserScramCredentialsResult {
        /// The user's name.
        user: Str [0..];
        /// The user's error.
        error_code: ErrorCode [0..];
        /// The error in words.
        error_message: Option<Str> [0.., null 0..];
        /// The mechanisms.
        credential_infos: Vec<ScramCredentialInfo> [0..];
    }

    /// A mechanism.
    pub struct ScramCredentialInfo {
        /// 1: SCRAM-SHA-256; 2: SCRAM-SHA-512.
        mechanism: i8 [0..];
        /// Rounds of its hash.
        iterations: i32 [0..];
    }
}
