//! Identities for requests that come without one. Owns their form; the caller brings the randomness.

/// A UUID of version 4 (RFC 9562 5.4) as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId([u8; 36]);

impl RequestId {
    /// Takes 122 of 128 `random` bits; the other six say that it is a random UUID.
    #[must_use]
    pub fn new(random: u128) -> Self {
        let bits = random & !(0xf << 76) & !(0b11 << 62) | (0x4 << 76) | (0b10 << 62);
        let mut text = [b'-'; 36];
        for (byte, at) in bits.to_be_bytes().into_iter().zip(PLACES) {
            text[at] = DIGITS[usize::from(byte >> 4)];
            text[at + 1] = DIGITS[usize::from(byte & 0xf)];
        }
        Self(text)
    }

    /// `xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx`.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Where the two digits of each byte stand between the hyphens.
const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_random_uuid() {
        assert_eq!(
            RequestId::new(0).as_bytes(),
            b"00000000-0000-4000-8000-000000000000"
        );
        assert_eq!(
            RequestId::new(u128::MAX).as_bytes(),
            b"ffffffff-ffff-4fff-bfff-ffffffffffff"
        );
        assert_eq!(
            RequestId::new(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef).as_bytes(),
            b"01234567-89ab-4def-8123-456789abcdef"
        );
    }
}
