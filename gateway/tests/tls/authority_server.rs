//! `sluice ca serve`: what it gives to whom, and what it says to the others.

use std::{
    fs, io,
    path::Path,
    process::{Command, Output as Ended},
};

use crate::harness::{
    mesh::{Mesh, well},
    secure::{Secure, Session, der},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A request to sign a key, made by OpenSSL, and the key.
fn request(folder: &Path, more: &[&str]) -> String {
    let new = [
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ];
    let files = [
        "-keyout",
        "key.pem",
        "-out",
        "csr.pem",
        "-subj",
        "/CN=bank.example",
    ];
    let made: Ended = Command::new("openssl")
        .args([&new[..], &files, more].concat())
        .current_dir(folder)
        .output()
        .expect("openssl runs");
    well(&made);
    fs::read_to_string(folder.join("csr.pem")).expect("a request")
}

fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: ca\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// A certificate's chain and its key, as PEM.
type Shown<'s> = Option<(&'s str, &'s str)>;

/// An authority, and a key that somebody wants certified.
struct Office {
    mesh: Mesh,
    folder: TempDir,
    csr: String,
}

impl Office {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // What a request says of itself is of no weight.
        let greedy = [
            "-addext",
            "subjectAltName=URI:spiffe://example.org/admin,DNS:bank.example",
        ];
        Self {
            mesh: Mesh::new(),
            csr: request(folder.path(), &greedy),
            folder,
        }
    }

    /// A wish for the key, with `more` beside it.
    fn wish(&self, more: &Value) -> String {
        let mut wish = json!({ "csr": self.csr });
        let fields = wish.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        post("/v1/certificates", &wish.to_string())
    }

    /// The authority names no host: only its SPIFFE ID, as which OpenSSL's client does not look.
    fn connect(&self, pair: Shown<'_>) -> io::Result<Session> {
        let secure = Secure::believing(&self.mesh.root(), pair).unnamed();
        secure.connect(self.mesh.address(), "localhost")
    }

    fn ask(&self, pair: Shown<'_>, request: &str) -> (u16, Value) {
        let mut session = self.connect(pair).expect("a handshake");
        let (status, body) = session.ask(request).expect("an answer");
        (status, serde_json::from_str(&body).expect("JSON"))
    }

    /// Who shows nothing gets this answer, which says so much of why.
    fn refuses(&self, request: &str, status: u16, part: &str) {
        let (answered, body) = self.ask(None, request);
        let error = body["error"].as_str().expect("a reason").to_owned();
        assert!(answered == status && error.contains(part), "{answered}: {error}");
    }

    /// The chain that is granted, and the whole answer.
    fn grants(&self, pair: Shown<'_>, request: &str) -> (String, Value) {
        let (status, body) = self.ask(pair, request);
        assert_eq!(status, 200, "{body}");
        (body["certificate"].as_str().expect("a chain").to_owned(), body)
    }
}

#[test]
fn a_wish_that_is_refused_says_why_and_uses_no_token() {
    let office = Office::new();
    let token = office.mesh.token("web", &["--dns", "web.example"]);
    let secret = token.split('.').nth(1).expect("a secret");
    let wish = |more: Value| office.wish(&more);
    office.refuses(&wish(json!({})), 401, "a join token is needed");
    for unknown in ["0".repeat(64), "../../ca/root.key".to_owned()] {
        office.refuses(&wish(json!({ "token": unknown })), 403, "not known");
    }
    let greedy = json!({ "spiffe": "spiffe://example.org/admin" });
    office.refuses(&wish(greedy), 400, "no wish");
    office.refuses(&post("/v1/certificates", "{"), 400, "no wish");
    office.refuses(&post("/v1/other", "{}"), 404, "/v1/certificates");
    let get = "GET /v1/certificates HTTP/1.1\r\nhost: ca\r\n\r\n";
    office.refuses(get, 405, "by POST");
    let no_csr = post(
        "/v1/certificates",
        &json!({ "csr": "x", "token": secret }).to_string(),
    );
    office.refuses(&no_csr, 400, "no request to sign a key");
    let short = json!({ "token": secret, "ttlSeconds": 1 });
    office.refuses(&wish(short), 400, "5 seconds");
    // It may be sent away before it is done.
    let mut session = office.connect(None).expect("a handshake");
    drop(session.ask(&post("/v1/certificates", &"x".repeat(100_000))));
    office.mesh.wait_log("larger than any wish");
    // None of that has used the token.
    let (chain, body) = office.grants(None, &wish(json!({ "token": secret, "ttlSeconds": 3600 })));
    assert_eq!(body["root"].as_str(), Some(office.mesh.root().as_str()));
    assert_eq!(names(&chain), ["spiffe://example.org/web", "web.example"]);
    office.refuses(&wish(json!({ "token": secret })), 403, "it was used");
    // What is kept of tokens is a sum, and of a used one nothing.
    let left = fs::read_dir(office.mesh.folder().join("ca/tokens"))
        .expect("a folder")
        .count();
    assert_eq!(left, 0);
}

#[test]
fn a_certificate_is_renewed_by_who_has_it_and_for_nobody_else() {
    let office = Office::new();
    let token = office.mesh.token("web", &["--dns", "web.example"]);
    let secret = token.split('.').nth(1).expect("a secret");
    let (chain, _) = office.grants(None, &office.wish(&json!({ "token": secret })));
    let key = fs::read_to_string(office.folder.path().join("key.pem")).expect("a key");
    let none = office.wish(&json!({}));
    let (renewed, _) = office.grants(Some((&chain, &key)), &none);
    assert_eq!(names(&renewed), ["spiffe://example.org/web", "web.example"]);
    assert_ne!(der(&renewed), der(&chain));
    office.mesh.wait_log("\"by\":\"certificate\"");
    let other = Mesh::new();
    let (cert, key) = other.pair("web");
    let answer = office
        .connect(Some((&cert, &key)))
        .and_then(|mut session| session.ask(&none));
    assert!(answer.is_err(), "of another mesh");
    office.mesh.wait_log("refused a connection");
}

/// Whom a certificate names.
fn names(chain: &str) -> Vec<String> {
    use x509_parser::{extensions::GeneralName, prelude::FromDer as _};
    let der = der(chain);
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(&der).expect("a certificate");
    let names = certificate
        .subject_alternative_name()
        .expect("names")
        .expect("names");
    let names = names.value.general_names.iter().map(|name| match name {
        GeneralName::URI(name) | GeneralName::DNSName(name) => (*name).to_owned(),
        other => panic!("{other:?}"),
    });
    names.collect()
}
