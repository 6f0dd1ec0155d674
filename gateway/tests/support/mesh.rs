//! The authority of a mesh: the real `sluice ca` in a folder, and what it serves.
//!
//! Owns the folder, the serving process, and what that wrote to its log.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output as Ended, Stdio},
    sync::Arc,
};

use tempfile::TempDir;

use super::{eventually, output::Output};

/// An authority for `example.org`.
pub struct Mesh {
    folder: TempDir,
    address: SocketAddr,
    child: Child,
    log: Arc<Output>,
}

impl Mesh {
    /// A new one, which serves on the loopback.
    pub fn new() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        Self::at(address)
    }

    /// A new one, which serves there.
    pub fn at(address: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        well(&sluice(
            folder.path(),
            &["ca", "init", "ca", "--trust-domain", "example.org"],
        ));
        let (child, log) = serve(folder.path(), address);
        Self {
            folder,
            address,
            child,
            log,
        }
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is kept, as `ca`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What peers trust, as PEM.
    pub fn root(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("ca/root.crt")).expect("a root")
    }

    /// A join token for `spiffe://example.org/NAME`.
    pub fn token(&self, name: &str, more: &[&str]) -> String {
        let id = format!("spiffe://example.org/{name}");
        let arguments = [&["ca", "token", "--dir", "ca", "--spiffe", &id], more].concat();
        well(&sluice(self.folder.path(), &arguments))
    }

    /// A certificate for `spiffe://example.org/NAME` and its key, as PEM.
    pub fn pair(&self, name: &str) -> (String, String) {
        let id = format!("spiffe://example.org/{name}");
        let prefix = self.folder.path().join("pair");
        let out = prefix.display().to_string();
        let issue = ["ca", "issue", "--dir", "ca", "--spiffe", &id, "--out", &out];
        well(&sluice(self.folder.path(), &issue));
        let read = |ending: &str| {
            std::fs::read_to_string(PathBuf::from(format!("{out}{ending}"))).expect("a file of the pair")
        };
        (read(".crt"), read(".key"))
    }

    /// Waits for a line of its log that holds `text`.
    pub fn wait_log(&self, text: &str) -> String {
        self.log
            .wait_for(text, |line| line.contains(text).then(|| line.to_owned()))
    }

    /// Its log by now.
    pub fn log(&self) -> String {
        self.log.lines().join("\n")
    }

    /// Ends it at once.
    pub fn stop(&mut self) {
        self.child.kill().expect("a running authority");
        self.child.wait().expect("its end");
    }

    /// Starts it again.
    pub fn start(&mut self) {
        (self.child, self.log) = serve(self.folder.path(), self.address);
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("the authority wrote:\n{}", self.log());
        }
    }
}

fn serve(folder: &Path, address: SocketAddr) -> (Child, Arc<Output>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["ca", "serve", "--dir", "ca", "--bind", &address.to_string()])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let log = Output::of(child.stderr.take().expect("stderr is piped"));
    eventually("a listening authority", || TcpStream::connect(address).ok());
    (child, log)
}

/// A command in a folder, to its end.
pub fn sluice(folder: &Path, arguments: &[&str]) -> Ended {
    Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the binary runs")
}

/// What a command that must do well printed.
pub fn well(ended: &Ended) -> String {
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{told}");
    String::from_utf8_lossy(&ended.stdout).trim().to_owned()
}

/// What a command that must not do well says, and its exit status.
pub fn ill(ended: &Ended) -> (String, i32) {
    let status = ended.status.code().expect("an exit status");
    assert_ne!(status, 0);
    (String::from_utf8_lossy(&ended.stderr).into_owned(), status)
}
