//! Filters: what changes in a message on its way, computed ahead or from a few strings.
//!
//! Owns header edits in closed form, path rewrites and redirect locations. Refuses to touch a message: the caller
//! drops, adds and sends.

use sluice_config::model::{HeaderEdit, HeaderName, HeaderValue, PathRewrite, Redirect};

/// Any number of header edits, folded into what each name comes to.
///
/// Applied in one pass: drop the received fields whose name is [touched](Self::touches), then append what is
/// [added](Self::added). The result is that of the edits one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    names: Vec<NameEdit>,
}

/// What becomes of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NameEdit {
    name: HeaderName,
    drop_received: bool,
    values: Vec<HeaderValue>,
}

impl HeaderEdits {
    /// Folds a rule's edits and then those of the backend it picked.
    #[must_use]
    pub fn merge(rule: &[HeaderEdit], backend: &[HeaderEdit]) -> Self {
        let mut merged = Self::default();
        for edit in rule.iter().chain(backend) {
            match edit {
                HeaderEdit::Set(name, value) => {
                    merged.drop(name).values.push(value.clone());
                }
                HeaderEdit::Add(name, value) => merged.of(name).values.push(value.clone()),
                HeaderEdit::Remove(name) => _ = merged.drop(name),
            }
        }
        merged
    }

    /// Whether the message passes unchanged.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether received fields of this name, in any case, are dropped.
    #[must_use]
    pub fn touches(&self, name: &[u8]) -> bool {
        let named = |edit: &&NameEdit| edit.name.as_str().as_bytes().eq_ignore_ascii_case(name);
        self.names
            .iter()
            .find(named)
            .is_some_and(|edit| edit.drop_received)
    }

    /// The fields to append, those of a name in their order.
    pub fn added(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        let fields = |edit: &NameEdit| edit.values.len();
        debug_assert!(
            self.names
                .iter()
                .all(|edit| edit.drop_received || fields(edit) > 0)
        );
        self.names
            .iter()
            .flat_map(|edit| edit.values.iter().map(move |value| (&edit.name, value)))
    }

    /// Forgets what was received and what was added so far.
    fn drop(&mut self, name: &HeaderName) -> &mut NameEdit {
        let edit = self.of(name);
        edit.drop_received = true;
        edit.values.clear();
        edit
    }

    fn of(&mut self, name: &HeaderName) -> &mut NameEdit {
        let known = self.names.iter().position(|edit| edit.name == *name);
        let position = known.unwrap_or_else(|| {
            self.names.push(NameEdit {
                name: name.clone(),
                drop_received: false,
                values: Vec::new(),
            });
            self.names.len() - 1
        });
        &mut self.names[position]
    }
}

/// The host of an `authority` as the configuration writes it, without the port it may have.
#[must_use]
pub fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, _)) if !authority.ends_with(']') => host,
        _ => authority,
    }
}

/// The path that replaces `path` (in normal form, without the query), of which the matched prefix covers
/// `prefix_bytes` bytes.
///
/// Follows the table of Gateway API's `ReplacePrefixMatch`: the prefix is replaced by whole elements, so that a
/// slash at the end of either makes no difference to what follows. The result is never empty and never holds `//`
/// at the seam. A path that does not begin with `/` (the `*` of OPTIONS) has no prefix and stays.
#[must_use]
pub fn rewrite_path(rewrite: &PathRewrite, path: &str, prefix_bytes: usize) -> String {
    match rewrite {
        PathRewrite::Full(full) if full.is_empty() => "/".to_owned(),
        PathRewrite::Full(full) => full.clone(),
        PathRewrite::Prefix(_) if !path.starts_with('/') => path.to_owned(),
        PathRewrite::Prefix(replacement) => {
            // The prefix `/` covers the slash of the first element, every other one stops short of it.
            let rest = path.get(prefix_bytes..).unwrap_or_default();
            let rest_has_slash = rest.starts_with('/');
            let base = replacement.trim_end_matches('/');
            match rest {
                "" if replacement.is_empty() => "/".to_owned(),
                "" => replacement.clone(),
                _ if rest_has_slash => format!("{base}{rest}"),
                _ => format!("{base}/{rest}"),
            }
        }
    }
}

/// What a request asked for, as far as a redirect may keep it.
#[derive(Debug, Clone, Copy)]
pub struct Target<'r> {
    /// `http` or `https`.
    pub scheme: &'r str,
    /// Without port; empty if the request names none.
    pub host: &'r str,
    /// The port of the listener.
    pub port: u16,
    /// In normal form.
    pub path: &'r str,
    /// Without its `?`, as it was sent.
    pub query: Option<&'r str>,
    /// Bytes of the path that the matched prefix covers.
    pub prefix_bytes: usize,
}

/// The value of Location (RFC 9110 10.2.2) that `redirect` gives to a request for `target`.
///
/// The port is, after Gateway API: the redirect's own; else, if the redirect gives a scheme, that scheme's; else
/// the listener's. 80 with `http` and 443 with `https` are left out. The query stays. Where neither the redirect nor
/// the request names a host, the location is the path alone, which the client resolves.
#[must_use]
pub fn location(redirect: &Redirect, target: &Target<'_>) -> String {
    let path = match &redirect.path {
        Some(rewrite) => rewrite_path(rewrite, target.path, target.prefix_bytes),
        None => target.path.to_owned(),
    };
    let host = redirect.host.as_deref().unwrap_or(target.host);
    let mut location = String::with_capacity(host.len() + path.len() + 32);
    if !host.is_empty() {
        let scheme = redirect.scheme.as_deref().unwrap_or(target.scheme);
        let bare_ipv6 = host.contains(':') && !host.starts_with('[');
        location.push_str(scheme);
        location.push_str("://");
        location.push_str(if bare_ipv6 { "[" } else { "" });
        location.push_str(host);
        location.push_str(if bare_ipv6 { "]" } else { "" });
        let port = match (redirect.port, &redirect.scheme) {
            (Some(port), _) => Some(port),
            (None, Some(_)) => None,
            (None, None) => Some(target.port),
        };
        if let Some(port) = port.filter(|port| Some(*port) != scheme_port(scheme)) {
            location.push(':');
            location.push_str(&port.to_string());
        }
    }
    location.push_str(&path);
    if let Some(query) = target.query {
        location.push('?');
        location.push_str(query);
    }
    location
}

/// The port that a scheme means when none is named (RFC 9110 4.2).
fn scheme_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
