//! The authority as a server: HTTPS with TLS 1.3, where a client may show its certificate and need not.
//!
//! Owns its connections and their bounds (number, time, sizes), its own certificate and the renewal of it, and one line of
//! log for each certificate issued and each wish refused. Refuses to decide: that is the registrar's.

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use sluice_config::{
    defaults::{
        TLS_GROUPS,
        operations::{
            CA_ACCEPT_PAUSE, CA_BODY_BYTES_MAX, CA_CONNECTION_TIME_MAX, CA_CONNECTIONS_MAX,
            CA_HEAD_BYTES_MAX, CA_SERVER_RETRY,
        },
    },
    model::{ApplicationProtocol, TlsVersion},
};
use sluice_tls::{
    Clients, Peer, Reason, ServerContext, ServerSettings, control,
    material::{Authorities, File, Identity},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    AuthorityError, Refusal, Registrar,
    message::{PATH, Refused, Wish},
};

/// An authority that is asked over the network.
pub struct Server {
    registrar: Registrar,
    /// What is the time of day.
    clock: fn() -> SystemTime,
    rng: Mutex<fastrand::Rng>,
}

impl Server {
    /// Asks `clock` for the time of day.
    #[must_use]
    pub fn new(registrar: Registrar, clock: fn() -> SystemTime) -> Self {
        Self {
            registrar,
            clock,
            rng: Mutex::new(fastrand::Rng::new()),
        }
    }

    /// Serves `listener` until `end`, and ends what has begun by then.
    ///
    /// # Errors
    /// When it cannot issue a certificate for itself.
    pub async fn run(
        self,
        listener: TcpListener,
        end: impl Future<Output = ()>,
    ) -> Result<(), AuthorityError> {
        let server = Arc::new(self);
        let room = Arc::new(Semaphore::new(CA_CONNECTIONS_MAX));
        let (mut context, mut renew_at) = server.context()?;
        let mut end = pin!(end);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut end => break,
                () = sleep_until(renew_at) => {
                    match server.context() {
                        Ok(renewed) => (context, renew_at) = renewed,
                        Err(error) => {
                            tracing::error!(%error, "the authority cannot renew its own certificate");
                            renew_at += CA_SERVER_RETRY;
                        }
                    }
                    continue;
                }
                accepted = accept(&listener, &room) => accepted,
            };
            match accepted {
                Ok((stream, from, permit)) => {
                    let (server, context) = (Arc::clone(&server), Arc::clone(&context));
                    tokio::spawn(async move {
                        // Whoever is too slow is of no interest.
                        let _ = timeout(CA_CONNECTION_TIME_MAX, server.serve(stream, from, &context)).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the authority cannot accept");
                    sleep(CA_ACCEPT_PAUSE).await;
                }
            }
        }
        let all = u32::try_from(CA_CONNECTIONS_MAX).unwrap_or(u32::MAX);
        // Each ends within the time it has.
        let _ = room.acquire_many(all).await;
        Ok(())
    }

    /// How it ends TLS from now on, and when anew.
    fn context(&self) -> Result<(Arc<ServerContext>, Instant), AuthorityError> {
        let wrong = |error: &dyn std::fmt::Display| AuthorityError::Server(error.to_string());
        let now = (self.clock)();
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        let pair = self.with_rng(|rng| self.registrar.own_pair(now, rng))?;
        let certificate = File {
            name: "the authority's own certificate",
            bytes: pair.certificate.as_bytes(),
        };
        let key = File {
            name: "its key",
            bytes: pair.key.as_bytes(),
        };
        let roots = File {
            name: "the root",
            bytes: self.registrar.roots().as_bytes(),
        };
        let identity = Identity::read(certificate, key, seconds).map_err(|error| wrong(&error))?;
        let left = u64::try_from(identity.not_after() - seconds).unwrap_or_default();
        let authorities = Authorities::read(roots, seconds).map_err(|error| wrong(&error))?;
        let settings = ServerSettings {
            listener: "authority",
            certificates: vec![Arc::new(identity)],
            min_version: TlsVersion::V13,
            groups: &TLS_GROUPS,
            alpn: &[ApplicationProtocol::Http1],
            strict_sni: false,
            clients: Clients::Verified {
                authorities: vec![Arc::new(authorities)],
                revocations: Vec::new(),
                required: false,
            },
        };
        let context = ServerContext::new(settings, None).map_err(|error| wrong(&error))?;
        Ok((
            Arc::new(context),
            Instant::now() + Duration::from_secs(left) * 2 / 3,
        ))
    }

    async fn serve(&self, stream: TcpStream, from: SocketAddr, context: &ServerContext) {
        let (session, peer) = match control::accept(stream, context).await {
            Ok(accepted) => accepted,
            // Probes connect and say nothing.
            Err(failure) if failure.reason == Reason::Closed => return,
            Err(failure) => {
                tracing::warn!(%from, reason = %failure, "refused a connection");
                return;
            }
        };
        let peer = peer.as_ref();
        let service =
            service_fn(|request| async move { Ok::<_, Infallible>(self.answer(request, from, peer).await) });
        let connection = http1::Builder::new()
            .max_buf_size(CA_HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(session), service);
        // Whoever breaks off is of no interest.
        let _ = connection.await;
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        from: SocketAddr,
        peer: Option<&Peer>,
    ) -> Response<Full<Bytes>> {
        let refused = |status: StatusCode, reason: &str| {
            tracing::warn!(%from, status = status.as_u16(), reason, "refused a wish");
            let error = reason.to_owned();
            json(status, &Refused { error })
        };
        if request.uri().path() != PATH {
            return refused(StatusCode::NOT_FOUND, "certificates are at /v1/certificates");
        }
        if request.method() != Method::POST {
            return refused(
                StatusCode::METHOD_NOT_ALLOWED,
                "certificates are asked for by POST",
            );
        }
        let body = Limited::new(request.into_body(), CA_BODY_BYTES_MAX)
            .collect()
            .await;
        let Ok(body) = body else {
            return refused(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is larger than any wish, or broken",
            );
        };
        // What serde says shows none of the values.
        let wish: Wish = match serde_json::from_slice(&body.to_bytes()) {
            Ok(wish) => wish,
            Err(_) => {
                return refused(
                    StatusCode::BAD_REQUEST,
                    "the body is no wish for a certificate in JSON",
                );
            }
        };
        let granted = self.with_rng(|rng| self.registrar.grant(&wish, peer, (self.clock)(), rng));
        match granted {
            Ok((granted, issued, workload, proof)) => {
                let until = jiff::Timestamp::try_from(issued.until).map(|until| until.to_string());
                tracing::info!(
                    spiffe = workload.spiffe,
                    serial = issued.serial,
                    until = until.unwrap_or_default(),
                    by = proof.as_str(),
                    %from,
                    "issued a certificate"
                );
                json(StatusCode::OK, &granted)
            }
            Err(refusal) => {
                if let Refusal::Fault(error) = &refusal {
                    tracing::error!(%error, "a certificate cannot be issued");
                }
                refused(status(&refusal), &refusal.to_string())
            }
        }
    }

    fn with_rng<T>(&self, with: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        with(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await;
    let permit = permit.map_err(io::Error::other)?;
    let (stream, from) = listener.accept().await?;
    Ok((stream, from, permit))
}

const fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
        Refusal::Nobody => StatusCode::UNAUTHORIZED,
        Refusal::Token | Refusal::Certificate(_) => StatusCode::FORBIDDEN,
        Refusal::Fault(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<Full<Bytes>> {
    // Texts alone are JSON whatever they are.
    let text = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
