//! Version 1, a line of text: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443` (section 2.1).

use std::{
    io::Write as _,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use super::{Addresses, BadHeader, Ends, Header};

pub(super) const SIGNATURE: &[u8] = b"PROXY ";

/// The longest line, with its end: that of a proxy that tells IPv6 addresses beside `UNKNOWN`.
const LINE_BYTES_MAX: usize = 107;

pub(super) fn read(received: &[u8]) -> Result<Option<Header>, BadHeader> {
    let line = &received[..received.len().min(LINE_BYTES_MAX)];
    let Some(end) = line.iter().position(|byte| *byte == b'\n') else {
        return if line.len() < LINE_BYTES_MAX {
            Ok(None)
        } else {
            Err(BadHeader::TooLong)
        };
    };
    let text = line[..end].strip_suffix(b"\r");
    let text = text.ok_or(BadHeader::Malformed("the line does not end with CR and LF"))?;
    let text = str::from_utf8(&text[SIGNATURE.len()..]);
    let told = told(text.map_err(|_| BadHeader::Malformed("the line is not ASCII"))?)?;
    let bytes = end + 1;
    Ok(Some(Header { bytes, told }))
}

/// What stands behind `PROXY`, with one space between two words.
fn told(text: &str) -> Result<Option<Ends>, BadHeader> {
    let (family, rest) = text.split_once(' ').unwrap_or((text, ""));
    match family {
        "TCP4" => ends::<Ipv4Addr>(rest).map(Some),
        "TCP6" => ends::<Ipv6Addr>(rest).map(Some),
        // Whatever else stands there is to be ignored.
        "UNKNOWN" => Ok(None),
        _ => Err(BadHeader::Malformed("the family is not TCP4, TCP6 or UNKNOWN")),
    }
}

fn ends<A: FromStr>(text: &str) -> Result<Ends, BadHeader>
where
    SocketAddr: From<(A, u16)>,
{
    let mut words = text.split(' ');
    let mut address = || words.next()?.parse::<A>().ok();
    let (source, destination) = (address(), address());
    let (source_port, destination_port) = (port(words.next()), port(words.next()));
    match (source, destination, source_port, destination_port, words.next()) {
        (Some(source), Some(destination), Some(source_port), Some(destination_port), None) => Ok(Ends {
            source: (source, source_port).into(),
            destination: (destination, destination_port).into(),
        }),
        _ => Err(BadHeader::Malformed(
            "there are no two addresses of the family and two ports",
        )),
    }
}

/// From 0 to 65535, in digits without a leading zero.
fn port(word: Option<&str>) -> Option<u16> {
    let port: u16 = word?.parse().ok()?;
    // Neither `+1` nor `01`.
    (port.to_string() == word?).then_some(port)
}

pub(super) fn write(told: Option<Ends>, out: &mut Vec<u8>) {
    let Some(ends) = told else {
        return out.extend_from_slice(b"PROXY UNKNOWN\r\n");
    };
    let ports = [ends.source, ends.destination].map(|end| end.port());
    let written = match ends.addresses() {
        Addresses::V4([from, to]) => write!(out, "PROXY TCP4 {from} {to} {} {}\r\n", ports[0], ports[1]),
        Addresses::V6([from, to]) => write!(out, "PROXY TCP6 {from} {to} {} {}\r\n", ports[0], ports[1]),
    };
    written.expect("a Vec takes all that is written");
}
