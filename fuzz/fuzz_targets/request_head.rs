//! A request that is accepted reads the same however it is cut; sent on, it is a clean message that means the
//! same.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use libfuzzer_sys::fuzz_target;
use sluice::http::{
    BadRequest, Forwarded, Framing, HeadLimits, OutgoingRequest, Progress, RequestHead, RequestLimits, Scan,
    Scheme, write_request_head,
};
use sluice_config::model::{ForwardCertificate, PathPolicy};
use sluice_routing::filter::HeaderEdits;

const LIMITS: RequestLimits = RequestLimits {
    head: HeadLimits {
        bytes_max: 2048,
        fields_max: 30,
    },
    target_bytes_max: 512,
    path: PathPolicy {
        keep_encoded_slashes: false,
    },
};

/// Room for what the gateway adds, and for paths that normalising makes longer.
const SENT_LIMITS: RequestLimits = RequestLimits {
    head: HeadLimits {
        bytes_max: 16 * 1024,
        fields_max: 60,
    },
    target_bytes_max: 4 * 1024,
    ..LIMITS
};

/// Reads `input`, of which `step` bytes come at a time; `None` if it is no whole head.
fn read(input: &[u8], step: usize) -> Option<Result<(RequestHead, usize), BadRequest>> {
    let mut request = RequestHead::default();
    let mut scan = Scan::default();
    let mut come = 0;
    while come < input.len() {
        come = input.len().min(come + step);
        match request.parse(&input[..come], &mut scan, &LIMITS) {
            Ok(Progress::Incomplete) => {}
            Ok(Progress::Complete { head_bytes }) => return Some(Ok((request, head_bytes))),
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
    let whole = read(input, usize::MAX / 2);
    let bytewise = read(input, 1);
    let Some(Ok((mut request, head_bytes))) = whole else {
        assert!(
            !matches!(bytewise, Some(Ok(_))),
            "refused at once, accepted byte by byte"
        );
        return;
    };
    let Some(Ok((again, again_bytes))) = bytewise else {
        panic!("accepted at once, refused byte by byte: {bytewise:?}");
    };
    assert_eq!((again_bytes, again.target()), (head_bytes, request.target()));

    let peer = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let trusted = if input.len().is_multiple_of(2) {
        vec!["192.0.2.0/24".parse().expect("a net")]
    } else {
        Vec::new()
    };
    let forwarded = Forwarded::read(&mut request, peer, &trusted, Scheme::Http, ForwardCertificate::Append);
    let mut out = Vec::new();
    let outgoing = OutgoingRequest {
        path: request.path(),
        host: if request.host().is_empty() {
            "none"
        } else {
            request.authority()
        },
        edits: &HeaderEdits::default(),
        forwarded: &forwarded,
        certificate: None,
        request_id: request.request_id().unwrap_or(b"id"),
        framing: request.framing(),
        upgrade: request.upgrade().is_some(),
        expect_continue: request.expects_continue(),
    };
    write_request_head(&mut out, &request, &outgoing);
    assert_clean(&out);

    let mut sent = RequestHead::default();
    let progress = sent.parse(&out, &mut Scan::default(), &SENT_LIMITS);
    assert_eq!(
        progress,
        Ok(Progress::Complete {
            head_bytes: out.len()
        })
    );
    assert_eq!(sent.method(), request.method());
    assert_eq!(sent.target(), request.target());
    assert_eq!(sent.authority(), outgoing.host);
    assert_eq!(sent.framing(), request.framing());
    assert_eq!(sent.upgrade(), request.upgrade());
    assert_eq!(sent.expects_continue(), request.expects_continue());
    assert_eq!(sent.request_id(), Some(outgoing.request_id));
    assert_eq!(sent.dropped(), 0);
    assert_ne!(sent.framing(), Framing::UntilClose);
});
