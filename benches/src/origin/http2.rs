//! HTTP/2 in clear text: a GET has as many bytes as its target asks for, a POST is a gRPC call and has its message back.

use std::io;

use bytes::{Bytes, BytesMut};
use h2::{
    RecvStream,
    server::{self, SendResponse},
};
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use tokio::{net::TcpStream, task::spawn_local};

use super::asked_for;

/// Answers on a connection until its client ends it.
pub(super) async fn answer(stream: TcpStream) -> io::Result<()> {
    let mut connection = server::handshake(stream).await.map_err(io::Error::other)?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted.map_err(io::Error::other)?;
        if request.body().is_end_stream() {
            // A stream that its client gave up is the client's business.
            _ = send(&request, respond);
        } else {
            // Its body comes while the connection is read.
            spawn_local(async move {
                _ = echo(request, respond).await;
            });
        }
    }
    Ok(())
}

fn send(request: &Request<RecvStream>, mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let target = request
        .uri()
        .path_and_query()
        .map_or("", |target| target.as_str());
    let Some(bytes) = asked_for(target).and_then(|bytes| BODY.get(..bytes)) else {
        let mut refusal = Response::new(());
        *refusal.status_mut() = http::StatusCode::NOT_IMPLEMENTED;
        return respond.send_response(refusal, true).map(|_| ());
    };
    let mut response = Response::new(());
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    fields.insert(http::header::CONTENT_LENGTH, bytes.len().into());
    let mut body = respond.send_response(response, false)?;
    body.send_data(Bytes::from_static(bytes), true)
}

/// The message of a call as the answer to it, and that all went well behind it.
async fn echo(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let mut body = request.into_body();
    let mut message = BytesMut::new();
    while let Some(piece) = body.data().await.transpose()? {
        body.flow_control().release_capacity(piece.len())?;
        message.extend_from_slice(&piece);
    }
    let mut response = Response::new(());
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let mut answer = respond.send_response(response, false)?;
    answer.send_data(message.freeze(), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    answer.send_trailers(trailers)
}

/// The longest body that there is a scenario for.
const BODY: &[u8] = &[b'x'; 1 << 20];
