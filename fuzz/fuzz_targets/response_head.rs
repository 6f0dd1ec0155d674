//! A response that is accepted reads the same however it is cut; sent on, it is a clean message that means
//! the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice::http::{
    Asked, BadResponse, Connection, Framing, HeadLimits, OutgoingResponse, Progress, ResponseHead, Scan,
    Version, write_interim, write_response_head,
};
use sluice_routing::filter::HeaderEdits;

const LIMITS: HeadLimits = HeadLimits {
    bytes_max: 2048,
    fields_max: 30,
};

/// Room for what the gateway adds.
const SENT_LIMITS: HeadLimits = HeadLimits {
    bytes_max: 16 * 1024,
    fields_max: 60,
};

/// Reads `input`, of which `step` bytes come at a time; `None` if it is no whole head.
fn read(input: &[u8], step: usize, asked: Asked<'_>) -> Option<Result<(ResponseHead, usize), BadResponse>> {
    let mut response = ResponseHead::default();
    let mut scan = Scan::default();
    let mut come = 0;
    while come < input.len() {
        come = input.len().min(come + step);
        match response.parse(&input[..come], &mut scan, &LIMITS, asked) {
            Ok(Progress::Incomplete) => {}
            Ok(Progress::Complete { head_bytes }) => return Some(Ok((response, head_bytes))),
            Err(bad) => return Some(Err(bad)),
        }
    }
    None
}

/// No byte by which another reader could see another message.
fn assert_clean(head: &[u8]) {
    for (at, byte) in head.iter().enumerate() {
        match byte {
            0 => panic!("NUL"),
            b'\r' => assert_eq!(head.get(at + 1), Some(&b'\n')),
            b'\n' => assert_eq!(head.get(at.wrapping_sub(1)), Some(&b'\r')),
            _ => {}
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let asked = Asked {
        head: input.len().is_multiple_of(3),
        upgrade: input.len().is_multiple_of(2).then_some(&b"websocket"[..]),
    };
    let whole = read(input, usize::MAX / 2, asked);
    let bytewise = read(input, 1, asked);
    let Some(Ok((response, head_bytes))) = whole else {
        assert!(
            !matches!(bytewise, Some(Ok(_))),
            "refused at once, accepted byte by byte"
        );
        return;
    };
    let Some(Ok((again, again_bytes))) = bytewise else {
        panic!("accepted at once, refused byte by byte: {bytewise:?}");
    };
    assert_eq!((again_bytes, again.status()), (head_bytes, response.status()));

    let mut out = Vec::new();
    let framing = response.framing().towards(Version::V11);
    if response.is_interim() {
        write_interim(&mut out, &response);
    } else {
        let outgoing = OutgoingResponse {
            client_version: Version::V11,
            edits: &HeaderEdits::default(),
            framing,
            connection: if response.status() == 101 {
                Connection::Upgrade
            } else {
                Connection::KeepAlive
            },
            date: "Mon, 01 Jan 2024 00:00:00 GMT",
        };
        write_response_head(&mut out, &response, &outgoing);
    }
    assert_clean(&out);

    let mut sent = ResponseHead::default();
    let progress = sent.parse(&out, &mut Scan::default(), &SENT_LIMITS, asked);
    assert_eq!(
        progress,
        Ok(Progress::Complete {
            head_bytes: out.len()
        })
    );
    assert_eq!((sent.status(), sent.version()), (response.status(), Version::V11));
    assert_eq!(sent.framing(), framing);
    assert_eq!(sent.upgrade().is_some(), response.status() == 101);
    assert_ne!(sent.framing(), Framing::UntilClose);
});
