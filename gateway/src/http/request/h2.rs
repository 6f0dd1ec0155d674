//! A request head of HTTP/2 (RFC 9113 8.3.1), decoded by its library: brought into the form that one of HTTP/1 has, under
//! the same rules, so that what goes out as HTTP/1 is well-formed or does not go at all.

use std::mem;

use h2::ext::Protocol;
use hyper::http::{request::Parts, uri::PathAndQuery};

use super::{
    super::{
        Framing, RequestLimits, Version, authority::Authority, field::Known, fields::ConnectionFields,
        method::Method, refusal::BadRequest, start_line::METHOD_BYTES_MAX, websocket,
    },
    RequestHead,
};

impl RequestHead {
    /// Takes a head that the library found to keep the rules of HTTP/2; `is_whole` if no body follows. A CONNECT that asks
    /// for a WebSocket (RFC 8441) becomes what asks for one in HTTP/1, with `nonce` as its key.
    ///
    /// # Errors
    /// The first rule it breaks beyond those.
    pub fn take_h2(
        &mut self,
        request: &mut Parts,
        is_whole: bool,
        limits: &RequestLimits,
        nonce: impl FnOnce() -> u128,
    ) -> Result<(), BadRequest> {
        self.reset();
        self.version = Version::V2;
        let method = request.method.as_str();
        let connects_to = request.extensions.get::<Protocol>().map(Protocol::as_str);
        let asks_for_websocket = method == "CONNECT" && connects_to == Some("websocket");
        if !asks_for_websocket {
            self.take_method(method)?;
        }
        self.fields.take_h2(
            mem::take(&mut request.headers),
            &limits.head,
            Known::request_fate,
            |_| {},
        )?;
        self.take_authority(request)?;
        self.take_target(request, limits)?;
        if asks_for_websocket {
            if self.fields.body()?.length.is_some() {
                return Err(BadRequest::CONTENT_LENGTH);
            }
            self.ask_for_websocket(&websocket::key(nonce()));
            return Ok(());
        }
        self.expects_continue = self.read_expectation()?;
        self.framing = match (is_whole, self.fields.body()?.length) {
            (true, Some(1..)) => return Err(BadRequest::CONTENT_LENGTH),
            // RFC 9110 8.6: where a body could be, HTTP/1 says that there is none.
            (true, _) if self.method.usually_has_body() => Framing::Length(0),
            (true, _) => Framing::None,
            (false, Some(length)) => Framing::Length(length),
            (false, None) => Framing::Chunked,
        };
        Ok(())
    }

    fn take_method(&mut self, method: &str) -> Result<(), BadRequest> {
        self.method = Method::of(method);
        if self.method == Method::Other {
            if method.len() > METHOD_BYTES_MAX {
                return Err(BadRequest::METHOD_BYTES);
            }
            if method == "CONNECT" {
                return Err(BadRequest::CONNECT);
            }
            self.other_method.clear();
            self.other_method.push_str(method);
        }
        Ok(())
    }

    /// RFC 8441 5, read backwards: what HTTP/1 has and HTTP/2 does without.
    fn ask_for_websocket(&mut self, key: &str) {
        let fields = [
            ("upgrade".as_bytes(), websocket::PROTOCOL),
            (websocket::KEY.as_bytes(), key.as_bytes()),
        ];
        for (name, value) in fields {
            self.fields.push(name, value, Known::request_fate);
        }
        self.connection = ConnectionFields::switch();
    }

    /// Whether the client takes trailers, as one of gRPC says it does (RFC 9110 10.1.4).
    #[must_use]
    pub fn takes_trailers(&self) -> bool {
        self.fields
            .values(Known::Te)
            .any(|value| value.eq_ignore_ascii_case(b"trailers"))
    }

    /// RFC 9113 8.3.1: where both are, `:authority` and Host are the same.
    fn take_authority(&mut self, request: &Parts) -> Result<(), BadRequest> {
        let Some(authority) = request.uri.authority() else {
            return self.read_host();
        };
        self.authority
            .read(authority.as_str().as_bytes())
            .map_err(|_| BadRequest::HOST)?;
        let mut hosts = self.fields.values(Known::Host);
        let Some(host) = hosts.next() else { return Ok(()) };
        if hosts.next().is_some() {
            return Err(BadRequest::HOST_TWICE);
        }
        let mut other = Authority::default();
        if other.read(host).is_err() || other != self.authority {
            return Err(BadRequest::HOST);
        }
        Ok(())
    }

    fn take_target(&mut self, request: &Parts, limits: &RequestLimits) -> Result<(), BadRequest> {
        // Its library tells no scheme where there is no authority.
        if !matches!(request.uri.scheme_str(), None | Some("http" | "https")) {
            return Err(BadRequest::TARGET_FORM);
        }
        let target = request.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        if target.len() > limits.target_bytes_max {
            return Err(BadRequest::TARGET_BYTES);
        }
        if !target.starts_with('/') && target != "*" {
            return Err(BadRequest::TARGET_FORM);
        }
        self.target
            .read(target, self.method, limits.path, &mut self.authority)
    }
}
