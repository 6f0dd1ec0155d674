//! The text of a call of gRPC-Web means the same however it is cut, and what the gateway writes as text it reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice::http::{BadBody, GrpcWeb, HeadLimits, RequestHead, RequestLimits, Scan, Trailers};
use sluice_config::model::PathPolicy;

const HEAD: &[u8] = b"POST /a.A/Do HTTP/1.1\r\nhost: h\r\ncontent-type: application/grpc-web-text\r\ncontent-length: 9\r\n\r\n";
const LIMITS: RequestLimits = RequestLimits {
    head: HeadLimits::RESPONSE,
    target_bytes_max: 1024,
    path: PathPolicy {
        keep_encoded_slashes: false,
    },
};

/// A call that comes as text and is answered as text.
fn call() -> GrpcWeb {
    let mut head = RequestHead::default();
    head.parse(HEAD, &mut Scan::default(), &LIMITS)
        .expect("it is good");
    head.take_grpc_web().expect("it is one")
}

/// Reads `input`, of which `step` bytes come at a time.
fn read(call: &mut GrpcWeb, input: &[u8], step: usize) -> Result<Vec<u8>, BadBody> {
    let mut out = Vec::new();
    for piece in input.chunks(step) {
        call.read(piece, &mut out)?;
    }
    call.finish()?;
    Ok(out)
}

fuzz_target!(|input: &[u8]| {
    let whole = read(&mut call(), input, usize::MAX);
    assert_eq!(whole, read(&mut call(), input, 1));
    assert_eq!(whole, read(&mut call(), input, 7));
    let mut written = Vec::new();
    let mut answer = call();
    for piece in input.chunks(5) {
        answer.write(piece, &mut written);
    }
    answer.end(&Trailers::default(), &mut written);
    assert_eq!(read(&mut call(), &written, 3), Ok(input.to_vec()));
});
