//! The digits of crypt(3).

const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The digit for a value below 64.
pub(super) fn digit(value: u8) -> char {
    char::from(DIGITS[usize::from(value & 63)])
}

/// The value of a digit.
pub(super) fn value(digit: u8) -> Option<u8> {
    DIGITS.iter().position(|known| *known == digit).and_then(|at| u8::try_from(at).ok())
}
