//! The files of a configuration: reading them and telling when they changed.
//!
//! Owns which files belong to a path given on the command line, and the watch over them. Refuses to read YAML:
//! text is all it gives.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind},
};
use sluice_config::Source;
use sluice_config::defaults::operations::{FILE_BYTES_MAX, FILE_LINKS_FOLLOWED_MAX, FILE_READS_MAX};
use thiserror::Error;
use tokio::sync::Notify;

/// Why the files could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// Opening, listing or reading failed; text that is not UTF-8 too.
    #[error("{path}: {error}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A folder without any `*.yaml` or `*.yml`. It never stands for an empty configuration: more likely it is
    /// being filled.
    #[error("{0}: no *.yaml or *.yml file in this folder")]
    Empty(PathBuf),
    /// A file larger than [`FILE_BYTES_MAX`].
    #[error("{0}: larger than {FILE_BYTES_MAX} bytes")]
    TooLarge(PathBuf),
}

/// Reads every file of `paths` in their order; a folder stands for its `*.yaml` and `*.yml` files in the order of
/// their names, without its subfolders and hidden files.
///
/// # Errors
/// The first file or folder that cannot be read.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Source>, ReadError> {
    for _ in 1..FILE_READS_MAX {
        let before = data_links(paths);
        let sources = read_once(paths);
        // Kubernetes swaps all files of a ConfigMap at once by its `..data` link; a swap in the middle of reading
        // would mix old and new files.
        if data_links(paths) == before {
            return sources;
        }
    }
    read_once(paths)
}

fn read_once(paths: &[PathBuf]) -> Result<Vec<Source>, ReadError> {
    let mut sources = Vec::new();
    for path in paths {
        for file in files_of(path)? {
            let text = read_text(&file)?;
            sources.push(Source {
                name: file.display().to_string(),
                text,
            });
        }
    }
    Ok(sources)
}

fn files_of(path: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let failed = |error| ReadError::Io {
        path: path.to_owned(),
        error,
    };
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        // A link to nowhere counts as a file, so that reading it says so.
        if is_yaml(&file) && !file.is_dir() {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(ReadError::Empty(path.to_owned()));
    }
    files.sort();
    Ok(files)
}

fn read_text(file: &Path) -> Result<String, ReadError> {
    use io::Read as _;
    let failed = |error| ReadError::Io {
        path: file.to_owned(),
        error,
    };
    let mut text = String::new();
    // Reads to the bound and not by the size of the file: a pipe has none.
    let opened = fs::File::open(file).map_err(failed)?;
    opened
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(ReadError::TooLarge(file.to_owned()));
    }
    Ok(text)
}

fn is_yaml(path: &Path) -> bool {
    let visible = path
        .file_name()
        .is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."));
    visible
        && path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn data_links(paths: &[PathBuf]) -> Vec<Option<PathBuf>> {
    paths
        .iter()
        .map(|path| fs::read_link(path.join(KUBERNETES_LINK)).ok())
        .collect()
}

/// A watch over the files of a configuration. Editors write a new file and rename it over the old one, and Kubernetes
/// swaps a link beside the files: so folders are watched, never the files themselves.
pub struct Watch {
    paths: Vec<PathBuf>,
    /// What the configuration names: certificates and the like.
    named: BTreeSet<PathBuf>,
    changed: Arc<Notify>,
    /// `None` when the system refused: then only SIGHUP reloads.
    watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Watches `paths`, which may be files or folders.
    #[must_use]
    pub fn new(paths: Vec<PathBuf>) -> Self {
        let mut watch = Self {
            paths,
            named: BTreeSet::new(),
            changed: Arc::default(),
            watcher: None,
        };
        watch.renew();
        watch
    }

    /// Waits for a change since the last call. Many changes at once are one.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What to call when something has changed that this watch may not see.
    #[must_use]
    pub fn changes(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// Watches these files too, from now on. Where they are others than before, that counts as a change: they may have
    /// changed since they were read.
    pub fn follow(&mut self, named: BTreeSet<PathBuf>) {
        if self.named != named {
            self.named = named;
            self.renew();
            self.changed.notify_one();
        }
    }

    /// Watches the folders as they are now. To be called before each reading: links may lead elsewhere since, and a
    /// folder that was replaced has lost its watch.
    pub fn renew(&mut self) {
        let mut folders = watched_folders(&self.paths);
        let followed: BTreeSet<PathBuf> = self.named.iter().flat_map(|path| links_of(path)).collect();
        folders.extend(
            followed
                .iter()
                .map(|path| parent_of(path))
                .filter(|folder| folder.is_dir()),
        );
        let changed = Arc::clone(&self.changed);
        let mut named: BTreeSet<PathBuf> = self.paths.iter().flat_map(|path| links_of(path)).collect();
        let whole: BTreeSet<PathBuf> = named.iter().filter(|path| path.is_dir()).cloned().collect();
        named.extend(followed);
        let started = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // An error means that events were lost, so something may have changed.
            if event.map_or(true, |event| concerns(&event, &named, &whole)) {
                changed.notify_one();
            }
        });
        self.watcher = started
            .and_then(|mut watcher| {
                for folder in &folders {
                    watcher.watch(folder, RecursiveMode::NonRecursive)?;
                }
                Ok(watcher)
            })
            .map_err(|error| {
                tracing::warn!(%error, "configuration files cannot be watched; SIGHUP still reloads them");
            })
            .ok();
    }
}

/// The folders whose entries decide what the paths read: those that hold the path or a link on its way, and the path
/// itself when it is a folder. Those that are missing are left out, since a watch on them would be refused.
fn watched_folders(paths: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    for path in paths {
        let files = files_of(path).unwrap_or_default();
        for name in files.iter().flat_map(|file| links_of(file)).chain(links_of(path)) {
            if name.is_dir() {
                folders.insert(name.clone());
            }
            folders.insert(parent_of(&name));
        }
    }
    folders.retain(|folder| folder.is_dir());
    folders
}

/// A path and where its links lead, one after the other, without ending in a circle.
fn links_of(path: &Path) -> Vec<PathBuf> {
    let mut names = vec![path.to_owned()];
    while names.len() < FILE_LINKS_FOLLOWED_MAX {
        let last = &names[names.len() - 1];
        let Ok(target) = fs::read_link(last) else {
            break;
        };
        names.push(parent_of(last).join(target));
    }
    // Links among the folders above, such as Kubernetes' `..data`.
    names.extend(fs::canonicalize(path));
    names
}

fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Whether an event may change what the files say: those named, and every one in the folders read `whole`. Opening and reading do not, or reading the files would call for
/// reading them again; nor does a write before the file is closed.
fn concerns(event: &notify::Event, named: &BTreeSet<PathBuf>, whole: &BTreeSet<PathBuf>) -> bool {
    let changes = match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        EventKind::Modify(ModifyKind::Data(_)) => false,
        _ => true,
    };
    // An event without a path says that events were lost.
    changes
        && (event.paths.is_empty()
            || event.paths.iter().any(|path| {
                is_yaml(path) && path.parent().is_some_and(|folder| whole.contains(folder))
                    || path.file_name() == Some(OsStr::new(KUBERNETES_LINK))
                    || named
                        .iter()
                        .any(|name| name.ends_with(path.file_name().unwrap_or_default()))
            }))
}

/// The link that Kubernetes swaps when a ConfigMap or Secret changes.
const KUBERNETES_LINK: &str = "..data";

#[cfg(test)]
mod tests;
