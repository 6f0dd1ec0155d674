//! HTTP/1.1 messages as a test's client and origin see them: read exactly by their framing.
//!
//! Owns [`Wire`], a socket with what was received and not yet taken. Refuses to be lenient: a chunk
//! that is not framed to the byte is [`Broken::Malformed`], so that a broken message is never taken for a whole one.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{Arc, Mutex},
};

use super::GUARD;

/// Why a message did not come whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// The peer closed before the first byte.
    Closed,
    /// The peer closed or reset inside the message; what came of it.
    Cut(Vec<u8>),
    /// Nothing came within the guard.
    Silent,
    /// The bytes are no HTTP message.
    Malformed(String),
}

/// A start line and fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The first line, without its end.
    pub start: String,
    /// Names as they came, values without the spaces around them.
    pub fields: Vec<(String, String)>,
    /// As received, with the empty line.
    pub raw: Vec<u8>,
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Length(usize),
    Chunked,
    Close,
}

/// A body and what came after it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Body {
    pub bytes: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

/// A socket and what was received on it.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    received: Vec<u8>,
    consumed: usize,
    was_reset: bool,
    log: Option<Arc<Mutex<Vec<u8>>>>,
}

impl Head {
    /// Every value of `name`, in order.
    pub fn values(&self, name: &str) -> Vec<&str> {
        values(&self.fields, name)
    }

    /// The one value of `name`; none when absent. Two of a name fail the test.
    pub fn value(&self, name: &str) -> Option<&str> {
        let values = self.values(name);
        assert!(values.len() <= 1, "{name} came {} times: {self:?}", values.len());
        values.first().copied()
    }

    /// The second word of the first line: the request's target or the response's status.
    pub fn second(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or("")
    }

    /// The framing the fields give; `None` when they give none.
    pub fn framing(&self) -> Option<Framing> {
        if let Some(coding) = self.value("transfer-encoding") {
            assert!(coding.eq_ignore_ascii_case("chunked"), "unknown coding: {self:?}");
            assert!(self.value("content-length").is_none(), "two framings: {self:?}");
            return Some(Framing::Chunked);
        }
        let length = self.value("content-length")?;
        Some(Framing::Length(length.parse().expect("a decimal Content-Length")))
    }

    fn parse(raw: Vec<u8>) -> Result<Self, Broken> {
        let text = String::from_utf8_lossy(&raw).into_owned();
        let mut lines = text.strip_suffix("\r\n\r\n").unwrap_or(&text).split("\r\n");
        let start = lines.next().unwrap_or("").to_owned();
        let fields = lines.map(field).collect::<Result<_, _>>()?;
        Ok(Self { start, fields, raw })
    }
}

impl Wire {
    /// Over `stream`; every received byte is appended to `log` too.
    pub fn new(stream: TcpStream, log: Option<Arc<Mutex<Vec<u8>>>>) -> Self {
        stream.set_read_timeout(Some(GUARD)).expect("a read guard");
        stream.set_write_timeout(Some(GUARD)).expect("a write guard");
        stream.set_nodelay(true).expect("no delay");
        Self {
            stream,
            received: Vec::new(),
            consumed: 0,
            was_reset: false,
            log,
        }
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub fn local_address(&self) -> SocketAddr {
        self.stream
            .local_addr()
            .expect("a connected socket has an address")
    }

    /// Sends all of `bytes`; an error when the peer is gone.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Ends the sending side.
    pub fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write).ok();
    }

    /// Closes with a reset instead of a FIN.
    pub fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket
            .set_linger(Some(std::time::Duration::ZERO))
            .expect("a linger of zero");
    }

    /// True once the peer ended with a reset instead of a FIN.
    pub fn was_reset(&self) -> bool {
        self.was_reset
    }

    /// Received and not yet taken.
    pub fn pending(&self) -> &[u8] {
        &self.received[self.consumed..]
    }

    /// Waits for more bytes; 0 at the end or after a reset.
    pub fn fill(&mut self) -> Result<usize, Broken> {
        let mut piece = vec![0; 64 * 1024];
        loop {
            return match self.stream.read(&mut piece) {
                Ok(count) => {
                    if let Some(log) = &self.log {
                        log.lock()
                            .expect("no holder panics")
                            .extend_from_slice(&piece[..count]);
                    }
                    self.received.extend_from_slice(&piece[..count]);
                    Ok(count)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    Err(Broken::Silent)
                }
                Err(_reset) => {
                    self.was_reset = true;
                    Ok(0)
                }
            };
        }
    }

    /// Takes exactly `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<Vec<u8>, Broken> {
        while self.pending().len() < count {
            if self.fill()? == 0 {
                return Err(self.cut());
            }
        }
        let taken = self.pending()[..count].to_vec();
        self.consume(count);
        Ok(taken)
    }

    /// Takes through the next `mark`.
    pub fn take_through(&mut self, mark: &[u8]) -> Result<Vec<u8>, Broken> {
        let mut searched = 0;
        loop {
            let found = self.pending()[searched..]
                .windows(mark.len())
                .position(|window| window == mark);
            if let Some(at) = found {
                return self.take(searched + at + mark.len());
            }
            searched = self.pending().len().saturating_sub(mark.len() - 1);
            if self.fill()? == 0 {
                return Err(self.cut());
            }
        }
    }

    /// Takes a head.
    pub fn head(&mut self) -> Result<Head, Broken> {
        Head::parse(self.take_through(b"\r\n\r\n")?)
    }

    /// Takes a body.
    pub fn body(&mut self, framing: Framing) -> Result<Body, Broken> {
        match framing {
            Framing::Length(length) => Ok(Body {
                bytes: self.take(length)?,
                trailers: Vec::new(),
            }),
            Framing::Close => Ok(Body {
                bytes: self.rest()?,
                trailers: Vec::new(),
            }),
            Framing::Chunked => self.chunks(),
        }
    }

    /// Takes everything until the peer closes.
    pub fn rest(&mut self) -> Result<Vec<u8>, Broken> {
        while self.fill()? > 0 {}
        let rest = self.pending().to_vec();
        self.consume(rest.len());
        Ok(rest)
    }

    fn chunks(&mut self) -> Result<Body, Broken> {
        let mut bytes = Vec::new();
        loop {
            let line = self
                .take_through(b"\r\n")
                .map_err(|broken| with(&bytes, broken))?;
            let digits = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
            let size = usize::from_str_radix(&digits, 16)
                .map_err(|_| Broken::Malformed(format!("chunk size {digits:?}")))?;
            if size == 0 {
                break;
            }
            bytes.extend(self.take(size).map_err(|broken| with(&bytes, broken))?);
            let end = self.take(2).map_err(|broken| with(&bytes, broken))?;
            if end != b"\r\n" {
                return Err(Broken::Malformed(format!("chunk data ends in {end:?}")));
            }
        }
        let mut trailers = Vec::new();
        loop {
            let line = self
                .take_through(b"\r\n")
                .map_err(|broken| with(&bytes, broken))?;
            if line == b"\r\n" {
                return Ok(Body { bytes, trailers });
            }
            trailers.push(field(&String::from_utf8_lossy(&line[..line.len() - 2]))?);
        }
    }

    fn cut(&mut self) -> Broken {
        let rest = self.pending().to_vec();
        self.consume(rest.len());
        if rest.is_empty() {
            Broken::Closed
        } else {
            Broken::Cut(rest)
        }
    }

    fn consume(&mut self, count: usize) {
        self.consumed += count;
        if self.consumed == self.received.len() {
            self.received.clear();
            self.consumed = 0;
        }
    }
}

/// Every value of `name` among `fields`.
pub fn values<'a>(fields: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    let named = fields
        .iter()
        .filter(|(other, _)| other.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.as_str()).collect()
}

/// `pieces` as a chunked body, one chunk each, with the last chunk and no trailers.
pub fn chunked(pieces: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    for piece in pieces {
        body.extend(format!("{:x}\r\n", piece.len()).as_bytes());
        body.extend(*piece);
        body.extend(b"\r\n");
    }
    body.extend(b"0\r\n\r\n");
    body
}

/// The name and value of a field line.
pub fn field(line: &str) -> Result<(String, String), Broken> {
    let (name, value) = line
        .split_once(':')
        .ok_or_else(|| Broken::Malformed(format!("field line {line:?}")))?;
    Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

fn with(before: &[u8], broken: Broken) -> Broken {
    match broken {
        Broken::Closed => Broken::Cut(before.to_vec()),
        Broken::Cut(rest) => Broken::Cut([before, &rest].concat()),
        other => other,
    }
}
