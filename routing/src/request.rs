//! What a decision may ask of a request.
//!
//! Owns the one view of a request that every test reads through, so that routing knows no message type. Refuses
//! to parse: whoever implements the view has normalised host and path already.

use std::borrow::Cow;

/// A request as the rules see it.
pub trait RequestView {
    /// The host: lower case, without port and trailing dot, an IPv6 literal in brackets; empty if there is none.
    fn host(&self) -> &str;

    /// The method as it was sent (RFC 9110 9.1: case-sensitive).
    fn method(&self) -> &str;

    /// The path in its normal form, without the query. Begins with `/`, but for the `*` of OPTIONS.
    fn path(&self) -> &str;

    /// The query without its `?`, still percent-encoded.
    fn query(&self) -> Option<&str>;

    /// The value of the field `name` (lower case); several values are joined by `, ` (RFC 9110 5.3).
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>>;
}
