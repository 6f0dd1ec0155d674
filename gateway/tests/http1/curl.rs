//! curl as a client: what a real one sends is understood, and it understands what it gets.

use std::{
    fs,
    io::Write,
    process::{Command, Output, Stdio},
};

use crate::harness::{Config, Gateway, Origin, checksum, on_both_drivers, origin::Request, pattern};

fn is_missing() -> bool {
    let missing = Command::new("curl").arg("--version").output().is_err();
    if missing {
        println!("curl is not installed: not tested");
    }
    missing
}

fn curl(arguments: &[&str]) -> Output {
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "20"])
        .args(arguments)
        .output()
        .expect("curl runs");
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

#[test]
fn ordinary_requests_go_through() {
    if is_missing() {
        return;
    }
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let url = format!("http://{}/a/b?c=d", gateway.address());
        let seen = Request::from_echo(&curl(&[&url]).stdout);
        assert_eq!((seen.method(), seen.target()), ("GET", "/a/b?c=d"));
        let seen = Request::from_echo(&curl(&["-d", "a=b", &url]).stdout);
        assert_eq!((seen.method(), seen.body.as_slice()), ("POST", b"a=b".as_slice()));
        let old = curl(&["--http1.0", "-i", &url]);
        assert!(String::from_utf8_lossy(&old.stdout).contains("x-backend: v1"));
        let head = curl(&["-I", &url]);
        assert!(String::from_utf8_lossy(&head.stdout).starts_with("HTTP/1.1 200"));
        let reused = curl(&[
            "-o",
            "/dev/null",
            "-o",
            "/dev/null",
            "-w",
            "%{num_connects}",
            &url,
            &url,
        ]);
        assert_eq!(reused.stdout, b"10", "the second on the connection of the first");
    });
}

#[test]
fn uploads_go_through_with_expect_and_in_chunks() {
    if is_missing() {
        return;
    }
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let url = format!("http://{}/up", gateway.address());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("body");
        let body = pattern(3 << 20);
        fs::write(&file, &body).unwrap();
        let data = format!("@{}", file.display());
        let output = curl(&["-H", "Expect: 100-continue", "--data-binary", &data, &url]);
        assert_eq!(
            checksum(&Request::from_echo(&output.stdout).body),
            checksum(&body)
        );

        let mut child = Command::new("curl")
            .args(["-sS", "--max-time", "20", "-T", "-", &url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let sent = body.clone();
        let sender = std::thread::spawn(move || stdin.write_all(&sent).is_ok());
        let output = child.wait_with_output().unwrap();
        assert!(sender.join().unwrap() && output.status.success());
        assert_eq!(
            checksum(&Request::from_echo(&output.stdout).body),
            checksum(&body)
        );
    });
}

#[test]
fn a_download_can_be_resumed() {
    if is_missing() {
        return;
    }
    on_both_drivers(|driver| {
        let origin = Origin::answering(|request| {
            let whole = pattern(100_000);
            let from = request.header("range").map_or(0, |range| {
                range
                    .trim_start_matches("bytes=")
                    .trim_end_matches('-')
                    .parse()
                    .unwrap_or(0)
            });
            let rest = &whole[from..];
            let status = if from == 0 {
                "200 OK"
            } else {
                "206 Partial Content"
            };
            let mut answer = format!(
                "HTTP/1.1 {status}\r\ncontent-range: bytes {from}-99999/100000\r\ncontent-length: {}\r\n\r\n",
                rest.len()
            )
            .into_bytes();
            answer.extend(rest);
            answer
        });
        let gateway = Gateway::start(driver, &Config::new().service("v1", &[origin.address()]));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("part");
        fs::write(&file, &pattern(100_000)[..40_000]).unwrap();
        curl(&[
            "-C",
            "-",
            "-o",
            file.to_str().unwrap(),
            &format!("http://{}/file", gateway.address()),
        ]);
        assert_eq!(checksum(&fs::read(&file).unwrap()), checksum(&pattern(100_000)));
    });
}
