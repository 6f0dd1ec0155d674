//! Tests of `body`.

use proptest::prelude::*;

use super::*;

/// What is made of `input` that comes in these pieces: the data, the trailers, what was left, or the rule it
/// breaks.
fn read(framing: Framing, pieces: &[&[u8]]) -> Result<(Vec<u8>, usize, Vec<u8>), BadBody> {
    let mut reader = BodyReader::new(framing);
    let (mut held, mut data) = (Vec::new(), Vec::new());
    let mut waiting = pieces.iter();
    loop {
        let piece = reader.next(&held)?;
        data.extend_from_slice(&held[piece.overhead..piece.bytes()]);
        held.drain(..piece.bytes());
        if piece.end {
            assert!(reader.is_ended());
            break;
        }
        if piece.bytes() == 0 {
            let Some(more) = waiting.next() else {
                reader.end_of_input()?;
                break;
            };
            held.extend_from_slice(more);
        }
    }
    assert_eq!(reader.received(), data.len() as u64);
    waiting.for_each(|more| held.extend_from_slice(more));
    Ok((data, reader.trailers().iter().count(), held))
}

fn whole(data: &str, trailers: usize, rest: &str) -> Result<(Vec<u8>, usize, Vec<u8>), BadBody> {
    Ok((data.into(), trailers, rest.into()))
}

#[test]
fn a_body_ends_where_its_framing_says() {
    assert_eq!(read(Framing::None, &[b"GET"]), whole("", 0, "GET"));
    assert_eq!(read(Framing::Length(0), &[b"GET"]), whole("", 0, "GET"));
    assert_eq!(
        read(Framing::Length(3), &[b"ab", b"cGET"]),
        whole("abc", 0, "GET")
    );
    assert_eq!(read(Framing::Length(3), &[b"ab"]), Err(BadBody::CUT_SHORT));
    assert_eq!(read(Framing::UntilClose, &[b"ab", b"c"]), whole("abc", 0, ""));
    assert_eq!(
        read(Framing::Chunked, &[b"3\r\nabc\r\n0\r\n\r\nGET"]),
        whole("abc", 0, "GET")
    );
    assert_eq!(
        read(Framing::Chunked, &[b"00A;x=y\r\n0123456789\r\n0\r\na: b\r\n\r\n"]),
        whole("0123456789", 1, "")
    );
    assert_eq!(
        read(Framing::Chunked, &[b"3\r\nabc\r\n0\r\n"]),
        Err(BadBody::CUT_SHORT)
    );
    assert_eq!(
        read(Framing::Chunked, &[b"3\r\nabc\r\n"]),
        Err(BadBody::CUT_SHORT)
    );
}

#[test]
fn a_reader_begins_again_with_nothing_left_over() {
    let mut reader = BodyReader::new(Framing::Chunked);
    let piece = reader.next(b"0\r\na: b\r\n\r\n").unwrap();
    assert!(piece.end);
    assert!(!reader.trailers().is_empty());
    reader.begin(Framing::Chunked);
    assert!(reader.trailers().is_empty());
    assert_eq!(
        reader.next(b"1\r\nx"),
        Ok(Piece {
            overhead: 3,
            data: 1,
            end: false
        })
    );
}

/// Bodies of which some are right and some break a rule.
fn body() -> impl Strategy<Value = String> {
    let chunk = prop_oneof![
        Just("3\r\nabc\r\n".to_owned()),
        Just("0b;e=\"x\"\r\nhello world\r\n".to_owned()),
        Just("1;\r\n\r\r\n".to_owned()),
        "[0-9a-f]{1,2}(;[a-z]{0,3})?(\r\n|\r|\n)[a-z\r\n]{0,6}",
    ];
    let last = prop_oneof![
        Just("0\r\n\r\nGET / HTTP/1.1\r\n".to_owned()),
        Just("0;l\r\na: b\r\nc:d\r\n\r\n".to_owned()),
        "0\r\n([a-c]: ?[d-f]{0,2}(\r\n|\n|\r)){0,3}(\r\n)?",
    ];
    (prop::collection::vec(chunk, 0..4), last).prop_map(|(chunks, last)| chunks.concat() + &last)
}

proptest! {
    #[test]
    fn every_split_reads_the_same(body in body(), cuts in prop::collection::vec(0..60_usize, 0..6)) {
        let bytes = body.as_bytes();
        let at_once = read(Framing::Chunked, &[bytes]);
        let bytewise: Vec<_> = bytes.chunks(1).collect();
        prop_assert_eq!(&read(Framing::Chunked, &bytewise), &at_once);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.sort_unstable();
        let ends = cuts.iter().copied().chain([bytes.len()]);
        let starts = std::iter::once(0).chain(cuts.iter().copied());
        let pieces: Vec<_> = starts.zip(ends).map(|(start, end)| &bytes[start..end]).collect();
        prop_assert_eq!(&read(Framing::Chunked, &pieces), &at_once);
    }

    #[test]
    fn what_is_written_in_chunks_is_read_back(parts in prop::collection::vec("[a-z]{0,40}", 0..5)) {
        let mut writer = crate::http::BodyWriter::new(Framing::Chunked);
        let mut out = Vec::new();
        for part in &parts {
            writer.write(&mut out, part.as_bytes()).unwrap();
        }
        writer.end(&mut out, &Trailers::default()).unwrap();
        prop_assert_eq!(read(Framing::Chunked, &[&out]), whole(&parts.concat(), 0, ""));
    }
}
