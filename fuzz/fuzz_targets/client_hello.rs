//! A hello is read the same however it is cut, what is taken for its name is one, and nothing of what follows it
//! matters.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_tls::{BadHello, ClientHello, HelloReader};

/// Reads `input`, of which `step` bytes come at a time, up to the verdict.
fn read(input: &[u8], step: usize) -> Option<Result<ClientHello, BadHello>> {
    let mut reader = HelloReader::default();
    let mut come = 0;
    while come < input.len() {
        come = input.len().min(come.saturating_add(step));
        match reader.read(&input[..come]) {
            Ok(None) => {}
            Ok(Some(hello)) => return Some(Ok(hello)),
            Err(bad) => return Some(Err(bad)),
        }
    }
    None
}

fuzz_target!(|input: &[u8]| {
    let whole = read(input, usize::MAX);
    for step in [1, 2, 7, 512] {
        assert_eq!(read(input, step), whole, "{step} bytes at a time");
    }
    if let Some(Ok(hello)) = &whole {
        if let Some(name) = &hello.server_name {
            assert!(!name.is_empty() && name.len() <= 253 && !name.ends_with('.'));
            assert!(
                name.bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
            );
        }
        assert_eq!(read(&[input, b"more"].concat(), usize::MAX), whole);
    }
});
