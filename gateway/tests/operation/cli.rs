//! The commands besides `run`: what they print and how they exit (0 good, 1 failed, 2 wrong usage, 78 wrong
//! configuration).

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use crate::harness::{self, Config, Driver, Gateway, Origin, Ports};
use tempfile::TempDir;

fn sluice(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs")
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

/// Both outputs: where a message goes is not what these tests are about.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

fn folder(yaml: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("sluice.yaml"), yaml).expect("a written configuration");
    let path = folder.path().display().to_string();
    (folder, path)
}

fn good() -> Config {
    let routes = "
- name: reviews
  hosts: [reviews.example.com]
  rules:
  - name: testers
    matches: [{ headers: { x-canary: { exact: 'true' } } }]
    backends: [{ service: v2 }]
  - name: everyone
    backends: [{ service: v1, weight: 90 }, { service: v2, weight: 10 }]
    timeouts: { request: 3s }
";
    Config::new()
        .service("v1", &[([127, 0, 0, 1], 9001).into()])
        .service("v2", &[([127, 0, 0, 1], 9002).into()])
        .routes(routes)
}

#[test]
fn check_accepts_a_good_configuration() {
    let (_folder, path) = folder(&good().yaml(&Ports::free()));
    let output = sluice(&["check", &path]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let file = format!("{path}/sluice.yaml");
    assert_eq!(code(&sluice(&["check", &file])), 0, "a file as well as a folder");
}

#[test]
fn check_reports_every_error_with_its_place() {
    let yaml = "admin: { bind: \"127.0.0.1:9901\" }
listeners:
- name: web
  bind: nonsense
  protocol: http
routes:
- name: all
  hoosts: [a.example]
  rules:
  - backends: [{ service: reviews-v2 }]
services:
- name: reviews-v1
  endpoints: [{ address: \"127.0.0.1:9001\" }]
- name: reviews-v1
  endpoints: []
";
    let (_folder, path) = folder(yaml);
    let output = sluice(&["check", &path]);
    let said = said(&output);
    assert_eq!(code(&output), 78, "{said}");
    for (place, what) in [
        ("sluice.yaml:4:9", "listeners[0].bind"),
        ("sluice.yaml:8:3", "hosts"),
        ("sluice.yaml:10:", "reviews-v1"),
        ("sluice.yaml:14:", "reviews-v1"),
        ("sluice.yaml:15:", "endpoints"),
    ] {
        assert!(said.contains(place), "{place} of {what} is missing:\n{said}");
        assert!(said.contains(what), "{what} is missing:\n{said}");
    }
    assert!(said.contains("did you mean"), "{said}");
}

#[test]
fn check_refuses_duplicate_keys_and_broken_yaml() {
    for (yaml, place) in [
        ("workers: 1\nworkers: 2\n", "sluice.yaml:2:1"),
        ("listeners:\n- name: [\n", "sluice.yaml:"),
        ("listeners: { a: 1, a: 2 }\n", "sluice.yaml:1:20"),
    ] {
        let (_folder, path) = folder(yaml);
        let output = sluice(&["check", &path]);
        assert_eq!(code(&output), 78, "{yaml}");
        assert!(said(&output).contains(place), "{yaml}: {}", said(&output));
    }
}

#[test]
fn run_refuses_to_start_on_a_bad_configuration() {
    for yaml in ["nonsense: true\n", "listeners: [\n", ""] {
        let (_folder, path) = folder(yaml);
        let output = sluice(&["run", "-c", &path]);
        assert_eq!(code(&output), 78, "{yaml:?}: {}", said(&output));
        assert!(!said(&output).is_empty(), "and says why");
    }
    assert_eq!(code(&sluice(&["run", "-c", "/nowhere/at/all"])), 78);
}

#[test]
fn run_fails_where_the_port_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = good().add_listener("taken", taken.local_addr().unwrap());
    let (_folder, path) = folder(&config.yaml(&Ports::free()));
    let output = sluice(&["run", "-c", &path]);
    assert_eq!(code(&output), 1, "{}", said(&output));
    assert!(
        said(&output).contains(&taken.local_addr().unwrap().to_string()),
        "{}",
        said(&output)
    );
}

#[test]
fn wrong_usage_is_2() {
    for arguments in [
        &["nonsense"][..],
        &["run", "--nonsense"],
        &["check"],
        &["run", "--io", "magic"],
        &[],
    ] {
        assert_eq!(code(&sluice(arguments)), 2, "{arguments:?}");
    }
    for arguments in [&["--help"][..], &["--version"], &["run", "--help"]] {
        assert_eq!(code(&sluice(arguments)), 0, "{arguments:?}");
    }
}

#[test]
fn the_schema_is_json_and_knows_the_language() {
    let output = sluice(&["schema"]);
    assert_eq!(code(&output), 0);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for name in ["listeners", "routes", "services"] {
        assert!(schema["properties"][name].is_object(), "{name}: {schema}");
    }
}

#[test]
fn explain_tells_every_rule_and_the_odds() {
    let (_folder, path) = folder(&good().yaml(&Ports::free()));
    let output = sluice(&["explain", &path, "GET http://reviews.example.com/api"]);
    let text = said(&output);
    assert_eq!(code(&output), 0, "{text}");
    for word in ["testers", "x-canary", "everyone", "v1", "90", "v2", "10", "3s"] {
        assert!(text.contains(word), "{word} is missing:\n{text}");
    }
    let output = sluice(&[
        "explain",
        &path,
        "GET http://reviews.example.com/api",
        "-H",
        "x-canary: true",
    ]);
    assert!(said(&output).contains("testers"), "{}", said(&output));
    let output = sluice(&["explain", &path, "GET http://other.example/"]);
    assert!(said(&output).contains("404"), "{}", said(&output));
}

#[test]
fn diff_tells_what_a_reload_would_change() {
    let origin = Origin::echo("v1");
    let config = Config::new().service("v1", &[origin.address()]);
    let gateway = Gateway::start(Driver::Epoll, &config);
    let admin = gateway.admin_address().to_string();
    let path = gateway.folder().to_str().unwrap().to_owned();
    let same = sluice(&["diff", &path, "--admin", &admin]);
    assert_eq!(code(&same), 0, "{}", said(&same));
    let changed = config.service("v2", &[origin.address()]).routes(
        "\n- { name: all, rules: [{ backends: [{ service: v1, weight: 1 }, { service: v2, weight: 3 }] }] }",
    );
    let (_folder, path) = folder(&gateway.yaml(&changed));
    let output = sluice(&["diff", &path, "--admin", &admin]);
    let text = said(&output);
    assert!(text.contains("v2") && text.contains('3'), "{text}");
    assert!(!text.contains("error"), "{text}");
}

#[test]
fn doctor_tells_about_this_machine() {
    let output = sluice(&["doctor"]);
    let text = said(&output).to_lowercase();
    assert!(matches!(code(&output), 0 | 1), "{text}");
    for word in ["kernel", "io_uring", "seccomp", "file"] {
        assert!(text.contains(word), "{word} is missing:\n{text}");
    }
}

struct Quickstart(Child);

impl Drop for Quickstart {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn quickstart_prints_lines_that_work_and_a_file_that_reloads() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("curl is not installed: not tested");
        return;
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .arg("quickstart")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let _quickstart = Quickstart(child);
    let (mut lines, mut file) = (Vec::new(), None);
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        if line.trim_start().trim_start_matches("$ ").starts_with("curl ") {
            lines.push(line.trim_start().trim_start_matches("$ ").to_owned());
        }
        file = file.or_else(|| {
            line.split_whitespace()
                .find(|word| word.ends_with(".yaml"))
                .map(str::to_owned)
        });
        if lines.len() == 5 && file.is_some() {
            break;
        }
    }
    assert_eq!(lines.len(), 5, "lines to try: three plain, TLS, mutual TLS");
    let answers = lines.iter().map(|line| {
        let output = harness::eventually("an answer to a line", || {
            let output = Command::new("sh").args(["-c", line]).output().unwrap();
            output.status.success().then_some(output)
        });
        String::from_utf8_lossy(&output.stdout).into_owned()
    });
    let answers: Vec<String> = answers.collect();
    assert!(
        answers.iter().all(|answer| answer.starts_with("hello from v")),
        "{answers:?}"
    );
    assert!(
        answers[4].contains("for spiffe://quickstart/ns/default/sa/me"),
        "{answers:?}"
    );
    let file = file.expect("the configuration it uses is named");
    assert!(Path::new(&file).is_file(), "{file}");
    let yaml = fs::read_to_string(&file).unwrap();
    assert_eq!(code(&sluice(&["check", &file])), 0);
    assert!(
        yaml.contains("weight: 90") && yaml.contains("weight: 10"),
        "{yaml}"
    );
}
