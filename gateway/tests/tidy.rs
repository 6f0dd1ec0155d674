//! The house style, as far as a program can tell: the order of the rooms, who may name which package, how long a
//! file may be, and where `unsafe` may stand. CONTRIBUTING.md says why.

#[path = "support/sources.rs"]
mod sources;

use std::{collections::BTreeSet, fs, path::Path};

use sources::{Source, find, none, root, sources};

/// Rooms of gateway/src: each may use only those to its right. `wire` is the one that both sessions share.
const ROOMS: [&[&str]; 16] = [
    &["main"],
    &["cli"],
    &["app"],
    &["control", "admin"],
    &["status", "authority"],
    &["worker"],
    &["accept"],
    &["downstream"],
    &["exchange"],
    &["upstream"],
    &["answer", "access_log"],
    &["wire"],
    &["http"],
    &["snapshot"],
    &["metrics"],
    &["error"],
];

/// Which of our crates each crate may use.
const CRATES: [(&str, &[&str]); 7] = [
    ("io", &[]),
    ("config", &[]),
    ("routing", &["sluice-config"]),
    ("tls", &["sluice-config", "sluice-io"]),
    (
        "gateway",
        &["sluice-config", "sluice-io", "sluice-routing", "sluice-tls"],
    ),
    (
        "benches",
        &[
            "sluice",
            "sluice-config",
            "sluice-io",
            "sluice-routing",
            "sluice-tls",
        ],
    ),
    ("deploy", &["sluice-config"]),
];

/// Packages that only one crate may depend on: the reason to have crates.
const OWNED: [(&str, &[&str]); 4] = [
    (
        "io",
        &[
            "io-uring",
            "io-uring-06",
            "libmimalloc-sys",
            "monoio",
            "tokio-uring",
            "async-task",
            "slab",
        ],
    ),
    ("tls", &["rustls", "quinn-proto", "aws-lc-rs", "tokio-rustls"]),
    ("config", &["serde_yaml", "yaml_serde", "strsim", "schemars"]),
    (
        "gateway",
        &[
            "h2",
            "hyper",
            "hyper-util",
            "httparse",
            "hickory-resolver",
            "notify",
            "prometheus-client",
            "base64",
            "mimalloc",
            "rcgen",
        ],
    ),
];

/// Who may ask for the time of day. All else goes by the clock that never jumps: no timer follows a time server.
const WALL_CLOCK: [&str; 6] = [
    "gateway/src/cli/ca.rs",
    "gateway/src/cli/quickstart.rs",
    "gateway/src/control/material.rs",
    "gateway/src/control/transition.rs",
    "gateway/src/exchange/account.rs",
    "gateway/src/exchange/context.rs",
];

/// What a crate names although another owns it: `benches` measures bare runtimes, and peers that need certificates.
const BENCHES: &[&str] = &["h2", "io-uring-06", "monoio", "tokio-uring", "rcgen", "rustls"];
const EXCEPTED: [(&str, &[&str]); 1] = [("benches", BENCHES)];

/// Without tests: longer ones hide their parts.
const FILE_LINES_MAX: usize = 400;
/// From `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn a_room_uses_only_rooms_to_its_right() {
    let level = |room: &str| ROOMS.iter().position(|level| level.contains(&room));
    find(|source, findings| {
        let Some(inside) = source.path.strip_prefix("gateway/src/") else {
            return;
        };
        let room = inside.split(['/', '.']).next().unwrap_or("");
        if matches!(room, "lib" | "bin") || source.is_test() {
            return;
        }
        let Some(own) = level(room) else {
            findings.push(format!("{}: `{room}` is no room of the house", source.path));
            return;
        };
        let code = source
            .lines_outside_tests()
            .map(|(_, line)| line.split("//").next().unwrap_or(""));
        for used in used_rooms(&code.collect::<String>()) {
            let is_right = level(&used).is_none_or(|other| other > own) || used == room;
            if !is_right {
                findings.push(format!("{}: {room} must not use {used}", source.path));
            }
        }
    });
}

/// The rooms that code names by `crate::room` or, in the binary, `sluice::room`; lists in braces too.
fn used_rooms(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for mark in ["crate::", "sluice::"] {
        for (at, _) in code.match_indices(mark) {
            let after = &code[at + mark.len()..];
            let names: Vec<&str> = match after.strip_prefix('{') {
                Some(list) => top_level(list),
                None => vec![after],
            };
            rooms.extend(names.iter().map(|name| {
                name.trim()
                    .chars()
                    .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                    .collect()
            }));
        }
    }
    rooms
}

/// The parts of a braced list that stand at its top level.
fn top_level(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&list[start..at]);
                return parts;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts
}

/// The names in the dependency tables of a manifest; those for tests only when asked.
fn dependencies(manifest: &str, with_tests: bool) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(manifest).join("Cargo.toml")).expect("a manifest");
    let mut names = BTreeSet::new();
    let mut is_in_table = false;
    for line in text.lines() {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            is_in_table =
                table.ends_with("dependencies") && (with_tests || !table.ends_with("dev-dependencies"));
        } else if is_in_table && !line.starts_with('#') {
            let name: String = line
                .chars()
                .take_while(|letter| letter.is_alphanumeric() || "-_".contains(*letter))
                .collect();
            names.extend(Some(name).filter(|name| !name.is_empty()));
        }
    }
    names
}

#[test]
fn crates_use_only_the_crates_they_may() {
    let mut findings = Vec::new();
    for (name, allowed) in CRATES {
        for used in dependencies(name, name == "deploy") {
            if used.starts_with("sluice") && !allowed.contains(&used.as_str()) {
                findings.push(format!("{name} must not depend on {used}"));
            }
        }
    }
    none(findings);
}

#[test]
fn a_package_has_one_owner() {
    let mut findings = Vec::new();
    for (owner, packages) in OWNED {
        for (name, _) in CRATES.iter().filter(|(name, _)| *name != owner) {
            let used = dependencies(name, false);
            let is_excepted = |package| {
                EXCEPTED
                    .iter()
                    .any(|(who, what)| who == name && what.contains(package))
            };
            let packages = packages.iter().filter(|package| !is_excepted(package));
            for package in packages.filter(|package| used.contains(**package)) {
                findings.push(format!("{name} must not depend on {package}: it is {owner}'s"));
            }
        }
    }
    none(findings);
}

#[test]
fn versions_stand_in_the_workspace_alone() {
    find_in_manifests(|name, line| {
        let versioned = line.contains("version = \"")
            || line
                .split_once(" = \"")
                .is_some_and(|(_, value)| value.starts_with(|c: char| c.is_ascii_digit()));
        versioned.then(|| format!("{name}/Cargo.toml: {line}"))
    });
}

fn find_in_manifests(check: impl Fn(&str, &str) -> Option<String>) {
    let mut findings = Vec::new();
    for (name, _) in CRATES {
        let text = fs::read_to_string(root().join(name).join("Cargo.toml")).expect("a manifest");
        let package_end = text.find("[dependencies]").unwrap_or(text.len());
        findings.extend(text[package_end..].lines().filter_map(|line| check(name, line)));
    }
    none(findings);
}

#[test]
fn every_file_begins_with_what_it_owns() {
    find(|source, findings| {
        if !source.text.starts_with("//! ") && !source.text.starts_with("#!") {
            findings.push(format!("{}: does not begin with //!", source.path));
        }
    });
}

#[test]
fn files_and_functions_are_short() {
    find(|source, findings| {
        let length = source.lines_outside_tests().count();
        let is_fixture = source.path.ends_with("/tests.rs");
        if length >= FILE_LINES_MAX && !is_fixture {
            findings.push(format!("{}: {length} lines", source.path));
        }
        if !source.is_test() {
            findings.extend(long_functions(source));
        }
    });
}

/// Functions by their indentation: rustfmt closes each in the column it began in.
fn long_functions(source: &Source) -> Vec<String> {
    let lines: Vec<_> = source.lines_outside_tests().collect();
    let mut findings = Vec::new();
    for (index, (number, line)) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let words = code.split("fn ").next().unwrap_or("");
        let begins = code.contains("fn ")
            && words.split_whitespace().all(|word| {
                matches!(word, "const" | "async" | "unsafe" | "extern" | "\"C\"") || word.starts_with("pub")
            });
        if !begins || code.ends_with(';') || code.ends_with('}') {
            continue;
        }
        let close = format!("{}}}", " ".repeat(indent));
        let length = lines[index..]
            .iter()
            .position(|(_, line)| *line == close)
            .map_or(0, |length| length + 1);
        if length >= FUNCTION_LINES_MAX {
            findings.push(format!("{}:{number}: a function of {length} lines", source.path));
        }
    }
    findings
}

#[test]
fn unsafe_stands_in_io_alone() {
    find(|source, findings| {
        if source.path.starts_with("io/") || source.path.ends_with("tests/tidy.rs") {
            return;
        }
        for (number, line) in source.text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            let mut words = code.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            if words.any(|word| word == "unsafe") {
                findings.push(format!("{}:{}: unsafe", source.path, number + 1));
            }
        }
    });
}

#[test]
fn files_are_named_by_nouns() {
    const BANNED: [&str; 6] = ["mod", "utils", "util", "common", "helpers", "helper"];
    find(|source, findings| {
        let stem = Path::new(&source.path)
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let folders = Path::new(&source.path).parent().into_iter().flat_map(Path::iter);
        let mut names = folders
            .map(|name| name.to_string_lossy().into_owned())
            .chain([stem]);
        if names.any(|name| BANNED.contains(&name.as_str())) {
            findings.push(source.path.clone());
        }
    });
}

#[test]
fn nothing_is_left_for_later_and_nothing_panics_by_hand() {
    // Put together here, so that this file does not find itself.
    let banned = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!("));
    let unwrap = [".unwrap", "()"].concat();
    find(|source, findings| {
        for (number, line) in source.lines_outside_tests() {
            let code = line.split("//").next().unwrap_or("");
            if banned.iter().any(|macro_call| code.contains(macro_call)) {
                findings.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
            if !source.is_test() && code.contains(&unwrap) {
                findings.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    });
}

#[test]
fn the_wall_clock_is_read_where_a_date_is_told() {
    let clocks = [
        "SystemTime::now",
        "UNIX_EPOCH.elapsed",
        "Timestamp::now",
        "Zoned::now",
    ];
    let ways = [&clocks[..], &["CLOCK_REALTIME", "ClockId::Realtime"]].concat();
    let (mut found, mut findings) = (BTreeSet::new(), Vec::new());
    for source in sources() {
        let serves = !["benches/", "fuzz/"]
            .iter()
            .any(|folder| source.path.starts_with(folder));
        if source.is_test() || !serves {
            continue;
        }
        let mut lines = source.lines_outside_tests();
        if let Some((number, line)) = lines.find(|(_, line)| ways.iter().any(|way| line.contains(way))) {
            if !WALL_CLOCK.contains(&source.path.as_str()) {
                findings.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
            found.insert(source.path.clone());
        }
    }
    let idle = WALL_CLOCK.iter().filter(|path| !found.contains(**path));
    findings.extend(idle.map(|path| format!("{path}: does not read the wall clock any more")));
    none(findings);
}

#[test]
fn worker_state_is_not_global() {
    find(|source, findings| {
        if source.is_test() {
            return;
        }
        for (number, line) in source.lines_outside_tests() {
            let code = line.trim_start();
            let is_static = code.starts_with("static ") || code.starts_with("pub static ");
            let is_allocator = code.contains("MiMalloc");
            if (is_static && !is_allocator) || code.starts_with("thread_local!") {
                findings.push(format!("{}:{number}: {code}", source.path));
            }
        }
    });
}
