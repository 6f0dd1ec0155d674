//! The place of a run: namespaces of its own for the network and for processes, and which core does what.
//!
//! The network namespace is empty: no firewall, no connection tracking, and the plain congestion control reno. Both
//! namespaces have no name and live as long as the run, so nothing is left to clean up: when the first process of a
//! process namespace ends, however it ends, the kernel kills the others, and with the last of them the network goes.

use std::{
    fs,
    process::{Command, ExitCode, Stdio},
    thread::available_parallelism,
};

use clap::ValueEnum;
use rustix::process::geteuid;
use serde::Serialize;

use crate::error::{BenchError, about};

/// Where the peers are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Isolation {
    /// In fresh namespaces.
    Namespace,
    /// On the loopback of the machine, with its congestion control and connection tracking, as namespaces were denied.
    Loopback,
}

/// Who runs where: one core for the peer alone, the others for load and origin.
#[derive(Clone, Debug)]
pub(crate) struct Cores {
    /// As taskset takes it.
    pub(crate) peer: String,
    /// As taskset takes it.
    pub(crate) load: String,
}

impl Cores {
    /// Of this machine.
    pub(crate) fn split() -> Result<Self, BenchError> {
        let count = available_parallelism().map_or(1, usize::from);
        let load = match count {
            0 | 1 => {
                let reason = "peers and load need a core each, and this machine has one";
                return Err(BenchError::Usage(reason.to_owned()));
            }
            2 => "1".to_owned(),
            more => format!("1-{}", more - 1),
        };
        Ok(Self {
            peer: "0".to_owned(),
            load,
        })
    }
}

/// Runs this program again with the same arguments in fresh namespaces where the machine allows it.
pub(crate) fn run_inside() -> Result<ExitCode, BenchError> {
    let isolation = if is_allowed() {
        Isolation::Namespace
    } else {
        eprintln!(
            "note: namespaces are denied here, so the peers are measured on this machine's own loopback"
        );
        Isolation::Loopback
    };
    let own = std::env::current_exe().map_err(about("/proc/self/exe"))?;
    let mut command = Command::new("setpriv");
    // Whoever ends this process, by whatever signal, ends the one inside with it.
    command.args(["--pdeathsig", "KILL"]);
    if isolation == Isolation::Namespace {
        command.arg("unshare").args(unshare_flags());
    }
    command.arg(own).args(std::env::args_os().skip(1)).arg("--inside");
    command.arg(match isolation {
        Isolation::Namespace => "namespace",
        Isolation::Loopback => "loopback",
    });
    let status = command.status().map_err(about("setpriv"))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Makes the namespace ready: its loopback up, and ports for ten thousand connections and more.
pub(crate) fn prepare(isolation: Isolation) -> Result<(), BenchError> {
    if isolation == Isolation::Loopback {
        return Ok(());
    }
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    if !up.map_err(about("ip"))?.success() {
        return Err(BenchError::Program {
            program: "ip link set lo up".to_owned(),
            reason: "failed".to_owned(),
        });
    }
    for (name, value) in SETTINGS {
        let path = format!("/proc/sys/net/ipv4/{name}");
        fs::write(&path, value).map_err(about(&path))?;
    }
    Ok(())
}

fn is_allowed() -> bool {
    let mut command = Command::new("unshare");
    command
        .args(unshare_flags())
        .arg("true")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn unshare_flags() -> Vec<&'static str> {
    let mut flags = vec!["--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
    if !geteuid().is_root() {
        flags.extend(["--user", "--map-root-user"]);
    }
    flags.push("--");
    flags
}

/// The congestion control with the least work of its own; ports for a new connection for each request.
const SETTINGS: [(&str, &str); 3] = [
    ("tcp_congestion_control", "reno"),
    ("ip_local_port_range", "20000 65000"),
    ("tcp_tw_reuse", "1"),
];
