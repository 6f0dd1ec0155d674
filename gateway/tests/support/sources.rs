//! The sources of the workspace, for the test of the house style.
//!
//! Owns where they are and where a file's unit tests begin. Refuses to judge them.
#![allow(unreachable_pub)] // shared by test programs, which export nothing

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where sources are.
const FOLDERS: [&str; 8] = [
    "benches", "config", "deploy", "fuzz", "gateway", "io", "routing", "tls",
];

pub struct Source {
    /// From the root of the workspace, with `/`.
    pub path: String,
    pub text: String,
}

impl Source {
    pub fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs") || self.path.contains("/benches/")
    }

    /// The lines before the unit tests at the foot.
    pub fn lines_outside_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = |line: &&str| line.trim_start().starts_with("#[cfg(test)]");
        let end = self
            .text
            .lines()
            .position(|line| tests(&line))
            .filter(|at| self.ends_in_module_at(*at));
        self.text
            .lines()
            .take(end.unwrap_or(usize::MAX))
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }

    /// A `#[cfg(test)]` may also stand before a single item further up.
    fn ends_in_module_at(&self, line: usize) -> bool {
        self.text
            .lines()
            .nth(line + 1)
            .is_some_and(|next| next.trim_start().starts_with("mod "))
    }
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("gateway is in the workspace")
        .to_path_buf()
}

pub fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    let mut folders: Vec<_> = FOLDERS.iter().map(|name| root().join(name)).collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a readable source");
                let path = path
                    .strip_prefix(root())
                    .expect("inside the workspace")
                    .to_string_lossy()
                    .into_owned();
                sources.push(Source { path, text });
            }
        }
    }
    assert!(
        sources.len() > 20,
        "the sources are not where they are looked for"
    );
    sources
}

/// Fails with every finding, not the first.
pub fn none(findings: Vec<String>) {
    assert!(
        findings.is_empty(),
        "{} findings:\n{}",
        findings.len(),
        findings.join("\n")
    );
}

pub fn find(mut check: impl FnMut(&Source, &mut Vec<String>)) {
    let mut findings = Vec::new();
    for source in sources() {
        check(&source, &mut findings);
    }
    none(findings);
}
