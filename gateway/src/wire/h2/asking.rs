//! A stream that faces a backend: the request that opens it, and the head of what comes back.

use std::{
    mem,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Error, Reason, client::SendRequest};

use super::{End, Facts, H2, Head};
use crate::{
    http::{Asked, BadResponse, HeadLimits, OutgoingRequest, RequestHead, ResponseHead, Scheme, h2_request},
    wire::Unanswered,
};

impl H2 {
    /// A stream to be opened by a request.
    #[must_use]
    pub fn to_open(facts: Rc<Facts>, connection: SendRequest<Bytes>) -> Self {
        Self::new(facts, Head::Request(connection), None)
    }

    pub(in crate::wire) fn write_request(&mut self, request: &RequestHead, outgoing: &OutgoingRequest<'_>) {
        let Head::Request(mut connection) = mem::replace(&mut self.head, Head::Done) else {
            return;
        };
        let is_whole = outgoing.framing.is_empty();
        let scheme = Scheme::by(self.facts.transport.is_secure());
        let Some(message) = h2_request(request, outgoing, scheme) else {
            self.head = Head::Unsent(Unanswered::Bad(BadResponse::HTTP2));
            return;
        };
        match connection.send_request(message, is_whole) {
            Ok((response, send)) => {
                (self.head, self.send) = (Head::Response(response), Some(send));
                if is_whole {
                    self.end = End::Sent;
                }
            }
            // The connection ended meanwhile; nothing of the request has left.
            Err(_) => self.head = Head::Unsent(Unanswered::Refused),
        }
    }

    pub(in crate::wire) fn poll_response(
        &mut self,
        head: &mut ResponseHead,
        limits: &HeadLimits,
        asked: Asked<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Unanswered>> {
        let response = match &mut self.head {
            Head::Response(response) => response,
            Head::Unsent(why) => return Poll::Ready(Err(why.clone())),
            Head::Answer(_) | Head::Request(_) | Head::Done => return Poll::Pending,
        };
        if let Poll::Ready(Some(Ok(interim))) = response.poll_informational(cx) {
            let taken = head.take_h2(interim.status(), interim.headers(), true, limits, asked);
            return Poll::Ready(taken.map_err(Unanswered::Bad));
        }
        let (parts, body) = match ready!(Pin::new(response).poll(cx)) {
            Ok(response) => response.into_parts(),
            Err(error) => return Poll::Ready(Err(unanswered(&error))),
        };
        self.head = Head::Done;
        let is_whole = body.is_end_stream();
        (self.has_read_body, self.receive) = (is_whole, Some(body));
        let taken = head.take_h2(parts.status, &parts.headers, is_whole, limits, asked);
        Poll::Ready(taken.map_err(Unanswered::Bad))
    }
}

/// Why a backend gave no response. That it surely did nothing with the request is told by a stream that it refused, and
/// by a GOAWAY that does not count it (RFC 9113 6.8, 8.7).
fn unanswered(error: &Error) -> Unanswered {
    let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    let not_taken = error.is_go_away() && error.reason() == Some(Reason::NO_ERROR);
    if error.is_remote() && (refused || not_taken) {
        Unanswered::Refused
    } else if error.is_library() {
        Unanswered::Bad(BadResponse::HTTP2)
    } else {
        Unanswered::Closed { begun: false }
    }
}
