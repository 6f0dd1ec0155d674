//! Files of certificates, keys, authorities and revoked certificates are read or refused with the name of the file and a
//! reason that shows nothing of what they hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_tls::material::{Authorities, File, Identity, Revocations};

fuzz_target!(|bytes: &[u8]| {
    let file = File {
        name: "fuzzed.pem",
        bytes,
    };
    let now = 1_800_000_000;
    let outcomes = [
        Identity::read(file, file, now).map(|identity| assert!(identity.not_after() > now)),
        Authorities::read(file, now).map(|_| ()),
        Revocations::read(file).map(|_| ()),
    ];
    for bad in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(bad.file, "fuzzed.pem");
        assert!(!bad.cause.is_empty());
        assert!(bad.cause.len() < 1024, "{}", bad.cause);
    }
});
