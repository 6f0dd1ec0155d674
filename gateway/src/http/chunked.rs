//! The chunked transfer coding (RFC 9112 7.1), read byte by byte where it frames and not at all where it is
//! data. Refuses every leniency by which two readers could see different chunks.

use memchr::memchr;

use super::{refusal::BadBody, trailers::Trailers};

/// Where in the coding the input stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Chunked {
    state: State,
    /// Extension bytes of the message.
    extension_bytes: usize,
    pub(super) trailers: Trailers,
}

/// Framing bytes, then data bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) overhead: usize,
    pub(super) data: usize,
    pub(super) end: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size { size: u64, digits: u8 },
    Extension { size: u64, bytes: usize },
    SizeFeed { size: u64 },
    Data { left: u64 },
    DataReturn,
    DataFeed,
    Trailers,
}

impl Default for State {
    fn default() -> Self {
        Self::Size { size: 0, digits: 0 }
    }
}

impl Chunked {
    pub(super) fn begin(&mut self) {
        self.state = State::default();
        self.extension_bytes = 0;
        self.trailers.clear();
    }

    pub(super) fn step(&mut self, input: &[u8]) -> Result<Step, BadBody> {
        let mut at = 0;
        while at < input.len() {
            match self.state {
                State::Data { left } => return Ok(self.data(left, &input[at..], at)),
                State::Trailers => {
                    let (bytes, end) = self.trailers.fill(&input[at..])?;
                    return Ok(Step {
                        overhead: at + bytes,
                        data: 0,
                        end,
                    });
                }
                State::Extension { size, bytes } => at += self.extension(size, bytes, &input[at..])?,
                _ => {
                    self.state = self.frame(input[at])?;
                    at += 1;
                }
            }
        }
        Ok(Step {
            overhead: at,
            data: 0,
            end: false,
        })
    }

    fn data(&mut self, left: u64, input: &[u8], overhead: usize) -> Step {
        let data = left.min(input.len() as u64);
        self.state = match left - data {
            0 => State::DataReturn,
            left => State::Data { left },
        };
        Step {
            overhead,
            data: data as usize,
            end: false,
        }
    }

    /// One byte outside of data, extensions and trailers.
    fn frame(&self, byte: u8) -> Result<State, BadBody> {
        match (self.state, byte) {
            (State::Size { size, digits }, _) => size_byte(size, digits, byte),
            (State::SizeFeed { size: 0 }, b'\n') => Ok(State::Trailers),
            (State::SizeFeed { size }, b'\n') => Ok(State::Data { left: size }),
            (State::DataReturn, b'\r') => Ok(State::DataFeed),
            (State::DataFeed, b'\n') => Ok(State::default()),
            (State::DataReturn | State::DataFeed, _) => Err(BadBody::CHUNK_END),
            // A CR without its LF, of a size or of an extension.
            _ => Err(BadBody::CHUNK_SIZE),
        }
    }

    /// The part of an extension that is there (RFC 9112 7.1.1): ignored, but counted and held to its
    /// characters.
    fn extension(&mut self, size: u64, before: usize, input: &[u8]) -> Result<usize, BadBody> {
        let end = memchr(b'\r', input);
        let part = &input[..end.unwrap_or(input.len())];
        let bytes = before + part.len();
        self.extension_bytes += part.len();
        let good = |byte: &u8| matches!(byte, b'\t' | 0x20..=0x7e | 0x80..);
        if bytes > EXTENSION_BYTES_MAX
            || self.extension_bytes > EXTENSIONS_BYTES_MAX
            || !part.iter().all(good)
        {
            return Err(BadBody::CHUNK_EXTENSION);
        }
        if end.is_some() {
            self.state = State::SizeFeed { size };
            Ok(part.len() + 1)
        } else {
            self.state = State::Extension { size, bytes };
            Ok(part.len())
        }
    }
}

fn size_byte(size: u64, digits: u8, byte: u8) -> Result<State, BadBody> {
    let value = match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        b'A'..=b'F' => byte - b'A' + 10,
        b'\r' if digits > 0 => return Ok(State::SizeFeed { size }),
        b';' if digits > 0 => return Ok(State::Extension { size, bytes: 0 }),
        _ => return Err(BadBody::CHUNK_SIZE),
    };
    if digits == SIZE_DIGITS_MAX {
        return Err(BadBody::CHUNK_SIZE);
    }
    Ok(State::Size {
        size: size << 4 | u64::from(value),
        digits: digits + 1,
    })
}

/// As many as 64 bits hold.
const SIZE_DIGITS_MAX: u8 = 16;
/// One chunk's extension: nobody uses more than a signature (FAULTS: 4 KiB).
const EXTENSION_BYTES_MAX: usize = 4 * 1024;
/// All extensions of a message (CVE-2023-39326; FAULTS: 16 KiB).
const EXTENSIONS_BYTES_MAX: usize = 16 * 1024;
