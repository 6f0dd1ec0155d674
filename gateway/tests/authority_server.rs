//! `sluice ca serve`: what it gives to whom, and what it says to the others.

#[path = "support/harness.rs"]
mod harness;

use std::{
    fs,
    path::Path,
    process::{Command, Output as Ended},
};

use harness::{
    mesh::{Mesh, well},
    secure::{Secure, der},
};

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

#[test]
fn the_authority_gives_to_each_its_own_and_says_why_not() {
    let mesh = Mesh::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    // What a request says of itself is of no weight.
    let greedy = [
        "-addext",
        "subjectAltName=URI:spiffe://example.org/admin,DNS:bank.example",
    ];
    let csr = request(folder.path(), &greedy);
    let token = mesh.token("web", &["--dns", "web.example"]);
    let secret = token.split('.').nth(1).expect("a secret");
    let wish = |more: serde_json::Value| {
        let mut wish = serde_json::json!({ "csr": csr });
        let fields = wish.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        post("/v1/certificates", &wish.to_string())
    };
    // The authority names no host: only its SPIFFE ID, as which OpenSSL's client does not look.
    let secure = |pair: Option<&(String, String)>| {
        let pair = pair.map(|(cert, key)| (cert.as_str(), key.as_str()));
        Secure::believing(&mesh.root(), pair).unnamed()
    };
    let ask = |pair: Option<&(String, String)>, request: &str| {
        let mut session = secure(pair)
            .connect(mesh.address(), "localhost")
            .expect("a handshake");
        let (status, body) = session.ask(request).expect("an answer");
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        (status, body)
    };
    let refused = |pair: Option<&(String, String)>, request: &str, status: u16, part: &str| {
        let (answered, body) = ask(pair, request);
        let error = body["error"].as_str().expect("a reason").to_owned();
        assert!(answered == status && error.contains(part), "{answered}: {error}");
    };
    let none = serde_json::json!({});
    refused(None, &wish(none.clone()), 401, "a join token is needed");
    refused(
        None,
        &wish(serde_json::json!({ "token": "0".repeat(64) })),
        403,
        "not known",
    );
    refused(
        None,
        &wish(serde_json::json!({ "token": "../../ca/root.key" })),
        403,
        "not known",
    );
    refused(
        None,
        &wish(serde_json::json!({ "spiffe": "spiffe://example.org/admin" })),
        400,
        "no wish",
    );
    refused(None, &post("/v1/certificates", "{"), 400, "no wish");
    refused(None, &post("/v1/other", "{}"), 404, "/v1/certificates");
    refused(
        None,
        "GET /v1/certificates HTTP/1.1\r\nhost: ca\r\n\r\n",
        405,
        "by POST",
    );
    let no_csr = serde_json::json!({ "csr": "x", "token": secret }).to_string();
    refused(
        None,
        &post("/v1/certificates", &no_csr),
        400,
        "no request to sign a key",
    );
    let short = serde_json::json!({ "token": secret, "ttlSeconds": 1 });
    refused(None, &wish(short), 400, "5 seconds");
    // It may be sent away before it is done.
    let mut session = secure(None)
        .connect(mesh.address(), "localhost")
        .expect("a handshake");
    drop(session.ask(&post("/v1/certificates", &"x".repeat(100_000))));
    mesh.wait_log("larger than any wish");
    // None of that has used the token.
    let (status, body) = ask(
        None,
        &wish(serde_json::json!({ "token": secret, "ttlSeconds": 3600 })),
    );
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["root"].as_str(), Some(mesh.root().as_str()));
    let chain = body["certificate"].as_str().expect("a chain").to_owned();
    let names = names(&chain);
    assert_eq!(names, ["spiffe://example.org/web", "web.example"]);
    refused(
        None,
        &wish(serde_json::json!({ "token": secret })),
        403,
        "it was used",
    );
    // Renewed by who has it, and for nobody else.
    let key = fs::read_to_string(folder.path().join("key.pem")).expect("a key");
    let (status, body) = ask(Some(&(chain.clone(), key)), &wish(none.clone()));
    assert_eq!(status, 200, "{body}");
    let renewed = body["certificate"].as_str().expect("a chain");
    assert_eq!(self::names(renewed), names);
    assert_ne!(der(renewed), der(&chain));
    mesh.wait_log("\"by\":\"certificate\"");
    let other = Mesh::new();
    let answer = secure(Some(&other.pair("web")))
        .connect(mesh.address(), "localhost")
        .and_then(|mut session| session.ask(&wish(none)));
    assert!(answer.is_err(), "of another mesh");
    mesh.wait_log("refused a connection");
    // What is kept of tokens is a sum, and of a used one nothing.
    let left = fs::read_dir(mesh.folder().join("ca/tokens"))
        .expect("a folder")
        .count();
    assert_eq!(left, 0);
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
