//! What is shipped beside the binary. Its Rust only tests that the examples load.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use sluice_config::{Source, load};

    /// The YAML files in a folder and those below it.
    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let (folders, here): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
        let is_yaml = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "yaml");
        let below = folders.iter().flat_map(|folder| files(folder));
        here.into_iter().filter(is_yaml).chain(below).collect()
    }

    #[test]
    fn every_example_loads_without_a_problem_or_a_warning() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        let mut names = Vec::new();
        for path in files(&folder) {
            let name = path.strip_prefix(&folder).unwrap().display().to_string();
            let source = Source {
                name: name.clone(),
                text: fs::read_to_string(&path).unwrap(),
            };
            let loaded = load(&[source]);
            let problems: Vec<String> = loaded
                .model
                .err()
                .into_iter()
                .flatten()
                .map(|p| p.to_string())
                .collect();
            assert!(problems.is_empty(), "{}", problems.join("\n"));
            let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
            assert!(warnings.is_empty(), "{}", warnings.join("\n"));
            names.push(name);
        }
        names.sort();
        assert_eq!(
            names,
            [
                "canary.yaml",
                "grpc.yaml",
                "headers-and-redirects.yaml",
                "health-checks.yaml",
                "minimal.yaml",
                "mtls-pair/host-a.yaml",
                "mtls-pair/host-b.yaml",
                "passthrough.yaml",
                "policies.yaml",
                "sidecar.yaml",
                "tls.yaml"
            ]
        );
    }
}
