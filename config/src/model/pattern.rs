//! Regular expressions of the configuration, compiled once, when it is read.
//!
//! Owns their dialect and their bounds. Refuses what would match only a part of a value.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::value::Invalid;

/// A regular expression, compiled, that must match the whole value.
///
/// The dialect is the `regex` crate's without Unicode classes: paths and header fields are bytes.
#[derive(Clone)]
pub struct Pattern {
    source: String,
    compiled: regex::bytes::Regex,
}

impl Pattern {
    /// Compiles `source` so that it must match the whole value.
    ///
    /// # Errors
    /// The reason in the regex crate's words, when the expression is malformed or too large.
    pub fn new(source: &str) -> Result<Self, String> {
        // Alone first: `a)|(b` is malformed, but would slip out of the anchors' group.
        compile(source)?;
        let compiled = compile(&format!("^(?:{source})$"))?;
        Ok(Self {
            source: source.to_owned(),
            compiled,
        })
    }

    /// The compiled, anchored expression.
    #[must_use]
    pub const fn regex(&self) -> &regex::bytes::Regex {
        &self.compiled
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}

fn compile(source: &str) -> Result<regex::bytes::Regex, String> {
    regex::bytes::RegexBuilder::new(source)
        .unicode(false)
        .size_limit(crate::defaults::REGEX_BYTES_MAX)
        .dfa_size_limit(crate::defaults::REGEX_BYTES_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => {
                format!("the expression compiles to more than {limit} bytes")
            }
            // The crate draws the expression with a caret over several lines; its last line says what is wrong.
            other => {
                let text = other.to_string();
                let last = text.lines().last().unwrap_or_default().trim();
                last.strip_prefix("error: ").unwrap_or(last).to_owned()
            }
        })
}

impl FromStr for Pattern {
    type Err = Invalid;

    fn from_str(source: &str) -> Result<Self, Invalid> {
        Self::new(source).map_err(Invalid::because)
    }
}

impl Serialize for Pattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.source)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_the_whole_value_only() {
        let pattern = Pattern::new("a|b+").unwrap();
        assert!(pattern.regex().is_match(b"bbb"));
        assert!(!pattern.regex().is_match(b"ab"));
        assert!(!pattern.regex().is_match(b"b\n"));
        assert!(Pattern::new("(?i)abc").unwrap().regex().is_match(b"ABC"));
    }

    #[test]
    fn refuses_what_is_malformed_slips_the_anchors_or_is_too_large() {
        assert_eq!(Pattern::new("(a").unwrap_err(), "unclosed group");
        assert!(Pattern::new("a)|(?:b").is_err());
        assert!(Pattern::new("(?:a{1000}){1000}").unwrap_err().contains("bytes"));
    }
}
