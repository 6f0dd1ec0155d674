//! Requests to sign a key (PKCS #10, RFC 2986).
//!
//! Owns the proof that whoever asks has the key. Refuses all else that a request says: whose it is, is known elsewhere.

use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DistinguishedName, KeyPair, PublicKey,
    PublicKeyData as _,
};
use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer as _};

use super::AuthorityError;

/// The key that a request in PEM is for, of a kind that peers can check.
///
/// # Errors
/// When it is none, or its signature is not by that key.
pub fn key_of(pem: &str) -> Result<PublicKey, AuthorityError> {
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes())
        .map_err(|_| AuthorityError::Request("it is no PEM"))?;
    if block.label != LABEL {
        return Err(AuthorityError::Request("it is PEM of another kind"));
    }
    key_of_der(&block.contents)
}

/// As [`key_of`], of a request in DER.
///
/// # Errors
/// As there.
pub fn key_of_der(der: &[u8]) -> Result<PublicKey, AuthorityError> {
    let request = CertificateSigningRequestParams::from_der(&der.into()).map_err(|error| match error {
        rcgen::Error::InvalidCertificationRequestSignature => {
            AuthorityError::Request("its signature is not by the key it is for")
        }
        _ => AuthorityError::Request("it is malformed, or of a kind that is not known"),
    })?;
    // The key's kind is concluded from the signature's: where the request says another, the certificate would not be for
    // the key that was proved.
    let is_whole = X509CertificationRequest::from_der(der).is_ok_and(|(rest, read)| {
        let asked_for = read.certification_request_info.subject_pki.raw;
        rest.is_empty() && asked_for == request.public_key.subject_public_key_info()
    });
    if !is_whole {
        return Err(AuthorityError::Request(
            "its key and its signature are of two kinds",
        ));
    }
    Ok(request.public_key)
}

/// A request in PEM for `key`, which says nothing else.
///
/// # Errors
/// When the cryptography fails.
pub fn sign_request(key: &KeyPair) -> Result<String, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(key)?.pem()?)
}

const LABEL: &str = "CERTIFICATE REQUEST";

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, IsCa, PKCS_ECDSA_P256_SHA256, SanType};

    use super::*;

    fn key() -> KeyPair {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
    }

    fn refusal(pem: &str) -> String {
        key_of(pem).expect_err("it is refused").to_string()
    }

    #[test]
    fn the_key_is_taken_and_nothing_else() {
        let key = key();
        let asked = key_of(&sign_request(&key).unwrap()).unwrap();
        assert_eq!(asked.subject_public_key_info(), key.subject_public_key_info());
        // What it says of names and of authority is read over.
        let mut params = CertificateParams::new(vec!["bank.example".to_owned()]).unwrap();
        params.subject_alt_names = vec![SanType::URI("spiffe://example.org/admin".try_into().unwrap())];
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let greedy = params.serialize_request(&key).unwrap().pem().unwrap();
        assert_eq!(key_of(&greedy).unwrap(), asked);
    }

    #[test]
    fn who_does_not_prove_to_have_the_key_gets_nothing() {
        let (own, other) = (key(), key());
        let request = CertificateParams::default().serialize_request(&own).unwrap();
        let mut der = request.der().to_vec();
        let theirs = other.public_key_raw();
        let at = der
            .windows(65)
            .position(|part| part == own.public_key_raw())
            .unwrap();
        der[at..at + 65].copy_from_slice(theirs);
        let forged = pem(&der);
        assert!(refusal(&forged).contains("signature"), "{}", refusal(&forged));
        let mut cut = request.der().to_vec();
        cut.pop();
        assert!(refusal(&pem(&cut)).contains("malformed"));
        let mut more = request.der().to_vec();
        more.push(0);
        assert!(key_of(&pem(&more)).is_err());
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in ["", "x", "-----BEGIN CERTIFICATE REQUEST-----\n"] {
            assert!(refusal(text).contains("no PEM"), "{text}");
        }
        assert!(refusal(&key().serialize_pem()).contains("another kind"));
        assert!(refusal(&pem(&[0x30, 0])).contains("malformed"));
    }

    /// Bytes as a request in PEM.
    fn pem(der: &[u8]) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for three in der.chunks(3) {
            let bits = (0..3).fold(0_u32, |bits, index| {
                bits << 8 | u32::from(three.get(index).copied().unwrap_or(0))
            });
            for index in 0..4 {
                let digit = DIGITS[(bits >> (18 - 6 * index) & 63) as usize];
                text.push(if index > three.len() { '=' } else { digit as char });
            }
        }
        format!("-----BEGIN {LABEL}-----\n{text}\n-----END {LABEL}-----\n")
    }
}
