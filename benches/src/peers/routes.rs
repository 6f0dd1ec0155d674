//! The same routes in the language of each peer: ten paths on each of as many hosts as it takes, all to the origin.
//! One route stands for the plain case, in which everything goes there.

use std::fmt::Write as _;

/// Paths of a host; the script of wrk asks for the same.
const PATHS: usize = 10;

pub(super) fn sluice(count: usize) -> String {
    if count == 1 {
        return "- { name: everything, rules: [{ backends: [{ service: origin }] }] }\n".to_owned();
    }
    each_host(count, |text, host| {
        _ = writeln!(
            text,
            "- name: route-{host}\n  hosts: [service-{host}.example.com]\n  rules:"
        );
        for path in 0..PATHS {
            _ = writeln!(
                text,
                "  - {{ name: rule-{path}, matches: [{{ path: {{ prefix: /api/resource-{path} }} }}], backends: [{{ service: origin }}] }}"
            );
        }
    })
}

/// The line of the frontend that chooses a backend, and the file it looks into.
pub(super) fn haproxy(count: usize, map: &str) -> (String, String) {
    if count == 1 {
        return ("  default_backend origin".to_owned(), String::new());
    }
    let lines = each_host(count, |text, host| {
        for path in 0..PATHS {
            _ = writeln!(text, "service-{host}.example.com/api/resource-{path} origin");
        }
    });
    (format!("  use_backend %[base,map_beg({map})]"), lines)
}

pub(super) fn nginx(count: usize, listen: &str) -> String {
    if count == 1 {
        return format!(
            "  server {{ listen {listen}@listen_options@ reuseport backlog=4096; location / {{ @pass@; }} }}"
        );
    }
    let mut first = " reuseport backlog=4096";
    each_host(count, |text, host| {
        _ = writeln!(
            text,
            "  server {{ listen {listen}@listen_options@{first}; server_name service-{host}.example.com;"
        );
        // What concerns the socket is said once.
        first = "";
        for path in 0..PATHS {
            _ = writeln!(text, "    location /api/resource-{path} {{ @pass@; }}");
        }
        text.push_str("  }\n");
    })
}

pub(super) fn envoy(count: usize) -> String {
    if count == 1 {
        return format!(
            "{ENVOY_INDENT}- {{ name: all, domains: [\"*\"], routes: [{{ match: {{ prefix: / }}, {ENVOY_ROUTE} }}] }}"
        );
    }
    each_host(count, |text, host| {
        _ = writeln!(text, "{ENVOY_INDENT}- name: host-{host}");
        _ = writeln!(
            text,
            "{ENVOY_INDENT}  domains: [service-{host}.example.com]\n{ENVOY_INDENT}  routes:"
        );
        for path in 0..PATHS {
            _ = writeln!(
                text,
                "{ENVOY_INDENT}  - {{ match: {{ path_separated_prefix: /api/resource-{path} }}, {ENVOY_ROUTE} }}"
            );
        }
    })
}

fn each_host(count: usize, mut write: impl FnMut(&mut String, usize)) -> String {
    let mut text = String::new();
    for host in 0..count.div_ceil(PATHS) {
        write(&mut text, host);
    }
    text
}

const ENVOY_INDENT: &str = "            ";
/// Without the timer of fifteen seconds that each request would have.
const ENVOY_ROUTE: &str = "route: { cluster: origin, timeout: 0s }";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_has_as_many_routes() {
        let count = |text: &str| text.matches("/api/resource-").count();
        assert_eq!(count(&sluice(10_000)), 10_000);
        assert_eq!(count(&haproxy(10_000, "map").1), 10_000);
        assert_eq!(count(&nginx(10_000, "127.0.0.1:1")), 10_000);
        assert_eq!(count(&envoy(10_000)), 10_000);
        assert_eq!(nginx(10_000, "127.0.0.1:1").matches("reuseport").count(), 1);
    }
}
