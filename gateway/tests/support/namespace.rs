//! Network namespaces that stand for hosts, joined by a cable.
//!
//! Owns what holds them: each lives as long as one process, so nothing is left behind however a test ends.

use std::{
    fs,
    os::fd::AsFd as _,
    process::{Child, Command, Stdio},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::eventually;

/// One host.
pub struct Namespace {
    holder: Child,
}

impl Namespace {
    /// Two hosts, at `10.0.0.1` and `10.0.0.2` of one network; why there are none where the machine denies them.
    pub fn pair() -> Result<[Self; 2], String> {
        let allowed = Command::new("unshare").args(["--net", "true"]).output();
        match allowed {
            Ok(output) if output.status.success() => {}
            Ok(output) => return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => return Err(format!("unshare: {error}")),
        }
        if let Err(error) = Command::new("ip").arg("-V").output() {
            return Err(format!("ip: {error}"));
        }
        let hosts = [Self::new(), Self::new()];
        let other = hosts[1].holder.id().to_string();
        let cable = [
            "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns",
        ];
        hosts[0].ip(&[&cable[..], &[&other]].concat())?;
        for (host, address) in hosts.iter().zip(["10.0.0.1/24", "10.0.0.2/24"]) {
            host.ip(&["address", "add", address, "dev", "cable"])?;
            host.ip(&["link", "set", "cable", "up"])?;
            host.ip(&["link", "set", "lo", "up"])?;
        }
        Ok(hosts)
    }

    fn new() -> Self {
        // Whoever ends this test, by whatever signal, ends the host with it.
        let holder = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "--net", "sleep", "infinity"])
            .stdin(Stdio::null())
            .spawn()
            .expect("setpriv runs");
        let own = fs::read_link("/proc/self/ns/net").expect("a namespace");
        let path = format!("/proc/{}/ns/net", holder.id());
        eventually("a new network", || {
            fs::read_link(&path).ok().filter(|network| *network != own)
        });
        Self { holder }
    }

    fn ip(&self, arguments: &[&str]) -> Result<(), String> {
        let output = Command::new("nsenter")
            .args(["--target", &self.holder.id().to_string(), "--net", "ip"])
            .args(arguments)
            .output()
            .map_err(|error| format!("nsenter: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("ip {}: {}", arguments.join(" "), said.trim()))
    }

    /// Does something on this host: its sockets, its threads and the processes it starts are there.
    pub fn on<T: Send>(&self, does: impl FnOnce() -> T + Send) -> T {
        let path = format!("/proc/{}/ns/net", self.holder.id());
        let network = fs::File::open(path).expect("the host is there");
        thread::scope(|scope| {
            let there = scope.spawn(|| {
                move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("the way to the host");
                does()
            });
            there
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.holder.kill().ok();
        self.holder.wait().ok();
    }
}
