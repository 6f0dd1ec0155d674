//! What the tests of streams stand on: authorities that make certificates, and a worker that echoes over one secure stream.

use std::{
    future::poll_fn,
    io::Write as _,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    sync::Arc,
    thread,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType,
    SerialNumber, date_time_ymd,
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs as provider};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use sluice_config::{defaults, model::TlsVersion};
use sluice_io::{DriverChoice, Options, Runtime, SocketOptions};

use crate::{
    Clients, Reason, ServerContext, ServerSettings, Stream,
    material::{Authorities, File, Identity, Revocations},
};

pub(super) fn both_drivers(test: impl Fn(DriverChoice)) {
    for driver in [DriverChoice::Uring, DriverChoice::Epoll] {
        test(driver);
    }
}

/// Hosts that [`Served::serves`] is asked for.
const HOSTS: [&str; 4] = ["a.example", "x.b.example", "other.example", "127.0.0.1"];
/// 2026.
const NOW: i64 = 1_767_225_600;

/// A certificate with its key.
pub(super) type Pair = (CertificateDer<'static>, PrivateKeyDer<'static>, SerialNumber);

pub(super) fn copy(pair: &Pair) -> Pair {
    (pair.0.clone(), pair.1.clone_key(), pair.2.clone())
}

/// The same certificate, but for the last bit of its signature.
pub(super) fn flip_last_bit(pair: Pair) -> Pair {
    let mut der = pair.0.to_vec();
    if let Some(last) = der.last_mut() {
        *last ^= 1;
    }
    (der.into(), pair.1, pair.2)
}

/// Who issues certificates.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let name = format!("authority {:02x?}", &key.public_key_raw()[1..9]);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn issue(&self, mut params: CertificateParams, purpose: ExtendedKeyUsagePurpose) -> Pair {
        let key = KeyPair::generate().unwrap();
        let serial = SerialNumber::from_slice(&key.public_key_raw()[1..9]);
        params.extended_key_usages = vec![purpose];
        params.serial_number = Some(serial.clone());
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        (certificate.der().clone(), key.into(), serial)
    }

    pub(super) fn identity(&self, names: &[&str]) -> Arc<Identity> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).unwrap();
        self.identity_of(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    pub(super) fn identity_of(
        &self,
        params: CertificateParams,
        purpose: ExtendedKeyUsagePurpose,
    ) -> Arc<Identity> {
        let (certificate, key, _) = self.issue(params, purpose);
        let (cert, key) = (
            pem("CERTIFICATE", &certificate),
            pem("PRIVATE KEY", key.secret_der()),
        );
        let file = |name, text: &'static str| File {
            name,
            bytes: text.as_bytes(),
        };
        Arc::new(Identity::read(file("cert", cert), file("key", key), NOW).unwrap())
    }

    pub(super) fn client_params(uri: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params
    }

    pub(super) fn client(&self, uri: &str) -> Pair {
        self.issue(Self::client_params(uri), ExtendedKeyUsagePurpose::ClientAuth)
    }

    pub(super) fn expired(&self) -> Pair {
        let mut params = Self::client_params("spiffe://td/expired");
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
        self.issue(params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    pub(super) fn for_servers(&self) -> Pair {
        self.issue(
            Self::client_params("spiffe://td/server"),
            ExtendedKeyUsagePurpose::ServerAuth,
        )
    }

    pub(super) fn authorities(&self) -> Arc<Authorities> {
        let text = self.0.pem();
        let file = File {
            name: "ca",
            bytes: text.as_bytes(),
        };
        Arc::new(Authorities::read(file, NOW).unwrap())
    }

    pub(super) fn required(&self) -> Clients {
        Clients::Verified {
            authorities: vec![self.authorities()],
            revocations: Vec::new(),
            required: true,
        }
    }

    pub(super) fn required_unless_revoked(&self, pair: &Pair) -> Clients {
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: pair.2.clone(),
                revocation_time: date_time_ymd(2020, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let text = list.signed_by(&self.0).unwrap().pem().unwrap();
        let file = File {
            name: "crl",
            bytes: text.as_bytes(),
        };
        Clients::Verified {
            authorities: vec![self.authorities()],
            revocations: vec![Arc::new(Revocations::read(file).unwrap())],
            required: true,
        }
    }
}

fn pem(label: &str, der: &[u8]) -> &'static str {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {label}-----\n");
    for (index, three) in der.chunks(3).enumerate() {
        let mut bits = [0; 3];
        bits[..three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes([0, bits[0], bits[1], bits[2]]);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit <= three.len() {
                char::from(DIGITS[value as usize])
            } else {
                '='
            });
        }
        if index % 16 == 15 {
            text.push('\n');
        }
    }
    text.push_str(&format!("\n-----END {label}-----\n"));
    text.leak()
}

pub(super) fn settings(identities: &[Arc<Identity>]) -> ServerSettings<'static> {
    ServerSettings {
        listener: "web",
        certificates: identities.to_vec(),
        min_version: TlsVersion::V12,
        groups: &defaults::TLS_GROUPS,
        alpn: &defaults::TLS_ALPN,
        strict_sni: false,
        clients: Clients::Unasked,
    }
}

pub(super) fn client_config(
    authority: &Authority,
    versions: &[&'static rustls::SupportedProtocolVersion],
    certificate: Option<Pair>,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match certificate {
        Some((certificate, key, _)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

#[derive(Debug)]
struct Anything;

impl rustls::client::danger::ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        provider::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The client does not look at the certificate.
pub(super) fn trust_anything(config: &mut ClientConfig) {
    config.dangerous().set_certificate_verifier(Arc::new(Anything));
}

/// What became of one connection.
#[derive(Debug, Default)]
pub(super) struct Served {
    pub(super) failure: Option<Reason>,
    pub(super) end: String,
    pub(super) server_name: Option<String>,
    pub(super) spiffe: Option<String>,
    pub(super) serves: Vec<bool>,
}

/// A worker that echoes on one connection.
pub(super) struct World {
    pub(super) address: SocketAddr,
    worker: thread::JoinHandle<Served>,
}

impl World {
    pub(super) fn start(driver: DriverChoice, settings: ServerSettings<'_>) -> Self {
        Self::start_with(driver, Arc::new(ServerContext::new(settings, None).unwrap()))
    }

    pub(super) fn start_with(driver: DriverChoice, context: Arc<ServerContext>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        Self {
            address,
            worker: thread::spawn(move || serve(driver, listener, &context)),
        }
    }

    pub(super) fn end(self) -> Served {
        self.worker.join().unwrap()
    }
}

fn serve(driver: DriverChoice, listener: TcpListener, context: &ServerContext) -> Served {
    let options = Options {
        driver,
        ..Options::default()
    };
    let runtime = Runtime::new(&options).unwrap();
    let io = runtime.io();
    runtime.block_on(async {
        listener.set_nonblocking(true).unwrap();
        let mut listener = io
            .listen(OwnedFd::from(listener), &SocketOptions::default())
            .unwrap();
        let (tcp, _) = listener.accept().await.unwrap();
        let mut stream = Stream::accept(tcp, context).unwrap();
        let mut served = Served::default();
        if let Err(failure) = poll_fn(|cx| stream.poll_handshake(cx)).await {
            served.failure = Some(failure.reason);
        } else {
            served.spiffe = stream
                .transport()
                .peer()
                .and_then(crate::Peer::spiffe)
                .map(|id| id.as_str().to_owned());
            served.server_name = stream.transport().server_name().map(str::to_owned);
            served.serves = HOSTS.iter().map(|host| stream.transport().serves(host)).collect();
            served.end = echo(&mut stream).await;
        }
        // An alert is lost when a socket is closed with bytes unread.
        stream.end();
        let _ = poll_fn(|cx| stream.poll_flush(cx)).await;
        let _ = stream.shutdown_write();
        while let Ok([_, ..]) = poll_fn(|cx| stream.poll_fill(cx).map_ok(<[u8]>::to_vec))
            .await
            .as_deref()
        {
            let count = stream.received().len();
            stream.consume(count);
        }
        served
    })
}

async fn echo(stream: &mut Stream) -> String {
    let mut turn = 0;
    loop {
        let length = match poll_fn(|cx| stream.poll_fill(cx).map_ok(<[u8]>::len)).await {
            Ok(0) => return "well".to_owned(),
            Ok(length) => length,
            Err(error) => return error.to_string(),
        };
        turn += 1;
        if turn % 2 == 0 {
            let bytes = stream.received().to_vec();
            stream.out().write_all(&bytes).unwrap();
        } else {
            // By way of what moves bodies.
            let bytes = stream.received().to_vec();
            let (head, tail) = bytes.split_at(length / 2);
            stream.write(head);
            stream.write(tail);
        }
        stream.consume(length);
        if let Err(error) = poll_fn(|cx| stream.poll_flush(cx)).await {
            return error.to_string();
        }
    }
}
