//! `sluice quickstart`: a gateway to play with, without a file or a backend of one's own.
//!
//! Owns two backends, a folder with a configuration and certificates, and the lines to try. Refuses to leave anything
//! behind: the folder goes with the process.

use std::{
    convert::Infallible,
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    thread,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response, body::Incoming, header::HeaderValue, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use sluice_config::defaults::operations::QUICKSTART_PORTS_TRIED_MAX;
use sluice_io::DriverChoice;

use super::{Failure, Log, log::Format, print};
use crate::{
    app,
    authority::{Authority, AuthorityError, Material, Workload, write_pair},
};

/// Where the gateway listens.
struct Addresses {
    http: SocketAddr,
    tls: SocketAddr,
    mutual: SocketAddr,
    admin: SocketAddr,
}

/// Runs until Ctrl-C.
///
/// # Errors
/// When there is no free port, no folder, or the gateway fails.
pub(super) fn run(port: u16, driver: DriverChoice) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Run(format!("quickstart: {error}"));
    let _log = Log::start(Some(Format::Text), tracing::Level::WARN).map_err(failed)?;
    let folder = tempfile::Builder::new()
        .prefix("sluice-quickstart-")
        .tempdir()
        .map_err(failed)?;
    let file = folder.path().join("sluice.yaml");
    let [v1, v2] = start_backends().map_err(failed)?;
    let addresses = Addresses::free(port).map_err(failed)?;
    make_certificates(folder.path())?;
    fs::write(&file, configuration(&addresses, v1, v2)).map_err(failed)?;
    let options = app::Options {
        paths: vec![folder.path().to_owned()],
        driver,
        workers: None,
        program: None,
        inherit: false,
        supervisor: None,
    };
    let ended = app::run(options, |_| print(&welcome(&addresses, folder.path())));
    folder.close().map_err(failed)?;
    ended.map_err(Failure::from)
}

/// An authority, a pair for the gateway, and one for whoever tries it.
fn make_certificates(folder: &Path) -> Result<(), AuthorityError> {
    let now = SystemTime::now();
    let ca = folder.join("ca");
    Material::new(TRUST_DOMAIN, now)?.write(&ca)?;
    let authority = Authority::open(&ca)?;
    for (name, dns) in [("gateway", vec!["localhost".to_owned()]), ("me", Vec::new())] {
        let workload = Workload {
            spiffe: format!("spiffe://{TRUST_DOMAIN}/ns/default/sa/{name}"),
            dns,
            ttl: CERTIFICATE_LIFE,
        };
        let pair = authority.issue(&workload, now, &mut fastrand::Rng::new())?;
        write_pair(&folder.join(name), &pair)?;
    }
    Ok(())
}

fn configuration(addresses: &Addresses, v1: SocketAddr, v2: SocketAddr) -> String {
    let Addresses {
        http,
        tls,
        mutual,
        admin,
    } = addresses;
    format!(
        r#"# Edit this file and save it: the gateway reloads it at once, and drops no request.
admin: {{ bind: "{admin}" }}
workers: 1                      # so that the split is exact from one request to the next
drain: {{ timeout: 1s }}

listeners:
- name: web
  bind: "{http}"
  protocol: http
- name: secure
  bind: "{tls}"
  protocol: https
  tls: {{ certificates: [{{ cert: gateway.crt, key: gateway.key }}] }}
- name: mesh                    # whoever calls here proves who it is
  bind: "{mutual}"
  protocol: https
  tls:
    certificates: [{{ cert: gateway.crt, key: gateway.key }}]
    clientAuth: {{ mode: require, ca: ca/root.crt, forward: set }}

policies:
- name: only-me                 # any other identity of the same authority gets 403
  action: allow
  target: {{ listeners: [mesh] }}
  from: [{{ spiffe: ["spiffe://{TRUST_DOMAIN}/ns/*/sa/me"] }}]

routes:
- name: hello
  rules:
  - name: testers               # whoever asks for the canary gets it
    matches:
    - headers: {{ x-canary: {{ exact: "true" }} }}
    backends: [{{ service: v2 }}]
  - name: everyone              # of the others one in ten
    backends:
    - {{ service: v1, weight: 90 }}
    - {{ service: v2, weight: 10 }}

services:
- name: v1
  endpoints: [{{ address: "{v1}" }}]
- name: v2
  endpoints: [{{ address: "{v2}" }}]
"#
    )
}

fn welcome(addresses: &Addresses, folder: &Path) -> String {
    let Addresses { http, admin, .. } = addresses;
    let (tls, mutual) = (addresses.tls.port(), addresses.mutual.port());
    let folder = folder.display();
    format!(
        "Sluice serves http://{http} and splits it 90/10 between two backends, v1 and v2. Try:

  curl http://{http}/
  curl -H 'x-canary: true' http://{http}/
  curl -s 'http://{http}/[1-20]'

The first asks once, the second always gets v2, the third asks twenty times: 18 v1, 2 v2.
The same over TLS, and over mutual TLS, where a policy asks who you are:

  curl --cacert {folder}/ca/root.crt https://localhost:{tls}/
  curl --cacert {folder}/ca/root.crt --cert {folder}/me.crt --key {folder}/me.key https://localhost:{mutual}/

Its configuration is
  {folder}/sluice.yaml
Edit that file, the weights for a start: saving it reloads it.
Metrics and more: http://{admin}/metrics, /config, /explain?request=GET%20http://{http}/
Ctrl-C ends it."
    )
}

impl Addresses {
    /// From `port` on, each that nobody listens on.
    fn free(port: u16) -> io::Result<Self> {
        let http = free_address(port)?;
        let tls = free_address(TLS_PORT)?;
        Ok(Self {
            http,
            tls,
            mutual: free_address(tls.port().saturating_add(1))?,
            admin: free_address(ADMIN_PORT)?,
        })
    }
}

/// Two servers on a thread of their own, which say who they are.
fn start_backends() -> io::Result<[SocketAddr; 2]> {
    let bind = || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        Ok::<_, io::Error>((listener.local_addr()?, listener))
    };
    let ((first, v1), (second, v2)) = (bind()?, bind()?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::Builder::new()
        .name("backends".to_owned())
        .spawn(move || {
            runtime.block_on(async { tokio::join!(serve(v1, "v1"), serve(v2, "v2")) });
        })?;
    Ok([first, second])
}

async fn serve(listener: TcpListener, name: &'static str) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, name, "a backend cannot listen"),
    };
    // A demonstration: a backend that cannot accept ends, and the gateway answers 503.
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let service = service_fn(|request| async move { Ok::<_, Infallible>(hello(&request, name)) });
            // Whoever breaks off is of no interest.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn hello(request: &Request<Incoming>, name: &'static str) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let certificate = request.headers().get("x-forwarded-client-cert");
    let caller = certificate
        .and_then(|value| value.to_str().ok()?.split_once("URI="))
        .map_or_else(String::new, |(_, id)| format!(" for {id}"));
    let mut response = Response::new(Full::from(format!(
        "hello from {name}: {} {path}{caller}\n",
        request.method()
    )));
    response
        .headers_mut()
        .insert("x-backend", HeaderValue::from_static(name));
    response
}

/// The first of a hundred addresses on loopback that nobody listens on; then any.
fn free_address(port: u16) -> io::Result<SocketAddr> {
    let ports = (port..=port.saturating_add(QUICKSTART_PORTS_TRIED_MAX)).chain([0]);
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for port in ports {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| listener.local_addr()) {
            Ok(address) => return Ok(address),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Where admin servers are looked for.
const ADMIN_PORT: u16 = 9901;
/// Where TLS is looked for beside 8080.
const TLS_PORT: u16 = 8443;
const TRUST_DOMAIN: &str = "quickstart";
/// A month: nobody plays longer, and nothing warns of an end that is near.
const CERTIFICATE_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use sluice_config::{Source, load};

    use super::*;

    #[test]
    fn its_configuration_is_good() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let addresses = Addresses {
            http: address(8080),
            tls: address(8443),
            mutual: address(8444),
            admin: address(9901),
        };
        let text = configuration(&addresses, address(1), address(2));
        let loaded = load(&[Source {
            name: "sluice.yaml".to_owned(),
            text,
        }]);
        assert!(loaded.model.is_ok(), "{:?}", loaded.model);
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    }

    #[test]
    fn a_taken_port_is_passed_over() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert_ne!(free_address(port).unwrap().port(), port);
    }
}
