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
        // An empty chunk would end the body.
        if data.is_empty() {
            return Ok(());
        }
        out.reserve(data.len() + CHUNK_OVERHEAD_MAX);
        self.begin_piece(out, data.len())?;
        out.extend_from_slice(data);
        self.end_piece(out);
        Ok(())
    }

    /// Appends what goes before a piece of `length` bytes, which must not be 0; then the piece follows, by whatever
    /// way, and [`Self::end_piece`].
    ///
    /// # Errors
    /// When it is more than was announced; nothing is appended then.
    pub fn begin_piece(&mut self, out: &mut Vec<u8>, length: usize) -> Result<(), WrongLength> {
        match &mut self.framing {
            Framing::None => return Err(WrongLength),
            Framing::Length(left) => *left = left.checked_sub(length as u64).ok_or(WrongLength)?,
            Framing::Chunked => write!(out, "{length:x}\r\n").expect("writing to a Vec cannot fail"),
            Framing::UntilClose => {}
        }
        Ok(())
    }

    /// Appends what goes after a piece.
    pub fn end_piece(&self, out: &mut Vec<u8>) {
        if self.framing == Framing::Chunked {
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Whether pieces go out as they are, with nothing before or after them.
    #[must_use]
    pub const fn is_bare(&self) -> bool {
        matches!(self.framing, Framing::Length(_) | Framing::UntilClose)
    }

    /// Counts a piece that goes out by another way.
    ///
    /// # Errors
    /// When it is more than was announced.
    pub fn pass_unread(&mut self, count: u64) -> Result<(), WrongLength> {
        if let Framing::Length(left) = &mut self.framing {
            *left = left.checked_sub(count).ok_or(WrongLength)?;
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
