//! Backends reached over TLS: which certificates are taken and which are not, and that a session is resumed.

use std::{future::poll_fn, sync::Arc};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, SanType};
use sluice_config::{
    defaults,
    model::{SpiffePattern, TlsVersion},
};
use sluice_io::{DriverChoice, Options, Runtime, SocketOptions};

use super::{
    world::{Authority, Served, World, both_drivers, settings},
    *,
};
use crate::material::Identity;

fn context(expected: Expected, identity: Option<Arc<Identity>>) -> ClientContext {
    let settings = ClientSettings {
        identity,
        expected,
        min_version: TlsVersion::V12,
        groups: &defaults::TLS_GROUPS,
        alpn: &[sluice_config::model::ApplicationProtocol::Http1],
    };
    ClientContext::new(settings).unwrap()
}

/// Calls a server and has it echo. What came of it on both sides.
fn call(
    driver: DriverChoice,
    server: ServerSettings<'_>,
    context: &ClientContext,
    name: &str,
) -> (Result<Option<String>, Failure>, Served) {
    let world = World::start(driver, server);
    let runtime = Runtime::new(&Options {
        driver,
        ..Options::default()
    })
    .unwrap();
    let io = runtime.io();
    let outcome = runtime.block_on(async {
        let tcp = io
            .connect(world.address, &SocketOptions::default())
            .await
            .unwrap();
        let mut stream = Stream::connect(tcp, context, name).unwrap();
        let mut outcome = poll_fn(|cx| stream.poll_handshake(cx)).await;
        if outcome.is_ok() {
            let bytes: Vec<u8> = (0..100_000_u32).map(|index| (index % 251) as u8).collect();
            stream.write(&bytes);
            stream.start_flush();
            while stream.received().len() < bytes.len() {
                // With TLS 1.3 a refusal comes after this side is done.
                if let Err(error) = poll_fn(|cx| stream.poll_more(cx)).await {
                    outcome = Err(Failure::new(Reason::Refused, error));
                    break;
                }
            }
            assert!(
                outcome.is_err() || stream.received() == bytes,
                "other bytes came back"
            );
        }
        stream.end();
        let _ = poll_fn(|cx| stream.poll_flush(cx)).await;
        let _ = stream.shutdown_write();
        outcome.map(|()| {
            stream
                .transport()
                .peer()
                .and_then(crate::Peer::spiffe)
                .map(|id| id.as_str().to_owned())
        })
    });
    (outcome, world.end())
}

/// The reason for which a certificate of these parameters, made for servers or not, is refused by one who expects
/// `a.example`.
fn refused(params: CertificateParams, purpose: ExtendedKeyUsagePurpose) -> Reason {
    let authority = Authority::new();
    let server = settings(&[authority.identity_of(params, purpose)]);
    let context = context(Expected::Host(vec![authority.authorities()]), None);
    let (outcome, served) = call(DriverChoice::Epoll, server, &context, "a.example");
    assert_eq!(served.failure, Some(Reason::Refused), "an alert says so");
    outcome.unwrap_err().reason
}

#[test]
fn a_backend_is_taken_by_its_host_and_nobody_else() {
    both_drivers(|driver| {
        let authority = Authority::new();
        let expected = || Expected::Host(vec![authority.authorities()]);
        let server = || settings(&[authority.identity(&["a.example", "*.b.example"])]);
        for name in ["a.example", "x.b.example"] {
            let (outcome, served) = call(driver, server(), &context(expected(), None), name);
            assert_eq!(outcome.unwrap(), None);
            assert_eq!(served.end, "well");
            assert_eq!(served.server_name.as_deref(), Some(name));
        }
        for name in ["c.example", "x.y.b.example", "127.0.0.1"] {
            let (outcome, served) = call(driver, server(), &context(expected(), None), name);
            assert_eq!(outcome.unwrap_err().reason, Reason::CertificateInvalid, "{name}");
            assert_eq!(served.failure, Some(Reason::Refused));
        }
        let other = Expected::Host(vec![Authority::new().authorities()]);
        let (outcome, _) = call(driver, server(), &context(other, None), "a.example");
        assert_eq!(outcome.unwrap_err().reason, Reason::UnknownAuthority);
    });
}

#[test]
fn certificates_of_the_wrong_kind_are_refused() {
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    let named = || CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    assert_eq!(refused(named(), ClientAuth), Reason::CertificatePurpose);
    let mut expired = named();
    (expired.not_before, expired.not_after) =
        (rcgen::date_time_ymd(2001, 1, 1), rcgen::date_time_ymd(2026, 6, 1));
    assert_eq!(refused(expired, ServerAuth), Reason::CertificateExpired);
    let mut early = named();
    early.not_before = rcgen::date_time_ymd(4000, 1, 1);
    early.not_after = rcgen::date_time_ymd(4001, 1, 1);
    assert_eq!(refused(early, ServerAuth), Reason::CertificateExpired);
    // A common name names no host (RFC 9525 2), nor does part of a label stand for more.
    let mut common = CertificateParams::default();
    common.distinguished_name.push(DnType::CommonName, "a.example");
    assert_eq!(refused(common, ServerAuth), Reason::CertificateInvalid);
    for name in ["a*.example", "*.example\0.a.example", "*"] {
        let mut partial = CertificateParams::default();
        partial.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        assert_eq!(
            refused(partial, ServerAuth),
            Reason::CertificateInvalid,
            "{name:?}"
        );
    }
}

#[test]
fn identities_and_other_names_are_expected_in_place_of_the_host() {
    let authority = Authority::new();
    let ids = |patterns: &[&str]| -> Vec<SpiffePattern> {
        patterns.iter().map(|pattern| pattern.parse().unwrap()).collect()
    };
    let expected = |names: &[&'static str], patterns: &[&str]| Expected::Any {
        authorities: vec![authority.authorities()],
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        ids: ids(patterns),
    };
    let web = "spiffe://td/ns/default/sa/web";
    let server = || {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(web.try_into().unwrap())];
        settings(&[authority.identity_of(params, ExtendedKeyUsagePurpose::ServerAuth)])
    };
    let called = |expected| {
        call(
            DriverChoice::Epoll,
            server(),
            &context(expected, None),
            "a.example",
        )
        .0
    };
    for pattern in [web, "spiffe://td/ns/*/sa/web", "spiffe://td/**"] {
        assert_eq!(called(expected(&[], &[pattern])).unwrap().as_deref(), Some(web));
    }
    for (names, patterns) in [
        (&[][..], &["spiffe://td/ns/*/sa/other"][..]),
        (&["a.example"], &["spiffe://other/**"]),
        (&["a.example"], &[]),
    ] {
        let reason = called(expected(names, patterns)).unwrap_err().reason;
        assert_eq!(reason, Reason::CertificateInvalid, "{names:?} {patterns:?}");
    }
    let named = settings(&[authority.identity(&["real.example"])]);
    let by_name = context(expected(&["other.example", "real.example"], &[]), None);
    assert!(call(DriverChoice::Epoll, named, &by_name, "a.example").0.is_ok());
}

#[test]
fn only_unverified_takes_anyone() {
    let server = settings(&[Authority::new().identity(&["other.example"])]);
    let (outcome, _) = call(
        DriverChoice::Epoll,
        server,
        &context(Expected::Unverified, None),
        "a.example",
    );
    assert!(outcome.is_ok());
}

#[test]
fn it_is_called_as_who_the_service_says() {
    both_drivers(|driver| {
        let (servers, clients) = (Authority::new(), Authority::new());
        let identity = clients.identity_of(
            Authority::client_params("spiffe://td/ns/default/sa/gateway"),
            ExtendedKeyUsagePurpose::ClientAuth,
        );
        let server = || ServerSettings {
            clients: clients.required(),
            ..settings(&[servers.identity(&["a.example"])])
        };
        let expected = || Expected::Host(vec![servers.authorities()]);
        let mutual = context(expected(), Some(identity));
        for _ in 0..2 {
            // The second time resumed, and still the same.
            let (outcome, served) = call(driver, server(), &mutual, "a.example");
            assert!(outcome.is_ok());
            assert_eq!(
                served.spiffe.as_deref(),
                Some("spiffe://td/ns/default/sa/gateway")
            );
        }
        let (outcome, served) = call(driver, server(), &context(expected(), None), "a.example");
        assert_eq!(outcome.unwrap_err().reason, Reason::Refused);
        assert_eq!(served.failure, Some(Reason::NoCertificate));
    });
}
