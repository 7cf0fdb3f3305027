//! CRC32c (Castagnoli), RFC 3720 section 12.1.

use std::ops::Range;

/// The polynomial, its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte: u32 = 0;
    while byte < 256 {
        let mut value = byte;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        table[byte as usize] = value;
        byte += 1;
    }
    table
}

/// The checksum of these bytes, with zeros in a part of them.
pub(super) fn of(bytes: &[u8], zeros: &Range<usize>) -> u32 {
    let step = |sum: u32, (at, byte): (usize, &u8)| {
        let byte = if zeros.contains(&at) { 0 } else { *byte };
        TABLE[usize::from(sum.to_le_bytes()[0] ^ byte)] ^ sum >> 8
    };
    !bytes.iter().enumerate().fold(u32::MAX, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, appendix B.4, and the usual check value.
        assert_eq!(of(&[0; 32], &(0..0)), 0x8a91_36aa);
        assert_eq!(of(&[0xff; 32], &(0..0)), 0x62a8_ab43);
        assert_eq!(of(b"123456789", &(0..0)), 0xe306_9283);
        assert_eq!(of(&[0xff; 32], &(0..32)), 0x8a91_36aa);
    }
}
