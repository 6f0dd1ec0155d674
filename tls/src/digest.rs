//! Digests that others ask for.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// SHA-1 of `bytes`, for protocols that prove nothing by it: the opening of WebSockets (RFC 6455 1.3).
#[must_use]
pub fn sha1(bytes: &[u8]) -> [u8; 20] {
    let mut sum = [0; 20];
    sum.copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref());
    sum
}
