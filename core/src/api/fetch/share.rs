//! Who gets how many bytes of a fetch answer: a pure function.

/// Shares `max_bytes` out among partitions whose plans yield `sizes` bytes, in the order of the
/// request. The first that has anything gets all of its plan, so that a batch larger than the limit
/// still gets through (KIP-74); the others get what is left.
pub fn share_out(sizes: &[usize], max_bytes: usize) -> Vec<usize> {
    let mut left = max_bytes;
    let mut is_first = true;
    let mut shares = Vec::with_capacity(sizes.len());
    for size in sizes {
        let share = if is_first { *size } else { left.min(*size) };
        is_first &= *size == 0;
        left = left.saturating_sub(share);
        shares.push(share);
    }
    shares
}
