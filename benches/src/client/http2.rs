//! An HTTP/2 client in clear text: one request on each of its connections, which are kept until it is dropped.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use http::{HeaderMap, Request, Response};
use tokio::{
    net::TcpStream,
    runtime::{self, Runtime},
    task::{LocalSet, spawn_local},
    time::timeout,
};

use super::TIMEOUT;
use crate::error::{BenchError, while_doing};

/// Connections to peers.
pub(crate) struct Http2Clients {
    /// Drops its connections before the runtime they are registered with.
    tasks: LocalSet,
    runtime: Runtime,
    kept: Vec<SendRequest<Bytes>>,
}

/// What came for a request.
pub(crate) struct Answer {
    /// With its body.
    pub(crate) response: Response<Vec<u8>>,
    pub(crate) trailers: HeaderMap,
}

impl Http2Clients {
    pub(crate) fn new() -> Result<Self, BenchError> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self {
            tasks: LocalSet::new(),
            runtime: runtime.map_err(while_doing("starting clients"))?,
            kept: Vec::new(),
        })
    }

    /// Sends a request with its body over a connection of its own and waits for the whole answer.
    pub(crate) fn ask(&mut self, address: SocketAddr, request: Request<Bytes>) -> Result<Answer, BenchError> {
        let asked = async { timeout(TIMEOUT, ask(address, request)).await };
        let asked = self.tasks.block_on(&self.runtime, asked);
        let late = |_| BenchError::WrongAnswers(format!("none from {address} in time"));
        let (answer, kept) = asked.map_err(late)??;
        self.kept.push(kept);
        Ok(answer)
    }
}

async fn ask(
    address: SocketAddr,
    request: Request<Bytes>,
) -> Result<(Answer, SendRequest<Bytes>), BenchError> {
    let doing = format!("connecting to {address}");
    let stream = TcpStream::connect(address).await.map_err(while_doing(&doing))?;
    stream.set_nodelay(true).map_err(while_doing(&doing))?;
    let broken = |error: h2::Error| BenchError::WrongAnswers(format!("HTTP/2 with {address}: {error}"));
    let (sender, connection) = client::handshake(stream).await.map_err(broken)?;
    // It ends with the tasks; what goes wrong before, the stream tells.
    spawn_local(connection);
    let mut sender = sender.ready().await.map_err(broken)?;
    let (head, body) = request.into_parts();
    let request = Request::from_parts(head, ());
    let (response, mut sent) = sender.send_request(request, body.is_empty()).map_err(broken)?;
    if !body.is_empty() {
        sent.send_data(body, true).map_err(broken)?;
    }
    let (head, mut body) = response.await.map_err(broken)?.into_parts();
    let mut received = Vec::new();
    while let Some(piece) = body.data().await.transpose().map_err(broken)? {
        received.extend_from_slice(&piece);
    }
    let trailers = body.trailers().await.map_err(broken)?.unwrap_or_default();
    let response = Response::from_parts(head, received);
    Ok((Answer { response, trailers }, sender))
}
