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
        let digits = (0..36).filter(|at| !matches!(at, 8 | 13 | 18 | 23));
        for (digit, at) in digits.enumerate() {
            let value = (bits >> (124 - 4 * digit)) & 0xf;
            text[at] = b"0123456789abcdef"[value as usize];
        }
        Self(text)
    }

    /// `xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("hexadecimal digits and hyphens are ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_random_uuid() {
        assert_eq!(RequestId::new(0).as_str(), "00000000-0000-4000-8000-000000000000");
        assert_eq!(
            RequestId::new(u128::MAX).as_str(),
            "ffffffff-ffff-4fff-bfff-ffffffffffff"
        );
        assert_eq!(
            RequestId::new(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef).as_str(),
            "01234567-89ab-4def-8123-456789abcdef"
        );
    }
}
