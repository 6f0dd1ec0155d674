//! The folder in which an identity is kept: one file with the certificate, its chain and its key, and one with what peers of
//! the mesh trust. The first is replaced at once, so nobody ever reads a key that belongs to another certificate.

use std::{fs, io, os::unix::fs::DirBuilderExt as _, path::Path, sync::Arc};

use sluice_config::model::Enrollment;
use sluice_tls::material::{Authorities, File, Identity};

use crate::authority::replace;

/// What is kept.
pub(super) struct Stored {
    pub(super) identity: Arc<Identity>,
    pub(super) roots: Arc<Authorities>,
}

/// What is kept and holds at `now`, in seconds since 1970.
///
/// # Errors
/// Why there is none, in words.
pub(super) fn stored(enrollment: &Enrollment, now: i64) -> Result<Stored, String> {
    let own = enrollment.certificate().cert.path;
    let roots = enrollment.roots().path;
    if !own.exists() && !roots.exists() {
        return Err(format!(
            "no certificate is kept in {} yet",
            enrollment.folder.display()
        ));
    }
    let (own_bytes, root_bytes) = (read(&own)?, read(&roots)?);
    let (own, roots) = (own.display().to_string(), roots.display().to_string());
    let file = File {
        name: &own,
        bytes: &own_bytes,
    };
    let identity = Identity::read(file, file, now).map_err(|bad| bad.to_string())?;
    let file = File {
        name: &roots,
        bytes: &root_bytes,
    };
    let roots = Authorities::read(file, now).map_err(|bad| bad.to_string())?;
    Ok(Stored {
        identity: Arc::new(identity),
        roots: Arc::new(roots),
    })
}

/// Keeps a new certificate, with its chain and key, and what to trust beside it.
///
/// # Errors
/// What the system says, with the file.
pub(super) fn keep(enrollment: &Enrollment, identity: &str, roots: &str) -> Result<(), String> {
    let at = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let folder = &enrollment.folder;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| at(folder, error))?;
    let path = enrollment.roots().path;
    if fs::read(&path).ok().as_deref() != Some(roots.as_bytes()) {
        replace(&path, roots, false).map_err(|error| at(&path, error))?;
    }
    let path = enrollment.certificate().cert.path;
    replace(&path, identity, true).map_err(|error| at(&path, error))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}
