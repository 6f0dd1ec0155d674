//! The access log: a line of JSON for each request, and never a reason to wait.

use std::fs;

use crate::harness::{self, Config, Gateway, Origin, Run, on_both_drivers};
use serde_json::Value;

#[test]
fn a_line_tells_what_happened() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut client = gateway.client();
        client.send(
            "PUT /a?b=c HTTP/1.1\r\nhost: A.Example\r\nuser-agent: \"x\"\\y\r\ncontent-length: 4\r\n\r\nbody",
        );
        let response = client.response();
        let line = gateway.logged("/a?b=c");
        for (name, value) in [
            ("listener", "web".into()),
            ("route", "all".into()),
            ("service", "v1".into()),
            ("method", "PUT".into()),
            ("protocol", "HTTP/1.1".into()),
            ("status", Value::from(200)),
            ("attempts", Value::from(1)),
            ("client", "127.0.0.1".into()),
            ("user_agent", "\"x\"\\y".into()),
            ("endpoint", origin.address().to_string().into()),
            ("peer", client.local_address().to_string().into()),
            (
                "request_id",
                response.seen().header("x-request-id").unwrap().into(),
            ),
        ] {
            assert_eq!(line[name], value, "{name}: {line}");
        }
        assert!(line["bytes_sent"].as_u64().unwrap() >= response.body.len() as u64);
        assert!(line["bytes_received"].as_u64().unwrap() >= 4);
        assert!(line["duration_ms"].is_number() && line["time"].as_str().unwrap().ends_with('Z'));
        assert!(line.get("reason").is_none());
    });
}

#[test]
fn every_line_is_valid_whatever_the_client_sends() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        for request in [
            b"GET /\"quoted\"%0a HTTP/1.1\r\nhost: h\r\nuser-agent: \xff\xfe\"\\\t\r\n\r\n".as_slice(),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            b"GET /x HTTP/1.1\r\nhost: \"\\\x01\r\n\r\n",
        ] {
            let mut client = gateway.client();
            client.send(request);
            client.try_response("GET").ok();
        }
        gateway.get("h", "/last");
        gateway.logged("/last");
        for line in gateway.log_lines() {
            assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
        }
    });
}

#[test]
fn a_full_pipe_blocks_no_request() {
    on_both_drivers(|driver| {
        let config = Config::new()
            .routes("\n- { name: all, rules: [{ filters: [{ direct: { status: 200, body: well } }] }] }");
        let mut gateway = Run::on(driver).stdout_unread().start(&config);
        let mut client = gateway.client();
        // Far more lines than the pipe and the queues before it hold.
        let request = format!("GET /{} HTTP/1.1\r\nhost: h\r\n\r\n", "x".repeat(4000));
        let dropped = |gateway: &Gateway| gateway.metrics().sum("sluice_access_log_dropped_total", &[]);
        let mut sent = 0;
        while dropped(&gateway) == 0.0 {
            for _ in 0..100 {
                client.send(&request);
                assert_eq!(client.response().text(), "well");
            }
            sent += 100;
            assert!(sent < 20_000, "{sent} lines of 4 KB and none dropped");
        }
        gateway.read_stdout();
        assert_eq!(gateway.get("h", "/after").text(), "well");
        harness::eventually("lines written again", || {
            gateway.get("h", "/again");
            gateway
                .log_lines()
                .iter()
                .any(|line| line.contains("/again"))
                .then_some(())
        });
    });
}

#[test]
fn a_closed_pipe_ends_nothing() {
    on_both_drivers(|driver| {
        let config = Config::new()
            .routes("\n- { name: all, rules: [{ filters: [{ direct: { status: 200, body: well } }] }] }");
        let mut gateway = Run::on(driver).stdout_unread().start(&config);
        gateway.close_stdout();
        harness::eventually("a failed write", || {
            assert_eq!(gateway.get("h", "/").text(), "well");
            (gateway.metrics().sum("sluice_access_log_dropped_total", &[]) > 0.0).then_some(())
        });
        assert!(gateway.is_running());
    });
}

#[test]
fn a_full_disk_ends_nothing() {
    on_both_drivers(|driver| {
        let config = Config::new()
            .routes("\n- { name: all, rules: [{ filters: [{ direct: { status: 200, body: well } }] }] }")
            .top("accessLog: { output: { file: /dev/full } }");
        let gateway = Gateway::start(driver, &config);
        harness::eventually("a failed write", || {
            assert_eq!(gateway.get("h", "/").text(), "well");
            (gateway.metrics().sum("sluice_access_log_dropped_total", &[]) > 0.0).then_some(())
        });
    });
}

#[test]
fn a_file_is_opened_again_after_a_hangup() {
    on_both_drivers(|driver| {
        let folder = tempfile::tempdir().unwrap();
        let (log, old) = (
            folder.path().join("access.log"),
            folder.path().join("access.log.1"),
        );
        let config = Config::new()
            .routes("\n- { name: all, rules: [{ filters: [{ direct: { status: 200, body: well } }] }] }")
            .top(&format!("accessLog: {{ output: {{ file: {} }} }}", log.display()));
        let gateway = Gateway::start(driver, &config);
        let holds = |file: &std::path::Path, text: &str| {
            fs::read_to_string(file)
                .is_ok_and(|lines| lines.contains(text))
                .then_some(())
        };
        gateway.get("h", "/before");
        harness::eventually("a line in the file", || holds(&log, "/before"));
        fs::rename(&log, &old).unwrap();
        gateway.signal("HUP");
        harness::eventually("a line in the new file", || {
            gateway.get("h", "/after");
            holds(&log, "/after")
        });
        assert!(holds(&old, "/before").is_some());
    });
}

#[test]
fn without_a_log_nothing_is_written() {
    on_both_drivers(|driver| {
        let config = Config::new()
            .routes("\n- { name: all, rules: [{ filters: [{ direct: { status: 200, body: well } }] }] }")
            .top("accessLog: { output: none }");
        let mut gateway = Gateway::start(driver, &config);
        gateway.get("h", "/");
        gateway.signal("TERM");
        assert_eq!(gateway.wait_exit().code(), Some(0));
        assert!(gateway.log_lines().is_empty());
    });
}
