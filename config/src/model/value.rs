//! Small values that cannot hold something wrong: names, header fields, hosts and places.
//!
//! Owns what each may hold and the words that say what is wrong. Amounts are in `amount`, expressions in
//! `pattern`. Refuses to know where in a configuration a value stood.

use std::{fmt, net::Ipv4Addr, net::Ipv6Addr, str::FromStr};

use serde::{Deserialize, Serialize};

pub use super::{
    amount::{ByteSize, Millis, Weight},
    pattern::Pattern,
};

/// Why a value cannot be, in words for the one who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Invalid {
    /// What is wrong.
    pub reason: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

/// A name of a listener, route, rule or service: 1 to 253 of `a-z A-Z 0-9 - _ .`, first one alphanumeric.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

/// A header field name, lower case, a token of RFC 9110 5.6.2.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct HeaderName(String);

/// A header field value of RFC 9110 5.5: no CR, LF, NUL or other control but HTAB, no space at either end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct HeaderValue(String);

/// A host or a wildcard that stands for one or more leading labels (Gateway API's `*.example.com`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HostPattern {
    /// Lower case, no trailing dot; an IP literal as in a Host field.
    Exact(String),
    /// `example.com` for `*.example.com`.
    Wildcard(String),
}

/// A place in a configuration file, both from 1.
#[derive(Debug, Clone, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct Place {
    /// As the file was named to the loader.
    pub file: String,
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

impl Invalid {
    /// Without a suggestion.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            suggestion: None,
        }
    }

    /// With what was probably meant.
    #[must_use]
    pub fn rather(reason: impl Into<String>, suggestion: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            suggestion: Some(suggestion.into()),
        }
    }
}

impl Name {
    /// Checks and takes `text`.
    ///
    /// # Errors
    /// When it is empty, longer than 253 bytes, or holds another character than a name may.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        if text.len() > NAME_BYTES_MAX {
            return Err(Invalid::because(format!(
                "a name has at most {NAME_BYTES_MAX} characters"
            )));
        }
        if !text.starts_with(|first: char| first.is_ascii_alphanumeric()) {
            return Err(Invalid::because("a name begins with a letter or a digit"));
        }
        match text
            .chars()
            .find(|&c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.'))
        {
            Some(wrong) => Err(Invalid::because(format!(
                "a name holds only letters, digits, `-`, `_` and `.`, not {wrong:?}"
            ))),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl HeaderName {
    /// Checks `text` and takes it in lower case.
    ///
    /// # Errors
    /// When it is no token of RFC 9110 5.6.2.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        check_token(text, "a header name")?;
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// As text, lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl HeaderValue {
    /// Checks and takes `text`.
    ///
    /// # Errors
    /// When it holds a control character other than HTAB, or begins or ends with a space or HTAB.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        if let Some(wrong) = text.chars().find(|&c| c.is_ascii_control() && c != '\t') {
            return Err(Invalid::because(format!(
                "a header value holds no control character, not {wrong:?}"
            )));
        }
        let trimmed = text.trim_matches([' ', '\t']);
        if trimmed.len() != text.len() {
            return Err(Invalid::rather(
                "a header value has no space at either end",
                trimmed,
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl HostPattern {
    /// Reads a host name, a wildcard as `*.example.com`, or an IP literal as it stands in a Host field.
    ///
    /// # Errors
    /// When it is none of these; a scheme, a path or a port is named as what is wrong.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text == "*" {
            return Err(Invalid::because(
                "`*` alone is no host: leave `hosts` out to serve every host",
            ));
        }
        match text.strip_prefix("*.") {
            Some(rest) if host_text(rest).is_ok_and(|host| is_ip_literal(&host)) => Err(Invalid::because(
                "a wildcard stands before a domain, not before an address",
            )),
            Some(rest) => Ok(Self::Wildcard(host_text(rest)?)),
            None if text.contains('*') => Err(Invalid::because(
                "`*` may only be the whole first label, as in `*.example.com`",
            )),
            None => Ok(Self::Exact(host_text(text)?)),
        }
    }
}

/// Checks a host as it stands in a Host field, without its port, and gives it in lower case without a
/// trailing dot (RFC 9110 7.2, RFC 1123 2.1).
pub(crate) fn host_text(text: &str) -> Result<String, Invalid> {
    if let Some(literal) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match literal.parse::<Ipv6Addr>() {
            Ok(address) => Ok(format!("[{address}]")),
            Err(_) => Err(Invalid::because(format!("`{literal}` is no IPv6 address"))),
        };
    }
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Err(Invalid::rather(
            "an IPv6 address stands in brackets",
            format!("[{address}]"),
        ));
    }
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split(['/', ':']).next().unwrap_or(rest);
        return Err(Invalid::rather("a host has no scheme", host));
    }
    if let Some((host, _)) = text.split_once('/') {
        return Err(Invalid::rather("a host has no path", host));
    }
    if let Some((host, _)) = text.split_once(':') {
        return Err(Invalid::rather("a host has no port", host));
    }
    domain(text)
}

/// Checks a DNS name and gives it in lower case without a trailing dot.
pub(crate) fn domain(text: &str) -> Result<String, Invalid> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(Invalid::because(format!(
            "a host has 1 to {NAME_BYTES_MAX} characters"
        )));
    }
    if !name.is_ascii() {
        return Err(Invalid::because("a host is ASCII: write its `xn--` form"));
    }
    for label in name.split('.') {
        check_label(label)?;
    }
    let numeric = |label: &str| label.bytes().all(|b| b.is_ascii_digit());
    // RFC 1123 2.1: no top-level domain is all digits, so this was meant as an IPv4 address.
    if name.rsplit('.').next().is_some_and(numeric) && name.parse::<Ipv4Addr>().is_err() {
        return Err(Invalid::because(format!(
            "`{name}` is neither a host name nor an IPv4 address"
        )));
    }
    Ok(name.to_ascii_lowercase())
}

fn check_label(label: &str) -> Result<(), Invalid> {
    if label.is_empty() || label.len() > LABEL_BYTES_MAX {
        return Err(Invalid::because(format!(
            "each label of a host has 1 to {LABEL_BYTES_MAX} characters, `{label}` has {}",
            label.len()
        )));
    }
    // The underscore is no host character in RFC 1123, but names in clusters and service discovery hold it.
    if let Some(wrong) = label
        .chars()
        .find(|&c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'))
    {
        return Err(Invalid::because(format!("a host holds no {wrong:?}")));
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(Invalid::because(format!(
            "a label of a host neither begins nor ends with `-`: `{label}`"
        )));
    }
    Ok(())
}

/// Checks a token of RFC 9110 5.6.2; `what` names it in the error.
pub(crate) fn check_token(text: &str, what: &str) -> Result<(), Invalid> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if text.is_empty() {
        return Err(Invalid::because(format!("{what} is not empty")));
    }
    if text.len() > TOKEN_BYTES_MAX {
        return Err(Invalid::because(format!(
            "{what} has at most {TOKEN_BYTES_MAX} characters"
        )));
    }
    match text.chars().find(|&c| !is_token(c)) {
        Some(wrong) => Err(Invalid::because(format!("{what} holds no {wrong:?}"))),
        None => Ok(()),
    }
}

fn is_ip_literal(host: &str) -> bool {
    host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok()
}

macro_rules! text_value {
    ($type:ty, $parse:path) => {
        impl FromStr for $type {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                $parse(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                $parse(&text)
            }
        }
    };
}

text_value!(Name, Name::new);
text_value!(HeaderName, HeaderName::new);
text_value!(HeaderValue, HeaderValue::new);
text_value!(HostPattern, HostPattern::parse);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Wildcard(domain) => write!(f, "*.{domain}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Longest name: that of a DNS name (RFC 1035 2.3.4), so that a host may be a name.
const NAME_BYTES_MAX: usize = 253;
/// Longest label of a DNS name (RFC 1035 2.3.4).
const LABEL_BYTES_MAX: usize = 63;
/// Longest token: twice the longest registered header field name.
const TOKEN_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn reason<T: fmt::Debug>(result: Result<T, Invalid>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn names() {
        assert_eq!(Name::new("reviews-v1.prod").unwrap().as_str(), "reviews-v1.prod");
        assert!(reason(Name::new("")).contains("begins with"));
        assert!(reason(Name::new("-a")).contains("begins with"));
        assert!(reason(Name::new("a b")).contains("' '"));
        assert!(reason(Name::new(&"a".repeat(254))).contains("253"));
    }

    #[test]
    fn header_names_are_lower_cased_tokens() {
        assert_eq!(HeaderName::new("X-Canary").unwrap().as_str(), "x-canary");
        assert!(reason(HeaderName::new(":path")).contains("':'"));
        assert!(reason(HeaderName::new("")).contains("not empty"));
    }

    #[test]
    fn header_values_hold_no_line_ends() {
        assert!(HeaderValue::new("a\tb").is_ok());
        assert!(HeaderValue::new("").is_ok());
        assert!(reason(HeaderValue::new("a\r\nb: c")).contains("control"));
        assert_eq!(
            HeaderValue::new(" a").unwrap_err().suggestion.as_deref(),
            Some("a")
        );
    }

    #[test]
    fn hosts() {
        assert_eq!(
            HostPattern::parse("A.Example.COM.").unwrap(),
            HostPattern::Exact("a.example.com".into())
        );
        assert_eq!(
            HostPattern::parse("*.example.com").unwrap(),
            HostPattern::Wildcard("example.com".into())
        );
        assert_eq!(
            HostPattern::parse("[0:0::1]").unwrap(),
            HostPattern::Exact("[::1]".into())
        );
        assert_eq!(
            HostPattern::parse("10.0.0.1").unwrap(),
            HostPattern::Exact("10.0.0.1".into())
        );
        for wrong in [
            "*",
            "a.*.b",
            "*a.b",
            "*.10.0.0.1",
            "10.0.0.256",
            "a..b",
            "-a.b",
            "a b",
            "é.fr",
            "",
            "[x]",
        ] {
            assert!(HostPattern::parse(wrong).is_err(), "{wrong}");
        }
        for wrong in ["https://a.b/c", "a.b/c", "a.b:80"] {
            assert_eq!(
                HostPattern::parse(wrong).unwrap_err().suggestion.as_deref(),
                Some("a.b"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_value_cannot_be_deserialised_wrong() {
        assert!(serde_json::from_str::<Name>("\"a b\"").is_err());
        assert!(serde_json::from_str::<HeaderName>("\"a:\"").is_err());
    }
}
