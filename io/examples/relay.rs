//! The least HTTP/1.1 keep-alive relay on sluice-io, to measure the floor: no routing, no limits, no errors told.
//!
//! `relay uring|epoll LISTEN UPSTREAM`: each client connection gets an upstream connection of its own. Heads are
//! found, not parsed; one header is added; bodies need a content-length.

use std::env;
use std::error::Error;
use std::io;
use std::net::SocketAddr;

use sluice_io::{DriverChoice, Io, Options, Runtime, SocketOptions, TcpStream, bind};

fn main() -> Result<(), Box<dyn Error>> {
    let [driver, listen, upstream] = env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| USAGE)?;
    let driver = match driver.as_str() {
        "uring" => DriverChoice::Uring,
        "epoll" => DriverChoice::Epoll,
        _ => return Err(USAGE.into()),
    };
    let (listen, upstream): (SocketAddr, SocketAddr) = (listen.parse()?, upstream.parse()?);
    let runtime = Runtime::new(&Options {
        driver,
        ..Options::default()
    })?;
    let io = runtime.io();
    runtime.block_on(async move {
        let mut listener = io.listen(bind(listen, 1024)?, &SocketOptions::default())?;
        loop {
            let (client, _) = listener.accept().await?;
            let own = io.clone();
            io.spawn(async move {
                // An error is the end of the connection, which is all there is to do about it here.
                let _ = serve(&own, client, upstream).await;
            });
        }
    })
}

async fn serve(io: &Io, mut client: TcpStream, upstream: SocketAddr) -> io::Result<()> {
    let mut upstream = io.connect(upstream, &SocketOptions::default()).await?;
    while pass(&mut client, &mut upstream).await? && pass(&mut upstream, &mut client).await? {}
    client.flush().await
}

/// Passes one message on. False at FIN.
async fn pass(from: &mut TcpStream, to: &mut TcpStream) -> io::Result<bool> {
    let head = loop {
        if let Some(end) = from
            .received()
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
        {
            break end + 2;
        }
        if from.more().await? == 0 {
            return Ok(false);
        }
    };
    let mut left = content_length(&from.received()[..head]) + 2;
    to.write(&from.received()[..head]);
    to.write(b"via: relay\r\n");
    from.consume(head);
    while left > 0 {
        let count = from.fill().await?.len().min(left);
        if count == 0 {
            return Ok(false);
        }
        if count > LARGE {
            to.forward(from, count);
        } else {
            to.write(&from.received()[..count]);
            from.consume(count);
        }
        left -= count;
        std::future::poll_fn(|cx| to.poll_drained(cx, QUEUE_BYTES)).await?;
    }
    to.start_flush();
    Ok(true)
}

fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length:";
    let lines = head.split(|byte| *byte == b'\n');
    let mut values = lines.filter_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        name.eq_ignore_ascii_case(NAME).then_some(value)
    });
    values
        .next()
        .and_then(|value| str::from_utf8(value).ok()?.trim().parse().ok())
        .unwrap_or(0)
}

const USAGE: &str = "usage: relay uring|epoll LISTEN UPSTREAM";
/// Bytes from which a body is moved instead of copied.
const LARGE: usize = 1024;
const QUEUE_BYTES: usize = 64 * 1024;
