//! Cases of HTTP/2 conformance: what a client sends and what must come of it, each on a connection of its own.
//!
//! Owns the judging, which is as strict as the RFC and no stricter: a stream error may be treated as one of the
//! connection (RFC 9113 5.4), and a connection that ends says why and closes.

use std::thread;

use super::{
    Config, Driver, Gateway, Origin,
    frames::{code, flag, kind},
    origin,
    peer::{Frame, Lost, Peer},
};

/// What a client does, and what must come of it.
pub struct Case {
    name: &'static str,
    steps: Vec<Step>,
    must: Must,
}

enum Step {
    Send(Vec<u8>),
    Await(Event),
}

/// What a case may wait for between what it sends.
#[derive(Debug, Clone, Copy)]
pub enum Event {
    /// The acknowledgement of SETTINGS.
    Acknowledged,
    /// The end of the answer on stream 1.
    Answered,
    /// DATA on stream 1.
    Data,
}

/// What must come; streams are stream 1.
#[derive(Debug, Clone, Copy)]
pub enum Must {
    /// A whole answer of 200.
    Answer,
    /// The acknowledgement of [`PING`].
    Pong,
    /// The same, or the end of the connection.
    PongOrEnd,
    /// The acknowledgement of SETTINGS.
    Acknowledge,
    /// A first DATA frame with so many bytes.
    Data(usize),
    /// A stream error with one of these codes, and the connection goes on; or a connection error with one of them.
    Reset(&'static [u32]),
    /// A stream error of the stream named, and none of the connection.
    ResetOnly(u32),
    /// GOAWAY with one of these codes, and the end of the connection.
    End(&'static [u32]),
    /// The end of the connection, with or without GOAWAY; none but an error's.
    Close,
}

// Codes of errors that the library under the gateway calls PROTOCOL_ERROR: it says so of every frame and block that it
// cannot read. The connection ends either way, and no client acts on which of the two it was.

/// A frame of a wrong length (4.2).
pub const BAD_LENGTH: &[u32] = &[code::FRAME_SIZE_ERROR, code::PROTOCOL_ERROR];
/// A block that cannot be decoded (4.3).
pub const BAD_BLOCK: &[u32] = &[code::COMPRESSION_ERROR, code::PROTOCOL_ERROR];
/// A window above the largest (6.5.2).
pub const BAD_WINDOW: &[u32] = &[code::FLOW_CONTROL_ERROR, code::PROTOCOL_ERROR];
/// A frame behind the end of its stream (5.1).
pub const LATE: &[u32] = &[code::STREAM_CLOSED, code::PROTOCOL_ERROR];

/// What [`Must::Pong`] is the answer to.
pub const PING: [u8; 8] = *b"conform!";

/// A case that sends `bytes` after the exchange of SETTINGS.
pub fn case(name: &'static str, bytes: impl Into<Vec<u8>>, must: Must) -> Case {
    Case {
        name,
        steps: vec![Step::Send(bytes.into())],
        must,
    }
}

impl Case {
    /// Waits for `event` and goes on with `bytes`.
    pub fn after(mut self, event: Event, bytes: impl Into<Vec<u8>>) -> Self {
        self.steps.extend([Step::Await(event), Step::Send(bytes.into())]);
        self
    }

    fn run(&self, gateway: &Gateway) -> Result<(), String> {
        let mut peer = Peer::connect(gateway.address());
        for step in &self.steps {
            match step {
                Step::Send(bytes) => drop(peer.send(bytes)),
                Step::Await(event) => event.wait(&mut peer)?,
            }
        }
        self.must.judge(&mut peer)
    }
}

impl Event {
    fn wait(self, peer: &mut Peer) -> Result<(), String> {
        let is_so = |frame: &Frame| match self {
            Self::Acknowledged => frame.kind == kind::SETTINGS && frame.flags == flag::ACK,
            Self::Answered => frame.stream == 1 && frame.ends_stream(),
            Self::Data => frame.stream == 1 && frame.kind == kind::DATA,
        };
        let came = peer.wait(is_so);
        came.map(drop).map_err(|lost| format!("{lost:?} before {self:?}"))
    }
}

impl Must {
    /// Reads until the outcome is clear; what came instead, when it is another.
    pub fn judge(self, peer: &mut Peer) -> Result<(), String> {
        match self {
            Self::Answer => match peer.answer(1) {
                Ok(answer) if answer.status == 200 => Ok(()),
                other => Err(format!("{other:?}")),
            },
            Self::Pong => until(peer, is_pong),
            Self::PongOrEnd => match peer.wait(is_pong) {
                Ok(_) | Err(Lost::Closed) => Ok(()),
                Err(lost) => Err(format!("{lost:?}")),
            },
            Self::Acknowledge => until(peer, |frame| {
                frame.kind == kind::SETTINGS && frame.flags == flag::ACK
            }),
            Self::Data(length) => match peer.wait(|frame| frame.kind == kind::DATA) {
                Ok(frame) if frame.payload.len() == length => Ok(()),
                other => Err(format!("{other:?}")),
            },
            Self::Reset(codes) => reset(peer, 1, codes, true),
            Self::ResetOnly(code) => reset(peer, 1, &[code], false),
            Self::End(codes) => match peer.end() {
                Ok(Some(code)) if codes.contains(&code) => Ok(()),
                other => Err(format!("the end: {other:?}")),
            },
            Self::Close => match peer.end() {
                Ok(None) => Ok(()),
                Ok(Some(code)) if code != code::NO_ERROR => Ok(()),
                other => Err(format!("the end: {other:?}")),
            },
        }
    }
}

fn until(peer: &mut Peer, is_so: impl Fn(&Frame) -> bool) -> Result<(), String> {
    peer.wait(is_so).map(drop).map_err(|lost| format!("{lost:?}"))
}

fn is_pong(frame: &Frame) -> bool {
    frame.kind == kind::PING && frame.flags == flag::ACK && frame.payload == PING
}

fn reset(peer: &mut Peer, stream: u32, codes: &[u32], may_end: bool) -> Result<(), String> {
    loop {
        let frame = peer.frame().map_err(|lost| format!("{lost:?}, no reset"))?;
        match frame.kind {
            kind::RST_STREAM if frame.stream == stream => {
                let code = frame.code();
                return match (codes.contains(&code), peer.is_alive()) {
                    (true, true) => Ok(()),
                    (true, false) => Err(format!("reset with {code}, and the connection was lost too")),
                    (false, _) => Err(format!("reset with {code}")),
                };
            }
            kind::GOAWAY if may_end && codes.contains(&frame.code()) => {
                let end = peer.end();
                return end
                    .map(drop)
                    .map_err(|lost| format!("GOAWAY and no close: {lost:?}"));
            }
            kind::GOAWAY => return Err(format!("GOAWAY with {}", frame.code())),
            _ if frame.stream == stream && frame.ends_stream() => {
                return Err(format!("answered, no reset: {:?}", frame.fields));
            }
            _ => {}
        }
    }
}

/// Answers everything with an echo but `/held`, which it never answers.
pub fn holding() -> Origin {
    Origin::serving(|mut connection| {
        while let Some(request) = connection.request() {
            if request.target() == "/held" {
                connection.wait_close();
                return;
            }
            connection.send(origin::echo("v1", &request));
        }
    })
}

/// Runs all of `cases` at once against one gateway; fails with every one that came out otherwise.
pub fn run(driver: Driver, cases: &[Case]) {
    let origin = holding();
    let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
    let run_one = |case: &Case| {
        let outcome = case.run(&gateway);
        outcome
            .err()
            .map(|came| format!("{}: expected {:?}, came {came}", case.name, case.must))
    };
    let failures: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = cases
            .iter()
            .map(|case| scope.spawn(move || run_one(case)))
            .collect();
        let outcomes = threads
            .into_iter()
            .map(|thread| thread.join().expect("a verdict"));
        outcomes.flatten().collect()
    });
    assert!(
        failures.is_empty(),
        "{} of {} cases:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
    assert_eq!(gateway.get("h", "/after").status, 200, "others are served");
    assert!(origin.seen().unclean.is_empty(), "{:?}", origin.seen().unclean);
}
