//! One question to the authority: for a first certificate with a join token, for a renewal with the certificate there is.
//!
//! Owns who is taken for the authority, and what an answer must hold. The key is made here and never leaves this host.

use std::{fs, io::Read as _, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request, StatusCode,
    client::conn::http1,
    header::{CONNECTION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use sluice_config::{
    defaults::{
        TLS_GROUPS,
        operations::{CA_TOKEN_BYTES_MAX, IDENTITY_ANSWER_BYTES_MAX, IDENTITY_FETCH_TIMEOUT},
    },
    model::{Address, ApplicationProtocol, Enrollment, TlsVersion},
};
use sluice_tls::{
    ClientContext, ClientSettings, Expected, Reason, control,
    material::{Authorities, File, Identity},
};
use thiserror::Error;
use tokio::{net::TcpStream, time::timeout};

use super::{
    super::material::now,
    store::{Stored, keep, stored},
};
use crate::authority::{
    Token,
    message::{Granted, PATH, Refused, Wish},
    own_id, sign_request,
};

/// A certificate that was got and is kept.
pub(super) struct Got {
    pub(super) spiffe: String,
    /// In seconds since 1970.
    pub(super) until: i64,
}

/// Why none was got.
#[derive(Debug, Error)]
pub(super) enum Fault {
    /// Nobody answered, or nobody could: it may be otherwise in a moment.
    #[error("{0}")]
    Away(String),
    /// Asking again changes nothing by itself.
    #[error("{0}")]
    Final(String),
}

/// As whom the authority is asked, and whom to take for it.
struct Means {
    context: ClientContext,
    token: Option<Token>,
    /// The SPIFFE ID there is already.
    spiffe: Option<String>,
}

/// Asks the authority, and keeps what it gives.
///
/// # Errors
/// Why there is nothing to keep.
pub(super) async fn fetch(enrollment: &Enrollment) -> Result<Got, Fault> {
    let means = Means::of(enrollment)?;
    let fault = |error: &dyn std::fmt::Display| Fault::Final(error.to_string());
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| fault(&error))?;
    let wish = Wish {
        csr: sign_request(&key).map_err(|error| fault(&error))?,
        token: means.token.as_ref().map(Token::secret),
        ttl_seconds: Some(enrollment.ttl.duration().as_secs()),
    };
    let asked = timeout(
        IDENTITY_FETCH_TIMEOUT,
        ask(&enrollment.authority, &means.context, &wish),
    )
    .await;
    let late = || Fault::Away(format!("it takes longer than {IDENTITY_FETCH_TIMEOUT:?}"));
    let granted = asked.map_err(|_| late())??;
    let identity = granted.certificate.clone() + &key.serialize_pem();
    let got = means.judge(&granted, &identity)?;
    keep(enrollment, &identity, &granted.root).map_err(Fault::Final)?;
    Ok(got)
}

impl Means {
    fn of(enrollment: &Enrollment) -> Result<Self, Fault> {
        match stored(enrollment, now()) {
            Ok(stored) => Self::renewing(&stored),
            Err(reason) => {
                let token =
                    token(enrollment).map_err(|error| Fault::Final(format!("{reason}, and {error}")))?;
                Self::joining(token)
            }
        }
    }

    fn renewing(stored: &Stored) -> Result<Self, Fault> {
        let wrong = || Fault::Final("the certificate that is kept names no SPIFFE ID".to_owned());
        let id = stored.identity.spiffe().ok_or_else(wrong)?;
        let expected = Expected::Any {
            authorities: vec![Arc::clone(&stored.roots)],
            names: Vec::new(),
            ids: own_id(id.trust_domain()).parse().into_iter().collect(),
        };
        Ok(Self {
            context: context(expected, Some(Arc::clone(&stored.identity)))?,
            token: None,
            spiffe: Some(id.as_str().to_owned()),
        })
    }

    /// Whoever shows the authority's own certificate below the root that the token names; a workload of the mesh, whose
    /// certificate leads there too, must not get to see the token.
    fn joining(token: Token) -> Result<Self, Fault> {
        let expected = Expected::Pinned {
            root: *token.root(),
            ids: own_id("*").parse().into_iter().collect(),
        };
        Ok(Self {
            context: context(expected, None)?,
            token: Some(token),
            spiffe: None,
        })
    }

    /// Whether what was granted is of use: a certificate that holds, for the key and for whom it was asked, and the root
    /// that is believed already.
    fn judge(&self, granted: &Granted, identity: &str) -> Result<Got, Fault> {
        let wrong = |error: &dyn std::fmt::Display| Fault::Final(format!("its answer is of no use: {error}"));
        let now = now();
        let own = File {
            name: "the certificate",
            bytes: identity.as_bytes(),
        };
        let roots = File {
            name: "the root",
            bytes: granted.root.as_bytes(),
        };
        let made = Identity::read(own, own, now).map_err(|bad| wrong(&bad))?;
        let roots = Authorities::read(roots, now).map_err(|bad| wrong(&bad))?;
        if self
            .token
            .as_ref()
            .is_some_and(|token| !roots.holds(token.root()))
        {
            return Err(wrong(&"the root is another than the join token names"));
        }
        let spiffe = made
            .spiffe()
            .ok_or_else(|| wrong(&"it names no SPIFFE ID"))?
            .as_str();
        if self.spiffe.as_deref().is_some_and(|known| known != spiffe) {
            return Err(wrong(&"it is for another SPIFFE ID"));
        }
        Ok(Got {
            spiffe: spiffe.to_owned(),
            until: made.not_after(),
        })
    }
}

fn context(expected: Expected, identity: Option<Arc<Identity>>) -> Result<ClientContext, Fault> {
    let settings = ClientSettings {
        identity,
        expected,
        min_version: TlsVersion::V13,
        groups: &TLS_GROUPS,
        alpn: &[ApplicationProtocol::Http1],
    };
    ClientContext::new(settings).map_err(|error| Fault::Final(error.to_string()))
}

/// The join token, without which there is no first certificate.
fn token(enrollment: &Enrollment) -> Result<Token, String> {
    let file = enrollment
        .token
        .as_ref()
        .ok_or("`token` names no file with a join token (sluice ca token)")?;
    let at = |error: &dyn std::fmt::Display| format!("{}: {error}", file.path.display());
    let mut text = String::new();
    fs::File::open(&file.path)
        .and_then(|opened| opened.take(CA_TOKEN_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| at(&error))?;
    text.parse().map_err(|error| at(&error))
}

async fn ask(authority: &Address, context: &ClientContext, wish: &Wish) -> Result<Granted, Fault> {
    let away = |error: &dyn std::fmt::Display| Fault::Away(error.to_string());
    let host = match authority {
        Address::Ip(address) => address.ip().to_string(),
        Address::Dns(name, _) => name.clone(),
    };
    let stream = TcpStream::connect(authority.to_string()).await;
    let stream = stream.map_err(|error| Fault::Away(format!("it cannot be connected to: {error}")))?;
    let session = control::connect(stream, context, &host)
        .await
        .map_err(|failure| match failure.reason {
            Reason::UnknownAuthority | Reason::CertificateInvalid => Fault::Final(format!(
                "whoever answers there is not the authority that was meant: {failure}"
            )),
            _ => Fault::Away(format!("TLS fails: {failure}")),
        })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(session))
        .await
        .map_err(|error| away(&error))?;
    // Its errors come out of the request as well, and with the request it ends.
    tokio::spawn(connection);
    let body = serde_json::to_vec(wish).map_err(|error| Fault::Final(error.to_string()))?;
    let request = Request::post(PATH)
        .header(HOST, authority.to_string())
        .header(CONTENT_TYPE, "application/json")
        .header(CONNECTION, "close")
        .body(Full::<Bytes>::from(body))
        .map_err(|error| Fault::Final(error.to_string()))?;
    let response = sender.send_request(request).await.map_err(|error| away(&error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), IDENTITY_ANSWER_BYTES_MAX)
        .collect()
        .await;
    let body = body.map_err(|error| away(&error))?.to_bytes();
    read(status, &body)
}

fn read(status: StatusCode, body: &[u8]) -> Result<Granted, Fault> {
    if status == StatusCode::OK {
        let granted = serde_json::from_slice(body);
        return granted.map_err(|_| Fault::Final("its answer is none of an authority".to_owned()));
    }
    let refused = serde_json::from_slice::<Refused>(body);
    let words = refused.map_or_else(|_| status.to_string(), |refused| refused.error);
    let words = format!("it refuses: {words}");
    Err(if status.is_server_error() {
        Fault::Away(words)
    } else {
        Fault::Final(words)
    })
}
