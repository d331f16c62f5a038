//! DescribeUserScramCredentials: nobody has a password here.

use std::collections::BTreeMap;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
};

/// Answers at once: no user if all are asked for, and of each that is named that there is none.
pub fn answer(
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    let mut named: BTreeMap<Str, usize> = BTreeMap::new();
    for user in request.users.into_iter().flatten() {
        *named.entry(user.name).or_default() += 1;
    }
    DescribeUserScramCredentialsResponse {
        // Kafka leaves it empty where others have null.
        error_message: Some(Str::EMPTY),
        results: named.into_iter().map(|(user, times)| describe(user, times)).collect(),
        ..Default::default()
    }
}

fn describe(user: Str, times: usize) -> DescribeUserScramCredentialsResult {
    let (error_code, what) = if times == 1 {
        let words = "Attempt to describe a user credential that does not exist";
        (ErrorCode::ResourceNotFound, words)
    } else {
        let words = "Cannot describe SCRAM credentials for the same user twice in a single request";
        (ErrorCode::DuplicateResource, words)
    };
    let error_message = Some(Str::from(format!("{what}: {user}", user = &*user)));
    DescribeUserScramCredentialsResult { user, error_code, error_message, ..Default::default() }
}
