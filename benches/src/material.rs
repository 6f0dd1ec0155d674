//! Certificates for peers that speak TLS: one authority, one server, one client.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::error::{BenchError, about};

/// Where they are, each as PEM.
#[derive(Clone, Debug)]
pub(crate) struct Material {
    /// The authority's certificate.
    pub(crate) authority: PathBuf,
    /// For `localhost` and 127.0.0.1.
    pub(crate) server: Pair,
    /// For `spiffe://bench/ns/default/sa/client`.
    pub(crate) client: Pair,
}

/// A certificate and its key.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Both in one file, as HAProxy takes them.
    pub(crate) both: PathBuf,
}

impl Material {
    /// Makes them anew in `folder`, on P-256.
    pub(crate) fn make(folder: &Path) -> Result<Self, BenchError> {
        let wrong = |error: rcgen::Error| BenchError::Usage(format!("no certificates: {error}"));
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().map_err(wrong)?;
        let certificate = params.self_signed(&key).map_err(wrong)?;
        let authority = write(folder, "authority.crt", &certificate.pem())?;
        let issuer = Issuer::new(params, key);
        let issue = |name: &str, of: Vec<SanType>, usage: ExtendedKeyUsagePurpose| {
            let mut params = CertificateParams::default();
            // With the authority's own name OpenSSL takes it for self-signed.
            params.distinguished_name.push(DnType::CommonName, name);
            params.subject_alt_names = of;
            params.extended_key_usages = vec![usage];
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            let key = KeyPair::generate().map_err(wrong)?;
            let certificate = params.signed_by(&key, &issuer).map_err(wrong)?.pem();
            let key = key.serialize_pem();
            Ok(Pair {
                certificate: write(folder, &format!("{name}.crt"), &certificate)?,
                key: write(folder, &format!("{name}.key"), &key)?,
                both: write(folder, &format!("{name}.pem"), &(certificate + &key))?,
            })
        };
        let host = SanType::DnsName("localhost".try_into().map_err(wrong)?);
        let address = SanType::IpAddress(Ipv4Addr::LOCALHOST.into());
        let workload = SanType::URI("spiffe://bench/ns/default/sa/client".try_into().map_err(wrong)?);
        Ok(Self {
            authority,
            server: issue("server", vec![host, address], ExtendedKeyUsagePurpose::ServerAuth)?,
            client: issue("client", vec![workload], ExtendedKeyUsagePurpose::ClientAuth)?,
        })
    }
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf, BenchError> {
    let file = folder.join(name);
    fs::write(&file, text).map_err(about(&file))?;
    Ok(file)
}
