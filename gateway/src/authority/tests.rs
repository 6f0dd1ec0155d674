//! What is issued, and what is refused. That others verify it is tested with them, in `gateway/tests/tls/authority.rs`.

use super::*;

const NOW: Duration = Duration::from_secs(1_800_000_000);

fn now() -> SystemTime {
    UNIX_EPOCH + NOW
}

fn authority() -> Authority {
    Authority::new(&Material::new("example.org", now()).unwrap().intermediate).unwrap()
}

fn workload(spiffe: &str) -> Workload {
    Workload {
        spiffe: spiffe.to_owned(),
        dns: Vec::new(),
        ttl: Duration::from_secs(3600),
    }
}

fn refusal(workload: &Workload) -> String {
    let pair = authority().issue(workload, now(), &mut fastrand::Rng::with_seed(1));
    pair.err().expect("it is refused").to_string()
}

#[test]
fn the_trust_domain_is_read_from_the_intermediate() {
    assert_eq!(authority().trust_domain(), "example.org");
}

#[test]
fn a_chain_is_the_leaf_and_the_intermediate() {
    let rng = &mut fastrand::Rng::with_seed(1);
    let workload = workload("spiffe://example.org/ns/default/sa/web");
    let authority = authority();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let [one, other] = [0; 2].map(|_| authority.certify(&key, &workload, now(), rng).unwrap().chain);
    assert_eq!(one.matches("BEGIN CERTIFICATE").count(), 2);
    assert!(one.ends_with(&authority.certificate));
    let serial = |chain: &str| {
        let (_, pem) = x509_parser::pem::parse_x509_pem(chain.as_bytes()).unwrap();
        let (_, leaf) = X509Certificate::from_der(&pem.contents).unwrap();
        let validity = leaf.validity();
        assert_eq!(
            [validity.not_before.timestamp(), validity.not_after.timestamp()],
            [1_800_000_000 - 300, 1_800_003_600]
        );
        leaf.raw_serial().to_vec()
    };
    assert_ne!(serial(&one), serial(&other), "a renewal is another certificate");
}

#[test]
fn what_must_not_be_issued_is_refused_with_the_reason() {
    for (id, part) in [
        ("spiffe://example.com/web", "issues for example.org"),
        ("spiffe://Example.org/web", "lower case"),
        ("spiffe://example.org", "has a path"),
        ("spiffe://example.org/", "no segment is empty"),
        ("spiffe://example.org/a?b", "no query"),
        ("spiffe://example.org:1/a", "no port"),
        ("spiffe://example.org/sluice/authority", "the authority's own"),
        ("web", "did you mean \"spiffe://web\""),
    ] {
        assert!(
            refusal(&workload(id)).contains(part),
            "{id}: {}",
            refusal(&workload(id))
        );
    }
    let good = workload("spiffe://example.org/web");
    let with_ttl = |ttl| Workload { ttl, ..good.clone() };
    for ttl in [
        CA_TTL_MIN - Duration::from_secs(1),
        CA_TTL_MAX + Duration::from_secs(1),
    ] {
        assert!(refusal(&with_ttl(ttl)).contains("90 days"), "{ttl:?}");
    }
    for name in ["a b", "10.0.0.1", "[::1]", "http://a", ""] {
        let named = Workload {
            dns: vec![name.to_owned()],
            ..good.clone()
        };
        assert!(refusal(&named).contains("no DNS name"), "{name}");
    }
    let late = now() + CA_INTERMEDIATE_LIFE - Duration::from_secs(60);
    let outlives = authority()
        .issue(&good, late, &mut fastrand::Rng::with_seed(1))
        .err();
    assert!(outlives.unwrap().to_string().contains("in 60 seconds"));
}

#[test]
fn an_authority_needs_a_trust_domain_and_a_matching_key() {
    for wrong in ["", "Example.org", "a/b", "a:1", "spiffe://a"] {
        assert!(Material::new(wrong, now()).is_err(), "{wrong}");
    }
    let (one, other) = (
        Material::new("a", now()).unwrap(),
        Material::new("a", now()).unwrap(),
    );
    let mixed = Pair {
        certificate: one.intermediate.certificate,
        key: other.intermediate.key,
    };
    let error = Authority::new(&mixed).err().unwrap().to_string();
    assert!(error.contains("another key"), "{error}");
    let empty = Pair {
        certificate: String::new(),
        key: String::new(),
    };
    assert!(Authority::new(&empty).is_err());
}
