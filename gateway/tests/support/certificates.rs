//! Certificates for tests: authorities, and what they issue, as PEM files.

use std::{fs, path::Path};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, NameConstraints,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};

/// Who issues certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    pub cert: String,
    pub key: String,
    serial: SerialNumber,
}

impl Authority {
    /// A root.
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(authority(name), key).expect("a root"))
    }

    /// One below this one, after `change`.
    pub fn intermediate(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = authority(name);
        change(&mut params);
        Self(CertifiedIssuer::signed_by(params, key, &self.0).expect("an intermediate"))
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// For a server with these names.
    pub fn server(&self, names: &[&str]) -> Pair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params)
    }

    /// For a client with this SPIFFE ID.
    pub fn client(&self, uri: &str) -> Pair {
        self.client_with(uri, |_| {})
    }

    /// The same, after `change`.
    pub fn client_with(&self, uri: &str, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into().expect("a URI"))];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        self.issue(params)
    }

    fn issue(&self, mut params: CertificateParams) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let serial = SerialNumber::from_slice(&key.public_key_raw()[1..9]);
        params.serial_number = Some(serial.clone());
        Pair {
            cert: params.signed_by(&key, &self.0).expect("a certificate").pem(),
            key: key.serialize_pem(),
            serial,
        }
    }

    /// A list that revokes `pairs`.
    pub fn revoke(&self, pairs: &[&Pair]) -> String {
        let revoked = pairs.iter().map(|pair| RevokedCertParams {
            serial_number: pair.serial.clone(),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).expect("a list").pem().expect("PEM")
    }
}

impl Pair {
    /// Writes `NAME.crt` and `NAME.key`, each at once.
    pub fn write(&self, folder: &Path, name: &str) {
        put(&folder.join(format!("{name}.crt")), &self.cert);
        put(&folder.join(format!("{name}.key")), &self.key);
    }
}

/// Writes a file beside and moves it to its place, as tools do.
pub fn put(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).expect("a written file");
    fs::rename(beside, path).expect("a moved file");
}

/// Only names below this domain.
pub fn constrained_to(domain: &str) -> impl FnOnce(&mut CertificateParams) {
    let permitted = vec![GeneralSubtree::DnsName(domain.to_owned())];
    move |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: permitted,
            excluded_subtrees: Vec::new(),
        });
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
