//! Amounts with units: durations, sizes, weights.
//!
//! Owns how they are written and their outermost bounds. Refuses a number without its unit where two are likely.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::value::Invalid;

/// A duration in whole milliseconds, 1 ms to 24 h.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct Millis(u32);

/// A size in bytes, up to 1 TiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64")]
pub struct ByteSize(u64);

/// A relative share, 0 to 1,000,000 (Gateway API's bound).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct Weight(u32);

impl Millis {
    /// Longest duration, in milliseconds: a day is past any wait of a request, and one unit below what `u32` holds.
    pub const MAX_MS: u32 = 24 * 60 * 60 * 1000;

    /// `ms` milliseconds.
    ///
    /// # Errors
    /// When it is 0 or more than [`Self::MAX_MS`].
    pub fn new(ms: u32) -> Result<Self, Invalid> {
        if ms == 0 || ms > Self::MAX_MS {
            return Err(Invalid::because("a duration is from 1ms to 24h"));
        }
        Ok(Self(ms))
    }

    /// Reads a whole number and its unit: `250ms`, `3s`, `5m`, `1h`.
    ///
    /// # Errors
    /// When number or unit is missing or malformed, or the duration is out of bounds.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let (number, unit) = split_unit(text);
        let ms_per_unit: u64 = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 60 * 60 * 1000,
            _ => {
                return Err(Invalid::because(
                    "a duration is a whole number and a unit: `250ms`, `3s`, `5m` or `1h`",
                ));
            }
        };
        let number = whole_number(
            number,
            "a duration is a whole number and a unit: `250ms`, `3s`, `5m` or `1h`",
        )?;
        let ms = number.saturating_mul(ms_per_unit).min(u64::from(u32::MAX));
        Self::new(u32::try_from(ms).unwrap_or(u32::MAX))
    }

    /// A literal of this project; out of bounds it does not compile.
    pub(crate) const fn literal(ms: u32) -> Self {
        assert!(ms != 0 && ms <= Self::MAX_MS, "a duration is from 1ms to 24h");
        Self(ms)
    }

    /// In milliseconds.
    #[must_use]
    pub const fn ms(self) -> u32 {
        self.0
    }

    /// As a standard duration.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0 as u64)
    }
}

impl ByteSize {
    /// Largest size in bytes: 1 TiB, past any body a gateway should be asked to bound.
    pub const MAX: u64 = 1 << 40;

    /// `bytes` bytes.
    ///
    /// # Errors
    /// When it is more than [`Self::MAX`].
    pub fn new(bytes: u64) -> Result<Self, Invalid> {
        if bytes > Self::MAX {
            return Err(Invalid::because("a size is at most 1TiB"));
        }
        Ok(Self(bytes))
    }

    /// Reads a whole number and its unit, `64KiB`, `10MiB`, `1GiB`, `1TiB`, `512B`, or a plain number of bytes.
    ///
    /// # Errors
    /// When the number is malformed, the unit is another, or the size is out of bounds.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const SHAPE: &str = "a size is a whole number and a unit: `512B`, `64KiB`, `10MiB` or `1GiB`";
        let (number, unit) = split_unit(text);
        let number = whole_number(number, SHAPE)?;
        let shift = match unit {
            "" | "B" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            "TiB" => 40,
            other => {
                let meant = other.chars().next().map(|first| first.to_ascii_uppercase());
                return Err(match meant.filter(|first| "KMGT".contains(*first)) {
                    Some(first) => Invalid::rather(SHAPE, format!("{number}{first}iB")),
                    None => Invalid::because(SHAPE),
                });
            }
        };
        Self::new(number.saturating_mul(1 << shift))
    }

    /// A literal of this project; out of bounds it does not compile.
    pub(crate) const fn literal(bytes: u64) -> Self {
        assert!(bytes <= Self::MAX, "a size is at most 1TiB");
        Self(bytes)
    }

    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl Weight {
    /// Largest weight.
    pub const MAX: u32 = 1_000_000;

    /// A share of `weight`.
    ///
    /// # Errors
    /// When it is more than [`Self::MAX`].
    pub fn new(weight: u32) -> Result<Self, Invalid> {
        if weight > Self::MAX {
            return Err(Invalid::because("a weight is from 0 to 1000000"));
        }
        Ok(Self(weight))
    }

    /// A literal of this project; out of bounds it does not compile.
    pub(crate) const fn literal(weight: u32) -> Self {
        assert!(weight <= Self::MAX, "a weight is from 0 to 1000000");
        Self(weight)
    }

    /// As a number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(digits)
}

/// Reads digits; a number past `u64` becomes its largest, which every bound refuses.
fn whole_number(digits: &str, shape: &str) -> Result<u64, Invalid> {
    if digits.is_empty() {
        return Err(Invalid::because(shape));
    }
    Ok(digits.parse().unwrap_or(u64::MAX))
}

impl fmt::Display for Millis {
    /// In the largest unit that leaves it whole, as [`Millis::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms if ms % 3_600_000 == 0 => write!(f, "{}h", ms / 3_600_000),
            ms if ms % 60_000 == 0 => write!(f, "{}m", ms / 60_000),
            ms if ms % 1000 == 0 => write!(f, "{}s", ms / 1000),
            ms => write!(f, "{ms}ms"),
        }
    }
}

impl fmt::Display for ByteSize {
    /// In the largest unit that leaves it whole, as [`ByteSize::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shift, unit) = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")]
            .into_iter()
            .find(|(shift, _)| self.0 != 0 && self.0.trailing_zeros() >= *shift)
            .unwrap_or((0, "B"));
        write!(f, "{}{unit}", self.0 >> shift)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Millis {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse(text)
    }
}

impl FromStr for ByteSize {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse(text)
    }
}

impl TryFrom<u32> for Millis {
    type Error = Invalid;

    fn try_from(ms: u32) -> Result<Self, Invalid> {
        Self::new(ms)
    }
}

impl TryFrom<u64> for ByteSize {
    type Error = Invalid;

    fn try_from(bytes: u64) -> Result<Self, Invalid> {
        Self::new(bytes)
    }
}

impl TryFrom<u32> for Weight {
    type Error = Invalid;

    fn try_from(weight: u32) -> Result<Self, Invalid> {
        Self::new(weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, ms) in [
            ("250ms", 250),
            ("3s", 3000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("24h", 86_400_000),
        ] {
            assert_eq!(Millis::parse(text).unwrap().ms(), ms);
            assert_eq!(Millis::parse(text).unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "3",
            "s",
            "3 s",
            "1.5s",
            "-1s",
            "0s",
            "25h",
            "3sec",
            "99999999999999999999h",
            "३s",
        ] {
            assert!(Millis::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes) in [
            ("64KiB", 65536),
            ("10MiB", 10 << 20),
            ("1TiB", 1 << 40),
            ("7B", 7),
            ("0B", 0),
        ] {
            assert_eq!(ByteSize::parse(text).unwrap().bytes(), bytes);
            assert_eq!(ByteSize::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(ByteSize::parse("1000").unwrap().bytes(), 1000);
        assert_eq!(
            ByteSize::parse("64k").unwrap_err().suggestion.as_deref(),
            Some("64KiB")
        );
        assert_eq!(
            ByteSize::parse("10MB").unwrap_err().suggestion.as_deref(),
            Some("10MiB")
        );
        for wrong in ["", "KiB", "1.5KiB", "-1", "2TiB", "99999999999999999999TiB", "5x"] {
            assert!(ByteSize::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bounds_hold_when_deserialised() {
        assert!(serde_json::from_str::<Millis>("0").is_err());
        assert!(serde_json::from_str::<Weight>("1000001").is_err());
        assert!(Weight::new(1_000_000).is_ok());
        assert!(ByteSize::new(ByteSize::MAX + 1).is_err());
    }
}
