//! `sluice ca`: what it issues, as OpenSSL sees it, and what it refuses.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

const WEB: &str = "spiffe://example.org/ns/default/sa/web";

fn sluice(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the binary runs")
}

/// What a command that must do well printed.
fn well(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a command that must not do well says, and its exit status.
fn ill(output: &Output) -> (String, i32) {
    let status = output.status.code().expect("an exit status");
    assert_ne!(status, 0);
    (String::from_utf8_lossy(&output.stderr).into_owned(), status)
}

fn openssl(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("openssl is there");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}");
    text
}

fn initialised() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    well(&sluice(
        folder.path(),
        &["ca", "init", "ca", "--trust-domain", "example.org"],
    ));
    folder
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[test]
fn openssl_verifies_a_pair_for_both_ends() {
    let folder = initialised();
    let folder = folder.path();
    let issue = [
        "ca",
        "issue",
        "--dir",
        "ca",
        "--spiffe",
        WEB,
        "--dns",
        "Web.example.org",
        "--ttl",
        "1h",
    ];
    let told = well(&sluice(folder, &issue));
    assert!(told.contains("web.crt") && told.contains("ca/root.crt"), "{told}");
    for purpose in ["sslserver", "sslclient"] {
        let verify = [
            "verify",
            "-x509_strict",
            "-purpose",
            purpose,
            "-CAfile",
            "ca/root.crt",
            "-untrusted",
            "web.crt",
            "web.crt",
        ];
        assert!(openssl(folder, &verify).contains("web.crt: OK"));
    }
    let text = openssl(folder, &["x509", "-in", "web.crt", "-noout", "-text"]);
    for part in [
        &format!("URI:{WEB}, DNS:web.example.org") as &str,
        "CA:FALSE",
        "Digital Signature",
        "TLS Web Server Authentication, TLS Web Client Authentication",
        "NIST CURVE: P-256",
        "Authority Key Identifier",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("Certificate Sign"), "{text}");
    let intermediate = openssl(folder, &["x509", "-in", "ca/intermediate.crt", "-noout", "-text"]);
    assert!(intermediate.contains("CA:TRUE, pathlen:0"), "{intermediate}");
    assert!(
        intermediate.contains("URI:spiffe://example.org"),
        "{intermediate}"
    );
    let of_key = openssl(folder, &["pkey", "-in", "web.key", "-pubout"]);
    let of_certificate = openssl(folder, &["x509", "-in", "web.crt", "-noout", "-pubkey"]);
    assert_eq!(of_key, of_certificate);
}

#[test]
fn keys_are_for_their_owner_alone() {
    let folder = initialised();
    let at = |path: &str| mode(&folder.path().join(path));
    well(&sluice(
        folder.path(),
        &["ca", "issue", "--dir", "ca", "--spiffe", WEB, "--out", "pair.v1"],
    ));
    assert_eq!(at("ca"), 0o700);
    for key in ["ca/root.key", "ca/intermediate.key", "pair.v1.key"] {
        assert_eq!(at(key), 0o600, "{key}");
    }
    assert!(folder.path().join("pair.v1.crt").exists());
}

#[test]
fn an_authority_is_never_overwritten_and_a_pair_is_renewed() {
    let folder = initialised();
    let folder = folder.path();
    let root = fs::read(folder.join("ca/root.crt")).expect("a root");
    let (told, status) = ill(&sluice(
        folder,
        &["ca", "init", "ca", "--trust-domain", "example.org"],
    ));
    assert!(told.contains("never overwritten") && status == 2, "{told}");
    assert_eq!(fs::read(folder.join("ca/root.crt")).expect("a root"), root);
    let issue = ["ca", "issue", "--dir", "ca", "--spiffe", WEB];
    well(&sluice(folder, &issue));
    let first = fs::read(folder.join("web.crt")).expect("a certificate");
    // The root's key is not needed to issue.
    fs::remove_file(folder.join("ca/root.key")).expect("a key");
    well(&sluice(folder, &issue));
    assert_ne!(fs::read(folder.join("web.crt")).expect("a certificate"), first);
}

#[test]
fn what_must_not_be_issued_is_refused() {
    let folder = initialised();
    let folder = folder.path();
    for (arguments, part) in [
        (
            vec!["--spiffe", "spiffe://other.org/web"],
            "issues for example.org",
        ),
        (vec!["--spiffe", "spiffe://Example.org/web"], "lower case"),
        (vec!["--spiffe", WEB, "--ttl", "1000d"], "90 days"),
        (vec!["--spiffe", WEB, "--ttl", "1"], "unit"),
        (vec!["--spiffe", WEB, "--dns", "a b"], "no DNS name"),
    ] {
        let all: Vec<&str> = ["ca", "issue", "--dir", "ca"]
            .into_iter()
            .chain(arguments)
            .collect();
        let (told, status) = ill(&sluice(folder, &all));
        assert!(told.contains(part) && status == 2, "{all:?}: {told}");
    }
    let (told, status) = ill(&sluice(folder, &["ca", "issue", "--spiffe", WEB]));
    assert!(told.contains("intermediate.crt") && status == 1, "{told}");
    let (told, status) = ill(&sluice(
        folder,
        &["ca", "init", "new", "--trust-domain", "Example.org"],
    ));
    assert!(told.contains("lower case") && status == 2, "{told}");
    assert!(!folder.join("new").exists());
}
