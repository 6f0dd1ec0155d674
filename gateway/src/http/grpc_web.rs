//! gRPC-Web (grpc/grpc, doc/PROTOCOL-WEB.md): calls of gRPC as browsers make them, who can neither read trailers nor, in
//! its form as text, send bytes.
//!
//! Owns the change between both. A call is changed before it is routed, so all that follows takes it for one of gRPC; its
//! answer is changed as it is written.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use memchr::memchr;

use super::{BadBody, RequestHead, ResponseHead, Trailers};

/// One call: how it came, and how it is to be answered.
#[derive(Debug)]
pub struct GrpcWeb {
    request: Form,
    answer: Form,
    /// Characters of the request's body that are no whole group yet.
    rest: Vec<u8>,
    /// The body of the answer has its end.
    ended: bool,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As gRPC has it.
    Binary,
    /// In base64 (RFC 4648 4), perhaps padded in its middle.
    Text,
}

impl GrpcWeb {
    const fn new(request: Form, answer: Form) -> Self {
        Self {
            request,
            answer,
            rest: Vec::new(),
            ended: false,
        }
    }

    /// Whether the request's body is to be changed.
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.request == Form::Text
    }

    /// The content type of an answer of the gateway's own.
    #[must_use]
    pub const fn content_type(&self) -> &'static str {
        match self.answer {
            Form::Binary => "application/grpc-web+proto",
            Form::Text => "application/grpc-web-text+proto",
        }
    }

    /// Appends to `out` what a piece of the request's body stands for.
    ///
    /// # Errors
    /// When it is no base64.
    pub fn read(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), BadBody> {
        self.rest.extend_from_slice(piece);
        let whole = self.rest.len() / GROUP * GROUP;
        let mut groups = &self.rest[..whole];
        while !groups.is_empty() {
            // What was padded by itself is read by itself.
            let end = memchr(b'=', groups).map_or(groups.len(), |at| (at / GROUP + 1) * GROUP);
            let (run, after) = groups.split_at(end);
            BASE64_STANDARD
                .decode_vec(run, out)
                .map_err(|_| BadBody::GRPC_WEB)?;
            groups = after;
        }
        self.rest.drain(..whole);
        Ok(())
    }

    /// The request's body has ended.
    ///
    /// # Errors
    /// When that was in the middle of a group.
    pub fn finish(&self) -> Result<(), BadBody> {
        self.rest.is_empty().then_some(()).ok_or(BadBody::GRPC_WEB)
    }

    /// Appends a piece of the answer's body to `out`.
    pub fn write(&self, piece: &[u8], out: &mut Vec<u8>) {
        match self.answer {
            Form::Binary => out.extend_from_slice(piece),
            Form::Text => out.extend_from_slice(BASE64_STANDARD.encode(piece).as_bytes()),
        }
    }

    /// Appends the end of the answer's body, a message that holds the trailers; once more does nothing.
    pub fn end(&mut self, trailers: &Trailers, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.ended, true) || trailers.is_empty() {
            return;
        }
        let mut lines = Vec::new();
        for (name, value) in trailers.iter() {
            lines.extend(name.iter().map(u8::to_ascii_lowercase));
            lines.push(b':');
            lines.extend_from_slice(value);
            lines.extend_from_slice(b"\r\n");
        }
        // A section has at most 8 KiB.
        let length = u32::try_from(lines.len()).unwrap_or(u32::MAX).to_be_bytes();
        self.write(&[&[TRAILERS], &length[..], &lines].concat(), out);
    }
}

impl RequestHead {
    /// Makes it a call of gRPC, where its content type says that it is one of gRPC-Web; gives how it came, and how its Accept
    /// wants the answer.
    pub fn take_grpc_web(&mut self) -> Option<GrpcWeb> {
        let (call, content_type) = {
            let value = self.header("content-type")?;
            let (request, encoding) = of_type(&value)?;
            let accepted = self.header("accept").unwrap_or_default();
            let answer = of_type(&accepted).map_or(request, |(form, _)| form);
            (GrpcWeb::new(request, answer), [GRPC, encoding].concat())
        };
        self.set_grpc(&content_type, call.is_text());
        Some(call)
    }
}

impl ResponseHead {
    /// Makes the answer to a call of gRPC one to `call`. `false` if it is none.
    pub fn answer_grpc_web(&mut self, call: &GrpcWeb) -> bool {
        let Some(value) = self.header("content-type") else {
            return false;
        };
        let Some(encoding) = after(&value, GRPC).filter(|encoding| is_encoding(encoding)) else {
            return false;
        };
        let name = match call.answer {
            Form::Binary => WEB,
            Form::Text => TEXT,
        };
        let of_web = [name, encoding].concat();
        self.set_content_type(&of_web);
        true
    }
}

/// The form of a content type of gRPC-Web, and what follows, as `+proto`.
fn of_type(value: &[u8]) -> Option<(Form, &[u8])> {
    let forms = [(Form::Text, TEXT), (Form::Binary, WEB)];
    forms.into_iter().find_map(|(form, name)| {
        let encoding = after(value, name).filter(|encoding| is_encoding(encoding))?;
        Some((form, encoding))
    })
}

fn after<'v>(value: &'v [u8], name: &[u8]) -> Option<&'v [u8]> {
    let (begin, rest) = value.split_at_checked(name.len())?;
    begin.eq_ignore_ascii_case(name).then_some(rest)
}

fn is_encoding(text: &[u8]) -> bool {
    matches!(text.first(), None | Some(b'+' | b';' | b' ' | b','))
}

const GRPC: &[u8] = b"application/grpc";
const WEB: &[u8] = b"application/grpc-web";
const TEXT: &[u8] = b"application/grpc-web-text";
/// Characters of base64 that stand for three bytes.
const GROUP: usize = 4;
/// The first byte of the message that holds the trailers.
const TRAILERS: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_in_any_pieces_and_padded_anywhere() {
        let text = b"AAAAAAU=aGVsbG8=AAAAAAA=YWJj";
        let bytes = b"\0\0\0\0\x05hello\0\0\0\0\0abc";
        for size in 1..=text.len() {
            let (mut call, mut out) = (GrpcWeb::new(Form::Text, Form::Text), Vec::new());
            for piece in text.chunks(size) {
                call.read(piece, &mut out).expect("it is base64");
            }
            call.finish().expect("it is whole");
            assert_eq!(out, bytes);
        }
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for bad in ["AAA!", "=AAA", "A=AA", "AAA=A"] {
            let mut call = GrpcWeb::new(Form::Text, Form::Text);
            let read = call.read(bad.as_bytes(), &mut Vec::new());
            assert!(read.is_err() || call.finish().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_answer_ends_with_its_trailers_once() {
        let mut trailers = Trailers::default();
        let fields = [(&b"Grpc-Status"[..], &b"0"[..])];
        trailers.take(fields.into_iter()).expect("they are good");
        let (mut call, mut out) = (GrpcWeb::new(Form::Binary, Form::Binary), Vec::new());
        call.write(b"abc", &mut out);
        call.end(&trailers, &mut out);
        call.end(&trailers, &mut out);
        assert_eq!(out, b"abc\x80\0\0\0\x0fgrpc-status:0\r\n");
    }

    #[test]
    fn a_type_tells_form_and_encoding() {
        let forms = [
            ("application/grpc-web", Some((Form::Binary, ""))),
            ("application/grpc-web+proto", Some((Form::Binary, "+proto"))),
            ("Application/gRPC-Web-Text+json", Some((Form::Text, "+json"))),
            ("application/grpc-web-text", Some((Form::Text, ""))),
            ("application/grpc", None),
            ("application/grpc-websocket", None),
            ("text/plain", None),
        ];
        for (value, expected) in forms {
            let expected = expected.map(|(form, encoding)| (form, encoding.as_bytes()));
            assert_eq!(of_type(value.as_bytes()), expected, "{value}");
        }
    }
}
