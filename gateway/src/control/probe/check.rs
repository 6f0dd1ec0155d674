//! One check over the network.
//!
//! Owns what is sent to an endpoint and what counts as an answer. A check has a connection of its own, so that an endpoint
//! which takes no more of them does not pass. Where requests go over TLS a request for health does so too, and believes
//! no one else; a check that only connects has nothing to say and shakes no hands. Where connections begin with a PROXY
//! header each check does too, with one that tells no client.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    pin::pin,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    Request,
    body::Incoming,
    client::conn::http1,
    header::{CONNECTION, HOST, USER_AGENT},
    http::uri::Scheme,
};
use hyper_util::rt::TokioIo;
use sluice_config::{
    defaults::operations::{HEALTH_BODY_BYTES_MAX, HEALTH_HEAD_BYTES_MAX},
    model::{ApplicationProtocol, Check, Millis, ServiceProtocol},
};
use sluice_tls::control;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{Ask, Question, Secured, http2};
use crate::{metrics::CheckResult, wire::proxy_protocol};

/// Why a check failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(in crate::control) enum Fault {
    /// No connection.
    #[error("it cannot be connected to: {0}")]
    Connect(String),
    /// No TLS with whom the service's `tls` means.
    #[error("TLS fails: {0}")]
    Tls(String),
    /// A whole answer, but not a good one.
    #[error("it answers {0}")]
    Status(u16),
    /// Something else than a whole answer.
    #[error("it does not answer in whole: {0}")]
    Broken(String),
    /// Nothing in time.
    #[error("it takes longer than {0}")]
    Timeout(Millis),
}

impl Fault {
    /// As it is counted.
    pub(in crate::control) const fn result(&self) -> CheckResult {
        match self {
            Self::Connect(_) => CheckResult::Connect,
            Self::Tls(_) => CheckResult::Tls,
            Self::Status(_) => CheckResult::Status,
            Self::Broken(_) => CheckResult::Broken,
            Self::Timeout(_) => CheckResult::Timeout,
        }
    }
}

/// Asks over the network.
pub(in crate::control) struct Network;

impl Ask for Network {
    async fn ask(&self, question: &Question) -> Result<(), Fault> {
        let (health, mut address) = (&question.health, question.address);
        if let Some(port) = health.port {
            address.set_port(port.get());
        }
        let answer = timeout(health.timeout.duration(), async {
            let mut stream = TcpStream::connect(address)
                .await
                .map_err(|error| Fault::Connect(error.to_string()))?;
            if let Some(version) = question.header {
                let mut header = Vec::new();
                proxy_protocol::write(version, None, &mut header);
                let sent = stream.write_all(&header).await;
                sent.map_err(|error| Fault::Connect(error.to_string()))?;
            }
            match &health.check {
                Check::Tcp => Ok(()),
                Check::Http {
                    target,
                    host,
                    statuses,
                } => {
                    let status = get(question, address, stream, target, host.as_deref()).await?;
                    if statuses.iter().any(|range| range.contains(status)) {
                        Ok(())
                    } else {
                        Err(Fault::Status(status))
                    }
                }
            }
        });
        answer.await.unwrap_or(Err(Fault::Timeout(health.timeout)))
    }
}

/// The status of what answers a GET of `target`, which goes as requests do: over TLS or not, by the version they go by.
async fn get(
    question: &Question,
    address: SocketAddr,
    stream: TcpStream,
    target: &str,
    host: Option<&str>,
) -> Result<u16, Fault> {
    let named = |otherwise: &dyn Fn() -> String| host.map_or_else(otherwise, str::to_owned);
    let Some(secure) = &question.secure else {
        let host = named(&|| address.to_string());
        return match question.protocol {
            ServiceProtocol::H2 => http2::get(stream, Scheme::HTTP, target, &host).await,
            ServiceProtocol::Http1 | ServiceProtocol::Auto => get_by_http1(stream, target, &host).await,
        };
    };
    let host = named(&|| called(secure, address.port()));
    let session = control::connect(stream, &secure.context, &secure.host).await;
    let session = session.map_err(|failure| Fault::Tls(failure.to_string()))?;
    if control::agreed(&session) == Some(ApplicationProtocol::Http2) {
        return http2::get(session, Scheme::HTTPS, target, &host).await;
    }
    get_by_http1(session, target, &host).await
}

/// The Host field of a request over TLS: a server that goes by the name in the handshake takes no other (RFC 9110 7.4).
fn called(secure: &Secured, port: u16) -> String {
    match secure.host.parse::<IpAddr>() {
        Ok(address) => SocketAddr::new(address, port).to_string(),
        Err(_) => format!("{}:{port}", secure.host),
    }
}

/// The status of a whole answer of HTTP/1.
async fn get_by_http1(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    target: &str,
    host: &str,
) -> Result<u16, Fault> {
    let request = Request::get(target)
        .header(HOST, host)
        .header(USER_AGENT, USER_AGENT_VALUE)
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(broken)?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEALTH_HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status().as_u16();
        read(response.into_body()).await.map_err(broken)?;
        Ok(status)
    };
    drive(connection, exchange).await
}

/// Waits for `exchange` while its `connection` moves.
pub(super) async fn drive<T>(
    connection: impl Future,
    exchange: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let mut exchange = pin!(exchange);
    tokio::select! {
        outcome = &mut exchange => return outcome,
        // Its error comes out of the exchange as well.
        _ = connection => {}
    }
    exchange.await
}

/// Reads a body to its end, or as much of it as anyone should send.
async fn read(mut body: Incoming) -> hyper::Result<()> {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, Bytes::len);
        if bytes > HEALTH_BODY_BYTES_MAX {
            break;
        }
    }
    Ok(())
}

/// Who asks.
pub(super) const USER_AGENT_VALUE: &str = concat!("sluice/", env!("CARGO_PKG_VERSION"), " (health check)");

pub(super) fn broken(error: impl fmt::Display) -> Fault {
    Fault::Broken(error.to_string())
}
