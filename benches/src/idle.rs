//! Connections at rest: each has had one answer and then keeps silent.

use std::net::SocketAddr;

use crate::{
    client::{Client, Tls},
    error::BenchError,
    origin::BODY_BYTES,
};

/// Opens `count` connections one after the other and has one answer on each. They rest until this is dropped.
pub(crate) fn connect(
    address: SocketAddr,
    count: usize,
    tls: Option<&Tls>,
) -> Result<Vec<Client>, BenchError> {
    (0..count)
        .map(|_| {
            let mut client = Client::connect(address, tls)?;
            client.ask(REQUEST, BODY_BYTES)?;
            Ok(client)
        })
        .collect()
}

/// A head of common length.
pub(crate) const REQUEST: &[u8] = b"GET /plain HTTP/1.1\r\nHost: localhost\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: */*\r\n\
    Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.5\r\nX-Trace: 0123456789abcdef\r\n\r\n";
