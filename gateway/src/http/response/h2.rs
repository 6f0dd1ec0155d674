//! A response head of HTTP/2 (RFC 9113 8.3.2), decoded by its library: brought into the form that one of HTTP/1 has.

use hyper::http::{HeaderMap, StatusCode};

use super::{
    super::{
        Asked, Framing, HeadLimits, Version,
        encode::write_number,
        field::{Known, Span},
        fields::ConnectionFields,
        refusal::BadResponse,
        reply::reason_phrase,
        websocket,
    },
    ResponseHead,
};

impl ResponseHead {
    /// Takes a head that the library found to keep the rules of HTTP/2; `is_whole` if no body follows. A success becomes
    /// the 101 that opens a WebSocket for a client of HTTP/1.1, where the request asked for one and has this `proof`.
    ///
    /// # Errors
    /// The first rule it breaks beyond those.
    pub fn take_h2(
        &mut self,
        status: StatusCode,
        headers: HeaderMap,
        is_whole: bool,
        limits: &HeadLimits,
        asked: Asked<'_>,
        proof: Option<&str>,
    ) -> Result<(), BadResponse> {
        let status = status.as_u16();
        // RFC 9113 8.6: there is no 101.
        if status == 101 || !(100..=599).contains(&status) {
            return Err(BadResponse::STATUS);
        }
        // RFC 8441 5.
        let proof = proof.filter(|_| (200..300).contains(&status));
        let status = if proof.is_some() { 101 } else { status };
        (self.version, self.status) = (Version::V2, status);
        let status_text = &mut self.status_text;
        self.fields
            .take_h2(headers, limits, Known::response_fate, |line| {
                write_number(line, u64::from(status));
                line.push(b' ');
                line.extend_from_slice(reason_phrase(status).as_bytes());
                *status_text = Span::at(0..line.len());
            })?;
        self.body = self.fields.body()?;
        self.connection = match proof {
            Some(proof) => {
                let fields = [
                    ("upgrade", websocket::PROTOCOL),
                    (websocket::PROOF, proof.as_bytes()),
                ];
                for (name, value) in fields {
                    self.fields.push(name.as_bytes(), value, Known::response_fate);
                }
                ConnectionFields::switch()
            }
            None => ConnectionFields::default(),
        };
        self.tainted = false;
        self.framing = match (is_whole, self.body.length) {
            _ if status < 200 || status == 204 || status == 304 || asked.head => Framing::None,
            (true, _) => Framing::Length(0),
            (false, Some(length)) => Framing::Length(length),
            (false, None) => Framing::Chunked,
        };
        Ok(())
    }
}
