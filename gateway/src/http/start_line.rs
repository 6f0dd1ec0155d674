//! The request line, judged as soon as its bytes are there, before the fields come. Refuses methods, targets
//! and versions that no later byte could make right.

use super::{RequestLimits, field::is_token, refusal::BadRequest, scan::StartLine};

/// Judges what is there of a request line. A whole one that passes has a method, one target and a known
/// version.
pub(super) fn judge(line: StartLine<'_>, limits: &RequestLimits) -> Result<(), BadRequest> {
    let (StartLine::Part(bytes) | StartLine::Whole(bytes)) = line;
    let begin = &bytes[..bytes.len().min(METHOD_BYTES_MAX + 1)];
    let Some(method_bytes) = begin.iter().position(|byte| *byte == b' ') else {
        return judge_method_part(begin, matches!(line, StartLine::Whole(_)));
    };
    let (method, rest) = (&bytes[..method_bytes], &bytes[method_bytes + 1..]);
    if !is_token(method) {
        return Err(BadRequest::REQUEST_LINE);
    }
    match line {
        StartLine::Part(_) if rest.len() > limits.target_bytes_max + VERSION_BYTES + 2 => {
            Err(BadRequest::TARGET_BYTES)
        }
        StartLine::Part(_) => Ok(()),
        StartLine::Whole(_) => judge_rest(method, rest, limits),
    }
}

fn judge_method_part(begin: &[u8], whole: bool) -> Result<(), BadRequest> {
    // A CR may be there without its LF.
    let token = begin.strip_suffix(b"\r").unwrap_or(begin);
    if !token.is_empty() && !is_token(token) {
        // TLS on a plain port, say: answered at once rather than when the head's time is over.
        Err(BadRequest::REQUEST_LINE)
    } else if token.len() > METHOD_BYTES_MAX {
        Err(BadRequest::METHOD_BYTES)
    } else if whole {
        Err(BadRequest::REQUEST_LINE)
    } else {
        Ok(())
    }
}

fn judge_rest(method: &[u8], rest: &[u8], limits: &RequestLimits) -> Result<(), BadRequest> {
    let target_bytes = rest.iter().rposition(|byte| *byte == b' ');
    if target_bytes.unwrap_or(rest.len()) > limits.target_bytes_max {
        return Err(BadRequest::TARGET_BYTES);
    }
    let Some(target_bytes) = target_bytes else {
        return Err(BadRequest::NO_VERSION);
    };
    let version = &rest[target_bytes + 1..];
    if !version.starts_with(b"HTTP/") {
        return Err(BadRequest::NO_VERSION);
    }
    if method == b"PRI" {
        return Err(BadRequest::HTTP2_PREFACE);
    }
    if !matches!(version, b"HTTP/1.1" | b"HTTP/1.0") {
        return Err(BadRequest::VERSION);
    }
    if method == b"CONNECT" {
        return Err(BadRequest::CONNECT);
    }
    Ok(())
}

/// The longest registered method has 17 letters (FAULTS: above 64 it is 501).
pub(super) const METHOD_BYTES_MAX: usize = 64;
/// ` HTTP/1.1`, its space included.
const VERSION_BYTES: usize = 9;
