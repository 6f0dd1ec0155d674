//! A check of an endpoint that speaks HTTP/2.

use std::{future::poll_fn, pin::pin};

use bytes::Bytes;
use h2::client::{self, SendRequest};
use hyper::{Request, http::uri::Scheme};
use sluice_config::{defaults::operations::HEALTH_BODY_BYTES_MAX, model::StatusRange};
use tokio::io::{AsyncRead, AsyncWrite};

use super::check::{Fault, USER_AGENT_VALUE};

/// A GET of `target` on `host`, whose answer is to have one of `statuses`.
pub(super) async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    scheme: Scheme,
    target: &str,
    host: &str,
    statuses: &[StatusRange],
) -> Result<(), Fault> {
    let broken = |error: &dyn std::fmt::Display| Fault::Broken(error.to_string());
    let request = Request::get(format!("{scheme}://{host}{target}"))
        .header("user-agent", USER_AGENT_VALUE)
        .body(())
        .map_err(|error| broken(&error))?;
    let (sender, connection) = client::handshake(stream).await.map_err(|error| broken(&error))?;
    let mut exchange = pin!(async {
        let status = status(sender, request).await.map_err(|error| broken(&error))?;
        if statuses.iter().any(|range| range.contains(status)) {
            Ok(())
        } else {
            Err(Fault::Status(status))
        }
    });
    tokio::select! {
        outcome = &mut exchange => return outcome,
        // Its error comes out of the exchange as well.
        _ = connection => {}
    }
    exchange.await
}

/// The status of a whole answer, or of one as large as anyone should send.
async fn status(sender: SendRequest<Bytes>, request: Request<()>) -> Result<u16, h2::Error> {
    let (response, _) = sender.ready().await?.send_request(request, true)?;
    let (head, mut body) = response.await?.into_parts();
    let mut bytes = 0;
    while let Some(piece) = poll_fn(|cx| body.poll_data(cx)).await {
        let count = piece?.len();
        bytes += count;
        if bytes > HEALTH_BODY_BYTES_MAX {
            break;
        }
        body.flow_control().release_capacity(count)?;
    }
    Ok(head.status.as_u16())
}
