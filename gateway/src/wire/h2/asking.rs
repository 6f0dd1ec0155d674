//! A stream that faces a backend: the request that opens it, and the head of what comes back.

use std::{
    mem,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Error, Reason, client::SendRequest};
use hyper::http::Request;

use super::{End, Facts, H2, Head, Link};
use crate::{
    http::{
        Asked, BadResponse, HeadLimits, OutgoingRequest, RequestHead, ResponseHead, Scheme, h2_request,
        websocket_proof,
    },
    wire::Unanswered,
};

/// A request for a tunnel, which a backend may be asked for only where its settings allow it (RFC 8441 3).
pub(super) struct Unsettled {
    link: Rc<Link>,
    connection: SendRequest<Bytes>,
    message: Request<()>,
}

impl H2 {
    /// A stream to be opened by a request on `connection`, whose bytes go over `link`.
    #[must_use]
    pub fn to_open(facts: Rc<Facts>, link: Rc<Link>, connection: SendRequest<Bytes>) -> Self {
        Self::new(facts, Head::Request(link, connection), None)
    }

    pub(in crate::wire) fn write_request(&mut self, request: &RequestHead, outgoing: &OutgoingRequest<'_>) {
        let Head::Request(link, connection) = mem::replace(&mut self.head, Head::Done) else {
            return;
        };
        let scheme = Scheme::by(self.facts.transport.is_secure());
        let Some(message) = h2_request(request, outgoing, scheme) else {
            self.head = Head::Unsent(Unanswered::Bad(BadResponse::HTTP2));
            return;
        };
        let key = request.websocket_key().filter(|_| outgoing.upgrade);
        if let Some(key) = key {
            self.proof = Some(websocket_proof(key).into());
            self.head = Head::Unsettled(Box::new(Unsettled {
                link,
                connection,
                message,
            }));
            return;
        }
        self.send_request(connection, message, outgoing.framing.is_empty());
    }

    fn send_request(&mut self, mut connection: SendRequest<Bytes>, message: Request<()>, is_whole: bool) {
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
        if let Head::Unsettled(unsettled) = &self.head {
            ready!(unsettled.link.poll_settled(cx));
            self.ask_for_tunnel();
        }
        let response = match &mut self.head {
            Head::Response(response) => response,
            Head::Unsent(why) => return Poll::Ready(Err(why.clone())),
            Head::Answer(_) | Head::Request(..) | Head::Unsettled(_) | Head::Done => return Poll::Pending,
        };
        if let Poll::Ready(Some(Ok(interim))) = response.poll_informational(cx) {
            let (parts, ()) = interim.into_parts();
            let taken = head.take_h2(parts.status, parts.headers, true, limits, asked, None);
            return Poll::Ready(taken.map_err(Unanswered::Bad));
        }
        let (parts, body) = match ready!(Pin::new(response).poll(cx)) {
            Ok(response) => response.into_parts(),
            Err(error) => return Poll::Ready(Err(unanswered(&error))),
        };
        self.head = Head::Done;
        let is_whole = body.is_end_stream();
        (self.has_read_body, self.receive) = (is_whole, Some(body));
        let proof = self.proof.take();
        let taken = head.take_h2(
            parts.status,
            parts.headers,
            is_whole,
            limits,
            asked,
            proof.as_deref(),
        );
        if proof.is_some() && head.status() != 101 {
            // No tunnel: nothing follows the request.
            self.finish(None);
        }
        Poll::Ready(taken.map_err(Unanswered::Bad))
    }

    /// Sends the CONNECT, if the backend takes it (RFC 8441 3).
    fn ask_for_tunnel(&mut self) {
        let Head::Unsettled(unsettled) = mem::replace(&mut self.head, Head::Done) else {
            return;
        };
        let Unsettled {
            connection, message, ..
        } = *unsettled;
        if connection.is_extended_connect_protocol_enabled() {
            self.send_request(connection, message, false);
        } else {
            self.head = Head::Unsent(Unanswered::Bad(BadResponse::NO_TUNNELS));
        }
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
