//! PROXY headers that services are sent: first on each connection, of the client whose connection it then is; and
//! HAProxy and curl as the other end of either.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use crate::harness::{
    Client, Config, Connection, Gateway, Origin, Port, eventually, ok, on_both_drivers,
    origin::echo,
    passing::{passing, says},
};
use socket2::{Domain, Socket, Type};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const TRUSTING: &str = "trustedProxies: [127.0.0.1]\nproxyProtocol: true";

/// The line that a connection begins with, without its end.
fn line(connection: &mut Connection) -> Option<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.extend(connection.take(1)?);
    }
    line.truncate(line.len() - 2);
    String::from_utf8(line).ok()
}

/// The command, the family and the block that a connection begins with.
fn block(connection: &mut Connection) -> Option<(u8, u8, Vec<u8>)> {
    let fixed = connection.take(16)?;
    assert!(fixed.starts_with(SIGNATURE), "{fixed:?}");
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    Some((fixed[12], fixed[13], connection.take(length)?))
}

type Told<T> = Arc<Mutex<Vec<T>>>;

/// Reads a header of each connection, then answers every request.
fn reading<T: Send + 'static>(read: fn(&mut Connection) -> Option<T>) -> (Origin, Told<T>) {
    let told = Told::default();
    let all = Arc::clone(&told);
    let origin = Origin::serving(move |mut connection| {
        let Some(header) = read(&mut connection) else {
            return;
        };
        all.lock().expect("no holder panics").push(header);
        while let Some(request) = connection.request() {
            connection.send(echo("v1", &request));
        }
    });
    (origin, told)
}

fn all<T: Clone>(told: &Told<T>) -> Vec<T> {
    told.lock().expect("no holder panics").clone()
}

fn sending(version: &str, origin: &Origin) -> Config {
    Config::new().service_with("v1", &[origin.address()], &format!("proxyProtocol: {version}"))
}

/// A client with this address of the loopback.
fn from(source: &str, to: SocketAddr) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let source: SocketAddr = format!("{source}:0").parse().expect("an address");
    socket.bind(&source.into()).expect("an address of the loopback");
    socket
        .connect(&to.into())
        .expect("who listens there takes connections");
    Client::over(socket.into())
}

#[test]
fn each_connection_begins_with_whose_it_is() {
    on_both_drivers(|driver| {
        let (origin, told) = reading(line);
        let gateway = Gateway::start(driver, &sending("v1", &origin));
        let (mut one, mut other) = (from("127.0.0.2", gateway.address()), gateway.client());
        // None is kept, so that no request goes by the connection of another client.
        for client in [&mut one, &mut other] {
            for _ in 0..2 {
                assert_eq!(client.get("h", "/").backend(), "v1");
            }
        }
        let port = gateway.address().port();
        let of = |client: &Client| {
            let from = client.local_address();
            format!("PROXY TCP4 {} 127.0.0.1 {} {port}", from.ip(), from.port())
        };
        let (one, other) = (of(&one), of(&other));
        assert_eq!(all(&told), [one.clone(), one, other.clone(), other]);
        let metrics = gateway.metrics();
        assert_eq!(metrics.sum("sluice_upstream_pool_reuse_total", &[]), 0.0);
    });
}

#[test]
fn the_binary_form_tells_the_same() {
    on_both_drivers(|driver| {
        let (origin, told) = reading(block);
        let gateway = Gateway::start(driver, &sending("v2", &origin));
        let mut client = from("127.0.0.2", gateway.address());
        assert_eq!(client.get("h", "/").backend(), "v1");
        let ports = [client.local_address().port(), gateway.address().port()];
        let [from, to] = ports.map(u16::to_be_bytes);
        let both = [[127, 0, 0, 2], [127, 0, 0, 1], [from[0], from[1], to[0], to[1]]].concat();
        assert_eq!(all(&told), [(0x21, 0x11, both)]);
    });
}

#[test]
fn of_a_client_told_by_a_field_no_port_is_known() {
    on_both_drivers(|driver| {
        let (origin, told) = reading(line);
        let config = sending("v1", &origin).listener("trustedProxies: [127.0.0.1]");
        let gateway = Gateway::start(driver, &config);
        let port = gateway.address().port();
        for client in ["192.0.2.55", "2001:db8::1"] {
            let answer = gateway.ask(format!(
                "GET / HTTP/1.1\r\nhost: h\r\nx-forwarded-for: {client}\r\n\r\n"
            ));
            assert_eq!(answer.backend(), "v1");
        }
        assert_eq!(
            all(&told),
            [
                format!("PROXY TCP4 192.0.2.55 127.0.0.1 0 {port}"),
                format!("PROXY TCP6 2001:db8::1 ::ffff:127.0.0.1 0 {port}")
            ]
        );
    });
}

#[test]
fn a_client_that_waits_to_be_greeted_is_told_too() {
    on_both_drivers(|driver| {
        let origin = Origin::serving(|mut connection| {
            if let Some(line) = line(&mut connection) {
                connection.send(line);
            }
            connection.wait_close();
        });
        let gateway = Gateway::start(driver, &passing(&[origin.address()], "proxyProtocol: v1"));
        let mut client = from("127.0.0.2", gateway.address());
        let (from, to) = (client.local_address().port(), gateway.address().port());
        says(
            &mut client,
            &format!("PROXY TCP4 127.0.0.2 127.0.0.1 {from} {to}"),
        );
    });
}

#[test]
fn health_checks_tell_that_nobody_asks() {
    on_both_drivers(|driver| {
        let (lines, told_lines) = reading(line);
        let (blocks, told_blocks) = reading(block);
        for (origin, version, health) in [(&lines, "v1", "http: { path: / }"), (&blocks, "v2", "tcp: true")] {
            let options = format!("proxyProtocol: {version}\nhealth: {{ {health}, interval: 10ms }}");
            let config = Config::new().service_with("v1", &[origin.address()], &options);
            let gateway = Gateway::start(driver, &config);
            gateway.wait_metrics("checks that pass", |metrics| {
                metrics.sum("sluice_health_checks_total", &[("result", "passed")]) >= 2.0
            });
        }
        eventually("both told", || {
            (!all(&told_lines).is_empty() && !all(&told_blocks).is_empty()).then_some(())
        });
        assert!(all(&told_lines).iter().all(|line| line == "PROXY UNKNOWN"));
        assert!(all(&told_blocks).iter().all(|block| *block == (0x20, 0, vec![])));
    });
}

#[test]
fn connections_kept_without_a_header_serve_nobody_after_a_reload() {
    on_both_drivers(|driver| {
        let seen = Origin::serving(|mut connection| {
            if connection.index > 0 {
                line(&mut connection);
            }
            while connection.request().is_some() {
                connection.send(ok("well"));
            }
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[seen.address()]));
        assert_eq!(gateway.get("h", "/").status, 200);
        gateway.reload(&sending("v1", &seen));
        assert_eq!(gateway.get("h", "/").status, 200);
        assert_eq!(seen.connections(), 2);
    });
}

/// Debian's HAProxy with this configuration behind the settings that every test needs.
struct HaProxy(Child);

impl HaProxy {
    fn start(folder: &Path, text: &str, listening: &[&Port]) -> Self {
        let file = folder.join("haproxy.cfg");
        let timeouts = "timeout connect 10s\ntimeout client 10s\ntimeout server 10s";
        fs::write(&file, format!("defaults\n{timeouts}\n{text}")).expect("a written file");
        let process = Command::new("haproxy")
            .args(["-db", "-q", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("haproxy runs");
        for port in listening {
            eventually("a listening HAProxy", || TcpStream::connect(port.address()).ok());
        }
        Self(process)
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
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
fn haproxy_in_front_tells_its_clients() {
    if !has("haproxy", "-v") {
        return;
    }
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let config = Config::new()
            .service("v1", &[origin.address()])
            .listener(TRUSTING);
        let gateway = Gateway::start(driver, &config);
        let (folder, ports) = (
            tempfile::tempdir().expect("a folder"),
            [Port::free(), Port::free()],
        );
        let text: String = ["send-proxy", "send-proxy-v2 proxy-v2-options crc32c,unique-id"]
            .iter()
            .zip(&ports)
            .enumerate()
            .map(|(index, (how, port))| {
                let (from, to) = (port.address(), gateway.address());
                format!(
                    "listen l{index}\n mode tcp\n unique-id-format %pid-%rt\n bind {from}\n server s {to} {how}\n"
                )
            })
            .collect();
        let _haproxy = HaProxy::start(folder.path(), &text, &[&ports[0], &ports[1]]);
        for port in &ports {
            let seen = from("127.0.0.2", port.address()).get("h", "/").seen();
            assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.2"));
        }
        assert_eq!(
            gateway
                .metrics()
                .sum("sluice_proxy_headers_total", &[("result", "malformed")]),
            0.0
        );
    });
}

#[test]
fn haproxy_behind_is_told_of_clients() {
    if !has("haproxy", "-v") {
        return;
    }
    on_both_drivers(|driver| {
        let (folder, behind) = (tempfile::tempdir().expect("a folder"), Port::free());
        let told = "lf-string \"%[src] %[src_port] %[dst] %[dst_port]\"";
        let text = format!(
            "listen l\n mode http\n bind {} accept-proxy\n http-request return status 200 content-type text/plain {told}\n",
            behind.address()
        );
        let _haproxy = HaProxy::start(folder.path(), &text, &[&behind]);
        for version in ["v1", "v2"] {
            let options =
                format!("proxyProtocol: {version}\nhealth: {{ http: {{ path: / }}, interval: 10ms }}");
            let config = Config::new().service_with("v1", &[behind.address()], &options);
            let gateway = Gateway::start(driver, &config);
            let mut client = from("127.0.0.2", gateway.address());
            let answer = client.get("h", "/").text();
            let (from, to) = (client.local_address(), gateway.address());
            assert_eq!(
                answer,
                format!("{} {} {} {}", from.ip(), from.port(), to.ip(), to.port())
            );
            gateway.wait_metrics("checks that pass", |metrics| {
                metrics.sum("sluice_health_checks_total", &[("result", "passed")]) >= 1.0
            });
        }
    });
}

#[test]
fn curl_tells_itself() {
    if !has("curl", "--version") {
        return;
    }
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let config = Config::new()
            .service("v1", &[origin.address()])
            .listener(TRUSTING);
        let gateway = Gateway::start(driver, &config);
        let output = Command::new("curl")
            .args(["-sS", "--max-time", "20", "--haproxy-protocol"])
            .arg(format!("http://{}/", gateway.address()))
            .output()
            .expect("curl runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            said.contains("x-forwarded-for: 127.0.0.1\r\n"),
            "{said}{output:?}"
        );
        let told = [("result", "told")];
        assert_eq!(gateway.metrics().sum("sluice_proxy_headers_total", &told), 1.0);
    });
}
