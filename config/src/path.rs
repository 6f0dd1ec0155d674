//! The one normal form of a path (RFC 3986 6.2.2), used in the configuration, for matching and for forwarding alike, so that
//! no rule can be passed by writing a path in another way. Refuses what has no safe normal form.

use thiserror::Error;

use crate::model::PathPolicy;

/// Why a path has no normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadPath {
    /// A raw backslash, fragment, space, control or non-ASCII byte, or no slash at its start.
    #[error("a character no path may hold")]
    Character,
    /// `%` without two hexadecimal digits.
    #[error("a malformed percent escape")]
    Escape,
    /// An encoded control character, `%00` above all.
    #[error("an encoded control character")]
    Control,
    /// `%2F` or `%5C`, unless the policy keeps them.
    #[error("an encoded slash")]
    Slash,
    /// A segment that others may take for `.` or `..`: with parameters (`..;x`), or beside a kept encoded
    /// slash.
    #[error("dot segments in disguise")]
    Dots,
}

/// Appends the normal form of `path`, which begins with `/` and has no query, to `out`. Unreserved characters
/// are decoded, kept escapes are in upper case, characters no URI may hold raw (`"<>[]^{|}` and the back
/// quote) are encoded, dot segments are removed and slashes merged. `..` at the root stays at the root, as
/// RFC 3986 5.2.4 has it. What comes out is its own normal form.
///
/// # Errors
/// When there is none; then `out` is as it was.
pub fn normalize_path(path: &str, policy: PathPolicy, out: &mut String) -> Result<(), BadPath> {
    if is_normal(path.as_bytes()) {
        out.push_str(path);
        return Ok(());
    }
    let start = out.len();
    let outcome = rewrite(path.as_bytes(), policy, out, start);
    if outcome.is_err() {
        out.truncate(start);
    }
    outcome
}

/// Whether nothing at all would change: true for nearly every path. May be false for a normal path.
fn is_normal(path: &[u8]) -> bool {
    let mut after_slash = false;
    for byte in path {
        match CLASSES[usize::from(*byte)] {
            Class::Plain => after_slash = false,
            Class::Slash | Class::Dot if after_slash => return false,
            Class::Slash => after_slash = true,
            Class::Dot => {}
            Class::Percent | Class::Encoded | Class::Refused => return false,
        }
    }
    path.first() == Some(&b'/')
}

fn rewrite(path: &[u8], policy: PathPolicy, out: &mut String, start: usize) -> Result<(), BadPath> {
    let [b'/', rest @ ..] = path else {
        return Err(BadPath::Character);
    };
    out.push('/');
    let mut segment = out.len();
    let mut bytes = rest.iter();
    while let Some(byte) = bytes.next() {
        match CLASSES[usize::from(*byte)] {
            Class::Plain | Class::Dot => out.push(char::from(*byte)),
            Class::Slash => {
                end_segment(out, start, segment)?;
                if !out.ends_with('/') {
                    out.push('/');
                }
                segment = out.len();
            }
            Class::Percent => {
                let high = bytes
                    .next()
                    .copied()
                    .and_then(hexadecimal)
                    .ok_or(BadPath::Escape)?;
                let low = bytes
                    .next()
                    .copied()
                    .and_then(hexadecimal)
                    .ok_or(BadPath::Escape)?;
                push_escaped(high << 4 | low, policy, out)?;
            }
            Class::Encoded => push_escape(*byte, out),
            Class::Refused => return Err(BadPath::Character),
        }
    }
    end_segment(out, start, segment)
}

/// Removes the last segment, from `segment` on, if it is a dot segment; `start` is where the path begins.
fn end_segment(out: &mut String, start: usize, segment: usize) -> Result<(), BadPath> {
    match &out[segment..] {
        "." => out.truncate(segment),
        ".." => {
            out.truncate(segment - 1);
            let parent = out[start..].rfind('/').unwrap_or(0);
            out.truncate(start + parent);
            out.push('/');
        }
        other if has_disguised_dots(other) => return Err(BadPath::Dots),
        _ => {}
    }
    Ok(())
}

/// Some servers cut parameters off before they remove dot segments, some decode `%2F` before it.
fn has_disguised_dots(segment: &str) -> bool {
    segment.contains('.')
        && segment
            .split("%2F")
            .flat_map(|part| part.split("%5C"))
            .filter_map(|part| part.split(';').next())
            .filter_map(|part| part.split("%3B").next())
            .any(|part| matches!(part, "." | ".."))
}

/// Pushes what the escape of `byte` becomes.
fn push_escaped(byte: u8, policy: PathPolicy, out: &mut String) -> Result<(), BadPath> {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
        b'/' | b'\\' if !policy.keep_encoded_slashes => return Err(BadPath::Slash),
        0..=0x1f | 0x7f => return Err(BadPath::Control),
        _ => push_escape(byte, out),
    }
    Ok(())
}

fn push_escape(byte: u8, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

const fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// What a raw byte of a path means.
#[derive(Clone, Copy)]
enum Class {
    /// Stays.
    Plain,
    Slash,
    Dot,
    Percent,
    /// Browsers send it raw, RFC 3986 does not allow it: becomes an escape.
    Encoded,
    Refused,
}

const CLASSES: [Class; 256] = {
    let mut table = [Class::Refused; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        table[byte] = match byte as u8 {
            b'/' => Class::Slash,
            b'.' => Class::Dot,
            b'%' => Class::Percent,
            b'"' | b'<' | b'>' | b'[' | b']' | b'^' | b'`' | b'{' | b'|' | b'}' => Class::Encoded,
            b'#' | b'\\' | b'?' => Class::Refused,
            _ => Class::Plain,
        };
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests;
