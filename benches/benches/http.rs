//! What one keep-alive request costs in the codec: its head read and rewritten, and the same for its response.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sluice::http::{
    Asked, Connection, Forwarded, HeadLimits, OutgoingRequest, OutgoingResponse, RequestHead, RequestLimits,
    ResponseHead, Scan, Scheme, write_request_head, write_response_head,
};
use sluice_config::model::{ForwardCertificate, PathPolicy};
use sluice_routing::filter::HeaderEdits;

const REQUEST: &[u8] = b"GET /api/v1/items/42?view=full HTTP/1.1\r\nHost: shop.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nCookie: session=0123456789abcdef\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
    Content-Type: application/json\r\nContent-Length: 64\r\nConnection: keep-alive\r\n\r\n";
const LIMITS: RequestLimits = RequestLimits {
    head: HeadLimits {
        bytes_max: 64 * 1024,
        fields_max: 100,
    },
    target_bytes_max: 8 * 1024,
    path: PathPolicy {
        keep_encoded_slashes: false,
    },
};

fn request(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("http/request");
    group.throughput(Throughput::Bytes(REQUEST.len() as u64));
    let mut head = RequestHead::default();
    let mut scan = Scan::default();
    group.bench_function("parse", |bencher| {
        bencher.iter(|| head.parse(black_box(REQUEST), &mut scan, &LIMITS).is_ok());
    });
    let peer = "192.0.2.1".parse().expect("an address");
    let edits = HeaderEdits::default();
    let mut out = Vec::new();
    let mut write = |head: &mut RequestHead| {
        let forwarded = Forwarded::read(head, peer, &[], Scheme::Http, ForwardCertificate::None);
        out.clear();
        let outgoing = OutgoingRequest {
            path: head.path(),
            host: head.authority(),
            edits: &edits,
            forwarded: &forwarded,
            certificate: None,
            request_id: b"01234567-89ab-4def-8123-456789abcdef",
            framing: head.framing(),
            upgrade: false,
            expect_continue: false,
        };
        write_request_head(&mut out, head, &outgoing);
        out.len()
    };
    group.bench_function("write", |bencher| bencher.iter(|| write(black_box(&mut head))));
    group.bench_function("both", |bencher| {
        bencher.iter(|| {
            let read = head.parse(black_box(REQUEST), &mut scan, &LIMITS).is_ok();
            (read, write(&mut head))
        });
    });
}

fn response(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("http/response");
    group.throughput(Throughput::Bytes(RESPONSE.len() as u64));
    let mut head = ResponseHead::default();
    let mut scan = Scan::default();
    group.bench_function("parse", |bencher| {
        bencher.iter(|| {
            head.parse(black_box(RESPONSE), &mut scan, &LIMITS.head, Asked::default())
                .is_ok()
        });
    });
    let edits = HeaderEdits::default();
    let mut out = Vec::new();
    group.bench_function("write", |bencher| {
        bencher.iter(|| {
            out.clear();
            let outgoing = OutgoingResponse {
                client_version: Default::default(),
                edits: &edits,
                framing: head.framing(),
                connection: Connection::KeepAlive,
                date: "Mon, 01 Jan 2024 00:00:00 GMT",
            };
            write_response_head(&mut out, black_box(&head), &outgoing);
            out.len()
        });
    });
}

criterion_group!(benches, request, response);
criterion_main!(benches);
