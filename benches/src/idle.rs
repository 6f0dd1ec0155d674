//! Connections at rest: each has had one answer and then keeps silent.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, StatusCode};

use crate::{
    client::{Client, Http2Clients, Tls},
    error::BenchError,
    origin::BODY_BYTES,
};

/// What clients speak.
pub(crate) enum Speech {
    Http1,
    Http1OverTls(Tls),
    Http2,
}

/// They rest until this is dropped.
#[derive(Default)]
pub(crate) struct Resting {
    _http1: Vec<Client>,
    _http2: Option<Http2Clients>,
}

/// Opens `count` connections one after the other and has one answer on each.
pub(crate) fn connect(address: SocketAddr, count: usize, speech: &Speech) -> Result<Resting, BenchError> {
    let http1 = |tls: Option<&Tls>| {
        let ask = |_| {
            let mut client = Client::connect(address, tls)?;
            client.ask(REQUEST, BODY_BYTES)?;
            Ok(client)
        };
        Ok(Resting {
            _http1: (0..count).map(ask).collect::<Result<_, BenchError>>()?,
            _http2: None,
        })
    };
    match speech {
        Speech::Http1 => http1(None),
        Speech::Http1OverTls(tls) => http1(Some(tls)),
        Speech::Http2 => {
            let mut clients = Http2Clients::new()?;
            (0..count).try_for_each(|_| ask_http2(&mut clients, address))?;
            Ok(Resting {
                _http1: Vec::new(),
                _http2: Some(clients),
            })
        }
    }
}

fn ask_http2(clients: &mut Http2Clients, address: SocketAddr) -> Result<(), BenchError> {
    let mut request = Request::get(format!("http://{address}/plain"));
    for (name, value) in FIELDS {
        request = request.header(name, value);
    }
    let request = request.body(Bytes::new()).expect("its parts are right");
    let response = clients.ask(address, request)?.response;
    if response.status() == StatusCode::OK && response.body().len() == BODY_BYTES {
        return Ok(());
    }
    let (status, length) = (response.status(), response.body().len());
    Err(BenchError::WrongAnswers(format!(
        "{status} of {length} bytes over HTTP/2"
    )))
}

/// A head of common length.
pub(crate) const REQUEST: &[u8] = b"GET /plain HTTP/1.1\r\nHost: localhost\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: */*\r\n\
    Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.5\r\nX-Trace: 0123456789abcdef\r\n\r\n";

/// The same over HTTP/2.
const FIELDS: [(&str, &str); 5] = [
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
    ("accept", "*/*"),
    ("accept-encoding", "gzip, deflate, br"),
    ("accept-language", "en-US,en;q=0.5"),
    ("x-trace", "0123456789abcdef"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::{self, tests::started};

    #[test]
    fn connections_of_either_version_rest_after_an_answer() {
        connect(started(origin::Speech::Http1), 3, &Speech::Http1).unwrap();
        connect(started(origin::Speech::Http2), 3, &Speech::Http2).unwrap();
    }
}
