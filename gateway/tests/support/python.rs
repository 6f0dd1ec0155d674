//! Real peers out of Python's packages.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// A script of `tests/support` that needs a package.
pub struct Script {
    file: &'static str,
    package: &'static str,
}

/// Servers and clients of gRPC.
pub const GRPCIO: Script = Script {
    file: "grpc_peer.py",
    package: "grpc",
};
/// Of WebSockets.
pub const WEBSOCKETS: Script = Script {
    file: "websocket_peer.py",
    package: "websockets",
};

impl Script {
    /// To run it; none where its package is not there. Looked for in the environment that `.ci/run` makes, or as it is.
    pub fn command(&self) -> Option<Command> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let made = folder.join("../target/python/bin/python");
        let name = if made.exists() { made } else { "python3".into() };
        let asked = Command::new(&name)
            .args(["-c", &format!("import {}", self.package)])
            .stderr(Stdio::null())
            .status();
        if !asked.is_ok_and(|status| status.success()) {
            println!("Python's {} is not installed: not tested", self.package);
            return None;
        }
        let mut command = Command::new(name);
        command.arg(folder.join("tests/support").join(self.file));
        Some(command)
    }

    /// What it says as a client, called with the gateway's port.
    pub fn call(&self, gateway: SocketAddr) -> (String, String) {
        let mut command = self.command().expect("it was there");
        let output = command.args(["call", &gateway.port().to_string()]).output();
        let output = output.expect("Python runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr))
    }
}

/// One that serves; ends with this.
pub struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts `script`; none where its package is not there.
    pub fn start(script: &Script) -> Option<Self> {
        let mut process = script
            .command()?
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python runs");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("its port");
        let port: u16 = line.trim().parse().expect("its port");
        Some(Self {
            process,
            address: ([127, 0, 0, 1], port).into(),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// A client that holds something open; ends with this.
pub struct Held {
    process: Child,
    lines: Option<ChildStdin>,
    said: BufReader<ChildStdout>,
}

impl Held {
    /// Opens it through the gateway, over TLS if there is a root certificate to believe.
    pub fn open(script: &Script, gateway: SocketAddr, root: Option<&Path>) -> Self {
        let mut command = script.command().expect("it was there");
        command.arg("hold").arg(gateway.port().to_string()).args(root);
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python runs");
        let said = BufReader::new(process.stdout.take().expect("it is piped"));
        Self {
            lines: process.stdin.take(),
            process,
            said,
        }
    }

    /// What comes back for `line`; nothing once it has failed.
    pub fn say(&mut self, line: &str) -> String {
        let lines = self.lines.as_mut().expect("it is open");
        let _ = writeln!(lines, "{line}");
        self.hear()
    }

    /// Ends it, and gives how it ended.
    pub fn end(&mut self) -> String {
        drop(self.lines.take());
        self.hear()
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("its output");
        line.trim().to_owned()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.lines.take());
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
