//! Walking whole record batches that lie in slices end to end; a batch may straddle slices. Only
//! the fields that the walk needs are looked at.

/// Where a batch has its base offset, and how many bytes follow the length field.
const BASE_OFFSET_AT: usize = 0;
const LENGTH_AT: usize = 8;
const PREFIX_BYTES: usize = 12;
const LAST_OFFSET_DELTA_AT: usize = 23;

/// How many of the bytes of `parts` make whole batches of at most `max_bytes`; with `at_least_one`,
/// the first counts however large.
pub fn whole<T: AsRef<[u8]>>(parts: &[T], max_bytes: usize, at_least_one: bool) -> usize {
    let total = total_bytes(parts);
    if total <= max_bytes {
        return total;
    }
    let mut end = 0;
    while let Some(next) = end_of_batch(parts, end) {
        let fits = next <= max_bytes || (end == 0 && at_least_one);
        if next > total || !fits {
            break;
        }
        end = next;
    }
    end
}

/// The base offset of the batch that begins at `position`.
pub fn base_offset<T: AsRef<[u8]>>(parts: &[T], position: usize) -> Option<i64> {
    Some(i64::from_be_bytes(field(parts, position + BASE_OFFSET_AT)?))
}

/// The offset after the last whole batch of `parts`; `None` if there is none.
pub fn next_offset<T: AsRef<[u8]>>(parts: &[T]) -> Option<i64> {
    let total = total_bytes(parts);
    let (mut start, mut last) = (0, None);
    while let Some(next) = end_of_batch(parts, start).filter(|next| *next <= total) {
        last = Some(start);
        start = next;
    }
    let last = last?;
    let base_offset = i64::from_be_bytes(field(parts, last + BASE_OFFSET_AT)?);
    let delta = i32::from_be_bytes(field(parts, last + LAST_OFFSET_DELTA_AT)?);
    base_offset.checked_add(i64::from(delta))?.checked_add(1)
}

fn total_bytes<T: AsRef<[u8]>>(parts: &[T]) -> usize {
    parts.iter().map(|part| part.as_ref().len()).sum()
}

fn end_of_batch<T: AsRef<[u8]>>(parts: &[T], start: usize) -> Option<usize> {
    let length = u32::from_be_bytes(field(parts, start + LENGTH_AT)?);
    start.checked_add(PREFIX_BYTES)?.checked_add(usize::try_from(length).ok()?)
}

/// The `N` bytes at `position`.
fn field<T: AsRef<[u8]>, const N: usize>(parts: &[T], position: usize) -> Option<[u8; N]> {
    let (mut skip, mut filled) = (position, 0);
    let mut field = [0; N];
    for part in parts {
        let part = part.as_ref();
        let rest = part.get(skip..).unwrap_or_default();
        skip = skip.saturating_sub(part.len());
        let take = rest.len().min(N - filled);
        field[filled..filled + take].copy_from_slice(&rest[..take]);
        filled += take;
        if filled == N {
            return Some(field);
        }
    }
    None
}
