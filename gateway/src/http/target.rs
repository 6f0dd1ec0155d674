//! The request target (RFC 9112 3.2): its form, its authority, its path in normal form and its query. Refuses
//! fragments, other schemes, and `*` for anything but OPTIONS.

use memchr::memchr;
use sluice_config::{
    model::PathPolicy,
    path::{BadPath, normalize_path},
};

use super::{authority::Authority, method::Method, refusal::BadRequest};

/// Path and query as they are matched and forwarded.
#[derive(Debug, Clone, Default)]
pub(super) struct Target {
    /// `path`, or `path?query`.
    text: String,
    path_bytes: usize,
}

impl Target {
    /// Reads `received`. The authority of an absolute target replaces what is in `authority` (RFC 9112
    /// 3.2.2).
    pub(super) fn read(
        &mut self,
        received: &str,
        method: Method,
        policy: PathPolicy,
        authority: &mut Authority,
    ) -> Result<(), BadRequest> {
        self.clear();
        let options = method == Method::Options;
        if received.starts_with('/') {
            return self.fill(received, policy);
        }
        if received == "*" && options {
            return self.fill_asterisk();
        }
        let rest = without_scheme(received).ok_or(BadRequest::TARGET_FORM)?;
        let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        authority
            .read(host.as_bytes())
            .map_err(|_| BadRequest::TARGET_AUTHORITY)?;
        if path.is_empty() && options {
            // RFC 9112 3.2.4: the last proxy makes `*` of an absolute target without path.
            return self.fill_asterisk();
        }
        self.fill(path, policy)
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(TARGET_BYTES_KEPT);
        self.path_bytes = 0;
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn path(&self) -> &str {
        &self.text[..self.path_bytes]
    }

    pub(super) fn query(&self) -> Option<&str> {
        self.text.get(self.path_bytes + 1..)
    }

    fn fill(&mut self, path_and_query: &str, policy: PathPolicy) -> Result<(), BadRequest> {
        let path_bytes = memchr(b'?', path_and_query.as_bytes()).unwrap_or(path_and_query.len());
        let (path, query) = path_and_query.split_at(path_bytes);
        // `http://host?query` has the path `/` (RFC 9110 4.2.3).
        normalize_path(if path.is_empty() { "/" } else { path }, policy, &mut self.text)?;
        self.path_bytes = self.text.len();
        // Browsers send more than RFC 3986 allows in a query; controls and spaces were no target to begin
        // with.
        if !query.is_ascii() || memchr(b'#', query.as_bytes()).is_some() {
            return Err(BadRequest::TARGET_CHARACTER);
        }
        self.text.push_str(query);
        Ok(())
    }

    fn fill_asterisk(&mut self) -> Result<(), BadRequest> {
        self.text.push('*');
        self.path_bytes = 1;
        Ok(())
    }
}

impl From<BadPath> for BadRequest {
    fn from(bad: BadPath) -> Self {
        match bad {
            BadPath::Character => Self::PATH_CHARACTER,
            BadPath::Escape => Self::PATH_ESCAPE,
            BadPath::Control => Self::PATH_CONTROL,
            BadPath::Slash => Self::PATH_SLASH,
            BadPath::Dots => Self::PATH_DOTS,
        }
    }
}

/// What follows `http://` or `https://`.
fn without_scheme(target: &str) -> Option<&str> {
    let (scheme, rest) = target.split_once("://")?;
    (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")).then_some(rest)
}

/// Bytes kept between requests.
const TARGET_BYTES_KEPT: usize = 1024;
