//! What the run stood on: without it no figure compares.

use std::{collections::BTreeMap, fs, process::Command, thread::available_parallelism};

use crate::process::output;

/// Facts of this machine and of the tools, by name.
pub(crate) fn machine() -> BTreeMap<&'static str, String> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |line| line.trim_start_matches([' ', '\t', ':']));
    let said = |program: &str, argument: &str| {
        let text = output(Command::new(program).arg(argument)).unwrap_or_default();
        text.lines().next().unwrap_or("unknown").to_owned()
    };
    let commit = Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=12"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    let commit = commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    BTreeMap::from([
        ("commit", commit.unwrap_or_default()),
        (
            "congestion control",
            read("/proc/sys/net/ipv4/tcp_congestion_control"),
        ),
        (
            "cores",
            available_parallelism().map_or(0, usize::from).to_string(),
        ),
        ("cpu", model.to_owned()),
        ("h2load", said("h2load", "--version")),
        ("kernel", read("/proc/sys/kernel/osrelease")),
        (
            "load of the last minute",
            read("/proc/loadavg").split(' ').next().unwrap_or("").to_owned(),
        ),
    ])
}
