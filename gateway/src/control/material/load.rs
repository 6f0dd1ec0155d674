//! One reading of all the files.

use std::{
    collections::HashMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use sluice_config::{
    Model,
    defaults::operations::FILE_BYTES_MAX,
    model::{ClientAuth, ClientAuthMode, FilePath, Listener, ListenerTls, Service, ServiceTls},
};
use sluice_tls::{
    ClientContext, ClientSettings, Clients, Expected, ServerContext, ServerSettings, WrongSettings,
    material::{Authorities, Bad, File, Identity, Revocations, fingerprint},
};

use super::{BadMaterial, Materials, ServiceMaterial, now};

/// As [`Materials::load`].
pub(super) fn load(model: &Model, before: &Materials) -> Result<Materials, BadMaterial> {
    let mut load = Load {
        before,
        now: now(),
        bytes: HashMap::new(),
        made: Materials::default(),
        problems: Vec::new(),
    };
    for listener in &model.listeners {
        if let Some(tls) = &listener.tls {
            load.listener(listener, tls);
        }
    }
    for service in &model.services {
        if let Some(tls) = &service.tls {
            load.service(service, tls);
        }
    }
    let Load { made, problems, .. } = load;
    if problems.is_empty() {
        return Ok(made);
    }
    Err(BadMaterial {
        problems,
        files: made.files(),
    })
}

/// One load.
struct Load<'l> {
    before: &'l Materials,
    now: i64,
    bytes: HashMap<PathBuf, Vec<u8>>,
    made: Materials,
    problems: Vec<String>,
}

impl Load<'_> {
    fn listener(&mut self, listener: &Listener, tls: &ListenerTls) {
        let certificates: Vec<_> = tls
            .certificates
            .iter()
            .map(|pair| self.identity(&pair.cert, &pair.key))
            .collect();
        let clients = self.clients(&tls.client_auth);
        let certificates: Option<Vec<_>> = certificates.into_iter().collect();
        let (Some(certificates), Some(clients)) = (certificates, clients) else {
            return;
        };
        let settings = ServerSettings {
            listener: listener.name.as_str(),
            certificates,
            min_version: tls.min_version,
            groups: &tls.groups,
            alpn: &tls.alpn,
            strict_sni: tls.strict_sni,
            clients,
        };
        let before = self.before.transports.listeners.get(&listener.bind);
        match ServerContext::new(settings, before.map(AsRef::as_ref)) {
            Ok(context) => {
                let transports = &mut self.made.transports;
                transports.listeners.insert(listener.bind, Arc::new(context));
            }
            Err(error) => self.problems.push(format!(
                "{}: listener {}: tls: {error}",
                listener.place, listener.name
            )),
        }
    }

    fn service(&mut self, service: &Service, tls: &ServiceTls) {
        let identity = match &tls.identity {
            Some(pair) => self.identity(&pair.cert, &pair.key).map(Some),
            None => Some(None),
        };
        let authorities = self.authorities(&tls.ca);
        let (Some(identity), Some(authorities)) = (identity, authorities) else {
            return;
        };
        let name = service.name.as_str();
        let material = ServiceMaterial {
            tls: tls.clone(),
            protocol: service.protocol,
            identity,
            authorities,
        };
        let before = self.before;
        let known = match (before.services.get(name), before.transports.services.get(name)) {
            (Some(made_of), Some(context)) if made_of.is(&material) => Some(Arc::clone(context)),
            _ => None,
        };
        let made = known.map_or_else(|| client_context(&material).map(Arc::new), Ok);
        match made {
            Ok(context) => {
                self.made.transports.services.insert(name.to_owned(), context);
                self.made.services.insert(name.to_owned(), material);
            }
            Err(error) => self.problems.push(format!("service {name}: tls: {error}")),
        }
    }

    fn authorities(&mut self, files: &[FilePath]) -> Option<Vec<Arc<Authorities>>> {
        let authorities: Vec<_> = files
            .iter()
            .map(|file| {
                let (known, now) = (self.before.authorities.get(&file.path), self.now);
                let made = self.one(file, known, |file| Authorities::read(file, now))?;
                self.made.authorities.insert(file.path.clone(), Arc::clone(&made));
                Some(made)
            })
            .collect();
        authorities.into_iter().collect()
    }

    fn identity(&mut self, cert: &FilePath, key: &FilePath) -> Option<Arc<Identity>> {
        let name = (cert.path.clone(), key.path.clone());
        if let Some(made) = self.made.identities.get(&name) {
            return Some(Arc::clone(made));
        }
        let known = self.before.identities.get(&name);
        let (cert_read, key_read) = (self.read(&cert.path), self.read(&key.path));
        let made = match known {
            Some(known) if self.is_unchanged(&cert.path) && self.is_unchanged(&key.path) => {
                Ok(Arc::clone(known))
            }
            _ => cert_read.and(key_read).and_then(|()| {
                let (cert, key) = (self.file(&cert.path), self.file(&key.path));
                Identity::read(cert.0.file(cert.1), key.0.file(key.1), self.now).map(Arc::new)
            }),
        };
        let place = |bad: &Bad| {
            if bad.file == shown(&key.path) { key } else { cert }
                .place
                .to_string()
        };
        let made = settle(made, known, place, &mut self.made.kept, &mut self.problems)?;
        self.made.identities.insert(name, Arc::clone(&made));
        Some(made)
    }

    fn clients(&mut self, auth: &ClientAuth) -> Option<Clients> {
        let authorities = self.authorities(&auth.ca);
        let revocations: Vec<_> = auth
            .crl
            .iter()
            .map(|file| {
                let known = self.before.revocations.get(&file.path);
                let made = self.one(file, known, Revocations::read)?;
                self.made.revocations.insert(file.path.clone(), Arc::clone(&made));
                Some(made)
            })
            .collect();
        let revocations: Option<Vec<_>> = revocations.into_iter().collect();
        let (authorities, revocations) = (authorities?, revocations?);
        Some(match auth.mode {
            ClientAuthMode::None => Clients::Unasked,
            // As Istio's PERMISSIVE: who speaks TLS proves who it is; who does not speaks plaintext.
            ClientAuthMode::Permissive if authorities.is_empty() => Clients::Unasked,
            ClientAuthMode::Request => Clients::Verified {
                authorities,
                revocations,
                required: false,
            },
            ClientAuthMode::Require | ClientAuthMode::Permissive => Clients::Verified {
                authorities,
                revocations,
                required: true,
            },
        })
    }

    /// What one file holds.
    fn one<T>(
        &mut self,
        file: &FilePath,
        known: Option<&Arc<T>>,
        make: impl FnOnce(File<'_>) -> Result<T, Bad>,
    ) -> Option<Arc<T>> {
        let read = self.read(&file.path);
        let made = match known {
            Some(known) if self.is_unchanged(&file.path) => Ok(Arc::clone(known)),
            _ => read.and_then(|()| {
                let (named, bytes) = self.file(&file.path);
                make(named.file(bytes)).map(Arc::new)
            }),
        };
        settle(
            made,
            known,
            |_| file.place.to_string(),
            &mut self.made.kept,
            &mut self.problems,
        )
    }

    /// Reads a file, once for each load.
    fn read(&mut self, path: &Path) -> Result<(), Bad> {
        if !self.made.read.contains_key(path) {
            let read = read(path);
            let sum = read
                .as_ref()
                .map(|bytes| fingerprint(bytes))
                .map_err(Clone::clone);
            self.made.read.insert(path.to_owned(), sum);
            self.bytes.insert(path.to_owned(), read.unwrap_or_default());
        }
        match self.made.read.get(path) {
            Some(Err(cause)) => Err(Bad {
                file: shown(path),
                cause: cause.clone(),
            }),
            _ => Ok(()),
        }
    }

    fn is_unchanged(&self, path: &Path) -> bool {
        let (now, before) = (self.made.read.get(path), self.before.read.get(path));
        now == before && matches!(now, Some(Ok(_)))
    }

    fn file(&self, path: &Path) -> (Named, &[u8]) {
        let bytes = self.bytes.get(path).map_or(&[][..], Vec::as_slice);
        (Named(shown(path)), bytes)
    }
}

/// A file's name, for as long as it is looked at.
struct Named(String);

impl Named {
    fn file<'f>(&'f self, bytes: &'f [u8]) -> File<'f> {
        File { name: &self.0, bytes }
    }
}

fn client_context(material: &ServiceMaterial) -> Result<ClientContext, WrongSettings> {
    let tls = &material.tls;
    let authorities = material.authorities.clone();
    let expected = if tls.unverified {
        Expected::Unverified
    } else if tls.names.is_empty() && tls.spiffe.is_empty() {
        Expected::Host(authorities)
    } else {
        Expected::Any {
            authorities,
            names: tls.names.clone(),
            ids: tls.spiffe.clone(),
        }
    };
    ClientContext::new(ClientSettings {
        identity: material.identity.clone(),
        expected,
        min_version: tls.min_version,
        groups: &tls.groups,
        alpn: material.protocol.alpn(),
    })
}

/// What is new if it is good, else what was known before.
fn settle<T>(
    made: Result<Arc<T>, Bad>,
    known: Option<&Arc<T>>,
    place: impl FnOnce(&Bad) -> String,
    kept: &mut Vec<String>,
    problems: &mut Vec<String>,
) -> Option<Arc<T>> {
    match (made, known) {
        (Ok(made), _) => Some(made),
        (Err(bad), Some(known)) => {
            kept.push(format!("{}: {bad}", place(&bad)));
            Some(Arc::clone(known))
        }
        (Err(bad), None) => {
            problems.push(format!("{}: {bad}", place(&bad)));
            None
        }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    // To the bound and not by the size of the file: a pipe has none.
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("larger than {FILE_BYTES_MAX} bytes"));
    }
    Ok(bytes)
}
