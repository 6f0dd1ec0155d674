//! Load for a relay, and the backend behind it, in one thread: `load TARGET BACKEND CONNECTIONS SECONDS BODY_BYTES`.
//!
//! Serves BACKEND, sends requests to TARGET over keep-alive connections as fast as answers come, and prints how
//! many answers came in the given time. Both together cost little, so that one core of it saturates a relay.

use std::cell::Cell;
use std::env;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use sluice_io::{Io, Options, Runtime, SocketOptions, TcpStream, bind};

const REQUEST: &[u8] =
    b"GET /index.html HTTP/1.1\r\nhost: example.com\r\nuser-agent: load\r\naccept: */*\r\n\
accept-encoding: gzip\r\nx-a: 1\r\nx-b: 2\r\n\r\n";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [target, backend, connections, seconds, body_bytes] = &arguments[..] else {
        return Err("usage: load TARGET BACKEND CONNECTIONS SECONDS BODY_BYTES".into());
    };
    let (target, backend): (SocketAddr, SocketAddr) = (target.parse()?, backend.parse()?);
    let (connections, seconds): (usize, u64) = (connections.parse()?, seconds.parse()?);
    let body = vec![b'x'; body_bytes.parse()?];
    let head = format!(
        "HTTP/1.1 200 OK\r\nserver: load\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let answer: Rc<[u8]> = [head.as_bytes(), &body].concat().into();
    let runtime = Runtime::new(&Options::default())?;
    let io = runtime.io();
    runtime.block_on(async {
        let mut listener = io.listen(bind(backend, 4096)?, &SocketOptions::default())?;
        let (own, sent) = (io.clone(), Rc::clone(&answer));
        io.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = Rc::clone(&sent);
                own.spawn(async move { drop(serve(stream, &answer).await) });
            }
        });
        let body_length = body.len();
        let answers = Rc::new(Cell::new(0_u64));
        for _ in 0..connections {
            let (own, answers) = (io.clone(), Rc::clone(&answers));
            io.spawn(async move {
                if let Err(error) = call(&own, target, body_length, &answers).await {
                    eprintln!("a connection failed: {error}");
                }
            });
        }
        io.sleep(Duration::from_secs(seconds)).await;
        println!("{}", answers.get());
        Ok(())
    })
}

async fn serve(mut stream: TcpStream, answer: &[u8]) -> io::Result<()> {
    loop {
        let received = stream.fill().await?;
        if received.is_empty() {
            return Ok(());
        }
        if !received.ends_with(b"\r\n\r\n") {
            stream.more().await?;
            continue;
        }
        let count = received.len();
        stream.consume(count);
        stream.write(answer);
        stream.start_flush();
    }
}

async fn call(io: &Io, target: SocketAddr, body: usize, answers: &Cell<u64>) -> io::Result<()> {
    let mut stream = io.connect(target, &SocketOptions::default()).await?;
    loop {
        stream.write(REQUEST);
        stream.start_flush();
        let head = loop {
            if let Some(end) = stream
                .received()
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            {
                break end + 4;
            }
            if stream.more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        stream.consume(head);
        let mut left = body;
        while left > 0 {
            let count = stream.fill().await?.len().min(left);
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            stream.consume(count);
            left -= count;
        }
        answers.set(answers.get() + 1);
    }
}
