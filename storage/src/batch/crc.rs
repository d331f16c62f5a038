//! A batch's CRC-32C, taken in piece by piece.

use crc_fast::{CrcAlgorithm, Digest};

/// Of the pieces so far.
#[derive(Debug)]
pub(crate) struct Crc(Digest);

impl Default for Crc {
    fn default() -> Self {
        Crc(Digest::new(CrcAlgorithm::Crc32Iscsi))
    }
}

impl Crc {
    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    pub(crate) fn finish(&self) -> u32 {
        self.0.finalize() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_give_what_the_whole_gives() {
        let bytes: Vec<u8> = (0..2_000u32).map(|i| (i * 7) as u8).collect();
        for at in [0, 1, 61, 1_000, 2_000] {
            let mut crc = Crc::default();
            crc.update(&bytes[..at]);
            crc.update(&bytes[at..]);
            assert_eq!(crc.finish(), crc_fast::crc32_iscsi(&bytes));
        }
    }
}
