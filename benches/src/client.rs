//! A plain HTTP/1.1 client: one request at a time over a connection that is kept, every answer looked at.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::error::{BenchError, while_doing};

/// A connection to a peer.
pub(crate) struct Client {
    stream: TcpStream,
    address: SocketAddr,
    received: Vec<u8>,
}

impl Client {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Result<Self, BenchError> {
        let doing = || format!("connecting to {address}");
        let stream = TcpStream::connect(address).map_err(while_doing(doing()))?;
        stream
            .set_read_timeout(Some(TIMEOUT))
            .map_err(while_doing(doing()))?;
        stream.set_nodelay(true).map_err(while_doing(doing()))?;
        Ok(Self {
            stream,
            address,
            received: Vec::new(),
        })
    }

    /// Sends `request` as it is and expects a 200 with a body of `length` bytes.
    pub(crate) fn ask(&mut self, request: &[u8], length: usize) -> Result<(), BenchError> {
        let doing = format!("asking {}", self.address);
        self.stream.write_all(request).map_err(while_doing(&doing))?;
        self.received.clear();
        let mut chunk = [0; 16 * 1024];
        let body = loop {
            if let Some(end) = find_end(&self.received) {
                check_head(&self.received[..end], length)?;
                break end;
            }
            self.receive(&mut chunk, &doing)?;
        };
        while self.received.len() < body + length {
            self.receive(&mut chunk, &doing)?;
        }
        if self.received.len() > body + length {
            let excess = self.received.len() - body - length;
            return Err(BenchError::WrongAnswers(format!("{excess} bytes after the end")));
        }
        Ok(())
    }

    fn receive(&mut self, chunk: &mut [u8], doing: &str) -> Result<(), BenchError> {
        let count = self.stream.read(chunk).map_err(while_doing(doing))?;
        if count == 0 {
            return Err(BenchError::WrongAnswers("cut short".to_owned()));
        }
        self.received.extend_from_slice(&chunk[..count]);
        Ok(())
    }
}

/// Where the body begins, once the head is whole.
pub(crate) fn find_end(bytes: &[u8]) -> Option<usize> {
    let found = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    found.map(|at| at + 4)
}

/// The length that a head gives its body, if it gives one.
pub(crate) fn content_length(head: &[u8]) -> Option<usize> {
    let head = str::from_utf8(head).ok()?;
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    value.trim().parse().ok()
}

fn check_head(head: &[u8], length: usize) -> Result<(), BenchError> {
    let is_right = head.starts_with(b"HTTP/1.1 200 ") && content_length(head) == Some(length);
    if is_right {
        return Ok(());
    }
    let head = String::from_utf8_lossy(head).into_owned();
    Err(BenchError::WrongAnswers(format!(
        "not a 200 of {length} bytes: {head:?}"
    )))
}

/// Long enough for a peer under valgrind.
const TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_checked_for_status_and_length() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n";
        assert_eq!(find_end(head), Some(head.len()));
        assert!(check_head(head, 64).is_ok());
        assert!(check_head(head, 65).is_err());
        assert!(check_head(b"HTTP/1.1 503 No\r\ncontent-length: 64\r\n\r\n", 64).is_err());
        assert!(check_head(b"HTTP/1.1 200 OK\r\n\r\n", 0).is_err());
    }
}
