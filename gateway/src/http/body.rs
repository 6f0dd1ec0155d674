//! The end of a received body: owns how much of the bytes at hand belongs to the message, and which of it is
//! data. Copies nothing. Refuses to call a body whole that was cut short.

use super::{
    Framing,
    chunked::{Chunked, Step},
    refusal::BadBody,
    trailers::Trailers,
};

/// Reads one body, in pieces as they come.
#[derive(Debug, Clone, Default)]
pub struct BodyReader {
    state: State,
    received: u64,
    chunked: Chunked,
}

/// What the next bytes of the input are: first `overhead` bytes of framing, then `data` bytes of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Piece {
    /// To be skipped.
    pub overhead: usize,
    /// To be forwarded.
    pub data: usize,
    /// The body ends with this piece; what follows belongs to the next message.
    pub end: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Ended,
    Length(u64),
    Chunked,
    UntilClose,
}

impl Piece {
    /// How much of the input it takes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.overhead + self.data
    }
}

impl BodyReader {
    /// Begins a body of this framing.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        let mut reader = Self::default();
        reader.begin(framing);
        reader
    }

    /// Begins another body, keeping the room the last one took.
    pub fn begin(&mut self, framing: Framing) {
        self.received = 0;
        self.chunked.begin();
        self.state = match framing {
            Framing::None | Framing::Length(0) => State::Ended,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked,
            Framing::UntilClose => State::UntilClose,
        };
    }

    /// Reads the next piece of `input`, which begins where the last piece ended. A piece of no bytes that is
    /// not the end asks for more input. May end without taking a byte.
    ///
    /// # Errors
    /// The rule the framing breaks.
    pub fn next(&mut self, input: &[u8]) -> Result<Piece, BadBody> {
        let piece = match self.state {
            State::Ended => Piece {
                end: true,
                ..Piece::default()
            },
            State::Length(left) => {
                let data = left.min(input.len() as u64);
                let left = left - data;
                self.state = if left == 0 {
                    State::Ended
                } else {
                    State::Length(left)
                };
                Piece {
                    overhead: 0,
                    data: data as usize,
                    end: left == 0,
                }
            }
            State::UntilClose => Piece {
                overhead: 0,
                data: input.len(),
                end: false,
            },
            State::Chunked => {
                let Step { overhead, data, end } = self.chunked.step(input)?;
                if end {
                    self.state = State::Ended;
                }
                Piece { overhead, data, end }
            }
        };
        self.received += piece.data as u64;
        Ok(piece)
    }

    /// How many bytes of data follow, and nothing else among them: of a body that is framed by its length.
    #[must_use]
    pub const fn run(&self) -> u64 {
        match self.state {
            State::Length(left) => left,
            State::Ended | State::Chunked | State::UntilClose => 0,
        }
    }

    /// Takes `count` bytes of a [run](Self::run) that nobody read.
    pub fn pass_unread(&mut self, count: u64) {
        if let State::Length(left) = &mut self.state {
            *left -= count;
            self.received += count;
            if *left == 0 {
                self.state = State::Ended;
            }
        }
    }

    /// Takes the end of the connection's input.
    ///
    /// # Errors
    /// [`BadBody::CUT_SHORT`] if the body is not whole.
    pub fn end_of_input(&mut self) -> Result<(), BadBody> {
        match self.state {
            State::Ended => Ok(()),
            State::UntilClose => {
                self.state = State::Ended;
                Ok(())
            }
            State::Length(_) | State::Chunked => Err(BadBody::CUT_SHORT),
        }
    }

    /// Whether the body is whole.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Bytes of data so far.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// The trailer fields that may travel on; complete once the body has ended.
    #[must_use]
    pub const fn trailers(&self) -> &Trailers {
        &self.chunked.trailers
    }
}

#[cfg(test)]
mod tests;
