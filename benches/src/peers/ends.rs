//! TLS and HTTP/2 in the language of each peer, for either of its ends.

use super::Kind;
use crate::{
    material::Material,
    scenario::{Protocols, Scenario, Security},
};

/// What stands around one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) clients: Clients,
    /// Whether its backend is reached over mutual TLS.
    pub(super) is_backend_mutual: bool,
    pub(super) protocols: Protocols,
}

/// What its clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clients {
    Plain,
    Tls,
    /// With certificates of theirs.
    Mutual,
}

impl Ends {
    /// Of each process, from the backend to the clients.
    pub(super) fn of(scenario: &Scenario) -> Vec<Self> {
        let plain = |clients| Self {
            clients,
            is_backend_mutual: false,
            protocols: scenario.protocols,
        };
        match scenario.security {
            Security::None => vec![plain(Clients::Plain)],
            Security::Tls => vec![plain(Clients::Tls)],
            Security::MutualPair => {
                let front = Self {
                    is_backend_mutual: true,
                    ..plain(Clients::Plain)
                };
                vec![plain(Clients::Mutual), front]
            }
        }
    }

    /// What stands in a template for each name.
    pub(super) fn fill(self, kind: &Kind, material: &Material) -> [(&'static str, String); 6] {
        let (downstream, upstream) = match kind {
            Kind::Sluice(_) => (sluice_listener(self.clients, material), sluice_service(material)),
            Kind::Envoy => (self.envoy_listener(material), envoy_cluster(material)),
            Kind::Haproxy => (haproxy_bind(self.clients, material), haproxy_server(material)),
            Kind::Nginx => (nginx_server(self.clients, material), nginx_proxy(material)),
            Kind::Yardstick => Default::default(),
        };
        let some = |text: String, is_so: bool| if is_so { text } else { String::new() };
        let is_secure = self.clients != Clients::Plain;
        let options = some(" ssl".to_owned(), is_secure)
            + &some(" http2".to_owned(), self.protocols.has_http2_clients());
        let (downstream_protocol, upstream_protocol) = self.http2(kind);
        [
            ("downstream_tls", some(downstream, is_secure)),
            ("upstream_tls", some(upstream, self.is_backend_mutual)),
            ("downstream_protocol", downstream_protocol.to_owned()),
            ("upstream_protocol", upstream_protocol.to_owned()),
            ("listen_options", options),
            ("pass", self.nginx_pass().to_owned()),
        ]
    }

    /// What stands beside TLS, towards clients and towards the backend, where either speaks HTTP/2.
    fn http2(self, kind: &Kind) -> (&'static str, &'static str) {
        let (clients, backend) = match kind {
            // It sees by the first bytes, or by ALPN, what a client speaks.
            Kind::Sluice(_) => ("", ", protocol: h2"),
            // So does it, once ALPN is offered.
            Kind::Envoy => ("", ENVOY_HTTP2),
            Kind::Haproxy if self.clients == Clients::Plain => (" proto h2", " proto h2"),
            Kind::Haproxy => (" alpn h2", " proto h2"),
            Kind::Nginx | Kind::Yardstick => ("", ""),
        };
        let some = |text, is_so| if is_so { text } else { "" };
        (
            some(clients, self.protocols.has_http2_clients()),
            some(backend, self.protocols == Protocols::Http2),
        )
    }

    /// nginx speaks HTTP/2 to a backend as its proxy for gRPC alone, which takes any request.
    fn nginx_pass(self) -> &'static str {
        match (self.protocols, self.is_backend_mutual) {
            (Protocols::Http2, _) => "grpc_pass grpc://origin",
            (_, true) => "proxy_pass https://origin",
            (_, false) => "proxy_pass http://origin",
        }
    }

    fn envoy_listener(self, material: &Material) -> String {
        let Material {
            authority, server, ..
        } = material;
        let (require, trusted) = match self.clients {
            Clients::Mutual => (true, envoy_trusted(&authority.display().to_string())),
            Clients::Plain | Clients::Tls => (false, String::new()),
        };
        let alpn = if self.protocols.has_http2_clients() {
            ", alpn_protocols: [h2]"
        } else {
            ""
        };
        envoy_tls(
            &format!("Downstream{ENVOY_CONTEXT} require_client_certificate: {require}"),
            &server.certificate.display().to_string(),
            &server.key.display().to_string(),
            &(trusted + alpn),
        )
    }
}

fn sluice_listener(clients: Clients, material: &Material) -> String {
    let Material {
        authority, server, ..
    } = material;
    let require = match clients {
        Clients::Mutual => format!(
            ", clientAuth: {{ mode: require, ca: \"{}\" }}",
            authority.display()
        ),
        Clients::Plain | Clients::Tls => String::new(),
    };
    format!(
        ", protocol: https, tls: {{ groups: [X25519], certificates: [{{ cert: \"{}\", key: \"{}\" }}]{require} }}",
        server.certificate.display(),
        server.key.display()
    )
}

fn sluice_service(material: &Material) -> String {
    let Material {
        authority, client, ..
    } = material;
    format!(
        ", tls: {{ mode: mutual, groups: [X25519], serverName: localhost, ca: \"{}\", cert: \"{}\", key: \"{}\" }}",
        authority.display(),
        client.certificate.display(),
        client.key.display()
    )
}

fn envoy_cluster(material: &Material) -> String {
    let Material {
        authority, client, ..
    } = material;
    envoy_tls(
        &format!("Upstream{ENVOY_CONTEXT} sni: localhost"),
        &client.certificate.display().to_string(),
        &client.key.display().to_string(),
        &envoy_trusted(&authority.display().to_string()),
    )
}

fn envoy_tls(context: &str, certificate: &str, key: &str, more: &str) -> String {
    format!(
        "transport_socket: {{ name: envoy.transport_sockets.tls, typed_config: {{ \
         \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{context}, common_tls_context: {{ \
         tls_params: {{ tls_maximum_protocol_version: TLSv1_3, ecdh_curves: [X25519] }}, \
         tls_certificates: [{{ certificate_chain: {{ filename: \"{certificate}\" }}, \
         private_key: {{ filename: \"{key}\" }} }}]{more} }} }} }}"
    )
}

fn envoy_trusted(authority: &str) -> String {
    format!(
        ", validation_context: {{ trusted_ca: {{ filename: \"{authority}\" }}, \
         match_typed_subject_alt_names: [{{ san_type: DNS, matcher: {{ exact: localhost }} }}, \
         {{ san_type: URI, matcher: {{ prefix: \"spiffe://bench/\" }} }}] }}"
    )
}

fn haproxy_bind(clients: Clients, material: &Material) -> String {
    let Material {
        authority, server, ..
    } = material;
    let verify = match clients {
        Clients::Mutual => format!(" ca-file {} verify required", authority.display()),
        Clients::Plain | Clients::Tls => String::new(),
    };
    format!(" ssl crt {} curves X25519{verify}", server.both.display())
}

fn haproxy_server(material: &Material) -> String {
    let Material {
        authority, client, ..
    } = material;
    format!(
        " ssl crt {} ca-file {} verify required sni str(localhost) verifyhost localhost",
        client.both.display(),
        authority.display()
    )
}

fn nginx_server(clients: Clients, material: &Material) -> String {
    let Material {
        authority, server, ..
    } = material;
    let verify = match clients {
        Clients::Mutual => format!(
            "\n  ssl_verify_client on;\n  ssl_client_certificate {};",
            authority.display()
        ),
        Clients::Plain | Clients::Tls => String::new(),
    };
    format!(
        "  ssl_protocols TLSv1.3;\n  ssl_ecdh_curve X25519;\n  ssl_session_cache shared:sessions:10m;\n  \
         ssl_certificate {};\n  ssl_certificate_key {};{verify}",
        server.certificate.display(),
        server.key.display()
    )
}

fn nginx_proxy(material: &Material) -> String {
    let Material {
        authority, client, ..
    } = material;
    format!(
        "  proxy_ssl_protocols TLSv1.3;\n  proxy_ssl_verify on;\n  proxy_ssl_name localhost;\n  \
         proxy_ssl_server_name on;\n  proxy_ssl_trusted_certificate {};\n  proxy_ssl_certificate {};\n  \
         proxy_ssl_certificate_key {};",
        authority.display(),
        client.certificate.display(),
        client.key.display()
    )
}

const ENVOY_CONTEXT: &str = "TlsContext,";
const ENVOY_HTTP2: &str = "typed_extension_protocol_options: { \
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions: { \
    \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, \
    explicit_http_config: { http2_protocol_options: {} } } }";
