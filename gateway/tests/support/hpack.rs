//! HPACK (RFC 7541) for tests: requests as plain literals, or as whatever bytes a test wants, and answers decoded.
//!
//! Refuses to be lenient: an index, integer, string or padding that is wrong fails the test.

use std::collections::{HashMap, VecDeque};

/// Name and value of a field.
pub type Field = (String, String);

/// Reads the header blocks of one connection, in their order.
#[derive(Debug)]
pub struct Decoder {
    /// Newest first.
    dynamic: VecDeque<Field>,
    size_max: usize,
    symbols: HashMap<(u8, u32), u8>,
}

/// One literal field without indexing and without Huffman coding: the bytes are sent as they are.
pub fn literal(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    [vec![0], string(name.as_ref()), string(value.as_ref())].concat()
}

/// One literal field that becomes the newest entry of the dynamic table.
pub fn indexed_literal(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    [vec![0x40], string(name.as_ref()), string(value.as_ref())].concat()
}

/// A block of literals.
pub fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|(name, value)| literal(name, value))
        .collect()
}

/// An integer behind the upper bits of `first` (section 5.1).
pub fn integer(first: u8, prefix: u8, value: usize) -> Vec<u8> {
    let max = (1_usize << prefix) - 1;
    if value < max {
        return vec![first | low(value)];
    }
    let (mut bytes, mut rest) = (vec![first | low(max)], value - max);
    while rest >= 128 {
        bytes.push(low(rest % 128) | 128);
        rest /= 128;
    }
    bytes.push(low(rest));
    bytes
}

/// A new size of the dynamic table (section 6.3).
pub fn table_size(size: usize) -> Vec<u8> {
    integer(0x20, 5, size)
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [integer(0, 7, bytes.len()), bytes.to_vec()].concat()
}

fn low(value: usize) -> u8 {
    u8::try_from(value).expect("less than a byte holds")
}

impl Decoder {
    /// For a peer that was told of no other size of the table than the first.
    pub fn new() -> Self {
        Self {
            dynamic: VecDeque::new(),
            size_max: 4096,
            symbols: symbols(),
        }
    }

    /// The fields of one whole block.
    pub fn block(&mut self, mut bytes: &[u8]) -> Vec<Field> {
        let mut fields = Vec::new();
        while let Some(&first) = bytes.first() {
            if first & 0x80 > 0 {
                let index = take_integer(&mut bytes, 7);
                fields.push(self.entry(index));
            } else if first & 0x40 > 0 {
                let field = self.take_literal(&mut bytes, 6);
                self.dynamic.push_front(field.clone());
                self.evict();
                fields.push(field);
            } else if first & 0x20 > 0 {
                assert!(fields.is_empty(), "a new size of the table behind a field");
                self.size_max = take_integer(&mut bytes, 5);
                assert!(self.size_max <= 4096, "a table of {}", self.size_max);
                self.evict();
            } else {
                fields.push(self.take_literal(&mut bytes, 4));
            }
        }
        fields
    }

    fn take_literal(&self, bytes: &mut &[u8], prefix: u8) -> Field {
        let name = match take_integer(bytes, prefix) {
            0 => self.take_string(bytes),
            index => self.entry(index).0,
        };
        (name, self.take_string(bytes))
    }

    fn take_string(&self, bytes: &mut &[u8]) -> String {
        let is_coded = bytes.first().expect("a string") & 0x80 > 0;
        let length = take_integer(bytes, 7);
        let (taken, rest) = bytes.split_at_checked(length).expect("a whole string");
        *bytes = rest;
        let plain = if is_coded {
            self.decoded(taken)
        } else {
            taken.to_vec()
        };
        String::from_utf8_lossy(&plain).into_owned()
    }

    fn decoded(&self, bytes: &[u8]) -> Vec<u8> {
        let (mut plain, mut length, mut code) = (Vec::new(), 0, 0);
        for bit in bytes
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1))
        {
            (length, code) = (length + 1, code << 1 | u32::from(bit));
            if let Some(symbol) = self.symbols.get(&(length, code)) {
                plain.push(*symbol);
                (length, code) = (0, 0);
            }
        }
        assert!(length < 8 && code + 1 == 1 << length, "padding other than ones");
        plain
    }

    fn entry(&self, index: usize) -> Field {
        let (name, value) = match index.checked_sub(1).expect("an index from 1") {
            pseudo @ 0..14 => PSEUDO[pseudo],
            15 => ("accept-encoding", "gzip, deflate"),
            plain @ 14..61 => (NAMES.split(' ').nth(plain - 14).expect("47 names"), ""),
            dynamic => return self.dynamic.get(dynamic - 61).expect("an entry").clone(),
        };
        (name.to_owned(), value.to_owned())
    }

    fn evict(&mut self) {
        let size = |entries: &VecDeque<Field>| -> usize {
            entries
                .iter()
                .map(|(name, value)| name.len() + value.len() + 32)
                .sum()
        };
        while size(&self.dynamic) > self.size_max {
            self.dynamic.pop_back();
        }
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

fn take_integer(bytes: &mut &[u8], prefix: u8) -> usize {
    let max = (1_usize << prefix) - 1;
    let mut next = || {
        let (first, rest) = bytes.split_first().expect("a whole integer");
        *bytes = rest;
        usize::from(*first)
    };
    let mut value = next() & max;
    if value < max {
        return value;
    }
    for shift in (0..28).step_by(7) {
        let byte = next();
        value += (byte & 127) << shift;
        if byte < 128 {
            return value;
        }
    }
    panic!("an integer of more than four bytes");
}

/// Each code with its length: codes of one length follow the order of their symbols, shorter ones come first
/// (appendix B).
fn symbols() -> HashMap<(u8, u32), u8> {
    let mut sorted: Vec<(u8, u8)> = (0..=255)
        .map(|symbol| (LENGTHS[usize::from(symbol)], symbol))
        .collect();
    sorted.sort_unstable();
    let (mut before, mut code, mut symbols) = (0, 0, HashMap::new());
    for (length, symbol) in sorted {
        code <<= length - before;
        before = length;
        symbols.insert((length, code), symbol);
        code += 1;
    }
    symbols
}

/// The static table (appendix A) to its 14th entry.
const PSEUDO: [(&str, &str); 14] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
];

/// The names of those after it.
const NAMES: &str = "accept-charset accept-encoding accept-language accept-ranges accept access-control-allow-origin age \
    allow authorization cache-control content-disposition content-encoding content-language content-length \
    content-location content-range content-type cookie date etag expect expires from host if-match if-modified-since \
    if-none-match if-range if-unmodified-since last-modified link location max-forwards proxy-authenticate \
    proxy-authorization range referer refresh retry-after server set-cookie strict-transport-security transfer-encoding \
    user-agent vary via www-authenticate";

/// How many bits the code of each byte has (appendix B).
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7,
    8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7,
    15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24,
    23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23,
    23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26,
    26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20,
    21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27,
    27, 27, 26,
];
