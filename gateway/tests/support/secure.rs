//! A client that speaks TLS in this process, and the tools beside it that do.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, RootCertStore,
    SignatureScheme, StreamOwned,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _};

use super::{
    GUARD,
    certificates::{Authority, Pair},
};

/// How a client of tests speaks TLS.
#[derive(Clone)]
pub struct Secure(Arc<ClientConfig>, Arc<RootCertStore>);

/// One connection.
pub struct Session(StreamOwned<ClientConnection, TcpStream>);

impl Secure {
    /// Believes what `authority` issued, and shows `pair` if there is one.
    pub fn new(authority: &Authority, pair: Option<&Pair>) -> Self {
        let pair = pair.map(|pair| (pair.cert.as_str(), pair.key.as_str()));
        Self::believing(&authority.pem(), pair)
    }

    /// The same for a root, and for a certificate with its key, all in PEM.
    pub fn believing(root: &str, pair: Option<(&str, &str)>) -> Self {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(root.as_bytes()).expect("PEM");
        roots.add(root).expect("a root");
        let roots = Arc::new(roots);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(Arc::clone(&roots));
        let mut config = match pair {
            Some((cert, key)) => {
                let chain = CertificateDer::pem_slice_iter(cert.as_bytes()).map(|one| one.expect("PEM"));
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
                builder
                    .with_client_auth_cert(chain.collect(), key)
                    .expect("a pair")
            }
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        Self(Arc::new(config), roots)
    }

    /// Keeps tickets.
    pub fn resuming(self) -> Self {
        let mut config = (*self.0).clone();
        config.resumption = Resumption::in_memory_sessions(256);
        Self(Arc::new(config), self.1)
    }

    /// Takes any host's certificate that leads to whom it believes: one of a mesh names none.
    pub fn unnamed(self) -> Self {
        let mut config = (*self.0).clone();
        let provider = config.crypto_provider().clone();
        let named = WebPkiServerVerifier::builder_with_provider(Arc::clone(&self.1), provider).build();
        config.dangerous().set_certificate_verifier(Arc::new(Unnamed {
            roots: Arc::clone(&self.1),
            named: named.expect("a verifier"),
        }));
        Self(Arc::new(config), self.1)
    }

    /// Connects and shakes hands.
    pub fn connect(&self, address: SocketAddr, name: &str) -> io::Result<Session> {
        self.connect_after(b"", address, name)
    }

    /// Connects, sends `opening` as it is, and shakes hands.
    pub fn connect_after(&self, opening: &[u8], address: SocketAddr, name: &str) -> io::Result<Session> {
        let name = name.to_owned().try_into().expect("a name");
        let connection = ClientConnection::new(Arc::clone(&self.0), name).expect("a client");
        let mut socket = TcpStream::connect_timeout(&address, GUARD)?;
        socket.set_read_timeout(Some(GUARD))?;
        socket.write_all(opening)?;
        let mut session = StreamOwned::new(connection, socket);
        while session.conn.is_handshaking() {
            session.conn.complete_io(&mut session.sock)?;
        }
        Ok(Session(session))
    }
}

/// Checks all of a certificate but whom it names.
#[derive(Debug)]
struct Unnamed {
    roots: Arc<RootCertStore>,
    named: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Unnamed {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, algorithms.all)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.named.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.named.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.named.supported_verify_schemes()
    }
}

impl Session {
    /// Asks for `target` and gives the status and the body of the answer.
    pub fn get(&mut self, host: &str, target: &str) -> io::Result<(u16, String)> {
        self.ask(&format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n"))
    }

    /// Sends a whole request and gives the status and the body of the answer.
    pub fn ask(&mut self, request: &str) -> io::Result<(u16, String)> {
        self.0.write_all(request.as_bytes())?;
        let mut received = Vec::new();
        loop {
            if let Some((head, body)) = split(&received)
                && body.len() >= length_of(&head)
            {
                let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
                let body = String::from_utf8_lossy(body).into_owned();
                return Ok((status.unwrap_or(0), body));
            }
            let mut more = [0; 16 * 1024];
            let count = self.0.read(&mut more)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            received.extend_from_slice(&more[..count]);
        }
    }

    /// The certificate that was shown.
    pub fn shown(&self) -> Vec<u8> {
        let chain = self.0.conn.peer_certificates().expect("a certificate");
        chain[0].to_vec()
    }

    /// Whether the handshake went by a ticket.
    pub fn is_resumed(&self) -> bool {
        self.0.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

/// The first certificate of a PEM text, in DER.
pub fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .expect("PEM")
        .to_vec()
}

fn split(received: &[u8]) -> Option<(String, &[u8])> {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&received[..end]).to_lowercase();
    Some((head, &received[end..]))
}

fn length_of(head: &str) -> usize {
    let field = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    field.and_then(|length| length.trim().parse().ok()).unwrap_or(0)
}

/// What `openssl s_client` says of a request over one connection with these options, both outputs together.
pub fn s_client(address: SocketAddr, folder: &Path, options: &[&str]) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &address.to_string(), "-ign_eof"])
        .args(options)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl runs");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // It may have ended already.
    let _ = stdin.write_all(b"GET / HTTP/1.1\r\nhost: web.example\r\nconnection: close\r\n\r\n");
    let output = child.wait_with_output().expect("openssl ends");
    drop(stdin);
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}
