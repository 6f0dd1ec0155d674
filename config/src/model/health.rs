//! Health checks: how an endpoint is asked whether it is well, and how many answers change the mind.

use std::{fmt, num::NonZeroU16, str::FromStr};

use serde::{Deserialize, Serialize};

use super::value::{Invalid, Millis};

/// Active checks of every endpoint of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// What is asked.
    pub check: Check,
    /// Asked at this port of each endpoint instead of the endpoint's own.
    pub port: Option<NonZeroU16>,
    /// Between the starts of two checks of an endpoint, give or take a tenth by chance.
    pub interval: Millis,
    /// Bound on one check, from connecting to the end of the answer.
    pub timeout: Millis,
    /// Checks passed in a row that bring an endpoint back; at least 1.
    pub healthy_after: u32,
    /// Checks failed in a row that leave an endpoint out; at least 1.
    pub unhealthy_after: u32,
    /// While fewer than this share of the endpoints are healthy, in percent, all are used; 0 never.
    pub panic_below: u8,
}

/// What is asked of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Check {
    /// To take a connection.
    Tcp,
    /// To answer a GET of HTTP/1.1.
    Http {
        /// The request target: a path with or without a query (RFC 9112 3.2.1).
        target: String,
        /// The Host field; the address that is asked where `None`.
        host: Option<String>,
        /// Statuses that pass; never empty.
        statuses: Vec<StatusRange>,
    },
}

/// Statuses of final responses from one to another, both included; written `204` or `200-299`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct StatusRange {
    first: u16,
    last: u16,
}

impl StatusRange {
    /// From `first` to `last`.
    ///
    /// # Errors
    /// When one is not from 200 to 599 (RFC 9110 15: those of final responses), or the last comes before the first.
    pub fn new(first: u16, last: u16) -> Result<Self, Invalid> {
        if let Some(wrong) = [first, last].iter().find(|status| !(200..=599).contains(*status)) {
            return Err(Invalid::because(format!(
                "the status of a response is from 200 to 599, not {wrong}"
            )));
        }
        if last < first {
            return Err(Invalid::rather(
                "a range goes from the smaller to the larger status",
                format!("{last}-{first}"),
            ));
        }
        Ok(Self { first, last })
    }

    /// A literal of this project; out of bounds it does not compile.
    pub(crate) const fn literal(first: u16, last: u16) -> Self {
        assert!(
            200 <= first && first <= last && last <= 599,
            "statuses are from 200 to 599"
        );
        Self { first, last }
    }

    /// Whether `status` is one of them.
    #[must_use]
    pub const fn contains(self, status: u16) -> bool {
        self.first <= status && status <= self.last
    }
}

impl FromStr for StatusRange {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let status = |digits: &str| {
            let all = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
            let number = digits.parse::<u16>().ok().filter(|_| all);
            number.ok_or_else(|| Invalid::because("statuses are written `204` or `200-299`"))
        };
        Self::new(status(first)?, status(last)?)
    }
}

impl TryFrom<String> for StatusRange {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<StatusRange> for String {
    fn from(range: StatusRange) -> Self {
        range.to_string()
    }
}

impl fmt::Display for StatusRange {
    /// As it is read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_and_written() {
        for text in ["204", "200-299", "200-599"] {
            assert_eq!(text.parse::<StatusRange>().unwrap().to_string(), text);
        }
        assert_eq!("204-204".parse::<StatusRange>().unwrap().to_string(), "204");
        let range = StatusRange::new(200, 299).unwrap();
        let inside: Vec<u16> = [199, 200, 299, 300]
            .into_iter()
            .filter(|status| range.contains(*status))
            .collect();
        assert_eq!(inside, [200, 299]);
        for wrong in [
            "",
            "-",
            "200-",
            "-299",
            "2xx",
            "100",
            "600",
            "200-600",
            "+200",
            "200-250-299",
            "٢٠٠",
        ] {
            assert!(wrong.parse::<StatusRange>().is_err(), "{wrong}");
        }
        let swapped = "299-200".parse::<StatusRange>().unwrap_err();
        assert_eq!(swapped.suggestion.as_deref(), Some("200-299"));
        assert!(serde_json::from_str::<StatusRange>("\"100-299\"").is_err());
    }
}
