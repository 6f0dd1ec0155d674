//! Lines, batches and the writer.

use std::{fs, net::Ipv6Addr, time::UNIX_EPOCH};

use proptest::prelude::*;
use sluice_config::model::AccessLog;

use super::*;
use crate::metrics::Registry;

fn entry<'a>() -> Entry<'a> {
    Entry {
        time: UNIX_EPOCH + Duration::from_millis(1_767_225_599_007),
        listener: "web",
        route: Some("reviews"),
        rule: Some("everyone"),
        service: Some("reviews-v1"),
        endpoint: Some(([10, 0, 0, 1], 9080).into()),
        sni: None,
        protocol: "HTTP/1.1",
        request: Some(request()),
        reason: None,
        policies: &[],
        duration: Duration::from_micros(12_034),
        upstream: Some(Duration::from_micros(9_999)),
        attempts: 1,
        bytes_received: 120,
        bytes_sent: u64::MAX,
        client: [192, 0, 2, 7].into(),
        peer: (Ipv6Addr::LOCALHOST, 40_000).into(),
        identity: None,
    }
}

fn request<'a>() -> Request<'a> {
    Request {
        method: b"GET",
        host: b"reviews.example.com",
        path: b"/api?x=1",
        status: Some(200),
        grpc_status: None,
        retry: None,
        id: b"4f1c",
        user_agent: None,
    }
}

fn line(entry: &Entry<'_>) -> String {
    let mut stamp = line::Stamp::default();
    stamp.set(entry.time);
    let mut bytes = Vec::new();
    line::write(&mut bytes, &stamp, entry);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_connection_is_one_line() {
    let connection = Entry {
        listener: "passthrough",
        sni: Some("shop.example.com"),
        protocol: "tls",
        request: None,
        reason: Some(Reason {
            name: "denied",
            detail: Some("office"),
        }),
        attempts: 2,
        bytes_sent: 0,
        ..entry()
    };
    assert_eq!(
        line(&connection),
        "{\"time\":\"2025-12-31T23:59:59.007Z\",\"listener\":\"passthrough\",\"route\":\"reviews\",\"rule\":\"everyone\",\
         \"service\":\"reviews-v1\",\"endpoint\":\"10.0.0.1:9080\",\"sni\":\"shop.example.com\",\"protocol\":\"tls\",\
         \"reason\":\"denied:office\",\"duration_ms\":12.034,\"upstream_ms\":9.999,\"attempts\":2,\
         \"bytes_received\":120,\"bytes_sent\":0,\"client\":\"192.0.2.7\",\"peer\":\"[::1]:40000\"}\n"
    );
}

#[test]
fn what_policies_noted_is_a_list() {
    let policies = ["audit", "dry_run_deny"].map(|decision| Noted {
        decision,
        policy: "admins",
    });
    let line = line(&Entry {
        policies: &policies,
        ..entry()
    });
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        value["policies"],
        serde_json::json!(["audit:admins", "dry_run_deny:admins"])
    );
}

#[test]
fn a_request_is_one_line() {
    assert_eq!(
        line(&entry()),
        "{\"time\":\"2025-12-31T23:59:59.007Z\",\"listener\":\"web\",\"route\":\"reviews\",\"rule\":\"everyone\",\
         \"service\":\"reviews-v1\",\"endpoint\":\"10.0.0.1:9080\",\"method\":\"GET\",\
         \"host\":\"reviews.example.com\",\"path\":\"/api?x=1\",\"protocol\":\"HTTP/1.1\",\"status\":200,\
         \"duration_ms\":12.034,\"upstream_ms\":9.999,\"attempts\":1,\"bytes_received\":120,\
         \"bytes_sent\":18446744073709551615,\"client\":\"192.0.2.7\",\"peer\":\"[::1]:40000\",\
         \"request_id\":\"4f1c\"}\n"
    );
}

#[test]
fn a_refusal_says_why() {
    let refused = Entry {
        route: None,
        rule: None,
        service: None,
        endpoint: None,
        upstream: None,
        request: Some(Request {
            status: None,
            retry: Some(RetryOutcome::Budget),
            ..request()
        }),
        reason: Some(Reason {
            name: "bad_request",
            detail: Some("obs_fold"),
        }),
        attempts: 0,
        ..entry()
    };
    let line = line(&refused);
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["reason"], "bad_request:obs_fold");
    assert_eq!(value["retry"], "budget");
    assert!(
        value.get("route").is_none() && value.get("status").is_none(),
        "{line}"
    );
}

#[test]
fn bytes_of_clients_cannot_break_the_line() {
    let hostile = Entry {
        request: Some(Request {
            path: b"/\"\\\n\x00\x7f\xff\xc3\xa9",
            user_agent: Some(&[b'x'; 20_000]),
            ..request()
        }),
        ..entry()
    };
    let line = line(&hostile);
    assert_eq!(line.matches('\n').count(), 1);
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["path"], "/\"\\\n\0\u{7f}\u{fffd}é");
    assert_eq!(
        value["user_agent"].as_str().unwrap().len(),
        8 * 1024 + '…'.len_utf8()
    );
}

proptest! {
    #[test]
    fn any_bytes_come_back(path in proptest::collection::vec(any::<u8>(), 0..200)) {
        let line = line(&Entry { request: Some(Request { path: &path, ..request() }), ..entry() });
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(value["path"].as_str().unwrap(), String::from_utf8_lossy(&path));
        prop_assert!(line.bytes().filter(|byte| *byte < 0x20).eq([b'\n']));
    }

    #[test]
    fn times_are_told_as_they_are(milliseconds in 0..253_402_300_799_000_u64) {
        let line = line(&Entry { time: UNIX_EPOCH + Duration::from_millis(milliseconds), ..entry() });
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        let stamp: jiff::Timestamp = value["time"].as_str().unwrap().parse().unwrap();
        prop_assert_eq!(stamp.as_millisecond() as u64, milliseconds);
    }
}

#[test]
fn lines_reach_the_file_and_a_new_one_after_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let target = AccessLog::File(path.clone());
    let registry = Registry::new(2, []);
    let writer = Writer::start(&registry).unwrap();
    let mut logs = [writer.log(0), writer.log(1)];

    writer.replace(Some(Sink::open(&target).unwrap()));
    for log in &mut logs {
        log.write(&entry());
        log.flush();
    }
    // The buffers come back once their lines are written.
    for log in &mut logs {
        log.batch = log.returned.recv().unwrap();
    }
    fs::rename(&path, folder.path().join("access.log.1")).unwrap();
    writer.replace(Some(Sink::open(&target).unwrap()));
    logs[0].write(&entry());
    drop(logs);
    assert!(writer.finish(Duration::from_secs(30)));

    let lines = |name| {
        fs::read_to_string(folder.path().join(name))
            .unwrap()
            .lines()
            .count()
    };
    assert_eq!((lines("access.log.1"), lines("access.log")), (2, 1));
    assert_eq!(registry.worker().of(0).access_log_dropped.get(), 0);
}

#[test]
fn a_log_that_cannot_be_written_never_blocks_and_is_counted() {
    let registry = Registry::new(1, []);
    let writer = Writer::start(&registry).unwrap();
    let (reader, pipe) = std::io::pipe().unwrap();
    // A pipe that nobody reads: the writer stands still in write(2), the queue fills, then lines are dropped.
    writer.replace(Some(Sink::from_pipe(pipe)));
    let mut log = writer.log(0);
    let mut written = 0;
    while log.metrics.of(0).access_log_dropped.get() == 0 {
        log.write(&entry());
        written += 1;
        assert!(written < 100_000, "nothing was dropped");
    }
    // The reader's end closed: what was queued fails and is counted too.
    drop(reader);
    drop(log);
    assert!(writer.finish(Duration::from_secs(30)));
    let failed = registry.access_log_failed().get();
    assert!(failed > 0);
    let text = registry.encode().unwrap();
    let total = registry.worker().of(0).access_log_dropped.get() + failed;
    assert!(
        text.contains(&format!("sluice_access_log_dropped_total {total}\n")),
        "{text}"
    );
}

#[test]
fn buffers_are_used_again() {
    let registry = Registry::new(1, []);
    let writer = Writer::start(&registry).unwrap();
    let mut log = writer.log(0);
    log.write(&entry());
    let first = log.batch.as_ptr();
    log.flush();
    log.batch = log.returned.recv().unwrap();
    assert_eq!(log.batch.as_ptr(), first);
    assert!(log.batch.is_empty());
}
