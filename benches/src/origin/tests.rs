//! An origin for tests, and what one reads.

use std::{net, thread};

use super::*;

/// An origin that listens, until the tests end.
pub(crate) fn started(speech: Speech) -> SocketAddr {
    let free = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let serving = thread::spawn(move || serve(address, speech));
    while net::TcpStream::connect(address).is_err() {
        assert!(!serving.is_finished());
        thread::yield_now();
    }
    address
}

#[test]
fn a_target_says_how_much_it_wants() {
    assert_eq!(read_head(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"), Some((0, 64)));
    let upload = b"POST /x?bytes=10240 HTTP/1.1\r\nContent-Length: 7\r\n\r\n";
    assert_eq!(read_head(upload), Some((7, 10_240)));
    assert_eq!(
        read_head(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        None
    );
    assert_eq!(read_head(b"GET /?bytes=many HTTP/1.1\r\n\r\n"), None);
}
