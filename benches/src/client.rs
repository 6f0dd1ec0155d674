//! An HTTP/1.1 client, over TLS too: one request at a time over a connection that is kept, every answer looked at.

mod http2;

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, pem::PemObject as _},
};

pub(crate) use http2::Http2Clients;

use crate::error::{BenchError, about, while_doing};

/// A connection to a peer.
pub(crate) struct Client {
    stream: Box<dyn Stream>,
    address: SocketAddr,
    received: Vec<u8>,
}

trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// How clients speak TLS.
#[derive(Clone)]
pub(crate) struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Believes the authority whose certificate is in this file.
    pub(crate) fn believing(authority: &Path) -> Result<Self, BenchError> {
        let wrong = |error: &dyn std::fmt::Display| BenchError::Usage(format!("no TLS: {error}"));
        let pem = fs::read(authority).map_err(about(authority))?;
        let root = CertificateDer::from_pem_slice(&pem).map_err(|error| wrong(&error))?;
        let mut roots = RootCertStore::empty();
        roots.add(root).map_err(|error| wrong(&error))?;
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

impl Client {
    /// Connects, over TLS if it is told how.
    pub(crate) fn connect(address: SocketAddr, tls: Option<&Tls>) -> Result<Self, BenchError> {
        let doing = || format!("connecting to {address}");
        let stream = TcpStream::connect(address).map_err(while_doing(doing()))?;
        stream
            .set_read_timeout(Some(TIMEOUT))
            .map_err(while_doing(doing()))?;
        stream.set_nodelay(true).map_err(while_doing(doing()))?;
        let stream: Box<dyn Stream> = match tls {
            None => Box::new(stream),
            Some(Tls(config)) => {
                let name = "localhost".try_into().expect("a DNS name");
                let connection = ClientConnection::new(Arc::clone(config), name)
                    .map_err(|error| BenchError::Usage(format!("{}: {error}", doing())))?;
                Box::new(StreamOwned::new(connection, stream))
            }
        };
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
