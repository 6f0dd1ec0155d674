//! Certificates, keys and tokens as files. Owns their names and who may read them. Refuses to replace an authority.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
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

/// What peers trust, as PEM.
pub(super) fn roots(folder: &Path) -> Result<String, AuthorityError> {
    let path = certificate_of(&folder.join(ROOT));
    fs::read_to_string(&path).map_err(|error| at(&path, error))
}

/// Where join tokens are; the folder is made if it is not there.
pub(super) fn tokens(folder: &Path) -> Result<PathBuf, AuthorityError> {
    let path = folder.join(TOKENS);
    match fs::DirBuilder::new().mode(FOLDER_MODE).create(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(at(&path, error)),
        _ => Ok(path),
    }
}

/// Writes a secret to a file that was not there.
pub(super) fn create(path: &Path, text: &str) -> Result<(), AuthorityError> {
    let opened = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(KEY_MODE)
        .open(path);
    opened
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .map_err(|error| at(path, error))
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
    replace(&key, &pair.key, true).map_err(|error| at(&key, error))?;
    replace(&certificate, &pair.certificate, false).map_err(|error| at(&certificate, error))?;
    Ok([certificate, key])
}

/// Puts `text` in the place of a file, at once and for good; one that is secret is for its owner alone.
///
/// # Errors
/// What the system says.
pub fn replace(path: &Path, text: &str, is_secret: bool) -> io::Result<()> {
    let mode = if is_secret { KEY_MODE } else { CERTIFICATE_MODE };
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

pub(super) fn at(path: &Path, error: io::Error) -> AuthorityError {
    AuthorityError::File {
        path: path.display().to_string(),
        error,
    }
}

const ROOT: &str = "root";
const INTERMEDIATE: &str = "intermediate";
const TOKENS: &str = "tokens";
const FOLDER_MODE: u32 = 0o700;
const KEY_MODE: u32 = 0o600;
const CERTIFICATE_MODE: u32 = 0o644;
