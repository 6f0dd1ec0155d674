//! How much memory the process holds, and how much it should.
//!
//! Owns both numbers and the step they lead to. The budget is resident memory: what the kernel would have to find elsewhere.

use std::{fs, path::Path};

use sluice_config::model::Memory;
use sluice_routing::overload::Pressure;

/// What the process holds of what it may.
pub(super) struct Budget {
    /// In bytes; `None` without a bound.
    bytes: Option<u64>,
    pressure: Pressure,
}

impl Budget {
    /// Without a bound, until one is set.
    pub(super) const fn new() -> Self {
        Self {
            bytes: None,
            pressure: Pressure::None,
        }
    }

    /// Bounds it by what is configured.
    pub(super) fn set(&mut self, memory: Memory) {
        self.bytes = match memory {
            Memory::ControlGroup => control_group_limit(),
            Memory::Bytes(size) => Some(size.bytes()),
            Memory::Unbounded => None,
        };
    }

    /// In bytes; `None` without a bound.
    pub(super) const fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// Takes in how much is used. The step that follows, if it is another.
    pub(super) fn used(&mut self, bytes: u64) -> Option<Pressure> {
        let budget = self.bytes.unwrap_or(u64::MAX);
        let next = self.pressure.next(bytes, budget);
        (std::mem::replace(&mut self.pressure, next) != next).then_some(next)
    }
}

/// Resident memory of this process, in bytes. 0 where the kernel does not tell.
pub(super) fn resident() -> u64 {
    let kibibytes = fs::read_to_string("/proc/self/status").ok().and_then(|status| {
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    kibibytes.unwrap_or(0) * 1024
}

/// The smallest memory limit of the control groups this process is in, in bytes (cgroups(7)).
fn control_group_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    smallest_limit(&groups, Path::new("/sys/fs/cgroup"))
}

/// The smallest limit on the way from each group to the root; both versions of the interface, as seen below `root`.
fn smallest_limit(groups: &str, root: &Path) -> Option<u64> {
    let limits = groups.lines().flat_map(|line| {
        // ID:CONTROLLERS:PATH; version 2 names no controllers.
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, group) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let (root, file) = if controllers.is_empty() {
            (root.to_owned(), "memory.max")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            (root.join("memory"), "memory.limit_in_bytes")
        } else {
            return Vec::new();
        };
        let group = Path::new(group.trim_start_matches('/'));
        let way = group.ancestors().map(|group| root.join(group).join(file));
        way.filter_map(|file| read_limit(&file)).collect()
    });
    limits.min()
}

/// A limit as the kernel writes it: a number of bytes, or a word or an absurd number for none.
fn read_limit(file: &Path) -> Option<u64> {
    let limit = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    (limit < ABSURD_LIMIT).then_some(limit)
}

/// Version 1 writes the largest page-aligned number for "none"; no machine has so much memory.
const ABSURD_LIMIT: u64 = 1 << 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_size_is_told() {
        assert!((1 << 20..1 << 40).contains(&resident()), "{}", resident());
    }

    #[test]
    fn steps_are_told_once() {
        let mut budget = Budget::new();
        assert_eq!(budget.used(u64::MAX / 2), None, "no bound");
        budget.set(Memory::Bytes(100_u64.try_into().unwrap()));
        assert_eq!((budget.used(93), budget.used(94)), (Some(Pressure::Tight), None));
        budget.set(Memory::Unbounded);
        assert_eq!(
            (budget.bytes(), budget.used(1 << 50)),
            (None, Some(Pressure::None))
        );
    }

    #[test]
    fn the_smallest_limit_on_the_way_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        write("a.slice/memory.max", "2000000\n");
        write("a.slice/b.service/memory.max", "max\n");
        write("memory/pod/memory.limit_in_bytes", "9223372036854771712\n");
        write("memory/memory.limit_in_bytes", "3000000\n");
        let limit = |groups| smallest_limit(groups, root.path());
        assert_eq!(limit("0::/a.slice/b.service\n"), Some(2_000_000));
        assert_eq!(limit("0::/\n"), None);
        assert_eq!(
            limit("3:cpu,memory:/pod\n1:name=systemd:/a.slice\n0::/\n"),
            Some(3_000_000)
        );
        assert_eq!(limit(""), None);
    }
}
