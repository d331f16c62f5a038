//! DescribeUserScramCredentials: nobody has a password here.

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
    let unknown = |user: Str| {
        let words =
            format!("Attempt to describe a user credential that does not exist: {}", &*user);
        DescribeUserScramCredentialsResult {
            user,
            error_code: ErrorCode::ResourceNotFound,
            error_message: Some(Str::from(words)),
            ..Default::default()
        }
    };
    let users = request.users.into_iter().flatten();
    DescribeUserScramCredentialsResponse {
        results: users.map(|user| unknown(user.name)).collect(),
        ..Default::default()
    }
}
