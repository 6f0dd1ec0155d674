//! How listeners end TLS.

use std::path::Path;

use super::{Checker, each};
use crate::{
    defaults,
    model::{
        ApplicationProtocol, CertificateFiles, ClientAuth, ClientAuthMode, FilePath, ForwardCertificate,
        KeyExchange, ListenerTls, TlsVersion,
    },
    spec::{self, Files, List, ListenerProtocol, Slot, Written, notation::Text},
    tree::NodeId,
};

impl Checker<'_> {
    /// What stands in `tls`, which belongs to `protocol: https` and to nothing else. `None` where something is wrong.
    pub(super) fn tls(
        &mut self,
        at: NodeId,
        spec: &spec::Listener,
        protocol: ListenerProtocol,
    ) -> Option<Option<ListenerTls>> {
        match (protocol, spec.tls.node()) {
            (ListenerProtocol::Http | ListenerProtocol::Tls | ListenerProtocol::Tcp, None) => Some(None),
            (ListenerProtocol::Http, Some(tls)) => {
                self.error(tls, "TLS is spoken with `protocol: https` only");
                None
            }
            (ListenerProtocol::Tls | ListenerProtocol::Tcp, Some(tls)) => {
                self.error(
                    tls,
                    "a listener that passes TLS on does not end it: write `protocol: https`",
                );
                None
            }
            (ListenerProtocol::Https, _) => {
                if spec.tls.node().is_none() {
                    self.error(
                        at,
                        "with `protocol: https` a listener has `tls: { certificates: [...] }`, or `tls: {}` where the \
                         configuration has an `identity`",
                    );
                }
                let (at, spec) = spec.tls.given()?;
                self.listener_tls(at, spec).map(Some)
            }
        }
    }

    fn listener_tls(&mut self, at: NodeId, spec: &spec::ListenerTls) -> Option<ListenerTls> {
        let own = self.identity.as_ref().map(|own| own.certificate.clone());
        let certificates = match (&spec.certificates, own) {
            (Slot::Absent, Some(own)) => Some(vec![own]),
            (Slot::Absent, None) => {
                self.error(
                    at,
                    "no certificate is shown: `certificates` names some, or an `identity` at the top of the \
                     configuration gets one",
                );
                None
            }
            (list, _) => list
                .value()
                .and_then(|list| each(&list.0, |at, spec| self.certificate(at, spec))),
        };
        let client_auth = match spec.client_auth.given() {
            Some((at, spec)) => self.client_auth(at, spec),
            None => spec.client_auth.node().is_none().then(ClientAuth::default),
        };
        Some(ListenerTls {
            certificates: certificates?,
            min_version: spec
                .min_version
                .read_or(defaults::TLS_MIN_VERSION, |version| (*version).into())?,
            groups: choices(&spec.groups, &defaults::TLS_GROUPS)?,
            alpn: choices(&spec.alpn, &defaults::TLS_ALPN)?,
            strict_sni: spec.strict_sni.read_or(false, |flag| flag.0)?,
            client_auth: client_auth?,
        })
    }

    fn certificate(&mut self, at: NodeId, spec: &spec::CertificateFiles) -> Option<CertificateFiles> {
        let cert = self.required(at, "cert", &spec.cert).is_some();
        let key = self.required(at, "key", &spec.key).is_some();
        let files = (self.file(&spec.cert), self.file(&spec.key));
        (cert && key).then_some(())?;
        Some(CertificateFiles {
            cert: files.0?,
            key: files.1?,
        })
    }

    fn client_auth(&mut self, at: NodeId, spec: &spec::ClientAuth) -> Option<ClientAuth> {
        let mode = spec.mode.read_or(ClientAuthMode::None, |mode| (*mode).into())?;
        let asks = mode != ClientAuthMode::None;
        let own = self
            .identity
            .as_ref()
            .filter(|_| asks && spec.ca.node().is_none());
        let ca = match own.map(|own| own.roots.clone()) {
            Some(roots) => Some(vec![roots]),
            None => self.files(&spec.ca),
        };
        let crl = self.files(&spec.crl);
        let has_own = asks && self.identity.is_some();
        let (has_ca, has_crl) = (spec.ca.node().is_some() || has_own, spec.crl.node().is_some());
        match mode {
            ClientAuthMode::None if has_ca || has_crl => {
                self.error(
                    at,
                    "with `mode: none` no certificate is asked for: write `mode: require`",
                );
            }
            ClientAuthMode::Request | ClientAuthMode::Require if !has_ca => {
                self.error(
                    at,
                    "`ca` is missing: it says which certificates are good; with an `identity` at the top of the \
                     configuration those of its mesh are",
                );
            }
            ClientAuthMode::Permissive if has_crl && !has_ca => {
                self.error(at, "`ca` is missing: without it no certificate is asked for");
            }
            _ => {}
        }
        let forward = spec
            .forward
            .read_or(ForwardCertificate::None, |forward| (*forward).into())?;
        let is_asked = mode != ClientAuthMode::None && has_ca;
        if let Some(at) = spec.forward.node()
            && forward != ForwardCertificate::None
            && !is_asked
        {
            self.error(at, "no certificate is asked for, so there is none to tell of");
        }
        Some(ClientAuth {
            mode,
            ca: ca?,
            crl: crl?,
            forward,
        })
    }

    pub(super) fn files(&mut self, slot: &Slot<Files>) -> Option<Vec<FilePath>> {
        match slot {
            Slot::Absent => Some(Vec::new()),
            Slot::Wrong(_) => None,
            Slot::Given(at, Files::One(Text(text))) => Some(vec![self.path(*at, text)?]),
            Slot::Given(_, Files::Several(list)) => {
                let files: Vec<Option<FilePath>> = list.0.iter().map(|file| self.file(file)).collect();
                files.into_iter().collect()
            }
        }
    }

    /// A file that is named; its path is relative to the file that names it.
    pub(super) fn file(&mut self, slot: &Slot<Written<Text>>) -> Option<FilePath> {
        let (at, Written(Text(text))) = slot.given()?;
        self.path(at, text)
    }

    fn path(&mut self, at: NodeId, text: &str) -> Option<FilePath> {
        if text.is_empty() || text.contains('\0') {
            self.error(at, "a file has a name");
            return None;
        }
        let place = self.tree.place(at);
        let folder = Path::new(&place.file).parent().unwrap_or_else(|| Path::new(""));
        Some(FilePath {
            path: folder.join(text),
            place,
        })
    }
}

/// What is written, in its order, or the default.
pub(super) fn choices<S: Copy + Into<M>, M: Copy>(slot: &Slot<List<S, 1>>, default: &[M]) -> Option<Vec<M>> {
    match slot {
        Slot::Absent => Some(default.to_vec()),
        Slot::Wrong(_) => None,
        Slot::Given(_, list) => each(&list.0, |_, choice| Some((*choice).into())),
    }
}

impl From<spec::TlsVersion> for TlsVersion {
    fn from(version: spec::TlsVersion) -> Self {
        match version {
            spec::TlsVersion::V12 => Self::V12,
            spec::TlsVersion::V13 => Self::V13,
        }
    }
}

impl From<spec::KeyExchange> for KeyExchange {
    fn from(group: spec::KeyExchange) -> Self {
        match group {
            spec::KeyExchange::X25519MlKem768 => Self::X25519MlKem768,
            spec::KeyExchange::X25519 => Self::X25519,
            spec::KeyExchange::P256 => Self::P256,
            spec::KeyExchange::P384 => Self::P384,
        }
    }
}

impl From<spec::ApplicationProtocol> for ApplicationProtocol {
    fn from(protocol: spec::ApplicationProtocol) -> Self {
        match protocol {
            spec::ApplicationProtocol::Http2 => Self::Http2,
            spec::ApplicationProtocol::Http1 => Self::Http1,
        }
    }
}

impl From<spec::ClientAuthMode> for ClientAuthMode {
    fn from(mode: spec::ClientAuthMode) -> Self {
        match mode {
            spec::ClientAuthMode::None => Self::None,
            spec::ClientAuthMode::Request => Self::Request,
            spec::ClientAuthMode::Require => Self::Require,
            spec::ClientAuthMode::Permissive => Self::Permissive,
        }
    }
}

impl From<spec::ForwardCertificate> for ForwardCertificate {
    fn from(forward: spec::ForwardCertificate) -> Self {
        match forward {
            spec::ForwardCertificate::None => Self::None,
            spec::ForwardCertificate::Set => Self::Set,
            spec::ForwardCertificate::Append => Self::Append,
        }
    }
}
