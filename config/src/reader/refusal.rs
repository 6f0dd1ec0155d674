//! Why a node cannot be read as what is asked for, in words for the one who wrote it.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::{model::value::Invalid, tree::Content};

/// The error of a [`Reader`](super::Reader).
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Not reported yet: the reader that gets it knows where.
    Untold(Invalid),
    /// Reported further down.
    Told,
}

/// Makes any deserializer's error of an invalid value, so that a [`Refusal`] keeps the suggestion.
pub(crate) fn refuse<E: de::Error>(invalid: Invalid) -> E {
    match invalid.suggestion {
        Some(suggestion) => E::invalid_value(Unexpected::Other(&suggestion), &invalid.reason.as_str()),
        None => E::custom(invalid.reason),
    }
}

impl Refusal {
    pub(super) fn because(reason: impl Into<String>) -> Self {
        Self::Untold(Invalid::because(reason))
    }

    pub(super) fn unknown_field(name: &str, known: &[&str]) -> Self {
        if name == "<<" {
            return Self::because(
                "YAML 1.2 has no merge key `<<`: write the fields here, or alias the whole map",
            );
        }
        let suggestion = closest(name, known.iter().copied());
        let reason = match suggestion {
            Some(_) => format!("unknown field `{name}`"),
            None => format!("unknown field `{name}`, known here: {}", listed(known, "and")),
        };
        Self::Untold(Invalid { reason, suggestion })
    }

    /// A word, alone or as the key of a map, that is none of `words`.
    pub(super) fn unknown_word(kind: &str, word: &str, words: &[&str], alone: bool) -> Self {
        if LATER
            .iter()
            .any(|(of, later)| *of == kind && later.contains(&word))
        {
            return Self::because(format!("`{word}` is not supported in this version"));
        }
        let shorthand = SHORTHAND.iter().find(|(of, _)| alone && *of == kind);
        let suggestion = closest(word, words.iter().copied())
            .or_else(|| shorthand.map(|(_, meant)| format!("{{ {meant}: {word} }}")));
        let found = if alone {
            format!("{word:?}")
        } else {
            format!("`{word}`")
        };
        Self::Untold(Invalid {
            reason: format!("expected {}, found {found}", listed(words, "or")),
            suggestion,
        })
    }

    /// A map that should have exactly one key.
    pub(super) fn not_one_of<'a>(words: &[&str], found: impl Iterator<Item = &'a str>) -> Self {
        let found: Vec<&str> = found.collect();
        let found = if found.is_empty() {
            "none".to_owned()
        } else {
            listed(&found, "and")
        };
        Self::because(format!(
            "expected exactly one of {}, found {found}",
            listed(words, "or")
        ))
    }

    /// Neither text nor a map where one of `words` belongs.
    pub(super) fn no_word(words: &[&str], content: &Content) -> Self {
        let found = match content {
            Content::Null => "nothing".to_owned(),
            Content::Bool(value) => format!("`{value}`"),
            Content::Whole(value) => format!("the number {value}"),
            Content::Float(value) => format!("the number {value}"),
            Content::Text(text) => format!("{text:?}"),
            Content::List(_) => "a list".to_owned(),
            Content::Map(_) => "a map".to_owned(),
        };
        Self::because(format!("expected {}, found {found}", listed(words, "or")))
    }
}

impl de::Error for Refusal {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::because(reason.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
            Unexpected::Bool(value) => format!("`{value}`"),
            Unexpected::Signed(value) => format!("the number {value}"),
            Unexpected::Unsigned(value) => format!("the number {value}"),
            Unexpected::Float(value) => format!("the number {value}"),
            Unexpected::Str(text) => format!("{text:?}"),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Map => "a map".to_owned(),
            other => other.to_string(),
        };
        Self::because(format!("expected {expected}, found {found}"))
    }

    /// The other end of [`refuse`]: `found` is the suggestion.
    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match found {
            Unexpected::Other(suggestion) => Self::Untold(Invalid::rather(expected.to_string(), suggestion)),
            found => Self::invalid_type(found, expected),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untold(what) => write!(f, "{what}"),
            Self::Told => f.write_str("reported"),
        }
    }
}

impl std::error::Error for Refusal {}

/// The one of `known` that was probably meant by `written`: without regard to case a typing mistake away, or
/// two where the word is long.
pub(crate) fn closest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    if written.len() > COMPARED_BYTES_MAX {
        return None;
    }
    let written = written.to_lowercase();
    let distance_max = (written.chars().count() / 3).clamp(1, 3);
    known
        .map(|word| (strsim::damerau_levenshtein(&written, &word.to_lowercase()), word))
        .filter(|(distance, _)| *distance <= distance_max)
        .min()
        .map(|(_, word)| word.to_owned())
}

fn listed(words: &[&str], last: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((end, rest)) => format!("{} {last} {end}", rest.join(", ")),
    }
}

/// Longest text that is compared: as long as a name may be.
const COMPARED_BYTES_MAX: usize = 253;

/// What a text alone was probably meant as, where a word and its value belong.
const SHORTHAND: &[(&str, &str)] = &[
    ("PathMatch", "prefix"),
    ("PathRewrite", "full"),
    ("StringMatch", "exact"),
];

/// Words that later versions will know, by the enum they belong to.
const LATER: &[(&str, &[&str])] = &[
    ("ListenerProtocol", &["udp", "http3"]),
    ("ApplicationProtocol", &["h3"]),
    ("ServiceProtocol", &["h3", "http3"]),
    ("Balance", &["ringHash", "maglev", "consistentHash", "peakEwma"]),
    ("Filter", &["mirror", "cors", "fault", "rateLimit"]),
    ("BackendFilter", &["mirror", "fault"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_word_is_a_typing_mistake_away() {
        let known = ["listeners", "routes", "services"];
        assert_eq!(
            closest("listners", known.into_iter()).as_deref(),
            Some("listeners")
        );
        assert_eq!(closest("Routes", known.into_iter()).as_deref(), Some("routes"));
        assert_eq!(closest("clusters", known.into_iter()), None);
        assert_eq!(closest("", known.into_iter()), None);
    }

    #[test]
    fn words_are_listed_as_one_says_them() {
        assert_eq!(listed(&["a"], "or"), "`a`");
        assert_eq!(listed(&["a", "b", "c"], "or"), "`a`, `b` or `c`");
    }
}
