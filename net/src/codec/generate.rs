//! Test data: any message, as any version may hold it, from one seed. The declarations drive it, so
//! a new message is covered by being declared.

use bytes::Bytes;

use super::{LazyArray, Nullable, Records, Str, Uuid, Version};
use crate::error_code::ErrorCode;

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Source(pub u64);

impl Source {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Mostly short, now and then long enough for a length of two bytes, or for a payload that is
    /// not copied.
    fn len(&mut self, long: usize) -> usize {
        match self.below(12) {
            0 => 0,
            1 => 120 + self.below(20),
            2 => self.below(long),
            _ => self.below(12),
        }
    }
}

/// Valid bytes, damaged in one to four places.
pub(crate) fn mutate(valid: &[u8], source: &mut Source) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    for _ in 0..=source.below(4) {
        let at = source.below(bytes.len().max(1));
        if bytes.is_empty() {
            bytes.push(0);
        }
        match source.below(6) {
            0 => bytes[at] = source.next() as u8,
            1 => bytes[at] ^= 1 << source.below(8),
            2 => bytes.truncate(at.max(1)),
            3 => bytes.insert(at, source.next() as u8),
            // Lengths: huge ones in either form, and -1.
            4 => bytes[at..].iter_mut().take(4).for_each(|byte| *byte = 0xff),
            _ => bytes[at..].iter_mut().take(4).for_each(|byte| *byte = 0x7f),
        }
    }
    bytes
}

pub(crate) trait Generate: Sized {
    fn generate(source: &mut Source, version: Version) -> Self;
}

/// A field's value, or null if the version has it.
pub(crate) fn nullable<T: Generate + Nullable>(
    source: &mut Source,
    version: Version,
    nullable: bool,
) -> Option<T> {
    if nullable && source.one_in(3) { None } else { Some(T::generate(source, version)) }
}

macro_rules! integers {
    ($($type:ty)*) => { $(
        impl Generate for $type {
            fn generate(source: &mut Source, _: Version) -> Self {
                match source.below(4) {
                    0 => source.below(4) as $type,
                    1 => (0 as $type).wrapping_sub(source.below(4) as $type),
                    _ => source.next() as $type,
                }
            }
        }
    )* };
}

integers!(i8 i16 i32 i64);

impl Generate for bool {
    fn generate(source: &mut Source, _: Version) -> Self {
        source.one_in(2)
    }
}

impl Generate for f64 {
    fn generate(source: &mut Source, _: Version) -> Self {
        // No NaN: it would not equal itself.
        Some(f64::from_bits(source.next())).filter(|value| !value.is_nan()).unwrap_or_default()
    }
}

impl Generate for ErrorCode {
    fn generate(source: &mut Source, version: Version) -> Self {
        ErrorCode::from_number(match source.one_in(4) {
            true => i16::generate(source, version),
            false => source.below(140) as i16 - 1,
        })
    }
}

impl Generate for Uuid {
    fn generate(source: &mut Source, _: Version) -> Self {
        let (high, low) = (source.next(), source.next());
        Uuid((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
    }
}

impl Generate for Str {
    fn generate(source: &mut Source, _: Version) -> Self {
        let letters: Vec<char> = "abcxyz_.09ü€𝄞".chars().collect();
        let len = source.len(400);
        Str::from((0..len).map(|_| letters[source.below(letters.len())]).collect::<String>())
    }
}

impl Generate for Bytes {
    fn generate(source: &mut Source, _: Version) -> Self {
        (0..source.len(6000)).map(|_| source.next() as u8).collect()
    }
}

impl Generate for Records {
    fn generate(source: &mut Source, version: Version) -> Self {
        (0..source.below(4)).map(|_| Bytes::generate(source, version)).collect()
    }
}

impl<T: Generate> Generate for Vec<T> {
    fn generate(source: &mut Source, version: Version) -> Self {
        (0..source.below(4)).map(|_| T::generate(source, version)).collect()
    }
}

impl<T: Generate> Generate for LazyArray<T> {
    fn generate(source: &mut Source, version: Version) -> Self {
        Vec::generate(source, version).into()
    }
}
