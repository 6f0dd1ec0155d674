//! How services are reached over TLS.

use std::net::IpAddr;

use super::{Checker, each, tls::choices};
use crate::{
    defaults,
    model::{CertificateFiles, ServiceTls, value::domain},
    spec::{self, ServiceTlsMode, Slot, Written, notation::Text},
    tree::NodeId,
};

impl Checker<'_> {
    pub(super) fn service_tls(&mut self, at: NodeId, spec: &spec::ServiceTls) -> Option<ServiceTls> {
        let unverified = spec.insecure_skip_verify.read_or(false, |flag| flag.0)?;
        let is_mutual = matches!(spec.mode.value(), Some(ServiceTlsMode::Mutual));
        let does_without = is_mutual && !unverified && spec.ca.node().is_none();
        let roots = self.identity.as_ref().filter(|_| does_without);
        let ca = match roots.map(|own| own.roots.clone()) {
            Some(roots) => Some(vec![roots]),
            None => self.files(&spec.ca),
        };
        let identity = self.shown(at, spec);
        let server_name = match spec.server_name.given() {
            Some((at, Written(Text(name)))) => self.host_name(at, name).map(Some),
            None => spec.server_name.node().is_none().then_some(None),
        };
        let verify = spec.verify.nested(|verify| {
            let names = match &verify.names {
                Slot::Absent => Some(Vec::new()),
                Slot::Wrong(_) => None,
                Slot::Given(_, list) => each(&list.0, |at, name| self.host_name(at, &name.0.0)),
            };
            let spiffe = match &verify.spiffe {
                Slot::Absent => Some(Vec::new()),
                Slot::Wrong(_) => None,
                Slot::Given(_, list) => each(&list.0, |_, pattern| Some(pattern.0.clone())),
            };
            Some((names?, spiffe?))
        });
        if unverified {
            for (slot, field) in [(spec.ca.node(), "ca"), (spec.verify.node(), "verify")] {
                if let Some(at) = slot {
                    self.error(
                        at,
                        format!(
                            "`{field}` checks certificates and `insecureSkipVerify` does not: remove one"
                        ),
                    );
                }
            }
        } else if ca.as_ref().is_some_and(Vec::is_empty) {
            self.error(
                at,
                "`ca` is missing: a file of the authorities that the endpoints' certificates lead to, such as the \
                 system's, often /etc/ssl/certs/ca-certificates.crt; with `mode: mutual` and an `identity` at the top of \
                 the configuration its mesh's root is believed",
            );
        }
        let (names, spiffe) = verify?;
        Some(ServiceTls {
            ca: ca?,
            identity: identity?,
            server_name: server_name?,
            names,
            spiffe,
            unverified,
            min_version: spec
                .min_version
                .read_or(defaults::TLS_MIN_VERSION, |version| (*version).into())?,
            groups: choices(&spec.groups, &defaults::TLS_GROUPS)?,
        })
    }

    /// What is shown to endpoints; `None` where something is wrong.
    fn shown(&mut self, at: NodeId, spec: &spec::ServiceTls) -> Option<Option<CertificateFiles>> {
        let mode = spec.mode.read_or(ServiceTlsMode::Simple, |mode| *mode)?;
        let written = [spec.cert.node(), spec.key.node()];
        match mode {
            ServiceTlsMode::Simple => {
                let Some(at) = written.into_iter().flatten().next() else {
                    return Some(None);
                };
                self.error(
                    at,
                    "a certificate is shown to endpoints with `mode: mutual`: write that too",
                );
                None
            }
            ServiceTlsMode::Mutual => {
                if let (Some(own), [None, None]) = (&self.identity, written) {
                    return Some(Some(own.certificate.clone()));
                }
                if written.contains(&None) {
                    self.error(
                        at,
                        "with `mode: mutual` a certificate is shown: `cert` and `key` say which, or an `identity` at the \
                         top of the configuration gets one",
                    );
                }
                let (cert, key) = (self.file(&spec.cert), self.file(&spec.key));
                Some(Some(CertificateFiles {
                    cert: cert?,
                    key: key?,
                }))
            }
        }
    }

    /// A DNS name in lower case, or an address.
    fn host_name(&mut self, at: NodeId, text: &str) -> Option<String> {
        if text.parse::<IpAddr>().is_ok() {
            return Some(text.to_owned());
        }
        domain(text)
            .map_err(|invalid| self.findings.error(at, invalid))
            .ok()
    }
}
