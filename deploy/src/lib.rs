//! What is shipped beside the binary. Its Rust only tests that the examples load.

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use sluice_config::{Source, load};

    #[test]
    fn every_example_loads_without_a_problem_or_a_warning() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
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
                "headers-and-redirects.yaml",
                "health-checks.yaml",
                "minimal.yaml",
                "policies.yaml",
                "sidecar.yaml",
                "tls.yaml"
            ]
        );
    }
}
