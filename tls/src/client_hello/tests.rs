//! Hellos whole and broken, in one piece and in many.

use proptest::prelude::*;

use super::*;

fn vector<const BYTES: usize>(bytes: &[u8]) -> Vec<u8> {
    [&bytes.len().to_be_bytes()[8 - BYTES..], bytes].concat()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().to_vec(), vector::<2>(body)].concat()
}

fn name(kind: u8, name: &[u8]) -> Vec<u8> {
    [vec![kind], vector::<2>(name)].concat()
}

fn sni(names: &[Vec<u8>]) -> Vec<u8> {
    extension(0, &vector::<2>(&names.concat()))
}

/// A hello with these extensions; none leaves their list out.
fn message(extensions: Option<&[Vec<u8>]>) -> Vec<u8> {
    let mut body = [vec![3, 3], vec![7; 32]].concat();
    body.extend(vector::<1>(&[9; 32]));
    body.extend(vector::<2>(&[0x13, 1, 0x13, 2]));
    body.extend(vector::<1>(&[0]));
    if let Some(extensions) = extensions {
        body.extend(vector::<2>(&extensions.concat()));
    }
    [vec![1], vector::<3>(&body)].concat()
}

/// In records of so many bytes each.
fn records(message: &[u8], each: usize) -> Vec<u8> {
    let record = |fragment: &[u8]| [vec![22, 3, 1], vector::<2>(fragment)].concat();
    message.chunks(each).flat_map(record).collect()
}

fn hello(names: &[Vec<u8>]) -> Vec<u8> {
    let grease = extension(0x2a2a, &[]);
    let other = extension(43, &[2, 3, 4]);
    records(&message(Some(&[grease, sni(names), other])), 16_384)
}

fn read(bytes: &[u8]) -> Result<Option<ClientHello>, BadHello> {
    HelloReader::default().read(bytes)
}

/// In steps that end where `ends` say.
fn read_in_steps(
    bytes: &[u8],
    ends: impl IntoIterator<Item = usize>,
) -> Result<Option<ClientHello>, BadHello> {
    let mut reader = HelloReader::default();
    for end in ends {
        match reader.read(&bytes[..end]) {
            Ok(None) => {}
            verdict => return verdict,
        }
    }
    reader.read(bytes)
}

fn named(name: &str) -> Result<Option<ClientHello>, BadHello> {
    Ok(Some(ClientHello {
        server_name: Some(name.into()),
    }))
}

const UNNAMED: Result<Option<ClientHello>, BadHello> = Ok(Some(ClientHello { server_name: None }));

#[test]
fn the_name_is_found_and_lower_case() {
    assert_eq!(
        read(&hello(&[name(0, b"Shop.Example.COM")])),
        named("shop.example.com")
    );
    assert_eq!(
        read(&hello(&[name(0, b"xn--bcher-kva._tcp.x")])),
        named("xn--bcher-kva._tcp.x")
    );
    // A type nobody knows yet has its length in front.
    assert_eq!(read(&hello(&[name(7, b"\0"), name(0, b"a")])), named("a"));
    let behind = [hello(&[name(0, b"a.b")]), b"early data".to_vec()].concat();
    assert_eq!(read(&behind), named("a.b"));
}

#[test]
fn no_name_is_none_and_an_address_is_no_name() {
    assert_eq!(read(&records(&message(None), 16_384)), UNNAMED);
    assert_eq!(read(&records(&message(Some(&[])), 16_384)), UNNAMED);
    assert_eq!(read(&hello(&[name(0, b"192.0.2.1")])), UNNAMED);
    assert_eq!(read(&hello(&[name(0, b"2001:db8::1")])), UNNAMED);
}

#[test]
fn what_is_no_dns_name_is_refused() {
    let long = [b'a'; 64];
    let longer = [b"a.".repeat(126), b"aa".to_vec()].concat();
    let bad: [&[u8]; 12] = [
        b"",
        b".",
        b"a.example.com.",
        b"a..b",
        b".a",
        b"a\0.b",
        b"*.a",
        b"a b",
        b"\xc3\xa4.b",
        b"\xff",
        &long,
        &longer,
    ];
    for bad in bad {
        assert_eq!(read(&hello(&[name(0, bad)])), Err(BadHello::BadName), "{bad:?}");
    }
    assert_eq!(read(&hello(&[])), Err(BadHello::BadName));
    assert_eq!(read(&hello(&[name(7, b"a")])), Err(BadHello::BadName));
    let two = [name(0, b"a"), name(0, b"a")];
    assert_eq!(read(&hello(&two)), Err(BadHello::BadName));
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let of = |extensions: &[Vec<u8>]| read(&records(&message(Some(extensions)), 16_384));
    let malformed = Err(BadHello::Malformed);
    assert_eq!(of(&[sni(&[name(0, b"a")]), sni(&[name(0, b"b")])]), malformed);
    // Within the name, within the list, within the extension, between extensions.
    assert_eq!(of(&[extension(0, &[0, 4, 0, 0, 9, b'a'])]), malformed);
    assert_eq!(of(&[extension(0, &[0, 9, 0, 0, 1, b'a'])]), malformed);
    assert_eq!(of(&[extension(0, &[0, 4, 0, 0, 1, b'a', b'b'])]), malformed);
    assert_eq!(of(&[extension(0, &[0])]), malformed);
    assert_eq!(of(&[vec![0, 43, 0]]), malformed);
    assert_eq!(of(&[vec![0, 43, 0, 1]]), malformed);
    // Behind the extensions; a session id of 33; no suite, half a suite, no compression.
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut whole = message(Some(&[]));
        change(&mut whole);
        let length = u32::try_from(whole.len() - 4).unwrap().to_be_bytes();
        whole[1..4].copy_from_slice(&length[1..]);
        read(&records(&whole, 16_384))
    };
    assert_eq!(with(&|whole| whole.push(0)), malformed);
    assert_eq!(with(&|whole| whole.truncate(whole.len() - 1)), malformed);
    assert_eq!(
        with(&|whole| {
            whole[38] = 33;
            whole.insert(71, 9);
        }),
        malformed
    );
    assert_eq!(
        with(&|whole| {
            whole.splice(71..77, [0, 0]);
        }),
        malformed
    );
    assert_eq!(
        with(&|whole| {
            whole.splice(71..77, [0, 3, 1, 2, 3]);
        }),
        malformed
    );
    assert_eq!(
        with(&|whole| {
            whole.splice(77..79, [0]);
        }),
        malformed
    );
    assert_eq!(with(&|whole| whole.truncate(20)), malformed);
}

#[test]
fn what_is_not_tls_is_told_at_its_first_byte() {
    for bytes in [
        &b"G"[..],
        b"\x16\x02",
        b"\x80\x2e\x01",
        b"\x15\x03\x01\0\x02\x02\x28",
        b"\0",
    ] {
        assert_eq!(read(bytes), Err(BadHello::NotTls), "{bytes:?}");
    }
    let server_hello = records(&[2, 0, 0, 1, 0], 16_384);
    assert_eq!(read(&server_hello), Err(BadHello::NotTls));
    assert_eq!(read(b""), Ok(None));
    // Something else between two fragments.
    let mut split = records(&message(None), 30);
    split[35] = 23;
    assert_eq!(read(&split), Err(BadHello::NotTls));
    assert_eq!(read(&[22, 3, 1, 0, 0]), Err(BadHello::Malformed));
    assert_eq!(read(&[22, 3, 1, 0x40, 1]), Err(BadHello::Malformed));
}

#[test]
fn a_hello_has_a_bound() {
    let padded = |bytes: usize| {
        let padding = extension(21, &vec![0; bytes]);
        message(Some(&[sni(&[name(0, b"a.b")]), padding]))
    };
    let room = TLS_HELLO_BYTES_MAX - RECORD_HEADER - padded(0).len();
    assert_eq!(read(&records(&padded(room), 16_384)), named("a.b"));
    // One more does not fit the first record, and so needs another.
    assert_eq!(read(&records(&padded(room + 1), 16_384)), Err(BadHello::TooLarge));
    // What it says of its length is enough.
    assert_eq!(read(&[22, 3, 1, 0, 4, 1, 1, 0, 0]), Err(BadHello::TooLarge));
    // In fragments of a byte the headers count.
    assert_eq!(read(&records(&padded(1000), 1)), named("a.b"));
    assert_eq!(read(&records(&padded(3000), 1)), Err(BadHello::TooLarge));
}

#[test]
fn each_byte_may_come_alone() {
    let whole = hello(&[name(0, b"shop.example.com")]);
    assert_eq!(read_in_steps(&whole, 0..whole.len()), named("shop.example.com"));
    for each in [1, 2, 3, 50] {
        let split = records(&message(Some(&[sni(&[name(0, b"a.b")])])), each);
        assert_eq!(read_in_steps(&split, 0..split.len()), named("a.b"));
        for end in 0..split.len() {
            assert_eq!(read(&split[..end]), Ok(None), "{end} of {each}");
        }
    }
}

proptest! {
    #[test]
    fn however_it_is_cut_the_verdict_is_the_same(
        host in prop_oneof!["[a-zA-Z0-9.-]{0,80}", Just("10.0.0.1".to_owned()), Just("a.example.com".to_owned())],
        padding in prop_oneof![0_usize..600, 15_000_usize..18_000],
        each in prop_oneof![1_usize..40, Just(16_384_usize)],
        flips in prop::collection::vec((0_usize..20_000, any::<u8>()), 0..3),
        mut ends in prop::collection::vec(0_usize..20_000, 0..20),
    ) {
        let whole = message(Some(&[sni(&[name(0, host.as_bytes())]), extension(21, &vec![0; padding])]));
        let mut bytes = records(&whole, each);
        for (at, bits) in flips {
            let at = at % bytes.len();
            bytes[at] ^= bits;
        }
        ends.iter_mut().for_each(|end| *end %= bytes.len() + 1);
        ends.sort_unstable();
        let at_once = read(&bytes);
        prop_assert_eq!(&read_in_steps(&bytes, ends), &at_once);
        prop_assert_eq!(&read_in_steps(&bytes, 0..bytes.len()), &at_once);
    }

    #[test]
    fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let inside = records(&[&[1, 0, 1][..], &bytes].concat(), 16_384);
        for bytes in [bytes, inside] {
            prop_assert_eq!(read(&bytes), read_in_steps(&bytes, 0..bytes.len()));
        }
    }
}
