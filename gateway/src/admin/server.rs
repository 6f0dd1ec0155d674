//! Connections of the admin server.
//!
//! Owns their bounds: number, time, size of a head. Refuses to know any path.

use std::{convert::Infallible, sync::Arc};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use sluice_config::defaults::operations::{
    ADMIN_ACCEPT_PAUSE, ADMIN_CONNECTION_TIME_MAX, ADMIN_CONNECTIONS_MAX, ADMIN_HEAD_BYTES_MAX,
    ADMIN_HEAD_TIMEOUT,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};

use super::page;
use crate::status::{Phase, View};

/// Serves `listener` on the runtime of the caller until another process does.
pub async fn serve(listener: TcpListener, view: View) {
    let mut status = view.status.clone();
    tokio::select! {
        () = accept(listener, view) => {}
        // The loop that tells is gone only with the process.
        _ = status.wait_for(|status| status.phase == Phase::Replaced) => {}
    }
}

async fn accept(listener: TcpListener, view: View) {
    let room = Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve_connection(stream, view.clone(), permit));
            }
            Err(error) => {
                tracing::warn!(%error, "the admin server cannot accept");
                sleep(ADMIN_ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, view: View, _permit: OwnedSemaphorePermit) {
    let service = service_fn(|request| {
        let view = view.clone();
        async move { Ok::<_, Infallible>(page::answer(&request, &view).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ADMIN_HEAD_TIMEOUT)
        .max_buf_size(ADMIN_HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever breaks off or is too slow is of no interest.
    let _ = timeout(ADMIN_CONNECTION_TIME_MAX, connection).await;
}
