//! A client that sends the bytes it is given and reads answers by their framing.
//!
//! Refuses to correct what a test wants to send.

use std::net::{Shutdown, SocketAddr, TcpStream};

use super::{
    GUARD,
    message::{Body, Broken, Framing, Head, Wire, values},
};

/// One connection to the gateway.
#[derive(Debug)]
pub struct Client {
    wire: Wire,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub head: Head,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// The 1xx answers that came first.
    pub interim: Vec<Head>,
}

impl Client {
    /// Connects to `address`.
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).expect("the gateway takes connections")
    }

    /// Connects, or says why not.
    pub fn try_connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, GUARD)?;
        Ok(Self {
            wire: Wire::new(stream, None),
        })
    }

    /// Over a socket made by the test (small buffers, say).
    pub fn over(stream: TcpStream) -> Self {
        Self {
            wire: Wire::new(stream, None),
        }
    }

    pub fn stream(&self) -> &TcpStream {
        self.wire.stream()
    }

    /// The client's end.
    pub fn local_address(&self) -> SocketAddr {
        self.wire.local_address()
    }

    /// Sends `bytes`; fails the test when the gateway is gone.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire
            .send(bytes.as_ref())
            .expect("the gateway takes the bytes");
    }

    /// Sends `bytes` to a gateway that may close in the middle: true when all were taken.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.send(bytes.as_ref()).is_ok()
    }

    /// Sends a GET with only a Host field.
    pub fn send_get(&mut self, host: &str, target: &str) {
        self.send(format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n"));
    }

    /// Sends a GET and reads its answer.
    pub fn get(&mut self, host: &str, target: &str) -> Response {
        self.send_get(host, target);
        self.response()
    }

    /// Ends the sending side.
    pub fn finish(&mut self) {
        self.wire.finish();
    }

    /// True once the gateway ended with a reset instead of a FIN.
    pub fn was_reset(&self) -> bool {
        self.wire.was_reset()
    }

    /// Ends both sides at once.
    pub fn close(self) {
        self.wire.stream().shutdown(Shutdown::Both).ok();
    }

    /// Ends with a reset.
    pub fn reset(self) {
        self.wire.reset();
    }

    /// Reads the answer to any method but HEAD; fails the test when it is not whole.
    pub fn response(&mut self) -> Response {
        self.try_response("GET").expect("a whole answer")
    }

    /// Reads the answer to a request with `method`.
    pub fn try_response(&mut self, method: &str) -> Result<Response, Broken> {
        let mut interim = Vec::new();
        loop {
            let head = self.head()?;
            let status: u16 = head
                .second()
                .parse()
                .map_err(|_| Broken::Malformed(format!("status line {:?}", head.start)))?;
            if (100..200).contains(&status) && status != 101 {
                interim.push(head);
                continue;
            }
            let bodiless = method == "HEAD" || matches!(status, 101 | 204 | 304);
            let body = if bodiless {
                Body::default()
            } else {
                self.wire.body(head.framing().unwrap_or(Framing::Close))?
            };
            return Ok(Response {
                status,
                head,
                body: body.bytes,
                trailers: body.trailers,
                interim,
            });
        }
    }

    /// Reads one head, interim or final.
    pub fn head(&mut self) -> Result<Head, Broken> {
        self.wire.head()
    }

    /// Reads exactly `count` bytes, as from a tunnel.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        self.wire.take(count).expect("so many bytes")
    }

    /// Reads what comes until the gateway closes.
    pub fn rest(&mut self) -> Vec<u8> {
        self.wire.rest().expect("the gateway closes the connection")
    }

    /// Fails the test unless the gateway closes without a further byte.
    pub fn expect_close(&mut self) {
        let rest = self.rest();
        assert!(
            rest.is_empty(),
            "further bytes: {:?}",
            String::from_utf8_lossy(&rest)
        );
    }
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The one value of a field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.value(name)
    }

    /// Every value of a field.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        self.head.values(name)
    }

    /// Every value of a trailer field.
    pub fn trailer(&self, name: &str) -> Vec<&str> {
        values(&self.trailers, name)
    }

    /// The echo origin that answered; empty when the gateway did.
    pub fn backend(&self) -> &str {
        self.header("x-backend").unwrap_or("")
    }

    /// The request as an echo origin saw it.
    pub fn seen(&self) -> super::origin::Request {
        super::origin::Request::from_echo(&self.body)
    }

    /// True when the answer says that the connection ends.
    pub fn closes(&self) -> bool {
        self.headers("connection")
            .iter()
            .any(|value| value.eq_ignore_ascii_case("close"))
    }
}
