//! Tests of `body_writer`.

use super::*;
use crate::http::BodyReader;

fn written(framing: Framing, parts: &[&str], trailers: &Trailers) -> Result<String, WrongLength> {
    let mut writer = BodyWriter::new(framing);
    let mut out = Vec::new();
    for part in parts {
        writer.write(&mut out, part.as_bytes())?;
    }
    writer.end(&mut out, trailers)?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn each_framing_has_its_form() {
    let none = Trailers::default();
    assert_eq!(written(Framing::None, &[], &none).as_deref(), Ok(""));
    assert_eq!(
        written(Framing::Length(3), &["ab", "", "c"], &none).as_deref(),
        Ok("abc")
    );
    assert_eq!(
        written(Framing::UntilClose, &["ab", "c"], &none).as_deref(),
        Ok("abc")
    );
    let long = "x".repeat(26);
    assert_eq!(
        written(Framing::Chunked, &["abc", "", &long], &none),
        Ok(format!("3\r\nabc\r\n1a\r\n{long}\r\n0\r\n\r\n"))
    );
}

#[test]
fn a_body_of_another_length_is_never_ended() {
    let none = Trailers::default();
    assert_eq!(written(Framing::Length(3), &["ab"], &none), Err(WrongLength));
    assert_eq!(
        written(Framing::Length(3), &["ab", "cd"], &none),
        Err(WrongLength)
    );
    assert_eq!(written(Framing::None, &["a"], &none), Err(WrongLength));
}

#[test]
fn trailers_go_with_chunks_alone() {
    let mut reader = BodyReader::new(Framing::Chunked);
    assert!(reader.next(b"0\r\nA:  b \r\nHost: x\r\n\r\n").unwrap().end);
    let trailers = reader.trailers();
    assert_eq!(
        written(Framing::Chunked, &["a"], trailers).as_deref(),
        Ok("1\r\na\r\n0\r\nA: b\r\n\r\n")
    );
    assert_eq!(written(Framing::Length(1), &["a"], trailers).as_deref(), Ok("a"));
}
