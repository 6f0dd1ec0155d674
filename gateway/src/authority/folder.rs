//! Certificates and keys as files. Owns their names and who may read them. Refuses to replace an authority.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use tempfile::Builder;

use super::{AuthorityError, Material};

/// A certificate, or a chain of them, and the key of the first, as PEM.
pub struct Pair {
    /// Public.
    pub certificate: String,
    /// Secret: PKCS #8.
    pub key: String,
}

/// Writes a new authority.
pub(super) fn write(folder: &Path, material: &Material) -> Result<(), AuthorityError> {
    match fs::read_dir(folder).map(|mut entries| entries.next().is_some()) {
        Ok(true) => return Err(AuthorityError::Exists(folder.display().to_string())),
        Ok(false) => fs::set_permissions(folder, fs::Permissions::from_mode(FOLDER_MODE)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(folder),
        Err(error) => Err(error),
    }
    .map_err(|error| at(folder, error))?;
    write_pair(&folder.join(ROOT), &material.root)?;
    write_pair(&folder.join(INTERMEDIATE), &material.intermediate)?;
    Ok(())
}

/// What issues.
pub(super) fn intermediate(folder: &Path) -> Result<Pair, AuthorityError> {
    let read = |path: PathBuf| fs::read_to_string(&path).map_err(|error| at(&path, error));
    Ok(Pair {
        certificate: read(certificate_of(&folder.join(INTERMEDIATE)))?,
        key: read(key_of(&folder.join(INTERMEDIATE)))?,
    })
}

/// Writes `prefix.key`, for its owner alone, and `prefix.crt`, and gives both paths. What stands there is replaced, each
/// file at once; the key comes first, so that whoever waits for a new certificate finds its key.
///
/// # Errors
/// When one cannot be written.
pub fn write_pair(prefix: &Path, pair: &Pair) -> Result<[PathBuf; 2], AuthorityError> {
    let (key, certificate) = (key_of(prefix), certificate_of(prefix));
    replace(&key, &pair.key, KEY_MODE).map_err(|error| at(&key, error))?;
    replace(&certificate, &pair.certificate, CERTIFICATE_MODE).map_err(|error| at(&certificate, error))?;
    Ok([certificate, key])
}

fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    let mut file = Builder::new()
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn certificate_of(prefix: &Path) -> PathBuf {
    ending(prefix, ".crt")
}

fn key_of(prefix: &Path) -> PathBuf {
    ending(prefix, ".key")
}

/// Not as an extension, which would replace what follows a dot in `prefix`.
fn ending(prefix: &Path, ending: &str) -> PathBuf {
    let mut path = prefix.as_os_str().to_owned();
    path.push(ending);
    PathBuf::from(path)
}

fn at(path: &Path, error: io::Error) -> AuthorityError {
    AuthorityError::File {
        path: path.display().to_string(),
        error,
    }
}

const ROOT: &str = "root";
const INTERMEDIATE: &str = "intermediate";
const FOLDER_MODE: u32 = 0o700;
const KEY_MODE: u32 = 0o600;
const CERTIFICATE_MODE: u32 = 0o644;
