//! Query parameters: finding one and undoing its encoding.
//!
//! Owns the reading of `application/x-www-form-urlencoded` text (WHATWG URL 5.1): pairs parted by `&`, `+` for a
//! space, `%xx` for a byte. Refuses nothing: an escape that is none stands for itself, as it does in browsers.

use std::borrow::Cow;

/// The decoded value of the first parameter called `name` (given decoded); empty if it has no `=`.
pub(super) fn value<'q>(query: &'q str, name: &str) -> Option<Cow<'q, [u8]>> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        Decoded(key.as_bytes())
            .eq(name.bytes())
            .then(|| decode(value.as_bytes()))
    })
}

fn decode(encoded: &[u8]) -> Cow<'_, [u8]> {
    if encoded.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        Cow::Owned(Decoded(encoded).collect())
    } else {
        Cow::Borrowed(encoded)
    }
}

/// The decoded bytes of an encoded text.
struct Decoded<'a>(&'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if let [b'%', high, low, rest @ ..] = self.0
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            self.0 = rest;
            return Some(high << 4 | low);
        }
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(if byte == b'+' { b' ' } else { byte })
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(query: &str, name: &str) -> Option<String> {
        value(query, name).map(|value| String::from_utf8(value.into_owned()).unwrap())
    }

    #[test]
    fn the_first_of_a_name_counts() {
        assert_eq!(text("a=1&b=2&a=3", "a").as_deref(), Some("1"));
        assert_eq!(text("a=1&b=2&a=3", "b").as_deref(), Some("2"));
        assert_eq!(text("a=1", "A"), None);
        assert_eq!(text("aa=1", "a"), None);
        assert_eq!(text("", "a"), None);
    }

    #[test]
    fn a_name_without_a_value_is_empty() {
        assert_eq!(text("debug", "debug").as_deref(), Some(""));
        assert_eq!(text("x&debug=&y", "debug").as_deref(), Some(""));
        assert_eq!(text("debug=a=b", "debug").as_deref(), Some("a=b"));
    }

    #[test]
    fn escapes_are_undone_in_names_and_values() {
        assert_eq!(text("a+b=c+d", "a b").as_deref(), Some("c d"));
        assert_eq!(text("%64ebug=%31%2B%26", "debug").as_deref(), Some("1+&"));
        assert_eq!(text("a=%c3%A9", "a").as_deref(), Some("é"));
    }

    #[test]
    fn broken_escapes_stand_for_themselves() {
        assert_eq!(text("a=%", "a").as_deref(), Some("%"));
        assert_eq!(text("a=%4", "a").as_deref(), Some("%4"));
        assert_eq!(text("a=%zz%+1", "a").as_deref(), Some("%zz% 1"));
    }

    #[test]
    fn a_plain_value_is_not_copied() {
        assert!(matches!(value("a=plain", "a"), Some(Cow::Borrowed(b"plain"))));
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(name in "[a-z]{1,3}", bytes: Vec<u8>) {
            let encoded: String = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
            let query = format!("?&other=1&{name}={encoded}&{name}=2");
            prop_assert_eq!(value(&query, &name).unwrap().into_owned(), bytes);
        }
    }
}
