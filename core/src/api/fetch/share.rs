//! Who gets how many bytes of a fetch answer: pure functions.

/// Bytes of a batch before its length field, and of the two together: base offset, length.
const LENGTH_AT: usize = 8;
const PREFIX_BYTES: usize = 12;

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

/// How many of the bytes of `parts`, which are whole batches end to end, make whole batches of at
/// most `max_bytes`; with `at_least_one`, the first counts however large.
pub fn whole_batches<T: AsRef<[u8]>>(parts: &[T], max_bytes: usize, at_least_one: bool) -> usize {
    let total: usize = parts.iter().map(|part| part.as_ref().len()).sum();
    if total <= max_bytes {
        return total;
    }
    let mut end = 0;
    while let Some(length) = length_at(parts, end + LENGTH_AT) {
        let next = end.saturating_add(PREFIX_BYTES).saturating_add(length);
        let fits = next <= max_bytes || (end == 0 && at_least_one);
        if next > total || !fits {
            break;
        }
        end = next;
    }
    end
}

/// The big-endian u32 at `position`, which may straddle parts.
fn length_at<T: AsRef<[u8]>>(parts: &[T], position: usize) -> Option<usize> {
    let mut skip = position;
    let mut field = [0; 4];
    let mut filled = 0;
    for part in parts {
        let part = part.as_ref();
        let rest = part.get(skip..).unwrap_or_default();
        skip = skip.saturating_sub(part.len());
        let take = rest.len().min(4 - filled);
        field[filled..filled + take].copy_from_slice(&rest[..take]);
        filled += take;
        if filled == 4 {
            return usize::try_from(u32::from_be_bytes(field)).ok();
        }
    }
    None
}
