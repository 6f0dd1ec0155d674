//! The body as it is sent on, in the framing the receiver was told. Refuses to send more than was announced,
//! and to call a body whole of which less was sent.

use std::io::Write;

use thiserror::Error;

use super::{Framing, trailers::Trailers};

/// Writes one body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BodyWriter {
    /// With the bytes still to come, if the length is known.
    framing: Framing,
}

/// The body is not as long as its head said: the message must be cut, not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the body is not as long as was announced")]
pub struct WrongLength;

impl BodyWriter {
    /// Begins a body of the framing that the head announced.
    #[must_use]
    pub const fn new(framing: Framing) -> Self {
        Self { framing }
    }

    /// Appends `data` to `out`, framed.
    ///
    /// # Errors
    /// When it is more than was announced; nothing is appended then.
    pub fn write(&mut self, out: &mut Vec<u8>, data: &[u8]) -> Result<(), WrongLength> {
        match &mut self.framing {
            // An empty chunk would end the body.
            _ if data.is_empty() => {}
            Framing::None => return Err(WrongLength),
            Framing::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(WrongLength)?;
                out.extend_from_slice(data);
            }
            Framing::Chunked => {
                out.reserve(data.len() + CHUNK_OVERHEAD_MAX);
                write!(out, "{:x}\r\n", data.len()).expect("writing to a Vec cannot fail");
                out.extend_from_slice(data);
                out.extend_from_slice(b"\r\n");
            }
            Framing::UntilClose => out.extend_from_slice(data),
        }
        Ok(())
    }

    /// Ends the body; `trailers` go along if it is chunked, and are left out otherwise (RFC 9110 6.5.1).
    ///
    /// # Errors
    /// When less was written than announced.
    pub fn end(&mut self, out: &mut Vec<u8>, trailers: &Trailers) -> Result<(), WrongLength> {
        match self.framing {
            Framing::Length(left) if left > 0 => return Err(WrongLength),
            Framing::None | Framing::Length(_) | Framing::UntilClose => {}
            Framing::Chunked => {
                out.extend_from_slice(b"0\r\n");
                for (name, value) in trailers.iter() {
                    out.extend_from_slice(name);
                    out.extend_from_slice(b": ");
                    out.extend_from_slice(value);
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(b"\r\n");
            }
        }
        self.framing = Framing::None;
        Ok(())
    }
}

/// 16 digits and two line ends.
const CHUNK_OVERHEAD_MAX: usize = 20;

#[cfg(test)]
mod tests;
