//! Paths as requests have them: in the one normal form by which they are matched and sent on.

use std::str::FromStr;

use crate::{
    model::{PathPolicy, value::Invalid},
    path::{BadPath, normalize_path},
};

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
        let mut normal = String::with_capacity(text.len());
        normalize_path(text, ANY_SLASH, &mut normal).map_err(refused)?;
        if normal != text {
            let reason = "requests never have this path: they are matched and sent on in the normal form";
            return Err(Invalid::rather(reason, normal));
        }
        Ok(Self(normal))
    }
}

/// Whether requests may have encoded slashes is the listener's to say, and a route may be one of several listeners'.
const ANY_SLASH: PathPolicy = PathPolicy {
    keep_encoded_slashes: true,
};

fn refused(bad: BadPath) -> Invalid {
    Invalid::because(match bad {
        BadPath::Escape => "`%` is followed by two hexadecimal digits".to_owned(),
        BadPath::Dots => {
            "some servers take `..;` or `..%2F` for a dot segment: it is refused in every request".to_owned()
        }
        BadPath::Character | BadPath::Control | BadPath::Slash => {
            format!("{bad} is refused in every request")
        }
    })
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
