//! What a peer costs: the CPU time and the memory of a process with all its threads and children, from /proc.

use std::{fs, path::Path};

use crate::error::{BenchError, about};

/// CPU time that all threads of a process and of its children have had so far, user and system, in nanoseconds.
/// What a thread had that has ended meanwhile is not in it; no peer ends threads while it is measured.
pub(crate) fn cpu_ns(pid: u32) -> Result<u64, BenchError> {
    let mut total = 0;
    for process in family(pid)? {
        let tasks = format!("/proc/{process}/task");
        for task in fs::read_dir(&tasks).map_err(about(&tasks))?.flatten() {
            let path = task.path().join("schedstat");
            // A thread may end between the listing and this.
            if let Ok(text) = fs::read_to_string(&path) {
                total += schedstat_ns(&text)?;
            }
        }
    }
    Ok(total)
}

/// Proportional set size of a process and its children in bytes: its own pages, and its share of those it has in
/// common with others.
pub(crate) fn pss_bytes(pid: u32) -> Result<u64, BenchError> {
    let mut total = 0;
    for process in family(pid)? {
        let path = format!("/proc/{process}/smaps_rollup");
        total += pss_of(&fs::read_to_string(&path).map_err(about(&path))?)?;
    }
    Ok(total)
}

/// A process and all that descend from it.
fn family(pid: u32) -> Result<Vec<u32>, BenchError> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").map_err(about("/proc"))?.flatten() {
        let number = entry.file_name().to_string_lossy().parse::<u32>();
        if let (Ok(child), Some(parent)) = (number, parent_of(&entry.path())) {
            parents.push((child, parent));
        }
    }
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        family.extend(
            parents
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(child, _)| child),
        );
        next += 1;
    }
    Ok(family)
}

fn parent_of(process: &Path) -> Option<u32> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    // The name in parentheses may itself hold spaces and parentheses (proc(5)): state and parent follow its end.
    let (_, after) = stat.rsplit_once(')')?;
    after.split_whitespace().nth(1)?.parse().ok()
}

/// The first of the three numbers of /proc/PID/task/TID/schedstat: nanoseconds on a CPU.
fn schedstat_ns(text: &str) -> Result<u64, BenchError> {
    let first = text.split_whitespace().next();
    let parsed = first.and_then(|number| number.parse().ok());
    parsed.ok_or_else(|| BenchError::Form {
        what: "schedstat",
        text: text.to_owned(),
    })
}

fn pss_of(rollup: &str) -> Result<u64, BenchError> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
    let parsed = kib.and_then(|number| number.trim().parse::<u64>().ok());
    parsed.map(|kib| kib * 1024).ok_or_else(|| BenchError::Form {
        what: "smaps_rollup",
        text: rollup.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedstat_is_read_in_nanoseconds() {
        assert_eq!(schedstat_ns("5464577962 297702657 620\n").unwrap(), 5_464_577_962);
        assert!(schedstat_ns("").is_err());
    }

    #[test]
    fn pss_is_read_in_bytes() {
        let text = "55d0-7ffc ---p 00000000 00:00 0   [rollup]\nRss:      7000 kB\nPss:      6042 kB\nPss_Anon:  1 kB\n";
        assert_eq!(pss_of(text).unwrap(), 6042 * 1024);
        assert!(pss_of("Rss: 1 kB").is_err());
    }

    #[test]
    fn a_process_is_of_its_own_family_and_its_time_grows() {
        let own = std::process::id();
        assert_eq!(family(own).unwrap()[0], own);
        let before = cpu_ns(own).unwrap();
        let busy: u64 = (0..20_000_000_u64).map(std::hint::black_box).sum();
        assert!(busy > 0 && cpu_ns(own).unwrap() > before);
        assert!(pss_bytes(own).unwrap() > 100_000);
    }
}
