//! A chunked body reads the same however it is cut, and what is read can be sent on and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice::http::{BadBody, BodyReader, BodyWriter, Framing};

/// The data of a body, its trailer fields, and how many bytes it took.
type Body = (Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>, usize);

/// Reads `input`, of which `step` bytes come at a time.
fn read(input: &[u8], step: usize) -> Result<Body, BadBody> {
    let mut reader = BodyReader::new(Framing::Chunked);
    let (mut data, mut taken, mut come) = (Vec::new(), 0, 0);
    loop {
        let piece = reader.next(&input[taken..come])?;
        data.extend_from_slice(&input[taken + piece.overhead..taken + piece.bytes()]);
        taken += piece.bytes();
        assert!(taken <= come);
        if piece.end {
            break;
        }
        if piece.bytes() == 0 {
            if come == input.len() {
                reader.end_of_input()?;
                unreachable!("a body in chunks does not end with the input");
            }
            come = input.len().min(come + step);
        }
    }
    assert_eq!(reader.received(), data.len() as u64);
    let trailers = reader.trailers().iter();
    let trailers = trailers
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect();
    Ok((data, trailers, taken))
}

fuzz_target!(|input: &[u8]| {
    let whole = read(input, usize::MAX / 2);
    assert_eq!(whole, read(input, 1));
    assert_eq!(whole, read(input, 7));
    let Ok((data, trailers, taken)) = whole else {
        return;
    };
    let mut reader = BodyReader::new(Framing::Chunked);
    let mut rest = &input[..taken];
    let mut writer = BodyWriter::new(Framing::Chunked);
    let mut out = Vec::new();
    while !reader.is_ended() {
        let piece = reader.next(rest).expect("it was read before");
        let data = &rest[piece.overhead..piece.bytes()];
        writer.write(&mut out, data).expect("chunks take any length");
        rest = &rest[piece.bytes()..];
    }
    writer
        .end(&mut out, reader.trailers())
        .expect("chunks take any length");
    assert_eq!(read(&out, usize::MAX / 2), Ok((data, trailers, out.len())));
});
