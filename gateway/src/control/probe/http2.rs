//! The request of a check to an endpoint that speaks HTTP/2.

use std::future::poll_fn;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use hyper::{Request, http::uri::Scheme};
use sluice_config::defaults::operations::HEALTH_BODY_BYTES_MAX;
use tokio::io::{AsyncRead, AsyncWrite};

use super::check::{Fault, USER_AGENT_VALUE, broken, drive};

/// The status that a GET of `target` on `host` is answered with in whole.
pub(super) async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    scheme: Scheme,
    target: &str,
    host: &str,
) -> Result<u16, Fault> {
    let request = Request::get(format!("{scheme}://{host}{target}"))
        .header("user-agent", USER_AGENT_VALUE)
        .body(())
        .map_err(broken)?;
    let (sender, connection) = client::handshake(stream).await.map_err(broken)?;
    drive(connection, async {
        status(sender, request).await.map_err(broken)
    })
    .await
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
