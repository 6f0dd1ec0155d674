//! Paths as requests have them: in the one normal form by which they are matched and sent on.

use std::str::FromStr;

use crate::model::value::Invalid;

/// A path in its normal form.
#[derive(Debug)]
pub(crate) struct Path(pub(crate) String);

impl FromStr for Path {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if !text.starts_with('/') {
            return Err(Invalid::rather("a path begins with `/`", format!("/{text}")));
        }
        if let Some(wrong) = text
            .chars()
            .find(|&c| !c.is_ascii_graphic() || matches!(c, '?' | '#' | '\\'))
        {
            return Err(Invalid::because(match wrong {
                '?' | '#' => format!("a path holds no {wrong:?}: it ends before the query and the fragment"),
                _ => format!("a path holds no {wrong:?}: write it percent-encoded"),
            }));
        }
        let normal = normal_path(text)?;
        if normal != text {
            let reason = "requests never have this path: they are matched and sent on in the normal form";
            return Err(Invalid::rather(reason, normal));
        }
        Ok(Self(normal))
    }
}

/// The normal form of a path (RFC 3986 6.2.2), the same that requests get: unreserved characters decoded, escapes
/// in upper case, raw characters that no URI may hold escaped, slashes merged, dot segments removed.
fn normal_path(path: &str) -> Result<String, Invalid> {
    let mut segments: Vec<&str> = Vec::new();
    let mut is_folder = false;
    let unescaped = normal_escapes(path)?;
    for segment in unescaped.split('/').skip(1) {
        is_folder = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ if has_disguised_dots(segment) => {
                let reason = format!(
                    "`{segment}` is taken for a dot segment by some servers and refused in every request"
                );
                return Err(Invalid::because(reason));
            }
            _ => segments.push(segment),
        }
    }
    let mut normal: String = segments.iter().flat_map(|segment| ["/", segment]).collect();
    if is_folder || normal.is_empty() {
        normal.push('/');
    }
    Ok(normal)
}

fn normal_escapes(path: &str) -> Result<String, Invalid> {
    let mut normal = String::with_capacity(path.len());
    let mut rest = path.chars();
    while let Some(c) = rest.next() {
        match c {
            '%' => {
                let byte = rest
                    .as_str()
                    .get(..2)
                    .and_then(hexadecimal)
                    .ok_or_else(|| Invalid::because("`%` is followed by two hexadecimal digits"))?;
                rest.nth(1);
                match char::from(byte) {
                    '\0'..='\x1f' | '\x7f' => {
                        let reason =
                            format!("`%{byte:02X}`, a control character, is refused in every request");
                        return Err(Invalid::because(reason));
                    }
                    c if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~') => normal.push(c),
                    _ => normal.push_str(&format!("%{byte:02X}")),
                }
            }
            '"' | '<' | '>' | '[' | ']' | '^' | '`' | '{' | '|' | '}' => {
                normal.push_str(&format!("%{:02X}", u32::from(c)));
            }
            c => normal.push(c),
        }
    }
    Ok(normal)
}

/// Two hexadecimal digits.
fn hexadecimal(digits: &str) -> Option<u8> {
    let all = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| all)
}

/// Some servers cut parameters off before they remove dot segments, some decode `%2F` before it.
fn has_disguised_dots(segment: &str) -> bool {
    segment
        .split("%2F")
        .flat_map(|part| part.split("%5C"))
        .filter_map(|part| part.split(';').next()?.split("%3B").next())
        .any(|part| matches!(part, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_in_normal_form() {
        for path in ["/", "/a", "/a/", "/a%20b", "/a%2Fb", "/a;x=1", "/~u"] {
            assert_eq!(path.parse::<Path>().unwrap().0, path);
        }
        for (written, normal) in [
            ("a", "/a"),
            ("//a", "/a"),
            ("/a/./b", "/a/b"),
            ("/a/../b/..", "/"),
            ("/%61", "/a"),
            ("/a%2fb", "/a%2Fb"),
            ("/%2e%2e/a", "/a"),
            ("/a/b/..", "/a/"),
            ("/a|b", "/a%7Cb"),
        ] {
            assert_eq!(
                written.parse::<Path>().unwrap_err().suggestion.as_deref(),
                Some(normal),
                "{written}"
            );
        }
        for wrong in [
            "/a?b", "/a#b", "/a b", "/é", "/a\\b", "/%", "/%+f", "/%zz", "/%00", "/%é",
        ] {
            assert!(wrong.parse::<Path>().is_err(), "{wrong}");
        }
    }
}
