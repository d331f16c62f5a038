//! DescribeClientQuotas (KIP-546).

use crate::codec::Str;
use crate::codec::declare::message;
use crate::error_code::ErrorCode;

/// `match_type` of an entity named in full.
pub const MATCH_EXACT_NAME: i8 = 0;
/// `match_type` of the default entity.
pub const MATCH_DEFAULT_NAME: i8 = 1;
/// `match_type` of every entity that has a name.
pub const MATCH_ANY_NAME: i8 = 2;

message! {
    /// Asks for quotas.
    pub struct DescribeClientQuotasRequest {
        /// What entities must match, all of it.
        components: Vec<ClientQuotaFilterComponent> [0..];
        /// Leave out entities that have types not named here.
        strict: bool [0..];
    }

    /// One part of the filter.
    pub struct ClientQuotaFilterComponent {
        /// `user`, `client-id` or `ip`.
        entity_type: Str [0..];
        /// How to match it.
        match_type: i8 [0..];
        /// The name to match; null where the type needs none.
        match_name: Option<Str> [0.., null 0..];
    }

    /// The quotas.
    pub struct DescribeClientQuotasResponse {
        /// Milliseconds for which the request was throttled.
        throttle_time_ms: i32 [0..];
        /// The error.
        error_code: ErrorCode [0..];
        /// The error in words.
        error_message: Option<Str> [0.., null 0..];
        /// One for each entity; null with an error.
        entries: Option<Vec<ClientQuotaEntry>> [0.., null 0..] = Some(Vec::new());
    }

    /// An entity's quotas.
    pub struct ClientQuotaEntry {
        /// The entity.
        entity: Vec<ClientQuotaEntity> [0..];
        /// Its quotas.
        values: Vec<ClientQuotaValue> [0..];
    }

    /// One part of an entity.
    pub struct ClientQuotaEntity {
        /// `user`, `client-id` or `ip`.
        entity_type: Str [0..];
        /// Its name; null for the default.
        entity_name: Option<Str> [0.., null 0..];
    }

    /// A quota.
    pub struct ClientQuotaValue {
        /// The quota's name.
        key: Str [0..];
        /// Its value, in the unit of the quota.
        value: f64 [0..];
    }
}
