//! The examples of the specification, what it forbids, and that what is written is read.

use proptest::prelude::*;

use super::{v2::crc32c, *};

fn ends(source: &str, destination: &str) -> Option<Ends> {
    Some(Ends {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    })
}

fn told(header: &[u8]) -> Result<Option<Ends>, BadHeader> {
    let read = read(header)?.expect("a whole header");
    assert_eq!(read.bytes, header.len());
    Ok(read.told)
}

fn malformed(header: &[u8]) -> bool {
    matches!(read(header), Err(BadHeader::Malformed(_)))
}

/// A header of version 2.
fn binary(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [v2::SIGNATURE.as_slice(), &[command, family], &length, block].concat()
}

fn piece(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    [[kind].as_slice(), &length, value].concat()
}

const FOUR: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 9, 0xdc, 0x04, 0x01, 0xbb];

#[test]
fn lines_tell_two_ends() {
    // The longest of each family that the specification lists (section 2.1).
    assert_eq!(
        told(b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
        Ok(ends("255.255.255.255:65535", "255.255.255.255:65535"))
    );
    let highest = "ffff:f...f:ffff ffff:f...f:ffff".replace("f...f", "ffff:ffff:ffff:ffff:ffff:ffff");
    let most = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535";
    assert_eq!(
        told(format!("PROXY TCP6 {highest} 65535 65535\r\n").as_bytes()),
        Ok(ends(most, most))
    );
    let longest = format!("PROXY UNKNOWN {highest} 65535 65535\r\n");
    assert_eq!((longest.len(), told(longest.as_bytes())), (107, Ok(None)));
    assert_eq!(told(b"PROXY UNKNOWN\r\n"), Ok(None));
    assert_eq!(
        told(b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"),
        Ok(ends("192.168.0.1:56324", "192.168.0.11:443"))
    );
    assert_eq!(
        told(b"PROXY TCP6 ::1 ::2 0 1\r\n"),
        Ok(ends("[::1]:0", "[::2]:1"))
    );
    let first = read(b"PROXY TCP6 ::1 ::2 0 1\r\nGET / HTTP/1.1\r\n")
        .unwrap()
        .unwrap();
    assert_eq!(first.bytes, 24);
}

#[test]
fn a_line_keeps_to_its_form() {
    for line in [
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        "PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP6 fe80::1%1 ::1 1 2\r\n",
        "PROXY UNKNOWNS\r\n",
    ] {
        assert!(malformed(line.as_bytes()), "{line:?}");
    }
    assert!(malformed(b"PROXY TCP4 1.2.3.4 1.2.3.4 1 \xff\r\n"));
    let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 92], b"\r\n"].concat();
    assert_eq!(read(&long), Err(BadHeader::TooLong));
    assert_eq!(read(&long[..106]), Ok(None));
}

#[test]
fn the_binary_form_tells_two_ends() {
    let four = ends("192.0.2.1:56324", "198.51.100.9:443");
    assert_eq!(told(&binary(0x21, 0x11, &FOUR)), Ok(four));
    assert_eq!(told(&binary(0x21, 0x12, &FOUR)), Ok(four), "of a datagram");
    let six = [[0x20; 16].as_slice(), &[0xfd; 16], &[0, 1, 0xff, 0xff]].concat();
    assert_eq!(
        told(&binary(0x21, 0x21, &six)),
        Ok(ends(
            "[2020:2020:2020:2020:2020:2020:2020:2020]:1",
            "[fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd]:65535"
        ))
    );
    // What is the proxy's own, or has no address of a network.
    assert_eq!(told(&binary(0x20, 0, &[])), Ok(None));
    assert_eq!(
        told(&binary(0x20, 0xff, &[7; 100])),
        Ok(None),
        "all of it is discarded"
    );
    assert_eq!(told(&binary(0x21, 0, &[7; 100])), Ok(None));
    assert_eq!(told(&binary(0x21, 0x31, &[b'/'; 216])), Ok(None));
    assert_eq!(told(&binary(0x21, 0x10, &FOUR)), Ok(None));
    let first = read(&[binary(0x21, 0x11, &FOUR), b"GET".to_vec()].concat());
    assert_eq!(first.unwrap().unwrap().bytes, 28);
}

#[test]
fn the_binary_form_keeps_to_its_form() {
    for (command, family, block) in [
        (0x22, 0x11, FOUR.as_slice()),
        (0x11, 0x11, &FOUR),
        (0x31, 0x11, &FOUR),
        (0x21, 0x13, &FOUR),
        (0x21, 0x41, &FOUR),
        (0x21, 0x11, &FOUR[..11]),
        (0x21, 0x21, &FOUR),
        (0x21, 0x31, &[0; 215]),
        (0x21, 0x11, &[FOUR.as_slice(), &[4, 0]].concat()),
        (0x21, 0x11, &[FOUR.as_slice(), &[4, 0, 1]].concat()),
        (0x21, 0x11, &[FOUR.as_slice(), &piece(3, &[0; 3])].concat()),
    ] {
        assert!(
            malformed(&binary(command, family, block)),
            "{command:x} {family:x} {block:?}"
        );
    }
    let padding = |bytes: usize| piece(4, &vec![0; bytes - 16 - FOUR.len() - 3]);
    let header = |bytes| binary(0x21, 0x11, &[FOUR.to_vec(), padding(bytes)].concat());
    assert_eq!(read(&header(4097)[..16]), Err(BadHeader::TooLong));
    assert!(told(&header(4096)).unwrap().is_some());
}

#[test]
fn a_checksum_is_that_of_the_header() {
    // RFC 9260 and RFC 3720 B.4: of 32 bytes of zeros.
    assert_eq!(crc32c([&[0; 32]]), 0x8a91_36aa);
    let block = |sum: &[u8], rest: &[u8]| [FOUR.as_slice(), &piece(3, sum), rest].concat();
    let rest = piece(2, b"example.com");
    let zeros = binary(0x21, 0x11, &block(&[0; 4], &rest));
    let sum = crc32c([zeros.as_slice()]).to_be_bytes();
    let good = binary(0x21, 0x11, &block(&sum, &rest));
    assert_eq!(told(&good), Ok(ends("192.0.2.1:56324", "198.51.100.9:443")));
    for at in [19, 27, 31, 34, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert_eq!(read(&bad), Err(BadHeader::BadChecksum), "byte {at}");
    }
    let twice = block(&sum, &piece(3, &sum));
    assert!(read(&binary(0x21, 0x11, &twice)).is_err());
}

#[test]
fn what_begins_otherwise_is_known_at_once() {
    for text in [
        "GET / HTTP/1.1\r\n",
        "proxy",
        "PROXZ",
        "\r\n\r\nG",
        "\x16\x03\x01",
    ] {
        assert_eq!(read(text.as_bytes()), Err(BadHeader::Missing), "{text:?}");
    }
    assert_eq!(read(b""), Ok(None));
}

#[test]
fn ends_of_two_families_are_told_as_one() {
    let line = |source, destination| {
        let mut out = Vec::new();
        write(ProxyProtocol::V1, ends(source, destination), &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        line("[::ffff:192.0.2.1]:1", "192.0.2.2:2"),
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"
    );
    assert_eq!(
        line("[2001:db8::1]:0", "192.0.2.2:2"),
        "PROXY TCP6 2001:db8::1 ::ffff:192.0.2.2 0 2\r\n"
    );
}

fn any_ends() -> impl Strategy<Value = Ends> {
    let four = || any::<(std::net::Ipv4Addr, u16)>().prop_map(SocketAddr::from);
    let six = || any::<(std::net::Ipv6Addr, u16)>().prop_map(SocketAddr::from);
    let pair = prop_oneof![(four(), four()), (six(), six())];
    pair.prop_map(|(source, destination)| Ends { source, destination })
}

proptest! {
    #[test]
    fn what_is_written_is_read(ends in any_ends(), first in any::<bool>(), rest in any::<Vec<u8>>()) {
        let version = if first { ProxyProtocol::V1 } else { ProxyProtocol::V2 };
        for told in [Some(ends), None] {
            let mut out = Vec::new();
            write(version, told, &mut out);
            for cut in 0..out.len() {
                prop_assert_eq!(read(&out[..cut]), Ok(None));
            }
            let bytes = out.len();
            out.extend(&rest);
            let header = read(&out).unwrap().unwrap();
            prop_assert_eq!(header.bytes, bytes);
            // Mapped addresses come back as what they map, where both are.
            let canonical = |ends: Ends| [ends.source, ends.destination].map(|end| (end.ip().to_canonical(), end.port()));
            prop_assert_eq!(header.told.map(canonical), told.map(canonical));
        }
    }

    #[test]
    fn it_is_read_the_same_however_it_comes(mut bytes in any::<Vec<u8>>(), begin in 0..3_usize) {
        let marks: [&[u8]; 3] = [b"", b"PROXY TCP4 ", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0"];
        bytes.splice(0..0, marks[begin].iter().copied());
        let whole = read(&bytes);
        let first = (0..=bytes.len()).map(|cut| read(&bytes[..cut])).find(|read| *read != Ok(None));
        prop_assert_eq!(first.unwrap_or(Ok(None)), whole);
    }
}
