//! Certificates, keys, authorities and lists of revoked certificates: from the files a configuration names to how its
//! listeners end TLS.
//!
//! Owns the reading of these files and what holds when one is bad: where a good one is live, it stays. Refuses to know
//! what is in them: that is `sluice_tls`'.

mod load;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use sluice_config::{
    Model,
    defaults::CERTIFICATE_WARNING_DAYS,
    model::{CertificateFiles, Enrollment, ServiceProtocol, ServiceTls},
};
use sluice_tls::material::{Authorities, Identity, Revocations, Span};

use crate::snapshot::Transports;

/// What the files of one configuration hold, and what was made of it.
#[derive(Default)]
pub(crate) struct Materials {
    /// What was read, told apart by its sum; `Err` is why nothing was.
    read: BTreeMap<PathBuf, Result<[u8; 32], String>>,
    identities: HashMap<(PathBuf, PathBuf), Arc<Identity>>,
    authorities: HashMap<PathBuf, Arc<Authorities>>,
    revocations: HashMap<PathBuf, Arc<Revocations>>,
    /// What the contexts of services were made of.
    services: HashMap<String, ServiceMaterial>,
    /// How listeners end TLS, and how services are reached over it.
    pub(super) transports: Transports,
    /// What is bad and was kept as it was before.
    pub(super) kept: Vec<String>,
}

/// What a service's context was made of: while that is the same, so is the context, with the connections made by it.
struct ServiceMaterial {
    tls: ServiceTls,
    protocol: ServiceProtocol,
    identity: Option<Arc<Identity>>,
    authorities: Vec<Arc<Authorities>>,
}

impl ServiceMaterial {
    fn is(&self, other: &Self) -> bool {
        let same = |(one, other): (&Arc<Authorities>, &Arc<Authorities>)| Arc::ptr_eq(one, other);
        self.tls == other.tls
            && self.protocol == other.protocol
            && self.identity.as_ref().map(Arc::as_ptr) == other.identity.as_ref().map(Arc::as_ptr)
            && self.authorities.len() == other.authorities.len()
            && self.authorities.iter().zip(&other.authorities).all(same)
    }
}

/// Material that cannot go live.
#[derive(Debug)]
pub(crate) struct BadMaterial {
    /// Each with the place that names the file.
    pub(crate) problems: Vec<String>,
    /// The files, which may become good.
    pub(crate) files: BTreeSet<PathBuf>,
}

impl Materials {
    /// Reads every file that `model` names. One that is bad now and was good in `before` stays as it was.
    ///
    /// # Errors
    /// What is bad and was not good before.
    pub(crate) fn load(model: &Model, before: &Self) -> Result<Self, BadMaterial> {
        load::load(model, before)
    }

    /// The files that were read.
    pub(super) fn files(&self) -> BTreeSet<PathBuf> {
        self.read.keys().cloned().collect()
    }

    /// Whether the files are as they were.
    pub(super) fn same_files(&self, other: &Self) -> bool {
        self.read == other.read
    }

    /// Whether anything that holds is another than in `other`.
    pub(super) fn differs(&self, other: &Self) -> bool {
        let differ = |one: &HashMap<_, Arc<Authorities>>, other: &HashMap<_, Arc<Authorities>>| {
            one.iter()
                .any(|(path, made)| !other.get(path).is_some_and(|known| Arc::ptr_eq(known, made)))
        };
        differ(&self.authorities, &other.authorities)
            || self.identities.iter().any(|(pair, made)| {
                !other
                    .identities
                    .get(pair)
                    .is_some_and(|known| Arc::ptr_eq(known, made))
            })
            || self.revocations.iter().any(|(path, made)| {
                !other
                    .revocations
                    .get(path)
                    .is_some_and(|known| Arc::ptr_eq(known, made))
            })
    }

    /// Each listener's certificates, and this process's own where something shows it (`-`), and when each ends, in seconds
    /// since 1970.
    pub(super) fn expiries(&self, model: &Model) -> Vec<(String, PathBuf, i64)> {
        let listeners = model.listeners.iter().flat_map(|listener| {
            let pairs = listener
                .tls
                .iter()
                .flat_map(|tls| tls.certificates.iter().cloned());
            pairs.map(|pair| (listener.name.as_str(), pair))
        });
        let own = model
            .identity
            .iter()
            .map(|identity| ("-", identity.certificate()));
        let all = listeners.chain(own).filter_map(|(listener, pair)| {
            let ends = self.identity(&pair)?.not_after();
            Some((listener.to_owned(), pair.cert.path, ends))
        });
        all.collect()
    }

    fn identity(&self, pair: &CertificateFiles) -> Option<&Arc<Identity>> {
        self.identities
            .get(&(pair.cert.path.clone(), pair.key.path.clone()))
    }

    /// What ends soon, with the place that names it.
    pub(crate) fn warnings(&self, model: &Model) -> Vec<String> {
        let now = now();
        let own = model.identity.as_ref().map(Enrollment::certificate);
        let tls = model
            .listeners
            .iter()
            .filter_map(|listener| listener.tls.as_ref());
        let others = tls.flat_map(|tls| tls.certificates.iter().cloned());
        let others = others.filter(|pair| Some(pair) != own.as_ref());
        let ends = others.chain(own.clone()).filter_map(|pair| {
            let identity = self.identity(&pair)?;
            let left = identity.not_after() - now;
            // The own one is renewed by itself at two thirds of its life: it ends soon when that has failed.
            let life = identity.not_after() - identity.not_before();
            let renewed = (Some(&pair) == own.as_ref()).then_some(life / 3);
            let soon = CERTIFICATE_WARNING_DAYS * SECONDS_OF_DAY;
            (left < renewed.unwrap_or(soon)).then(|| {
                let path = pair.cert.path.display();
                let left = Span(left);
                format!("{}: {path}: this certificate expires in {left}", pair.cert.place)
            })
        });
        ends.collect()
    }
}

/// Seconds since 1970: certificates hold by the time of day.
pub(super) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

const SECONDS_OF_DAY: i64 = 86_400;
