//! A PROXY header is read the same however it is cut, nothing of what follows it matters, and what it tells can be told on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice::wire::proxy_protocol::{BadHeader, Ends, Header, read, write};
use sluice_config::{defaults::PROXY_HEADER_BYTES_MAX, model::ProxyProtocol};

/// Reads `input`, of which `step` bytes come at a time, up to the verdict.
fn by_steps(input: &[u8], step: usize) -> Option<Result<Header, BadHeader>> {
    let mut come = 0;
    while come < input.len() {
        come = input.len().min(come.saturating_add(step));
        if let Some(verdict) = read(&input[..come]).transpose() {
            return Some(verdict);
        }
    }
    None
}

/// As it is told, whichever way addresses are written.
fn canonical(ends: Ends) -> [(std::net::IpAddr, u16); 2] {
    [ends.source, ends.destination].map(|end| (end.ip().to_canonical(), end.port()))
}

fuzz_target!(|input: &[u8]| {
    let whole = by_steps(input, usize::MAX);
    for step in [1, 2, 7, 512] {
        assert_eq!(by_steps(input, step), whole, "{step} bytes at a time");
    }
    assert!(whole.is_some() || input.len() < PROXY_HEADER_BYTES_MAX);
    let Some(Ok(header)) = whole else {
        return;
    };
    assert!(header.bytes <= input.len().min(PROXY_HEADER_BYTES_MAX));
    assert_eq!(by_steps(&[&input[..header.bytes], b"more"].concat(), usize::MAX), whole);
    for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
        let mut out = Vec::new();
        write(version, header.told, &mut out);
        let again = read(&out).expect("it was written here").expect("whole");
        assert_eq!(again.bytes, out.len());
        assert_eq!(again.told.map(canonical), header.told.map(canonical));
    }
});
