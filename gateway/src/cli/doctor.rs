//! `sluice doctor`: what this machine gives a gateway.
//!
//! Owns the examinations and their repairs. Refuses to change anything.

use std::{fmt, fs, thread};

use rustix::{
    process::{Resource, Rlimit, getrlimit},
    system::uname,
};
use sluice_io::{DriverChoice, Options, Runtime};

use super::{Failure, print};

/// Examines this machine and prints what was found.
///
/// # Errors
/// When a gateway cannot run here.
pub(super) fn examine() -> Result<(), Failure> {
    let uring = driver_error(DriverChoice::Uring);
    let epoll = driver_error(DriverChoice::Epoll);
    let read = |path: &str| fs::read_to_string(path).ok();
    let release = uname().release().to_string_lossy().into_owned();
    let mut findings = vec![
        kernel(&release),
        io_uring(
            uring.as_deref(),
            read("/proc/sys/kernel/io_uring_disabled").as_deref(),
        ),
        match &epoll {
            None => good("epoll", "usable"),
            Some(error) => bad("epoll", error, "a gateway cannot run here"),
        },
        seccomp(&read("/proc/self/status").unwrap_or_default()),
        files(getrlimit(Resource::Nofile)),
        good(
            "cores",
            &thread::available_parallelism().map_or_else(|e| e.to_string(), |n| n.to_string()),
        ),
        memory(read("/sys/fs/cgroup/memory.max").as_deref()),
        backlog(read("/proc/sys/net/core/somaxconn").as_deref()),
        ports(read("/proc/sys/net/ipv4/ip_local_port_range").as_deref()),
    ];
    findings.extend(
        BASES
            .iter()
            .map(|(name, choice)| base(name, driver_error(*choice).as_deref())),
    );
    findings.iter().for_each(|finding| print(&finding.to_string()));
    match (uring, epoll) {
        (Some(_), Some(_)) => Err(Failure::Run(
            "no I/O driver works here: a gateway cannot run".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Why a driver cannot be had.
fn driver_error(driver: DriverChoice) -> Option<String> {
    Runtime::new(&Options {
        driver,
        ..Options::default()
    })
    .err()
    .map(|error| error.to_string())
}

/// One examination.
struct Finding {
    what: &'static str,
    found: String,
    /// What to do, when it is not good.
    repair: Option<String>,
}

fn good(what: &'static str, found: &str) -> Finding {
    Finding {
        what,
        found: found.trim().to_owned(),
        repair: None,
    }
}

fn bad(what: &'static str, found: &str, repair: &str) -> Finding {
    Finding {
        what,
        found: found.trim().to_owned(),
        repair: Some(repair.to_owned()),
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.repair.is_some() { "warn" } else { "ok" };
        write!(f, "{mark:4}  {:9} {}", self.what, self.found)?;
        self.repair
            .iter()
            .try_for_each(|repair| write!(f, "\n      {:9} -> {repair}", ""))
    }
}

fn kernel(release: &str) -> Finding {
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= KERNEL_FOR_RINGS {
        good("kernel", release)
    } else {
        bad(
            "kernel",
            release,
            "6.1 or later has all of io_uring that is used here; epoll serves before",
        )
    }
}

fn io_uring(error: Option<&str>, disabled: Option<&str>) -> Finding {
    let Some(error) = error else {
        return good("io_uring", "usable");
    };
    let repair = match disabled.map(str::trim) {
        Some("1" | "2") => "sysctl kernel.io_uring_disabled=0; until then epoll serves",
        _ => {
            "in a container: a seccomp profile that allows io_uring_setup, _enter and _register; until then epoll serves"
        }
    };
    bad("io_uring", error, repair)
}

/// One of [`BASES`].
fn base(name: &'static str, error: Option<&str>) -> Finding {
    match error {
        None => good(name, "usable"),
        Some(error) => bad(name, error, "it needs io_uring; epoll serves without"),
    }
}

fn seccomp(status: &str) -> Finding {
    let mode = status
        .lines()
        .find_map(|line| line.strip_prefix("Seccomp:"))
        .map(str::trim);
    match mode {
        Some("0") => good("seccomp", "off"),
        Some("1") => bad("seccomp", "strict mode", "a gateway cannot run in strict mode"),
        Some("2") => good("seccomp", "a filter is set; what it denies shows above"),
        _ => good("seccomp", "unknown to this kernel"),
    }
}

fn files(limit: Rlimit) -> Finding {
    let words = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
    let found = format!(
        "{} open at once, may be raised to {}",
        words(limit.current),
        words(limit.maximum)
    );
    match limit.maximum {
        Some(maximum) if maximum < FILES_WANTED => bad(
            "files",
            &found,
            "every proxied request takes two: raise the hard limit (LimitNOFILE= in systemd, ulimit -Hn)",
        ),
        _ => good("files", &found),
    }
}

fn memory(cgroup: Option<&str>) -> Finding {
    match cgroup.map(str::trim) {
        None | Some("max") => good("memory", "no cgroup limit"),
        Some(bytes) => match bytes.parse::<u64>() {
            Ok(bytes) if bytes < MEMORY_WANTED => bad(
                "memory",
                &format!("cgroup limit of {} MiB", bytes >> 20),
                "give it 64 MiB, or lower limits.connections",
            ),
            Ok(bytes) => good("memory", &format!("cgroup limit of {} MiB", bytes >> 20)),
            Err(_) => good("memory", bytes),
        },
    }
}

fn backlog(somaxconn: Option<&str>) -> Finding {
    match somaxconn.and_then(|value| value.trim().parse::<u32>().ok()) {
        Some(length) if length < BACKLOG_WANTED => bad(
            "backlog",
            &length.to_string(),
            "bursts of new connections are refused: sysctl net.core.somaxconn=4096",
        ),
        Some(length) => good("backlog", &format!("up to {length} connections wait for accept")),
        None => good("backlog", "unknown"),
    }
}

fn ports(range: Option<&str>) -> Finding {
    let mut ends = range
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|port| port.parse::<u32>().ok());
    match (ends.next(), ends.next()) {
        (Some(first), Some(last)) if last.saturating_sub(first) < PORTS_WANTED => bad(
            "ports",
            &format!("{first} to {last} for connections to backends"),
            "sysctl net.ipv4.ip_local_port_range=\"10240 65535\"",
        ),
        (Some(first), Some(last)) => good("ports", &format!("{first} to {last} for connections to backends")),
        _ => good("ports", "unknown"),
    }
}

/// The bases this binary was built with beside its own two.
const BASES: &[(&str, DriverChoice)] = &[
    #[cfg(feature = "monoio")]
    ("monoio", DriverChoice::Monoio),
    #[cfg(feature = "tokio-uring")]
    ("tokio-uring", DriverChoice::TokioUring),
];
/// With DEFER_TASKRUN, multishot receive and provided buffer rings.
const KERNEL_FOR_RINGS: (u32, u32) = (6, 1);
/// For thirty thousand requests at once.
const FILES_WANTED: u64 = 65_536;
/// What a worker takes under load, and room.
const MEMORY_WANTED: u64 = 64 << 20;
/// Linux's default since 5.4.
const BACKLOG_WANTED: u32 = 4096;
/// Two thirds of Linux's default.
const PORTS_WANTED: u32 = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn is_good(finding: &Finding) -> bool {
        finding.repair.is_none()
    }

    #[test]
    fn kernels() {
        for release in ["6.1.0-18-amd64", "6.18.44", "7.0"] {
            assert!(is_good(&kernel(release)), "{release}");
        }
        for release in ["5.15.0", "6.0.9-x", "odd"] {
            assert!(!is_good(&kernel(release)), "{release}");
        }
    }

    #[test]
    fn rings() {
        assert!(is_good(&io_uring(None, Some("0\n"))));
        let disabled = io_uring(Some("EPERM"), Some("2\n")).to_string();
        assert!(
            disabled.contains("kernel.io_uring_disabled=0") && disabled.contains("EPERM"),
            "{disabled}"
        );
        assert!(io_uring(Some("EPERM"), None).to_string().contains("seccomp"));
    }

    #[test]
    fn filters() {
        assert_eq!(
            seccomp("Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n")
                .to_string()
                .lines()
                .count(),
            1
        );
        assert!(is_good(&seccomp("Seccomp:\t0\n")));
        assert!(!is_good(&seccomp("Seccomp:\t1\n")));
    }

    #[test]
    fn limits() {
        assert!(!is_good(&files(Rlimit {
            current: Some(1024),
            maximum: Some(4096)
        })));
        assert!(is_good(&files(Rlimit {
            current: Some(1024),
            maximum: None
        })));
        assert!(is_good(&memory(Some("max\n"))) && is_good(&memory(None)));
        assert!(!is_good(&memory(Some("33554432\n"))));
        assert!(!is_good(&backlog(Some("128\n"))));
        assert!(is_good(&ports(Some("32768\t60999\n"))) && !is_good(&ports(Some("32768\t33000\n"))));
    }
}
