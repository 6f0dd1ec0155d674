//! What tests of connections that are passed on share: a gateway that does, and what it says of them.

use std::net::SocketAddr;

use super::{Client, Config, Gateway, Origin};

const ROUTE: &str = "\n- name: db\n  listeners: [web]\n  rules: [{ backends: [{ service: pg }] }]";

/// The listener `web` passes connections on to the service `pg`.
pub fn passing(endpoints: &[SocketAddr], options: &str) -> Config {
    Config::new()
        .listener("protocol: tcp")
        .routes(ROUTE)
        .service_with("pg", endpoints, options)
}

/// Gives back what it gets, piece by piece, behind its name.
pub fn echo(name: &'static str) -> Origin {
    Origin::serving(move |mut connection| {
        connection.send(name);
        while let Some(bytes) = connection.take(4) {
            connection.send(bytes);
        }
    })
}

/// The client is greeted so.
pub fn says(client: &mut Client, name: &str) {
    assert_eq!(client.take(name.len()), name.as_bytes());
}

/// The one line of the access log so far that is as wanted.
pub fn line(gateway: &Gateway, field: &str, value: &str) -> serde_json::Value {
    gateway.log_line(value, |line| line[field] == value)
}

/// How many connections have ended for this reason.
pub fn ended(gateway: &Gateway, reason: &str) -> f64 {
    gateway
        .metrics()
        .sum("sluice_passthrough_connections_total", &[("reason", reason)])
}
