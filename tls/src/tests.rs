//! Secure streams on both drivers against a rustls client.

mod backends;
mod world;

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    sync::Arc,
};

use rustls::{ClientConnection, HandshakeKind, StreamOwned, client::Resumption};
use sluice_config::model::TlsVersion;
use sluice_io::DriverChoice;

use super::*;
use world::{Authority, World, both_drivers, client_config, settings};

type Client = StreamOwned<ClientConnection, TcpStream>;

fn connect(world: &World, config: &Arc<rustls::ClientConfig>, name: &str) -> Client {
    let name = name.to_owned().try_into().unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    StreamOwned::new(connection, TcpStream::connect(world.address).unwrap())
}

/// Says `bytes` and reads them back.
fn echo(client: &mut Client, bytes: &[u8]) {
    for piece in bytes.chunks(48 * 1024) {
        client.write_all(piece).unwrap();
        let mut back = vec![0; piece.len()];
        client.read_exact(&mut back).unwrap();
        assert!(back == piece, "other bytes came back");
    }
}

/// The alert or other error that a handshake with one read ends with.
fn refusal(client: &mut Client) -> String {
    let outcome = client.write_all(b"x").and_then(|()| client.read_exact(&mut [0]));
    outcome.unwrap_err().to_string()
}

#[test]
fn bytes_go_both_ways_in_both_versions() {
    both_drivers(|driver| {
        let authority = Authority::new();
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let world = World::start(driver, settings(&[authority.identity(&["a.example"])]));
            let config = client_config(&authority, &[version], None);
            let mut client = connect(&world, &config, "a.example");
            echo(&mut client, b"hello");
            let large: Vec<u8> = (0..1_000_000_u32).map(|index| (index % 251) as u8).collect();
            echo(&mut client, &large);
            assert_eq!(client.conn.protocol_version(), Some(version.version));
            assert_eq!(client.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
            client.conn.send_close_notify();
            client.flush().unwrap();
            assert_eq!(
                client.read_to_end(&mut Vec::new()).unwrap(),
                0,
                "it says goodbye too"
            );
            let served = world.end();
            assert_eq!(served.end, "well");
            assert_eq!(served.server_name.as_deref(), Some("a.example"));
        }
    });
}

#[test]
fn an_old_version_is_refused() {
    let authority = Authority::new();
    let mut settings = settings(&[authority.identity(&["a.example"])]);
    settings.min_version = TlsVersion::V13;
    let world = World::start(DriverChoice::Epoll, settings);
    let config = client_config(&authority, &[&rustls::version::TLS12], None);
    let error = refusal(&mut connect(&world, &config, "a.example"));
    assert!(error.contains("ProtocolVersion"), "{error}");
    assert_eq!(world.end().failure, Some(Reason::NothingInCommon));
}

#[test]
fn a_stream_without_close_notify_is_no_whole_one() {
    both_drivers(|driver| {
        let authority = Authority::new();
        let world = World::start(driver, settings(&[authority.identity(&["a.example"])]));
        let config = client_config(&authority, rustls::ALL_VERSIONS, None);
        let mut client = connect(&world, &config, "a.example");
        echo(&mut client, b"hello");
        client.sock.shutdown(Shutdown::Write).unwrap();
        assert_eq!(world.end().end, "the peer closed without close_notify");
    });
}

#[test]
fn records_that_were_tampered_with_end_the_connection_with_an_alert() {
    both_drivers(|driver| {
        let authority = Authority::new();
        let world = World::start(driver, settings(&[authority.identity(&["a.example"])]));
        let config = client_config(&authority, rustls::ALL_VERSIONS, None);
        let mut client = connect(&world, &config, "a.example");
        echo(&mut client, b"hello");
        client.sock.write_all(&[23, 3, 3, 0, 20]).unwrap();
        client.sock.write_all(&[7; 20]).unwrap();
        let error = client.read(&mut [0; 8]).unwrap_err().to_string();
        assert!(error.contains("BadRecordMac"), "{error}");
        assert!(world.end().end.contains("decrypt"), "says what it was");
    });
}

#[test]
fn a_handshake_may_come_in_single_bytes_and_keys_may_change() {
    both_drivers(|driver| {
        let authority = Authority::new();
        let world = World::start(driver, settings(&[authority.identity(&["a.example"])]));
        let config = client_config(&authority, &[&rustls::version::TLS13], None);
        let mut client = connect(&world, &config, "a.example");
        client.sock.set_nodelay(true).unwrap();
        let mut hello = Vec::new();
        client.conn.write_tls(&mut hello).unwrap();
        for byte in hello {
            client.sock.write_all(&[byte]).unwrap();
        }
        echo(&mut client, b"hello");
        for turn in 0..20 {
            client.conn.refresh_traffic_keys().unwrap();
            echo(&mut client, format!("after change {turn}").as_bytes());
        }
        drop(client);
        world.end();
    });
}

#[test]
fn a_handshake_has_a_bound() {
    let authority = Authority::new();
    let world = World::start(
        DriverChoice::Epoll,
        settings(&[authority.identity(&["a.example"])]),
    );
    let mut client = TcpStream::connect(world.address).unwrap();
    // A ClientHello of almost 2^16 bytes, in records of 16 KiB.
    let mut message = vec![1, 0, 0xff, 0xff];
    message.resize(0xffff + 4, 0);
    for piece in message.chunks(16 * 1024) {
        let length = u16::try_from(piece.len()).unwrap().to_be_bytes();
        let record = [&[22, 3, 1][..], &length, piece].concat();
        if client.write_all(&record).is_err() {
            break;
        }
    }
    let mut told = Vec::new();
    // A reset is as good as an end.
    let _ = client.read_to_end(&mut told);
    assert!(matches!(
        world.end().failure,
        Some(Reason::TooLarge | Reason::NotTls)
    ));
}

#[test]
fn what_is_not_tls_is_told_so() {
    let authority = Authority::new();
    let world = World::start(
        DriverChoice::Epoll,
        settings(&[authority.identity(&["a.example"])]),
    );
    let mut client = TcpStream::connect(world.address).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut told = Vec::new();
    client.read_to_end(&mut told).unwrap();
    assert_eq!(told[0], 21, "an alert");
    assert_eq!(world.end().failure, Some(Reason::NotTls));
}

#[test]
fn certificates_are_chosen_exact_then_wildcard_then_first() {
    let authority = Authority::new();
    let identities = [
        authority.identity(&["first.example"]),
        authority.identity(&["*.b.example"]),
        authority.identity(&["x.b.example"]),
    ];
    let chosen = |name: &str, strict: bool| {
        let mut settings = settings(&identities);
        settings.strict_sni = strict;
        let world = World::start(DriverChoice::Epoll, settings);
        let mut config = (*client_config(&authority, rustls::ALL_VERSIONS, None)).clone();
        world::trust_anything(&mut config);
        let mut client = connect(&world, &Arc::new(config), name);
        let shown = client
            .write_all(b"x")
            .and_then(|()| client.read_exact(&mut [0]))
            .map_err(|error| error.to_string())
            .map(|()| {
                let chain = client.conn.peer_certificates().unwrap();
                let shown = identities
                    .iter()
                    .position(|identity| identity.key.cert[0] == chain[0]);
                shown.unwrap()
            });
        drop(client);
        (shown, world.end())
    };
    assert_eq!(chosen("x.b.example", false).0, Ok(2));
    assert_eq!(chosen("y.b.example", false).0, Ok(1));
    assert_eq!(chosen("y.z.b.example", false).0, Ok(0));
    assert_eq!(chosen("127.0.0.1", true).0, Ok(0), "no name is asked for");
    let (refused, served) = chosen("y.z.b.example", true);
    assert!(refused.unwrap_err().contains("UnrecognisedName"));
    assert_eq!(served.failure, Some(Reason::UnknownName));
}

#[test]
fn a_host_belongs_where_its_certificate_was_shown() {
    let authority = Authority::new();
    let identities = [
        authority.identity(&["a.example"]),
        authority.identity(&["*.b.example"]),
    ];
    let serves = |name: &str| {
        let world = World::start(DriverChoice::Epoll, settings(&identities));
        let mut config = (*client_config(&authority, rustls::ALL_VERSIONS, None)).clone();
        world::trust_anything(&mut config);
        echo(&mut connect(&world, &Arc::new(config), name), b"x");
        world.end().serves
    };
    // In the order of world::HOSTS: a.example, x.b.example, other.example, 127.0.0.1.
    assert_eq!(serves("a.example"), [true, false, false, false]);
    assert_eq!(serves("x.b.example"), [false, true, false, false]);
    assert_eq!(
        serves("127.0.0.1"),
        [true, false, true, true],
        "no name is asked for"
    );
}

#[test]
fn who_the_client_is_comes_with_the_connection() {
    both_drivers(|driver| {
        let authority = Authority::new();
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let mut settings = settings(&[authority.identity(&["a.example"])]);
            settings.clients = authority.required();
            let world = World::start(driver, settings);
            let config = client_config(
                &authority,
                &[version],
                Some(authority.client("spiffe://td/ns/n/sa/web")),
            );
            let mut client = connect(&world, &config, "a.example");
            echo(&mut client, b"x");
            drop(client);
            assert_eq!(world.end().spiffe.as_deref(), Some("spiffe://td/ns/n/sa/web"));
        }
    });
}

#[test]
fn clients_without_a_good_certificate_get_the_right_alert() {
    let (authority, other) = (Authority::new(), Authority::new());
    let cases = [
        (None, "CertificateRequired", Reason::NoCertificate),
        (
            Some(other.client("spiffe://td/a")),
            "UnknownCA",
            Reason::UnknownAuthority,
        ),
        (
            Some(authority.expired()),
            "CertificateExpired",
            Reason::CertificateExpired,
        ),
        (
            Some(world::flip_last_bit(authority.client("spiffe://td/a"))),
            "DecryptError",
            Reason::CertificateInvalid,
        ),
        (
            Some(authority.for_servers()),
            "UnsupportedCertificate",
            Reason::CertificatePurpose,
        ),
    ];
    for (certificate, alert, reason) in cases {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let mut settings = settings(&[authority.identity(&["a.example"])]);
            settings.clients = authority.required();
            let world = World::start(DriverChoice::Epoll, settings);
            let config = client_config(&authority, &[version], certificate.as_ref().map(world::copy));
            let error = refusal(&mut connect(&world, &config, "a.example"));
            assert!(error.contains(alert), "{error} for {reason:?}");
            assert_eq!(world.end().failure, Some(reason));
        }
    }
}

#[test]
fn a_revoked_client_is_refused_and_others_are_not() {
    let authority = Authority::new();
    let (good, revoked) = (
        authority.client("spiffe://td/good"),
        authority.client("spiffe://td/bad"),
    );
    for (certificate, expected) in [(&good, None), (&revoked, Some(Reason::CertificateRevoked))] {
        let mut settings = settings(&[authority.identity(&["a.example"])]);
        settings.clients = authority.required_unless_revoked(&revoked);
        let world = World::start(DriverChoice::Epoll, settings);
        let config = client_config(&authority, rustls::ALL_VERSIONS, Some(world::copy(certificate)));
        let mut client = connect(&world, &config, "a.example");
        let outcome = client.write_all(b"x").and_then(|()| client.read_exact(&mut [0]));
        drop(client);
        assert_eq!(outcome.is_ok(), expected.is_none(), "{outcome:?}");
        assert_eq!(world.end().failure, expected);
    }
}

#[test]
fn tickets_resume_where_the_policy_is_the_same_and_nowhere_else() {
    let authority = Authority::new();
    let other = Authority::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let identity = authority.identity(&["a.example"]);
        let make = |listener, clients, before: Option<&ServerContext>| {
            let mut settings = settings(std::slice::from_ref(&identity));
            (settings.listener, settings.clients) = (listener, clients);
            Arc::new(ServerContext::new(settings, before).unwrap())
        };
        let mut config =
            (*client_config(&authority, &[version], Some(authority.client("spiffe://td/a")))).clone();
        config.resumption = Resumption::in_memory_sessions(8);
        let config = Arc::new(config);
        let kind = |context: &Arc<ServerContext>| {
            let world = World::start_with(DriverChoice::Epoll, Arc::clone(context));
            let mut client = connect(&world, &config, "a.example");
            echo(&mut client, b"x");
            let kind = client.conn.handshake_kind();
            drop(client);
            let spiffe = world.end().spiffe;
            (kind, spiffe)
        };
        let first = make("web", authority.required(), None);
        assert_eq!(kind(&first).0, Some(HandshakeKind::Full));
        let who = Some("spiffe://td/a".to_owned());
        assert_eq!(kind(&first), (Some(HandshakeKind::Resumed), who.clone()));
        // A certificate that was exchanged takes no ticket away.
        let rotated = make("web", authority.required(), Some(&first));
        assert_eq!(kind(&rotated), (Some(HandshakeKind::Resumed), who));
        let both = Clients::Verified {
            authorities: vec![authority.authorities(), other.authorities()],
            revocations: Vec::new(),
            required: true,
        };
        let changed = make("web", both, Some(&rotated));
        assert_eq!(kind(&changed).0, Some(HandshakeKind::Full));
        let elsewhere = make("other", authority.required(), Some(&changed));
        assert_eq!(kind(&elsewhere).0, Some(HandshakeKind::Full));
    }
}

#[test]
fn a_secure_stream_costs_a_plain_one_nothing() {
    assert_eq!(size_of::<Stream>(), size_of::<sluice_io::TcpStream>());
}
