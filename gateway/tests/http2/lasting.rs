//! Streams of gRPC and WebSockets that are open while the gateway changes: by real clients to real servers, none notices.

use std::{
    fs, iter,
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use ::h2::Reason;

use crate::harness::{
    Config, Driver, Gateway, Origin, Ports, Run,
    certificates::{Authority, put},
    eventually,
    frames::{flag, get, kind, ping},
    gateway::runs,
    h2::{self, Session},
    on_both_drivers,
    peer::{Frame, Peer},
    python::{GRPCIO, Held, Server, WEBSOCKETS},
    secure::{Secure, der},
};

const BOTH: &str = "
- name: calls
  rules: [{ matches: [{ grpc: { service: test.Echo } }], backends: [{ service: calls }], timeouts: { backend: none } }]
- name: chat
  rules: [{ matches: [{ path: { prefix: /chat } }], backends: [{ service: chat }] }]
";

/// The servers, and a gateway's way to them.
struct Ends {
    calls: Server,
    chat: Server,
}

/// A stream of gRPC and a WebSocket.
struct Open {
    call: Held,
    chat: Held,
}

impl Ends {
    /// None where a package is not there.
    fn start() -> Option<Self> {
        Some(Self {
            calls: Server::start(&GRPCIO)?,
            chat: Server::start(&WEBSOCKETS)?,
        })
    }

    fn config(&self) -> Config {
        Config::new()
            .service_with("calls", &[self.calls.address()], "protocol: h2")
            .service("chat", &[self.chat.address()])
            .routes(BOTH)
    }
}

impl Open {
    /// Opens both, and sees that they work.
    fn new(gateway: &Gateway, root: Option<&str>) -> Self {
        let root = root.map(|name| gateway.folder().join(name));
        let open = |script| Held::open(script, gateway.address(), root.as_deref());
        let mut both = Self {
            call: open(&GRPCIO),
            chat: open(&WEBSOCKETS),
        };
        both.go_on("before");
        both
    }

    /// Says something on each, and makes another call on the first one's channel.
    fn go_on(&mut self, word: &str) {
        assert_eq!(self.call.say(word), format!("got {word} beside"));
        assert_eq!(self.chat.say(word), format!("got {word}"));
    }

    /// Says something on each, and nothing new.
    fn go_on_alone(&mut self) {
        assert_eq!(self.call.say("alone"), "got alone");
        assert_eq!(self.chat.say("alone"), "got alone");
    }

    fn end(&mut self) {
        assert_eq!(self.call.end(), "ended [] OK");
        assert_eq!(self.chat.end(), "ended 1000");
    }
}

#[test]
fn a_reload_does_not_touch_them() {
    let Some(ends) = Ends::start() else { return };
    on_both_drivers(|driver| {
        let gateway = Gateway::start(driver, &ends.config());
        let mut open = Open::new(&gateway, None);
        for (round, options) in ["pool: { idleMax: 1 }", "balance: random", ""]
            .into_iter()
            .enumerate()
        {
            let spare = ends
                .config()
                .service_with("spare", &[ends.chat.address()], options);
            gateway.reload(&spare);
            open.go_on(&format!("after {round}"));
        }
        // Not even one after which nothing leads to where they go.
        let nowhere = ends
            .config()
            .routes("\n- name: none\n  rules: [{ filters: [{ direct: { status: 404 } }] }]\n");
        gateway.reload(&nowhere);
        open.go_on_alone();
        open.end();
    });
}

fn with_tls(driver: Driver, ends: &Ends, authority: &Authority) -> Gateway {
    let (folder, ports) = (tempfile::tempdir().expect("a folder"), Ports::free());
    authority.server(&["web.example"]).write(folder.path(), "web");
    put(&folder.path().join("root.crt"), &authority.pem());
    let tls = "protocol: https\ntls: { certificates: [{ cert: web.crt, key: web.key }] }";
    let config = ends.config().listener(tls);
    fs::write(folder.path().join("sluice.yaml"), config.yaml(&ports)).expect("a configuration");
    Run::on(driver).start_in(folder, ports)
}

#[test]
fn another_certificate_does_not_touch_them() {
    let Some(ends) = Ends::start() else { return };
    on_both_drivers(|driver| {
        let authority = Authority::new("root");
        let gateway = with_tls(driver, &ends, &authority);
        let mut open = Open::new(&gateway, Some("root.crt"));
        let secure = Secure::new(&authority, None);
        for round in 0..3 {
            let pair = authority.server(&["web.example"]);
            pair.write(gateway.folder(), "web");
            eventually("the new certificate", || {
                let session = secure.connect(gateway.address(), "web.example");
                (session.expect("a handshake").shown() == der(&pair.cert)).then_some(())
            });
            open.go_on(&format!("after {round}"));
        }
        open.end();
    });
}

#[test]
fn they_end_in_the_process_they_began_in() {
    let Some(ends) = Ends::start() else { return };
    on_both_drivers(|driver| {
        let authority = Authority::new("root");
        let mut gateway = with_tls(driver, &ends, &authority);
        let mut open = Open::new(&gateway, Some("root.crt"));
        let old = gateway.upgrade();
        // The channel's next call goes to the new process, its stream stays.
        open.go_on("after");
        assert!(runs(old), "it holds a stream and a tunnel");
        let mut second = Open::new(&gateway, Some("root.crt"));
        open.end();
        gateway.wait_gone(old);
        second.go_on("alone in the new one");
        second.end();
    });
}

#[test]
fn a_drain_waits_for_them() {
    let Some(ends) = Ends::start() else { return };
    on_both_drivers(|driver| {
        let mut gateway = Gateway::start(driver, &ends.config());
        let mut open = Open::new(&gateway, None);
        gateway.signal("TERM");
        gateway.wait_stderr("draining");
        open.go_on_alone();
        assert!(gateway.is_running());
        open.end();
        assert!(gateway.wait_exit().success());
    });
}

/// What clients of HTTP/2 got.
#[derive(Debug, Default)]
struct Load {
    stop: AtomicBool,
    done: AtomicUsize,
    lost: Mutex<Vec<String>>,
}

impl Load {
    /// Asks on one connection after the other, with several streams at a time on each.
    fn run(&self, address: SocketAddr) {
        while !self.stop.load(Ordering::SeqCst) {
            h2::run(async {
                let session = Session::open(address).await;
                let ask = || self.ask(&session);
                tokio::join!(ask(), ask(), ask(), ask());
            });
        }
    }

    /// A while, or until told to stop, or until the connection takes no more.
    async fn ask(&self, session: &Session) {
        for _ in 0..200 {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let Ok((response, _)) = session.begin(session.request("GET", "/"), true).await else {
                return;
            };
            match h2::read(response).await {
                Ok(answer) if answer.status == 200 => self.done.fetch_add(1, Ordering::SeqCst),
                // A goodbye that does not count it: nothing was done, and it may be sent again (RFC 9113 6.8).
                Err(error) if error.is_go_away() && error.reason() == Some(Reason::NO_ERROR) => return,
                other => return self.lost.lock().expect("a list").push(format!("{other:?}")),
            };
        }
    }

    fn wait_for(&self, count: usize) {
        let target = self.done.load(Ordering::SeqCst) + count;
        let done = || self.done.load(Ordering::SeqCst);
        eventually("answers under load", || (done() >= target).then_some(()));
    }
}

#[test]
fn reloads_and_upgrades_under_load_lose_no_stream() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let config = Config::new().service("v1", &[origin.address()]);
        let mut gateway = Run::on(driver).workers(2).start(&config);
        let (address, load) = (gateway.address(), Load::default());
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| load.run(address));
            }
            for round in 0..10 {
                gateway.reload(
                    &config
                        .clone()
                        .service(&format!("spare{round}"), &[origin.address()]),
                );
                load.wait_for(50);
            }
            for _ in 0..2 {
                let old = gateway.upgrade();
                gateway.wait_gone(old);
                load.wait_for(50);
            }
            load.stop.store(true, Ordering::SeqCst);
        });
        let lost = load.lost.into_inner().expect("a list");
        assert!(lost.is_empty(), "{lost:?}");
    });
}

fn last_stream(goodbye: &Frame) -> u32 {
    u32::from_be_bytes(goodbye.payload[..4].try_into().expect("four bytes"))
}

#[test]
fn a_goodbye_is_said_twice_and_no_stream_is_lost_between() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let mut gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let mut peer = Peer::connect(gateway.address());
        assert_eq!(peer.get(1, "/").expect("an answer").status, 200);
        gateway.signal("TERM");
        let first = peer.wait(|frame| frame.kind == kind::GOAWAY).expect("a goodbye");
        assert_eq!((last_stream(&first), first.code()), ((1 << 31) - 1, 0));
        let probe = peer
            .wait(|frame| frame.kind == kind::PING && frame.flags == 0)
            .expect("a PING, whose answer tells that the goodbye was seen");
        // Sent before the client has seen the goodbye: it counts.
        assert!(peer.send(get(3, "/late")));
        let mut answer = ping(probe.payload.try_into().expect("eight bytes"));
        answer[4] = flag::ACK;
        assert!(peer.send(answer));
        let rest: Vec<Frame> = iter::from_fn(|| peer.frame().ok()).collect();
        let goodbye = rest.iter().find(|frame| frame.kind == kind::GOAWAY);
        let second = goodbye.expect("a second goodbye");
        assert_eq!((last_stream(second), second.code()), (3, 0));
        let mut of_late = rest.iter().filter(|frame| frame.stream == 3);
        assert_eq!(of_late.next().and_then(Frame::status), Some(200));
        assert!(of_late.next_back().is_some_and(Frame::ends_stream));
        assert!(gateway.wait_exit().success());
    });
}
