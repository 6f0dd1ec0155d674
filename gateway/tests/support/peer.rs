//! An HTTP/2 client that sends the bytes it is given and reads frame by frame.
//!
//! Refuses to correct what a test wants to send. Grants windows only as told, acknowledges only the gateway's first
//! SETTINGS, and follows a header block over its CONTINUATION frames.

use std::net::{SocketAddr, TcpStream};

use super::{
    GUARD,
    frames::{self, code, flag, kind, setting},
    hpack::{Decoder, Field},
    message::{Broken, Wire, values},
};

/// One connection to the gateway.
#[derive(Debug)]
pub struct Peer {
    wire: Wire,
    decoder: Decoder,
    /// What the gateway said in its first SETTINGS.
    settings: Vec<(u16, u32)>,
}

/// A frame as it came.
#[derive(Debug, Clone)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
    /// Of HEADERS: what its block says, CONTINUATION frames included.
    pub fields: Vec<Field>,
}

/// A whole answer.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub fields: Vec<Field>,
    pub body: Vec<u8>,
    pub trailers: Vec<Field>,
}

/// Why an answer did not come whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// RST_STREAM with this code.
    Reset(u32),
    /// GOAWAY with this code, which is an error.
    Ended(u32),
    /// The end of the connection without a word.
    Closed,
    /// Nothing more came within the guard.
    Silent,
}

impl Peer {
    /// Connects, exchanges SETTINGS and their acknowledgements.
    pub fn connect(address: SocketAddr) -> Self {
        Self::connect_with(address, &[])
    }

    /// As [`Peer::connect`] with settings of the client's.
    pub fn connect_with(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut peer = Self::silent(address);
        peer.shake(settings);
        peer
    }

    /// Connects without a word.
    pub fn silent(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect_timeout(&address, GUARD).expect("the gateway takes connections"))
    }

    /// Over a socket made by the test, without a word.
    pub fn over(stream: TcpStream) -> Self {
        Self {
            wire: Wire::new(stream, None),
            decoder: Decoder::new(),
            settings: Vec::new(),
        }
    }

    /// Says the preface and `settings`, and waits until both sides have acknowledged.
    pub fn shake(&mut self, settings: &[(u16, u32)]) {
        self.send([frames::PREFACE, &frames::settings(settings)].concat());
        let first = self.frame().expect("SETTINGS");
        assert_eq!(
            (first.kind, first.flags),
            (kind::SETTINGS, flag::NONE),
            "{first:?}"
        );
        self.settings = first.settings();
        self.send(frames::frame(kind::SETTINGS, flag::ACK, 0, []));
        self.wait(|frame| frame.kind == kind::SETTINGS && frame.flags == flag::ACK)
            .expect("an acknowledgement");
    }

    /// What the gateway's first SETTINGS said.
    pub fn setting(&self, id: u16) -> Option<u32> {
        self.settings
            .iter()
            .rev()
            .find(|(other, _)| *other == id)
            .map(|(_, value)| *value)
    }

    /// How many streams the gateway takes at once.
    pub fn streams_max(&self) -> u32 {
        self.setting(setting::MAX_CONCURRENT_STREAMS)
            .expect("a bound on streams")
    }

    pub fn stream(&self) -> &TcpStream {
        self.wire.stream()
    }

    /// Sends `bytes` to a gateway that may have ended the connection: true when all were taken.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.send(bytes.as_ref()).is_ok()
    }

    /// The next frame, HEADERS with all of its block.
    pub fn frame(&mut self) -> Result<Frame, Lost> {
        let mut frame = self.bare_frame()?;
        if frame.kind == kind::HEADERS {
            let mut block = frame.payload.clone();
            let mut flags = frame.flags;
            while flags & flag::END_HEADERS == 0 {
                let next = self.bare_frame()?;
                assert_eq!(
                    (next.kind, next.stream),
                    (kind::CONTINUATION, frame.stream),
                    "{next:?}"
                );
                block.extend(next.payload);
                flags = next.flags;
            }
            assert_eq!(frame.flags & (flag::PADDED | flag::PRIORITY), 0, "{frame:?}");
            frame.fields = self.decoder.block(&block);
        }
        Ok(frame)
    }

    fn bare_frame(&mut self) -> Result<Frame, Lost> {
        let head = self.take(9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        Ok(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload: self.take(usize::try_from(length).expect("a length"))?,
            fields: Vec::new(),
        })
    }

    fn take(&mut self, count: usize) -> Result<Vec<u8>, Lost> {
        self.wire.take(count).map_err(|broken| match broken {
            Broken::Silent => Lost::Silent,
            _ => Lost::Closed,
        })
    }

    /// The next frame that is as wanted; those before it are dropped.
    pub fn wait(&mut self, is_so: impl Fn(&Frame) -> bool) -> Result<Frame, Lost> {
        loop {
            let frame = self.frame()?;
            if is_so(&frame) {
                return Ok(frame);
            }
        }
    }

    /// Reads to the end of the connection: the code of the GOAWAY that came, if one did.
    pub fn end(&mut self) -> Result<Option<u32>, Lost> {
        let mut code = None;
        loop {
            match self.frame() {
                Ok(frame) if frame.kind == kind::GOAWAY => code = Some(frame.code()),
                Ok(_) => {}
                Err(Lost::Closed) => return Ok(code),
                Err(lost) => return Err(lost),
            }
        }
    }

    /// Asks whether the connection lives.
    pub fn is_alive(&mut self) -> bool {
        const MARK: [u8; 8] = *b"alive???";
        self.send(frames::ping(MARK));
        self.wait(|frame| frame.kind == kind::PING && frame.payload == MARK)
            .is_ok()
    }

    /// The answer on `stream`; what comes for others is dropped.
    pub fn answer(&mut self, stream: u32) -> Result<Answer, Lost> {
        let mut answer = Answer::default();
        loop {
            let frame = self.frame()?;
            match frame.kind {
                kind::GOAWAY if frame.code() != code::NO_ERROR => return Err(Lost::Ended(frame.code())),
                _ if frame.stream != stream => continue,
                kind::RST_STREAM => return Err(Lost::Reset(frame.code())),
                kind::HEADERS if frame.status().is_some_and(|status| status < 200) => {}
                kind::HEADERS if answer.status == 0 => {
                    answer.status = frame.status().expect("a status");
                    answer.fields.clone_from(&frame.fields);
                }
                kind::HEADERS => answer.trailers.clone_from(&frame.fields),
                kind::DATA => answer.body.extend(&frame.payload),
                _ => {}
            }
            if frame.ends_stream() {
                return Ok(answer);
            }
        }
    }

    /// Asks for `path` and gives the answer.
    pub fn get(&mut self, stream: u32, path: &str) -> Result<Answer, Lost> {
        self.send(frames::get(stream, path));
        self.answer(stream)
    }
}

impl Frame {
    /// Of RST_STREAM and GOAWAY.
    pub fn code(&self) -> u32 {
        let at = if self.kind == kind::GOAWAY { 4 } else { 0 };
        let bytes = self.payload.get(at..at + 4).expect("a code");
        u32::from_be_bytes(bytes.try_into().expect("four bytes"))
    }

    /// Of HEADERS that begin an answer.
    pub fn status(&self) -> Option<u16> {
        values(&self.fields, ":status").first()?.parse().ok()
    }

    /// True of the last frame of an answer.
    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, kind::DATA | kind::HEADERS) && self.flags & flag::END_STREAM > 0
    }

    /// Of SETTINGS.
    pub fn settings(&self) -> Vec<(u16, u32)> {
        let value = |bytes: &[u8]| {
            let id = u16::from_be_bytes([bytes[0], bytes[1]]);
            (id, u32::from_be_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]))
        };
        self.payload.chunks_exact(6).map(value).collect()
    }
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Every value of a field.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        values(&self.fields, name)
    }
}
