//! Who gets how many bytes of a fetch answer: a pure function.

/// What a plan of one partition yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Bytes of whole batches.
    pub bytes: usize,
    /// What was asked for; a first batch may be larger.
    pub limit_bytes: usize,
}

/// Shares `max_bytes` out among partitions, in their order. The first that has anything gets all
/// of its plan, so that a batch larger than the limits still gets through (KIP-74); the others get
/// what is left, within their own limits.
pub fn share_out(offers: &[Offer], max_bytes: usize) -> Vec<usize> {
    let mut left = max_bytes;
    let mut is_first = true;
    let mut shares = Vec::with_capacity(offers.len());
    for Offer { bytes, limit_bytes } in offers {
        let share = if is_first { *bytes } else { left.min(*bytes).min(*limit_bytes) };
        is_first &= *bytes == 0;
        left = left.saturating_sub(share);
        shares.push(share);
    }
    shares
}
