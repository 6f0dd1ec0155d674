//! The switch to another protocol (RFC 9110 7.8). Owns the check that a 101 answers what was asked; what the
//! new protocol is, WebSocket above all, is for its two ends. Refuses a switch nobody asked for.

use super::{field, response::ResponseHead};

/// Whether the 101 `response` switches to one of the protocols that were `asked` for.
#[must_use]
pub fn switches_as_asked(asked: Option<&[u8]>, response: &ResponseHead) -> bool {
    let (Some(asked), Some(chosen)) = (asked, response.upgrade()) else {
        return false;
    };
    !chosen.is_empty()
        && field::list(chosen)
            .all(|protocol| field::list(asked).any(|offer| offer.eq_ignore_ascii_case(protocol)))
}
