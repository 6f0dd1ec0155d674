//! The two heads of a request on its way.

use crate::http::{RequestHead, ResponseHead};

/// The heads of one request and its response: lent by the worker while the request runs and used again for the next,
/// so that a request allocates nothing and an idle connection holds nothing.
#[derive(Default)]
pub struct Heads {
    /// The request's.
    pub request: RequestHead,
    /// The backend's response's.
    pub response: ResponseHead,
}

impl Heads {
    /// Forgets both, so that a head that fails to parse tells nothing of the one before.
    pub fn reset(&mut self) {
        self.request.reset();
        self.response.reset();
    }
}
