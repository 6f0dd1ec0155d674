//! Version 2, the binary form (section 2.2): a signature, a command, a family, a length, two addresses, and what proxies
//! add in pieces of type, length and value.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use sluice_config::defaults::PROXY_HEADER_BYTES_MAX;

use super::{Addresses, BadHeader, Ends, Header};

pub(super) const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and transport, and the length of the rest.
const FIXED_BYTES: usize = 16;
/// Version 2: the proxy's own connection.
const LOCAL: u8 = 0x20;
/// Version 2: a connection passed on.
const PROXY: u8 = 0x21;
/// TCP over IPv4, and over IPv6.
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
/// The type of what holds a CRC-32C of the whole header, counted with zeros in its place.
const CRC32C: u8 = 0x03;

pub(super) fn read(received: &[u8]) -> Result<Option<Header>, BadHeader> {
    let Some(&[.., command, family, high, low]) = received.first_chunk::<FIXED_BYTES>() else {
        return Ok(None);
    };
    let bytes = FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if !matches!(command, LOCAL | PROXY) {
        return Err(BadHeader::Malformed("it is neither LOCAL nor PROXY of version 2"));
    }
    if bytes > PROXY_HEADER_BYTES_MAX {
        return Err(BadHeader::TooLong);
    }
    let Some(header) = received.get(..bytes) else {
        return Ok(None);
    };
    // Of its own connection all that a proxy tells is to be discarded.
    let told = if command == PROXY {
        told(family, header)?
    } else {
        None
    };
    Ok(Some(Header { bytes, told }))
}

/// The ends, where they have addresses of a network; what stands behind them is looked at for its checksum.
fn told(family: u8, header: &[u8]) -> Result<Option<Ends>, BadHeader> {
    let (network, transport) = (family >> 4, family & 0xf);
    let block = &header[FIXED_BYTES..];
    let address_bytes = match (network, transport) {
        // Nothing is said of what follows.
        (0, 0..=2) => return Ok(None),
        (1, 0..=2) => 12,
        (2, 0..=2) => 36,
        // Two paths of UNIX sockets.
        (3, 0..=2) => 216,
        _ => return Err(BadHeader::Malformed("the family is none of the specification")),
    };
    if block.len() < address_bytes {
        return Err(BadHeader::Malformed("the addresses are longer than the header"));
    }
    verify(header, FIXED_BYTES + address_bytes)?;
    // Over a transport that is not named there is no port; a datagram's are as a stream's.
    Ok(match network {
        _ if transport == 0 => None,
        1 => ends(block, Ipv4Addr::from_octets),
        2 => ends(block, Ipv6Addr::from_octets),
        _ => None,
    })
}

/// Two addresses, then their two ports.
fn ends<A, const N: usize>(block: &[u8], address: fn([u8; N]) -> A) -> Option<Ends>
where
    SocketAddr: From<(A, u16)>,
{
    let (&source, rest) = block.split_first_chunk::<N>()?;
    let (&destination, rest) = rest.split_first_chunk::<N>()?;
    let (&source_port, rest) = rest.split_first_chunk()?;
    let (&destination_port, _) = rest.split_first_chunk()?;
    Some(Ends {
        source: (address(source), u16::from_be_bytes(source_port)).into(),
        destination: (address(destination), u16::from_be_bytes(destination_port)).into(),
    })
}

/// Goes through what stands at `at` and behind, and verifies the checksum if there is one.
fn verify(header: &[u8], mut at: usize) -> Result<(), BadHeader> {
    let mut checked = false;
    while at < header.len() {
        let Some(&[kind, high, low]) = header[at..].first_chunk() else {
            return Err(BadHeader::Malformed("what follows the addresses is cut short"));
        };
        let value = at + 3;
        at = value + usize::from(u16::from_be_bytes([high, low]));
        let Some(told) = header.get(value..at) else {
            return Err(BadHeader::Malformed("what follows the addresses is cut short"));
        };
        if kind != CRC32C {
            continue;
        }
        if told.len() != 4 || std::mem::replace(&mut checked, true) {
            return Err(BadHeader::Malformed("it has not one checksum of four bytes"));
        }
        let counted = crc32c([&header[..value], &[0; 4], &header[at..]]);
        if told != counted.to_be_bytes() {
            return Err(BadHeader::BadChecksum);
        }
    }
    Ok(())
}

/// The Castagnoli checksum (RFC 9260 appendix A), bit by bit: few headers have one, and those are short.
pub(super) fn crc32c<const N: usize>(parts: [&[u8]; N]) -> u32 {
    let bytes = parts.into_iter().flatten();
    !bytes.fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            let carry = 0x82f6_3b78 & (sum & 1).wrapping_neg();
            (sum >> 1) ^ carry
        })
    })
}

pub(super) fn write(told: Option<Ends>, out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    let Some(ends) = told else {
        return out.extend_from_slice(&[LOCAL, 0, 0, 0]);
    };
    match ends.addresses() {
        Addresses::V4(both) => {
            out.extend_from_slice(&[PROXY, TCP4, 0, 12]);
            out.extend_from_slice(both.map(|end| end.octets()).as_flattened());
        }
        Addresses::V6(both) => {
            out.extend_from_slice(&[PROXY, TCP6, 0, 36]);
            out.extend_from_slice(both.map(|end| end.octets()).as_flattened());
        }
    }
    for end in [ends.source, ends.destination] {
        out.extend_from_slice(&end.port().to_be_bytes());
    }
}
