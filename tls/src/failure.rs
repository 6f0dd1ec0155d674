//! Why a handshake failed: a bounded set of reasons for metrics, and words for the log.

use std::fmt;

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

/// A handshake that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Which kind, as counted.
    pub reason: Reason,
    /// What exactly; it names nothing secret.
    pub detail: Box<str>,
}

/// The kinds of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Reason {
    /// The peer closed or reset before the end.
    Closed,
    /// It took too long.
    Timeout,
    /// The peer's side of the handshake is larger than any should be.
    TooLarge,
    /// What came is not TLS.
    NotTls,
    /// No version, cipher suite, group or signature in common.
    NothingInCommon,
    /// No application protocol in common.
    NoApplicationProtocol,
    /// No certificate for the name asked for.
    UnknownName,
    /// The peer showed no certificate and must.
    NoCertificate,
    /// The peer's certificate is expired or not yet valid.
    CertificateExpired,
    /// The peer's certificate was revoked, or nobody knows whether it was.
    CertificateRevoked,
    /// The peer's certificate leads to no known authority.
    UnknownAuthority,
    /// The peer's certificate is for another purpose.
    CertificatePurpose,
    /// The peer's certificate is wrong in another way: names, constraints, signature, form.
    CertificateInvalid,
    /// The peer did not prove to have the key of its certificate, or keys differ.
    BadSignature,
    /// The peer refused our side with an alert.
    Refused,
    /// The peer broke the protocol.
    Protocol,
    /// A fault of this side.
    Internal,
}

impl Reason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 17] = [
        Self::Closed,
        Self::Timeout,
        Self::TooLarge,
        Self::NotTls,
        Self::NothingInCommon,
        Self::NoApplicationProtocol,
        Self::UnknownName,
        Self::NoCertificate,
        Self::CertificateExpired,
        Self::CertificateRevoked,
        Self::UnknownAuthority,
        Self::CertificatePurpose,
        Self::CertificateInvalid,
        Self::BadSignature,
        Self::Refused,
        Self::Protocol,
        Self::Internal,
    ];

    /// As a label of metrics and in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
            Self::NotTls => "not_tls",
            Self::NothingInCommon => "nothing_in_common",
            Self::NoApplicationProtocol => "no_application_protocol",
            Self::UnknownName => "unknown_name",
            Self::NoCertificate => "no_certificate",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateRevoked => "certificate_revoked",
            Self::UnknownAuthority => "unknown_authority",
            Self::CertificatePurpose => "certificate_purpose",
            Self::CertificateInvalid => "certificate_invalid",
            Self::BadSignature => "bad_signature",
            Self::Refused => "refused",
            Self::Protocol => "protocol",
            Self::Internal => "internal",
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        use CertificateError as E;
        match error {
            E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. } => {
                Self::CertificateExpired
            }
            E::Revoked
            | E::UnknownRevocationStatus
            | E::ExpiredRevocationList
            | E::ExpiredRevocationListContext { .. } => Self::CertificateRevoked,
            E::UnknownIssuer => Self::UnknownAuthority,
            E::InvalidPurpose | E::InvalidPurposeContext { .. } => Self::CertificatePurpose,
            _ => Self::CertificateInvalid,
        }
    }

    fn of_incompatible(error: &PeerIncompatible) -> Self {
        match error {
            PeerIncompatible::ExtendedMasterSecretExtensionRequired => Self::Protocol,
            _ => Self::NothingInCommon,
        }
    }
}

impl Failure {
    /// Of a kind, with what exactly.
    #[must_use]
    pub fn new(reason: Reason, detail: impl fmt::Display) -> Self {
        Self {
            reason,
            detail: detail.to_string().into(),
        }
    }

    /// `is_greeted` says that the peer has begun as TLS does.
    pub(crate) fn of(error: &Error, is_greeted: bool) -> Self {
        let reason = match error {
            Error::InvalidCertificate(error) => Reason::of_certificate(error),
            Error::NoCertificatesPresented => Reason::NoCertificate,
            Error::NoApplicationProtocol => Reason::NoApplicationProtocol,
            Error::PeerIncompatible(error) => Reason::of_incompatible(error),
            Error::AlertReceived(AlertDescription::CloseNotify) => Reason::Closed,
            Error::AlertReceived(_) => Reason::Refused,
            Error::InvalidMessage(_) if !is_greeted => Reason::NotTls,
            Error::DecryptError => Reason::BadSignature,
            Error::General(_)
            | Error::EncryptError
            | Error::FailedToGetCurrentTime
            | Error::FailedToGetRandomBytes
            | Error::Other(_) => Reason::Internal,
            _ => Reason::Protocol,
        };
        Self::new(reason, error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.as_str(), self.detail)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole_and_in_order() {
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
        }
        assert_eq!(Reason::Internal as usize + 1, Reason::ALL.len());
    }
}
