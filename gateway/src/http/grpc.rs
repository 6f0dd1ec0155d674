//! What of gRPC over HTTP/2 a gateway reads and says itself: whether a request is a call, how long it may take, how it
//! ended.

use std::{fmt::Write as _, time::Duration};

use sluice_config::model::GrpcStatus;

use super::{Known, RequestHead, ResponseHead};

impl RequestHead {
    /// Whether it is a call of gRPC.
    #[must_use]
    pub fn is_grpc(&self) -> bool {
        let value = self
            .fields()
            .has(Known::Content)
            .then(|| self.header("content-type"));
        value.flatten().is_some_and(|value| is_grpc_type(&value))
    }

    /// How long the caller waits: `grpc-timeout`, at most eight digits and a unit.
    #[must_use]
    pub fn grpc_timeout(&self) -> Option<Duration> {
        let value = self.header("grpc-timeout")?;
        let (unit, digits) = value.split_last()?;
        if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let count: u64 = str::from_utf8(digits).ok()?.parse().ok()?;
        Some(match unit {
            b'H' => Duration::from_secs(count * 3600),
            b'M' => Duration::from_secs(count * 60),
            b'S' => Duration::from_secs(count),
            b'm' => Duration::from_millis(count),
            b'u' => Duration::from_micros(count),
            b'n' => Duration::from_nanos(count),
            _ => return None,
        })
    }
}

impl ResponseHead {
    /// How the call ended, where the head says so already: then no message came.
    #[must_use]
    pub fn grpc_status(&self) -> Option<GrpcStatus> {
        grpc_status(&self.header("grpc-status")?)
    }
}

/// What `grpc-status` says.
#[must_use]
pub fn grpc_status(value: &[u8]) -> Option<GrpcStatus> {
    str::from_utf8(value).ok()?.parse().ok().map(GrpcStatus)
}

/// `application/grpc`, perhaps with the encoding of messages; not gRPC-Web.
fn is_grpc_type(value: &[u8]) -> bool {
    const TYPE: &[u8] = b"application/grpc";
    let begins = value
        .get(..TYPE.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(TYPE));
    begins && matches!(value.get(TYPE.len()), None | Some(b'+' | b';' | b' '))
}

/// `text` as `grpc-message` has it: percent-encoded, but for what is printable.
#[must_use]
pub fn grpc_message(text: &str) -> String {
    text.trim_end().bytes().fold(String::new(), |mut message, byte| {
        match byte {
            b' '..=b'~' if byte != b'%' => message.push(char::from(byte)),
            _ => write!(message, "%{byte:02X}").expect("a string takes all that is written"),
        }
        message
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_told_by_its_content_type() {
        for yes in [
            "application/grpc",
            "application/grpc+proto",
            "Application/gRPC; x=y",
        ] {
            assert!(is_grpc_type(yes.as_bytes()), "{yes}");
        }
        for no in [
            "application/grpc-web",
            "application/grpcx",
            "application/json",
            "",
        ] {
            assert!(!is_grpc_type(no.as_bytes()), "{no}");
        }
    }

    #[test]
    fn a_message_is_printable() {
        assert_eq!(grpc_message("a b%\u{e9}\n"), "a b%25%C3%A9");
    }
}
