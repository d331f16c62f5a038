//! How a change at the front of some bytes changes their CRC-32C.
//!
//! A CRC is linear over GF(2): two inputs of equal length that differ only in front have CRCs that
//! differ by (the difference of the fronts' CRCs) * x^(8n) modulo the polynomial, n being the bytes
//! behind the front. Multiplying takes under a microsecond for any n; reading 1 MiB again takes tens.

/// The Castagnoli polynomial, lowest bit first, as CRC-32C counts them.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// x^0: the highest bit.
const ONE: u32 = 1 << 31;

/// x^(2^k) modulo the polynomial, enough for 2^32 bytes.
const POWERS: [u32; 36] = {
    let mut powers = [ONE >> 1; 36];
    let mut k = 1;
    while k < powers.len() {
        powers[k] = multiply(powers[k - 1], powers[k - 1]);
        k += 1;
    }
    powers
};

/// a * b modulo the polynomial.
const fn multiply(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut bit = ONE;
    while bit != 0 {
        // Masks, not branches: the bits are random.
        product ^= b & ((a & bit != 0) as u32 * u32::MAX);
        b = (b >> 1) ^ (POLYNOMIAL & ((b & 1) * u32::MAX));
        bit >>= 1;
    }
    product
}

/// `difference` * x^(8 * `bytes`).
pub(super) fn shift(difference: u32, bytes: u32) -> u32 {
    let mut bits = u64::from(bytes) * 8;
    let mut shifted = difference;
    while bits != 0 {
        shifted = multiply(POWERS[bits.trailing_zeros() as usize], shifted);
        bits &= bits - 1;
    }
    shifted
}
