//! The yardsticks carry what they are measured with: answers one after another on a connection, bodies both ways
//! however they are cut, and a connection that ends with its answer.
#![allow(clippy::unwrap_used)] // What a test asks of its own helpers it may take for granted.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command},
    thread,
};

const PROGRAMS: [&str; 2] = [
    env!("CARGO_BIN_EXE_yardstick-monoio"),
    env!("CARGO_BIN_EXE_yardstick-tokio-uring"),
];

/// Takes one message off a stream: its head, and as much of a body as the head says.
fn read_message(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// Answers each request with its own head and body as a body.
fn echo(listener: TcpListener) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        thread::spawn(move || {
            while let Some((head, body)) = read_message(&mut stream) {
                let echoed = [head.as_bytes(), &body].concat();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", echoed.len());
                stream.write_all(&[head.as_bytes(), &echoed].concat()).unwrap();
            }
        });
    }
}

/// A yardstick that runs, and is ended with the test.
struct Yardstick {
    child: Child,
    address: SocketAddr,
}

impl Yardstick {
    fn start(program: &str) -> Self {
        let origin = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin_address = origin.local_addr().unwrap();
        thread::spawn(move || echo(origin));
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let words = [address, origin_address].map(|address| address.to_string());
        let child = Command::new(program).args(words).spawn().unwrap();
        Self { child, address }
    }

    fn connect(&mut self) -> TcpStream {
        loop {
            if let Ok(stream) = TcpStream::connect(self.address) {
                return stream;
            }
            assert_eq!(self.child.try_wait().unwrap(), None, "ended");
            thread::yield_now();
        }
    }
}

impl Drop for Yardstick {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn on_both(act: impl Fn(&mut Yardstick)) {
    for program in PROGRAMS {
        act(&mut Yardstick::start(program));
    }
}

#[test]
fn a_connection_carries_one_request_after_another() {
    on_both(|yardstick| {
        let mut client = yardstick.connect();
        for turn in 0..3 {
            let request = format!("GET /{turn} HTTP/1.1\r\nhost: h\r\n\r\n");
            // A head may come in parts.
            let (first, second) = request.split_at(20);
            client.write_all(first.as_bytes()).unwrap();
            client.write_all(second.as_bytes()).unwrap();
            let (head, body) = read_message(&mut client).unwrap();
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
            assert_eq!(body, request.as_bytes());
        }
    });
}

#[test]
fn bodies_larger_than_a_buffer_pass_both_ways() {
    on_both(|yardstick| {
        let mut client = yardstick.connect();
        let body: Vec<u8> = (0..1 << 20).map(|index: u32| index.to_le_bytes()[1]).collect();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        client.write_all(head.as_bytes()).unwrap();
        client.write_all(&body).unwrap();
        let (_, echoed) = read_message(&mut client).unwrap();
        assert!(echoed == [head.as_bytes(), &body].concat());
    });
}

#[test]
fn a_connection_ends_with_its_answer_when_asked_to() {
    on_both(|yardstick| {
        let mut client = yardstick.connect();
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: h\r\nConnection: close\r\n\r\n")
            .unwrap();
        let (head, body) = read_message(&mut client).unwrap();
        assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
        assert_eq!(body, b"GET / HTTP/1.1\r\nhost: h\r\n\r\n");
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn what_it_does_not_know_ends_the_connection() {
    on_both(|yardstick| {
        for request in [
            "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: h\r\n\r\nGET / HTTP/1.1\r\nhost: h\r\n\r\n",
        ] {
            let mut client = yardstick.connect();
            client.write_all(request.as_bytes()).unwrap();
            assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
        }
    });
}
