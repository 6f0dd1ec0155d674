//! The YAML a test starts the gateway with, and the ports it names.
//!
//! Owns what most tests do not care about (the admin address, a listener called `web`, the list of
//! services). Refuses to hide what a test is about: routes and options are written as YAML in the test.

use std::{fmt::Write as _, net::SocketAddr, sync::Arc};

use socket2::{Domain, Socket, Type};

/// A port nobody else is given while this value lives. It is bound and never listens, so the gateway,
/// which binds with SO_REUSEPORT, can take it.
#[derive(Debug, Clone)]
pub struct Port {
    address: SocketAddr,
    _held: Arc<Socket>,
}

/// Where one gateway is: each that runs has its own.
#[derive(Debug, Clone)]
pub struct Ports {
    pub admin: Port,
    pub web: Port,
}

/// A configuration in the making: what is the same for every gateway that runs it.
#[derive(Debug, Clone, Default)]
pub struct Config {
    listener: String,
    listeners: Vec<(String, SocketAddr)>,
    services: Vec<(String, Vec<SocketAddr>, String)>,
    routes: String,
    top: String,
    documents: String,
}

impl Port {
    /// A free port of the loopback.
    pub fn free() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// This one, where nobody else has it.
    pub fn at(wanted: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("SO_REUSEADDR");
        socket.set_reuse_port(true).expect("SO_REUSEPORT");
        socket.bind(&wanted.into()).expect("a free port");
        let address = socket.local_addr().expect("a bound socket has an address");
        Self {
            address: address.as_socket().expect("an IPv4 address"),
            _held: Arc::new(socket),
        }
    }

    /// Where: connecting there is refused until somebody listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Ports {
    /// Two free ones.
    pub fn free() -> Self {
        Self {
            admin: Port::free(),
            web: Port::free(),
        }
    }
}

impl Config {
    /// One listener, `web`, and no service yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A service with these endpoints. The first one takes everything unless routes are given.
    pub fn service(self, name: &str, endpoints: &[SocketAddr]) -> Self {
        self.service_with(name, endpoints, "")
    }

    /// A service with further options, as YAML.
    pub fn service_with(mut self, name: &str, endpoints: &[SocketAddr], options: &str) -> Self {
        self.services
            .push((name.to_owned(), endpoints.to_vec(), options.to_owned()));
        self
    }

    /// The list of routes, as YAML; replaces those given before.
    pub fn routes(mut self, yaml: &str) -> Self {
        yaml.clone_into(&mut self.routes);
        self
    }

    /// Options of the listener `web`, as YAML; added to those given before.
    pub fn listener(mut self, yaml: &str) -> Self {
        self.listener.push_str(yaml);
        self.listener.push('\n');
        self
    }

    /// A further listener.
    pub fn add_listener(mut self, name: &str, bind: SocketAddr) -> Self {
        self.listeners.push((name.to_owned(), bind));
        self
    }

    /// Top-level fields, as YAML; added to those given before.
    pub fn top(mut self, yaml: &str) -> Self {
        self.top.push_str(yaml);
        self.top.push('\n');
        self
    }

    /// A further document of the same configuration.
    pub fn document(mut self, yaml: &str) -> Self {
        self.documents.push_str("---\n");
        self.documents.push_str(yaml);
        self
    }

    /// The whole text, for a gateway on `ports`.
    pub fn yaml(&self, ports: &Ports) -> String {
        let mut yaml = format!("admin: {{ bind: \"{}\" }}\n", ports.admin.address());
        if !self.top.contains("accessLog") {
            yaml.push_str("accessLog: { output: stdout }\n");
        }
        yaml.push_str(&self.top);
        yaml.push_str("listeners:\n");
        yaml.push_str(&listener("web", ports.web.address()));
        yaml.push_str(&indented(&self.listener));
        for (name, bind) in &self.listeners {
            yaml.push_str(&listener(name, *bind));
        }
        yaml.push_str("routes:");
        if self.routes.is_empty() {
            let (first, ..) = self.services.first().expect("a service or routes");
            write!(
                yaml,
                "\n- name: all\n  rules:\n  - backends: [{{ service: {first} }}]"
            )
            .expect("a String takes it");
        }
        yaml.push_str(&self.routes);
        if !self.services.is_empty() {
            yaml.push_str("\nservices:\n");
        }
        for (name, endpoints, options) in &self.services {
            let endpoints: Vec<_> = endpoints
                .iter()
                .map(|address| format!("{{ address: \"{address}\" }}"))
                .collect();
            writeln!(yaml, "- name: {name}\n  endpoints: [{}]", endpoints.join(", ")).expect("likewise");
            yaml.push_str(&indented(options));
        }
        yaml.push_str(&self.documents);
        yaml
    }
}

fn listener(name: &str, bind: SocketAddr) -> String {
    format!("- name: {name}\n  bind: \"{bind}\"\n")
}

fn indented(options: &str) -> String {
    let lines = options.lines().filter(|line| !line.trim().is_empty());
    lines.fold(String::new(), |all, line| all + "  " + line + "\n")
}
