//! What is said between a workload and the authority: JSON over HTTPS, `POST /v1/certificates`.

use serde::{Deserialize, Serialize};

/// Where certificates are asked for.
pub const PATH: &str = "/v1/certificates";

/// A wish for a certificate. It says nothing of whose: that is known of the token, or of the certificate shown in the
/// handshake.
// Without `Debug`: it may hold a secret.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wish {
    /// PKCS #10 in PEM: a key, and the proof that its sender has it.
    pub csr: String,
    /// The secret part of a join token; without it the certificate that the client shows is renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// For how long; at most what the authority allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
}

/// A wish come true.
#[derive(Debug, Serialize, Deserialize)]
pub struct Granted {
    /// The certificate and those that lead to the root, as PEM.
    pub certificate: String,
    /// What peers of this mesh trust, as PEM.
    pub root: String,
}

/// Why it did not.
#[derive(Debug, Serialize, Deserialize)]
pub struct Refused {
    /// In words.
    pub error: String,
}
