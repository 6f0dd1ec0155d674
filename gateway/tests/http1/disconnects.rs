//! Clients that leave before they have their answer: the work done for them ends, and nobody else notices.

use crate::harness::{self, Config, Gateway, Origin, ok, on_both_drivers};

fn waiting() -> Origin {
    Origin::serving(|mut connection| {
        while let Some(head) = connection.head() {
            if head.second() == "/held" {
                connection.wait_close();
                return;
            }
            connection.send(ok("well"));
        }
    })
}

#[test]
fn a_client_that_leaves_ends_its_request_at_the_origin() {
    on_both_drivers(|driver| {
        let origin = waiting();
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        for resets in [false, true] {
            let mut client = gateway.client();
            client.send_get("h", "/held");
            origin.wait_until("the request", |seen| seen.open == 1);
            if resets {
                client.reset()
            } else {
                client.close()
            }
            origin.wait_until("the end of the request", |seen| seen.open == 0);
        }
        let line = gateway.logged("/held");
        assert_eq!(
            (line.get("status"), &line["reason"]),
            (None, &"client_gone".into())
        );
        gateway.wait_metrics("both, counted", |metrics| {
            metrics.sum("sluice_requests_total", &[("code_class", "none")]) == 2.0
        });
        assert_eq!(gateway.get("h", "/").text(), "well");
    });
}

#[test]
fn an_upload_that_breaks_off_is_not_taken_for_whole() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut uploads = 0;
        for (head, part) in [
            ("content-length: 100", "half"),
            ("transfer-encoding: chunked", "4\r\nhalf\r\n"),
            ("transfer-encoding: chunked", "4\r\nhalf\r\n0\r\n"),
        ] {
            for resets in [false, true] {
                let mut client = gateway.client();
                client.send(format!("PUT / HTTP/1.1\r\nhost: h\r\n{head}\r\n\r\n{part}"));
                uploads += 1;
                harness::eventually("its first part", || {
                    let reached = String::from_utf8_lossy(&origin.bytes()).matches("half").count();
                    (reached == uploads).then_some(())
                });
                if resets {
                    client.reset()
                } else {
                    client.finish()
                }
                origin.wait_until("the broken end", |seen| {
                    seen.open == 0 && seen.unclean.len() == uploads
                });
            }
        }
        assert!(origin.requests().is_empty(), "{:?}", origin.requests());
    });
}

#[test]
fn a_client_that_leaves_in_an_answer_ends_it_at_the_origin() {
    on_both_drivers(|driver| {
        let origin = Origin::serving(|mut connection| {
            connection.request();
            connection.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
            while connection.send(
                harness::message::chunked(&[&[b'x'; 4096]])
                    .strip_suffix(b"0\r\n\r\n")
                    .unwrap_or(b""),
            ) {}
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        for resets in [false, true] {
            let mut client = gateway.client();
            client.send_get("h", "/endless");
            assert_eq!(client.head().unwrap().second(), "200");
            if resets {
                client.reset()
            } else {
                client.close()
            }
            origin.wait_until("the end of the answer", |seen| seen.open == 0);
        }
    });
}
