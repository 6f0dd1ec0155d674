//! PROXY headers of trusted proxies: whom they tell is the client from then on, whatever is spoken behind them, and a
//! connection without one is closed; of nobody else are they read.

use std::fs;

use crate::harness::{
    Client, Config, Driver, Gateway, Origin, Ports, Run,
    certificates::Authority,
    on_both_drivers,
    passing::{echo, passing, says},
    secure::Secure,
};

const TRUSTING: &str = "trustedProxies: [127.0.0.1]\nproxyProtocol: true";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const GET: &[u8] = b"GET /a HTTP/1.1\r\nhost: h\r\n\r\n";

/// A header of version 2.
fn binary(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).expect("a block").to_be_bytes();
    [SIGNATURE, &[command, family], &length, block].concat()
}

/// 203.0.113.7:56324 and 198.51.100.9:443.
const FOUR: [u8; 12] = [203, 0, 113, 7, 198, 51, 100, 9, 0xdc, 4, 1, 0xbb];

/// 2001:db8::7 and 2001:db8::9.
fn six() -> Vec<u8> {
    let address = |last| [[0x20, 1, 0xd, 0xb8].as_slice(), &[0; 11], &[last]].concat();
    [address(7), address(9), vec![0xdc, 4, 1, 0xbb]].concat()
}

const LINE: &[u8] = b"PROXY TCP4 203.0.113.7 198.51.100.9 56324 443\r\n";

/// Headers with whom they tell.
fn headers() -> Vec<(Vec<u8>, &'static str)> {
    let checked = [FOUR.as_slice(), &[3, 0, 4, 0xa0, 0x4e, 0x05, 0x03]].concat();
    vec![
        (LINE.to_vec(), "203.0.113.7"),
        (
            b"PROXY TCP6 2001:db8::7 2001:db8::9 56324 443\r\n".to_vec(),
            "2001:db8::7",
        ),
        (binary(0x21, 0x11, &FOUR), "203.0.113.7"),
        (binary(0x21, 0x21, &six()), "2001:db8::7"),
        (binary(0x21, 0x11, &checked), "203.0.113.7"),
        // Their own connections, and those of no network.
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (b"PROXY UNKNOWN ::1 ::2 1 2\r\n".to_vec(), "127.0.0.1"),
        (binary(0x20, 0, &[]), "127.0.0.1"),
        (binary(0x20, 0x11, &FOUR), "127.0.0.1"),
        (binary(0x21, 0, &[]), "127.0.0.1"),
        (binary(0x21, 0x31, &[0; 216]), "127.0.0.1"),
    ]
}

fn results(gateway: &Gateway, result: &str) -> f64 {
    gateway.metrics().sum(
        "sluice_proxy_headers_total",
        &[("listener", "web"), ("result", result)],
    )
}

fn serving(origin: &Origin) -> Config {
    Config::new().service("v1", &[origin.address()])
}

#[test]
fn whom_a_trusted_proxy_tells_is_the_client() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &serving(&origin).listener(TRUSTING));
        for (index, (header, client)) in headers().into_iter().enumerate() {
            let mut proxy = gateway.client();
            let target = format!("/{index}");
            let request = format!("GET {target} HTTP/1.1\r\nhost: h\r\n\r\n");
            proxy.send([header.as_slice(), request.as_bytes()].concat());
            let seen = proxy.response().seen();
            assert_eq!(seen.header("x-forwarded-for"), Some(client), "{header:?}");
            let line = gateway.logged(&target);
            assert_eq!(line["client"], client);
            assert_eq!(line["peer"], proxy.local_address().to_string());
            // A header is the connection's, not the request's.
            assert_eq!(
                proxy.get("h", "/more").seen().header("x-forwarded-for"),
                Some(client)
            );
        }
        assert_eq!(
            (results(&gateway, "told"), results(&gateway, "local")),
            (5.0, 6.0)
        );
    });
}

#[test]
fn a_header_may_come_in_pieces() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &serving(&origin).listener(TRUSTING));
        for (header, client) in headers() {
            let mut proxy = gateway.client();
            proxy.stream().set_nodelay(true).unwrap();
            for byte in header.iter().chain(GET) {
                proxy.send([*byte]);
            }
            assert_eq!(proxy.response().seen().header("x-forwarded-for"), Some(client));
        }
    });
}

#[test]
fn what_is_no_header_ends_the_connection() {
    let long = [binary(0x21, 0x11, &FOUR), vec![0; 5000]].concat();
    let too_long = [SIGNATURE, &[0x21, 0x11, 0x10, 0], &long].concat();
    let wrong: [(&[u8], &str); 12] = [
        (GET, "missing"),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc", "missing"),
        (b"proxy TCP4 203.0.113.7 198.51.100.9 56324 443\r\n", "missing"),
        (b"PROXY TCP4 203.0.113.7 198.51.100.9 56324\r\n", "malformed"),
        (b"PROXY TCP4 203.0.113.7 198.51.100.9 56324 443\n", "malformed"),
        (b"PROXY TCP4 2001:db8::7 2001:db8::9 56324 443\r\n", "malformed"),
        (b"PROXY TCP4 203.0.113.7 198.51.100.9 056324 443\r\n", "malformed"),
        (&[b'P', b'R', b'O', b'X', b'Y', b' '].repeat(20), "too_long"),
        (&binary(0x31, 0x11, &FOUR), "malformed"),
        (&binary(0x21, 0x11, &FOUR[..8]), "malformed"),
        (
            &binary(0x21, 0x11, &[FOUR.as_slice(), &[3, 0, 4, 1, 2, 3, 4]].concat()),
            "bad_checksum",
        ),
        (&too_long, "too_long"),
    ];
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &serving(&origin).listener(TRUSTING));
        for (bytes, reason) in wrong {
            let before = results(&gateway, reason);
            let mut proxy = gateway.client();
            proxy.try_send(bytes);
            assert!(proxy.rest().is_empty(), "{bytes:?}");
            gateway.wait_metrics(reason, |_| results(&gateway, reason) > before);
        }
        let mut proxy = gateway.client();
        proxy.send(&LINE[..20]);
        proxy.finish();
        proxy.expect_close();
        gateway.wait_metrics("closed", |_| results(&gateway, "closed") == 1.0);
        assert_eq!(origin.connections(), 0);
        gateway.wait_metrics("no connection left", |metrics| {
            metrics.sum("sluice_connections_active", &[]) == 0.0
        });
    });
}

#[test]
fn a_silent_proxy_is_not_waited_for() {
    on_both_drivers(|driver| {
        let origin = echo("db");
        let options = format!("{TRUSTING}\ntimeouts: {{ head: 200ms }}");
        for config in [
            serving(&origin).listener(&options),
            passing(&[origin.address()], "").listener(&options),
        ] {
            let gateway = Gateway::start(driver, &config);
            let (mut silent, mut slow) = (gateway.client(), gateway.client());
            slow.send(&binary(0x21, 0x11, &FOUR)[..20]);
            assert!(silent.rest().is_empty() && slow.rest().is_empty());
            gateway.wait_metrics("both", |_| results(&gateway, "timeout") == 2.0);
        }
        assert_eq!(origin.connections(), 0);
    });
}

#[test]
fn of_others_no_header_is_read() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let others = "trustedProxies: [192.0.2.1]\nproxyProtocol: true";
        let gateway = Gateway::start(driver, &serving(&origin).listener(others));
        let seen = gateway.ask(GET).seen();
        assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(gateway.ask([LINE, GET].concat()).status, 400);
        assert_eq!(
            gateway
                .ask([binary(0x21, 0x11, &FOUR), GET.to_vec()].concat())
                .status,
            400
        );
        assert!(!gateway.metrics().has("sluice_proxy_headers_total"));
    });
}

#[test]
fn fields_are_believed_of_whom_it_tells() {
    let asking = |source: &str| {
        let line = format!("PROXY TCP4 {source} 198.51.100.9 56324 443\r\n");
        format!("{line}GET / HTTP/1.1\r\nhost: h\r\nx-forwarded-for: 192.0.2.55\r\n\r\n")
    };
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let options = "trustedProxies: [127.0.0.1, 10.0.0.0/8]\nproxyProtocol: true";
        let gateway = Gateway::start(driver, &serving(&origin).listener(options));
        let seen = gateway.ask(asking("203.0.113.7")).seen();
        assert_eq!(seen.header("x-forwarded-for"), Some("203.0.113.7"));
        let seen = gateway.ask(asking("10.0.0.3")).seen();
        assert_eq!(seen.header("x-forwarded-for"), Some("192.0.2.55, 10.0.0.3"));
    });
}

#[test]
fn policies_tell_the_proxy_from_the_client() {
    let policy = |from: &str| format!("policies: [{{ name: p, action: allow, from: [{{ {from} }}] }}]\n");
    let well = policy("cidrs: [127.0.0.1], remoteCidrs: [203.0.113.0/24]");
    let wrong = [
        policy("cidrs: [203.0.113.0/24]"),
        policy("remoteCidrs: [127.0.0.1]"),
    ];
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let db = echo("db");
        let both = |policy: &str| {
            let web = serving(&origin).listener(TRUSTING).document(policy);
            let tcp = passing(&[db.address()], "").listener(TRUSTING).document(policy);
            let status = Gateway::start(driver, &web).ask([LINE, GET].concat()).status;
            let gateway = Gateway::start(driver, &tcp);
            let mut client = gateway.client();
            client.send([LINE, b"ping"].concat());
            client.finish();
            (status, String::from_utf8(client.rest()).unwrap())
        };
        assert_eq!(both(&well), (200, "dbping".to_owned()));
        for policy in &wrong {
            assert_eq!(both(policy), (403, String::new()), "{policy}");
        }
    });
}

#[test]
fn what_is_passed_on_is_what_follows() {
    on_both_drivers(|driver| {
        let origin = echo("db");
        let config = passing(&[origin.address()], "").listener(TRUSTING);
        let gateway = Gateway::start(driver, &config);
        let mut client = gateway.client();
        client.send([LINE, b"ping"].concat());
        says(&mut client, "dbping");
        // Who is greeted first has sent nothing but the header.
        let mut silent = gateway.client();
        silent.send(binary(0x21, 0x21, &six()));
        says(&mut silent, "db");
        assert_eq!(origin.bytes(), b"ping");
        let peer = client.local_address().to_string();
        client.close();
        silent.close();
        let line = gateway.log_line("the first", |line| line["peer"] == peer.as_str());
        assert_eq!(line["client"], "203.0.113.7");
        gateway.log_line("the other", |line| line["client"] == "2001:db8::7");
    });
}

/// With a certificate for `web.example` beside its configuration.
fn secured(driver: Driver, config: &Config, authority: &Authority) -> Gateway {
    let (folder, ports) = (tempfile::tempdir().expect("a folder"), Ports::free());
    authority.server(&["web.example"]).write(folder.path(), "web");
    fs::write(folder.path().join("sluice.yaml"), config.yaml(&ports)).expect("a configuration");
    Run::on(driver).start_in(folder, ports)
}

#[test]
fn it_comes_before_tls_whoever_ends_it() {
    let https = "protocol: https\ntls: { certificates: [{ cert: web.crt, key: web.key }] }";
    on_both_drivers(|driver| {
        let (origin, authority) = (Origin::echo("v1"), Authority::new("root"));
        let config = serving(&origin).listener(https).listener(TRUSTING);
        let ending = secured(driver, &config, &authority);
        // In front of it one that passes TLS on, and tells on whom it was told.
        let route = "\n- { name: all, listeners: [web], hosts: [web.example], rules: [{ backends: [{ service: next }] }] }";
        let passing = Config::new()
            .listener("protocol: tls")
            .listener(TRUSTING)
            .routes(route)
            .service_with("next", &[ending.address()], "proxyProtocol: v2");
        let passing = Gateway::start(driver, &passing);
        for gateway in [&ending, &passing] {
            for (header, client) in headers() {
                let secure = Secure::new(&authority, None);
                let session = secure.connect_after(&header, gateway.address(), "web.example");
                let (status, seen) = session.unwrap().get("web.example", "/").unwrap();
                assert_eq!(status, 200);
                assert!(seen.contains(&format!("x-forwarded-for: {client}\r\n")), "{seen}");
            }
        }
        passing.log_line("a name behind a header", |line| {
            line["client"] == "203.0.113.7" && line["sni"] == "web.example"
        });
        let mut bare = Client::connect(ending.address());
        bare.send(b"\x16\x03\x01\x02\0\x01\0\x01\xfc");
        bare.expect_close();
    });
}

#[test]
fn a_reload_turns_it_on_and_off() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &serving(&origin));
        let mut before = gateway.client();
        assert_eq!(before.get("h", "/").status, 200);
        gateway.reload(&serving(&origin).listener(TRUSTING));
        assert_eq!(gateway.ask([LINE, GET].concat()).status, 200);
        assert_eq!(before.get("h", "/").status, 200, "it began without");
        gateway.reload(&serving(&origin));
        assert_eq!(gateway.ask(GET).status, 200);
    });
}
