//! `sluice quickstart`: a gateway to play with, without a file or a backend of one's own.
//!
//! Owns two backends, a folder with a configuration, and the lines to try. Refuses to leave anything behind: the
//! folder goes with the process.

use std::{
    convert::Infallible,
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    thread,
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
use crate::app;

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
    let gateway = free_address(port).map_err(failed)?;
    let admin = free_address(ADMIN_PORT).map_err(failed)?;
    fs::write(&file, configuration(gateway, admin, v1, v2)).map_err(failed)?;
    let options = app::Options {
        paths: vec![folder.path().to_owned()],
        driver,
        workers: None,
        program: None,
        inherit: false,
        supervisor: None,
    };
    let ended = app::run(options, |_| print(&welcome(gateway, admin, &file)));
    folder.close().map_err(failed)?;
    ended.map_err(Failure::from)
}

fn configuration(gateway: SocketAddr, admin: SocketAddr, v1: SocketAddr, v2: SocketAddr) -> String {
    format!(
        r#"# Edit this file and save it: the gateway reloads it at once, and drops no request.
admin: {{ bind: "{admin}" }}
workers: 1                      # so that the split is exact from one request to the next
drain: {{ timeout: 1s }}

listeners:
- name: web
  bind: "{gateway}"
  protocol: http

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

fn welcome(gateway: SocketAddr, admin: SocketAddr, file: &Path) -> String {
    let file = file.display();
    format!(
        "Sluice serves http://{gateway} and splits it 90/10 between two backends, v1 and v2. Try:

  curl http://{gateway}/
  curl -H 'x-canary: true' http://{gateway}/
  curl -s 'http://{gateway}/[1-20]'

The first asks once, the second always gets v2, the third asks twenty times: 18 v1, 2 v2.
Its configuration is
  {file}
Edit that file, the weights for a start: saving it reloads it.
Metrics and more: http://{admin}/metrics, /config, /explain?request=GET%20http://{gateway}/
Ctrl-C ends it."
    )
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
    let mut response = Response::new(Full::from(format!(
        "hello from {name}: {} {path}\n",
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

#[cfg(test)]
mod tests {
    use sluice_config::{Source, load};

    use super::*;

    #[test]
    fn its_configuration_is_good() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let text = configuration(address(8080), address(9901), address(1), address(2));
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

    #[test]
    fn three_lines_to_try() {
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let text = welcome(address, address, Path::new("/tmp/x/sluice.yaml"));
        assert_eq!(
            text.lines()
                .filter(|line| line.trim_start().starts_with("curl "))
                .count(),
            3
        );
        assert!(text.lines().any(|line| line.trim() == "/tmp/x/sluice.yaml"));
    }
}
