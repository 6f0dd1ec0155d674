//! The lines of a head, found once each: owns where the search for its end stands. Refuses bare LF, folded
//! fields and heads over their limits as soon as the bytes that break the rule are there.

use std::ops::Range;

use memchr::memchr;

use super::{HeadLimits, refusal::HeadFault};

/// Where the search for the end of a head stands, so that a head that comes byte by byte costs each byte
/// once. One belongs to each direction of a connection; it starts afresh after each complete head.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    /// Bytes of the input searched so far.
    searched: usize,
    /// Where the start line begins, after skipped empty lines.
    start: usize,
    /// Where the current line begins.
    line: usize,
    /// Whole lines since `start`.
    lines: usize,
    /// Empty lines skipped before the start line.
    skipped: usize,
    /// Where the start line ends, its CRLF not included; meaningful once `lines` is positive.
    start_line_end: usize,
    /// The start line has been judged.
    pub(super) start_line_judged: bool,
}

/// The part of the start line that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StartLine<'a> {
    /// Its CRLF has not.
    Part(&'a [u8]),
    /// All of it, without CRLF.
    Whole(&'a [u8]),
}

impl Scan {
    /// Searches on in `input`, which begins where it began last time and may have grown. Gives the range of
    /// the head once its empty last line is there.
    pub(super) fn advance(
        &mut self,
        input: &[u8],
        limits: &HeadLimits,
    ) -> Result<Option<Range<usize>>, HeadFault> {
        while let Some(distance) = input.get(self.searched..).and_then(|rest| memchr(b'\n', rest)) {
            let feed = self.searched + distance;
            self.searched = feed + 1;
            if feed == self.line || input[feed - 1] != b'\r' {
                return Err(HeadFault::BareLf);
            }
            let line = &input[self.line..feed - 1];
            if line.is_empty() {
                if self.lines > 0 {
                    return self.end(feed + 1, limits).map(Some);
                }
                self.skip_empty_line(feed + 1)?;
            } else {
                self.end_line(line, feed, limits)?;
            }
        }
        self.searched = input.len();
        if input.len() - self.start > limits.bytes_max {
            return Err(HeadFault::TooLarge);
        }
        Ok(None)
    }

    /// Whether nothing was searched yet.
    pub(super) const fn is_fresh(&self) -> bool {
        self.searched == 0
    }

    /// As much of the start line as has come, without its CRLF.
    pub(super) fn start_line<'a>(&self, input: &'a [u8]) -> StartLine<'a> {
        if self.lines > 0 {
            StartLine::Whole(&input[self.start..self.start_line_end])
        } else {
            StartLine::Part(&input[self.start..])
        }
    }

    /// Takes note that `line` was judged, if nothing of it is still to come.
    pub(super) const fn judged(&mut self, line: StartLine<'_>) {
        self.start_line_judged = matches!(line, StartLine::Whole(_));
    }

    /// The number of fields of a whole head.
    pub(super) const fn fields(&self) -> usize {
        self.lines.saturating_sub(1)
    }

    fn end(&self, end: usize, limits: &HeadLimits) -> Result<Range<usize>, HeadFault> {
        if end - self.start > limits.bytes_max {
            return Err(HeadFault::TooLarge);
        }
        Ok(self.start..end)
    }

    /// RFC 9112 2.2: a server should ignore at least one empty line before the request line.
    fn skip_empty_line(&mut self, next: usize) -> Result<(), HeadFault> {
        self.skipped += 1;
        if self.skipped > EMPTY_LINES_MAX {
            return Err(HeadFault::EmptyLines);
        }
        self.start = next;
        self.line = next;
        Ok(())
    }

    fn end_line(&mut self, line: &[u8], feed: usize, limits: &HeadLimits) -> Result<(), HeadFault> {
        if self.lines == 0 {
            self.start_line_end = feed - 1;
        } else if matches!(line[0], b' ' | b'\t') {
            return Err(HeadFault::FoldedField);
        }
        self.lines += 1;
        self.line = feed + 1;
        if self.fields() > limits.fields_max {
            return Err(HeadFault::TooManyFields);
        }
        Ok(())
    }
}

/// Empty lines forgiven before a request: old clients send one after a body, nobody sends five.
const EMPTY_LINES_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits {
        bytes_max: 64,
        fields_max: 3,
    };

    #[test]
    fn finds_the_end_whatever_the_split() {
        let input = b"\r\nGET / HTTP/1.1\r\na: b\r\n\r\nrest";
        let mut scan = Scan::default();
        for end in 0..26 {
            assert_eq!(scan.advance(&input[..end], &LIMITS), Ok(None), "{end}");
        }
        assert_eq!(scan.advance(input, &LIMITS), Ok(Some(2..26)));
        assert_eq!(scan.fields(), 1);
    }

    #[test]
    fn refuses_what_breaks_a_rule_at_once() {
        let fault = |input: &[u8]| Scan::default().advance(input, &LIMITS);
        assert_eq!(fault(b"GET / HTTP/1.1\n"), Err(HeadFault::BareLf));
        assert_eq!(fault(b"\n"), Err(HeadFault::BareLf));
        assert_eq!(fault(b"G\r\na: b\r\n c"), Ok(None));
        assert_eq!(fault(b"G\r\na: b\r\n c\r\n"), Err(HeadFault::FoldedField));
        assert_eq!(
            fault(b"G\r\na:\r\nb:\r\nc:\r\nd:\r\n"),
            Err(HeadFault::TooManyFields)
        );
        assert_eq!(fault(&[b'x'; 65]), Err(HeadFault::TooLarge));
        assert_eq!(fault(b"\r\n\r\n\r\n\r\n"), Ok(None));
        assert_eq!(fault(b"\r\n\r\n\r\n\r\n\r\n"), Err(HeadFault::EmptyLines));
    }
}
