//! TLS passed on by the server name of its hello (`protocol: tls`): it is ended by who is behind, to the byte, however the
//! hello comes; and what is no hello reaches nobody.

use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::harness::{
    Config, Driver, Gateway, Origin, Port,
    certificates::Authority,
    eventually, on_both_drivers,
    secure::{Secure, s_client},
};

/// Says its name once the first byte has come, and takes what follows.
fn named(name: &'static str) -> Origin {
    Origin::serving(move |mut connection| {
        if connection.more().is_some() {
            connection.send(name);
        }
        connection.wait_close();
    })
}

fn routed(listener: &str) -> Config {
    Config::new()
        .listener(&format!("protocol: tls\n{listener}"))
        .routes(
            "
- { name: exact, listeners: [web], hosts: [shop.example.com], rules: [{ backends: [{ service: exact }] }] }
- { name: below, listeners: [web], hosts: ['*.example.com'], rules: [{ backends: [{ service: below }] }] }
",
        )
}

const DEFAULT: &str =
    "routes: [{ name: other, listeners: [web], rules: [{ backends: [{ service: other }] }] }]\n";

fn vector<const BYTES: usize>(bytes: &[u8]) -> Vec<u8> {
    [&bytes.len().to_be_bytes()[8 - BYTES..], bytes].concat()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().to_vec(), vector::<2>(body)].concat()
}

/// The handshake message that a client begins with, with so much padding.
fn message(name: Option<&str>, padding: usize) -> Vec<u8> {
    let host = |name: &str| extension(0, &vector::<2>(&[vec![0], vector::<2>(name.as_bytes())].concat()));
    // An encrypted hello (RFC 9849) is one more extension that is not looked into.
    let encrypted = extension(0xfe0d, &[0; 200]);
    let extensions = [
        name.map(host).unwrap_or_default(),
        encrypted,
        extension(21, &vec![0; padding]),
    ];
    let mut body = [vec![3, 3], vec![7; 32], vec![0]].concat();
    body.extend(vector::<2>(&[0x13, 1]));
    body.extend(vector::<1>(&[0]));
    body.extend(vector::<2>(&extensions.concat()));
    [vec![1], vector::<3>(&body)].concat()
}

/// In records of so many bytes.
fn records(message: &[u8], each: usize) -> Vec<u8> {
    let record = |fragment: &[u8]| [vec![22, 3, 1], vector::<2>(fragment)].concat();
    message.chunks(each).flat_map(record).collect()
}

fn hello(name: Option<&str>) -> Vec<u8> {
    records(&message(name, 0), 16_384)
}

/// Who answers this hello.
fn answers(gateway: &Gateway, hello: &[u8]) -> String {
    let mut client = gateway.client();
    client.send(hello);
    client.finish();
    String::from_utf8_lossy(&client.rest()).into_owned()
}

#[test]
fn the_name_in_the_hello_says_where_to() {
    on_both_drivers(|driver| {
        let (exact, below, other) = (named("exact"), named("below"), named("other"));
        let config = routed("")
            .service("exact", &[exact.address()])
            .service("below", &[below.address()])
            .service("other", &[other.address()]);
        let gateway = Gateway::start(driver, &config.clone().document(DEFAULT));
        assert_eq!(answers(&gateway, &hello(Some("shop.example.com"))), "exact");
        assert_eq!(
            exact.bytes(),
            hello(Some("shop.example.com")),
            "not a byte is changed"
        );
        assert_eq!(answers(&gateway, &hello(Some("Shop.Example.com"))), "exact");
        assert_eq!(answers(&gateway, &hello(Some("a.b.example.com"))), "below");
        assert_eq!(answers(&gateway, &hello(Some("example.com"))), "other");
        assert_eq!(answers(&gateway, &hello(Some("192.0.2.1"))), "other");
        assert_eq!(answers(&gateway, &hello(None)), "other");
        let line = gateway.log_line("a name", |line| line["sni"] == "a.b.example.com");
        assert_eq!(
            (&line["protocol"], &line["route"]),
            (&"tls".into(), &"below".into())
        );
        assert_eq!(line["endpoint"], below.address().to_string());
        gateway.log_line("no name", |line| {
            line["route"] == "other" && line.get("sni").is_none()
        });

        let gateway = Gateway::start(driver, &config);
        assert_eq!(answers(&gateway, &hello(Some("shop.example.com"))), "exact");
        assert_eq!(answers(&gateway, &hello(Some("example.com"))), "");
        assert_eq!(answers(&gateway, &hello(None)), "");
        gateway.log_line("no route", |line| {
            line["reason"] == "no_route" && line["sni"] == "example.com" && line["bytes_received"] == 0
        });
        let labels = [("listener", "web"), ("route", "-"), ("reason", "no_route")];
        gateway.wait_metrics("both counted", |metrics| {
            metrics.sum("sluice_passthrough_connections_total", &labels) == 2.0
        });
    });
}

#[test]
fn a_hello_may_come_in_pieces() {
    on_both_drivers(|driver| {
        let exact = named("exact");
        let config = routed("")
            .service("exact", &[exact.address()])
            .service("below", &[Port::free().address()]);
        let gateway = Gateway::start(driver, &config);
        let shop = Some("shop.example.com");
        let mut client = gateway.client();
        for byte in hello(shop) {
            client.send([byte]);
        }
        assert_eq!(client.take(5), b"exact");
        for each in [1, 2, 100] {
            let split = records(&message(shop, 0), each);
            assert_eq!(answers(&gateway, &split), "exact");
            assert!(exact.bytes().ends_with(&split), "not a byte is changed");
        }
        // As large as a record may be.
        let room = 16_384 - message(shop, 0).len();
        let largest = records(&message(shop, room), 16_384);
        assert_eq!(answers(&gateway, &largest), "exact");
        assert!(exact.bytes().ends_with(&largest));
        // What comes right behind it goes too.
        assert_eq!(
            answers(&gateway, &[hello(shop), vec![23; 100_000]].concat()),
            "exact"
        );
    });
}

#[test]
fn what_is_no_hello_reaches_nobody() {
    on_both_drivers(|driver| {
        let other = named("other");
        let config = routed("")
            .service("exact", &[other.address()])
            .service("below", &[other.address()])
            .service("other", &[other.address()])
            .document(DEFAULT);
        let gateway = Gateway::start(driver, &config);
        let mut dotted = hello(Some("a.example.com"));
        let end = dotted.windows(4).position(|four| four == b".com").unwrap();
        dotted[end + 3] = b'.';
        let cases: [(&[u8], &str); 5] = [
            (
                b"GET / HTTP/1.1\r\nhost: shop.example.com\r\n\r\n",
                "bad_hello:not_tls",
            ),
            (
                &records(&message(Some("a.example.com"), 17_000), 16_384),
                "bad_hello:too_large",
            ),
            (
                &records(&message(Some("a.example.com"), 5_000), 1),
                "bad_hello:too_large",
            ),
            (&dotted, "bad_hello:bad_name"),
            (b"\x16\x03\x01\0\0", "bad_hello:malformed"),
        ];
        for (bytes, reason) in cases {
            let mut client = gateway.client();
            client.try_send(bytes);
            assert!(client.rest().is_empty(), "{reason}");
            gateway.log_line(reason, |line| line["reason"] == reason);
        }
        // One that leaves in the middle.
        let mut client = gateway.client();
        client.send(&hello(Some("a.example.com"))[..20]);
        client.finish();
        assert!(client.rest().is_empty());
        gateway.log_line("gone", |line| line["reason"] == "client_gone");
        assert_eq!(other.connections(), 0);
    });
}

#[test]
fn a_silent_client_is_not_waited_for() {
    on_both_drivers(|driver| {
        let other = named("other");
        let config = routed("timeouts: { tlsHandshake: 200ms }")
            .service("exact", &[other.address()])
            .service("below", &[other.address()]);
        let gateway = Gateway::start(driver, &config);
        let mut silent = gateway.client();
        let mut slow = gateway.client();
        slow.send(&hello(Some("shop.example.com"))[..50]);
        assert!(silent.rest().is_empty() && slow.rest().is_empty());
        gateway.wait_metrics("both counted", |metrics| {
            let labels = [("reason", "client_timeout")];
            metrics.sum("sluice_passthrough_connections_total", &labels) == 2.0
        });
        assert_eq!(other.connections(), 0);
    });
}

#[test]
fn policies_ask_for_the_name() {
    on_both_drivers(|driver| {
        let other = named("other");
        let config = routed("")
            .service("exact", &[other.address()])
            .service("below", &[other.address()])
            .document("policies: [{ name: shops, action: allow, when: [{ sni: ['*.example.com'], not: { sni: [b.example.com] } }] }]\n")
            .document("routes: [{ name: other, listeners: [web], rules: [{ backends: [{ service: below }] }] }]\n");
        let gateway = Gateway::start(driver, &config);
        assert_eq!(answers(&gateway, &hello(Some("a.example.com"))), "other");
        for denied in [Some("b.example.com"), Some("else.example"), None] {
            assert_eq!(answers(&gateway, &hello(denied)), "");
        }
        gateway.log_line("denied", |line| {
            line["reason"] == "denied:shops" && line["sni"] == "b.example.com"
        });
        assert_eq!(other.connections(), 1);
    });
}

/// nginx that ends TLS with the certificate `NAME.crt` of its folder, one for each name, and answers with the name.
struct Nginx {
    process: Child,
    port: Port,
}

impl Nginx {
    fn start(folder: &Path, name: &str) -> Self {
        let port = Port::free();
        let at = folder.display();
        let text = format!(
            "daemon off; pid {at}/{name}.pid; error_log {at}/{name}.log; worker_processes 1; events {{}}\n\
             http {{ access_log off; client_body_temp_path {at}/{name}.body; proxy_temp_path {at}/{name}.proxy;\n\
             fastcgi_temp_path {at}/{name}.fastcgi; uwsgi_temp_path {at}/{name}.uwsgi; scgi_temp_path {at}/{name}.scgi;\n\
             server {{ listen {} ssl reuseport; server_name {name}; ssl_certificate {at}/{name}.crt;\n\
             ssl_certificate_key {at}/{name}.key; ssl_protocols TLSv1.2 TLSv1.3; return 200 '{name} by $ssl_protocol'; }} }}\n",
            port.address()
        );
        let file = folder.join(format!("{name}.conf"));
        fs::write(&file, text).expect("a written file");
        let process = Command::new("nginx")
            .arg("-c")
            .arg(&file)
            .arg("-p")
            .arg(folder)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx runs");
        eventually("a listening nginx", || TcpStream::connect(port.address()).ok());
        Self { process, port }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its master ends its worker; it is gone already at worst.
        let quit = format!("kill -TERM {}", self.process.id());
        let _ = Command::new("sh").args(["-c", &quit]).status();
        let _ = self.process.wait();
    }
}

fn has(program: &str, version: &str) -> bool {
    let found = Command::new(program).arg(version).output().is_ok();
    if !found {
        println!("{program} is not installed: not tested");
    }
    found
}

#[test]
fn nginx_behind_it_shows_its_own_certificates() {
    if !has("nginx", "-v") {
        return;
    }
    on_both_drivers(|driver| {
        behind(driver, |gateway, folder, authority| {
            for name in ["shop.example.com", "a.example.com"] {
                for version in ["-tls1_2", "-tls1_3"] {
                    let options = [
                        "-CAfile",
                        "ca.pem",
                        "-verify_return_error",
                        "-verify_hostname",
                        name,
                    ];
                    let said = s_client(
                        gateway.address(),
                        folder,
                        &[&options[..], &["-servername", name, version]].concat(),
                    );
                    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
                    assert!(said.contains(&format!("{name} by TLSv1.")), "{said}");
                }
                let mut session = Secure::new(authority, None)
                    .connect(gateway.address(), name)
                    .unwrap();
                let (status, body) = session.get(name, "/").unwrap();
                assert_eq!((status, body), (200, format!("{name} by TLSv1.3")));
            }
        })
    });
}

#[test]
fn curl_goes_through_it_to_nginx() {
    if !has("nginx", "-v") || !has("curl", "--version") {
        return;
    }
    on_both_drivers(|driver| {
        behind(driver, |gateway, folder, _| {
            let port = gateway.address().port();
            let name = "shop.example.com";
            let output = Command::new("curl")
                .args(["-sS", "--max-time", "20", "--cacert", "ca.pem"])
                .args(["--resolve", &format!("{name}:{port}:127.0.0.1")])
                .arg(format!("https://{name}:{port}/"))
                .current_dir(folder)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.starts_with("shop.example.com by TLSv1."), "{said}{output:?}");
            // Nobody is there for another name, and nothing answers in his stead.
            let output = Command::new("curl")
                .args(["-sS", "--max-time", "20", "--insecure"])
                .args(["--resolve", &format!("other.example:{port}:127.0.0.1")])
                .arg(format!("https://other.example:{port}/"))
                .output()
                .unwrap();
            assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
            gateway.log_line("no route", |line| {
                line["sni"] == "other.example" && line["reason"] == "no_route"
            });
        })
    });
}

/// Two nginx, each with a certificate of its own, behind one gateway.
fn behind(driver: Driver, test: impl FnOnce(&Gateway, &Path, &Authority)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let authority = Authority::new("root");
    fs::write(folder.path().join("ca.pem"), authority.pem()).expect("a written file");
    let [shop, below] = ["shop.example.com", "a.example.com"].map(|name| {
        authority.server(&[name]).write(folder.path(), name);
        Nginx::start(folder.path(), name)
    });
    let config = routed("")
        .service("exact", &[shop.port.address()])
        .service("below", &[below.port.address()]);
    let gateway = Gateway::start(driver, &config);
    test(&gateway, folder.path(), &authority);
}
