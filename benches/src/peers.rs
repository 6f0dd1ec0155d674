//! The peers: what each is, where its program is found, and how it is started on its core.
//!
//! Every configuration stands in benches/peers/ with its reasons; what changes from run to run is filled in here.

mod build;
mod ends;
mod routes;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

pub(crate) use build::{Build, cargo, install_envoy, target_folder};
use build::{build_yardsticks, yardsticks};
use ends::Ends;

use crate::{
    error::{BenchError, about},
    material::Material,
    meter::{cpu_ns, pss_bytes},
    namespace::Cores,
    origin::Origins,
    process::{Process, find},
    scenario::{Protocols, Scenario, Security},
};

/// A proxy to measure.
pub(crate) struct Peer {
    pub(crate) name: String,
    kind: Kind,
    program: PathBuf,
}

/// How it is configured and started.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// With what `--io` takes.
    Sluice(String),
    Envoy,
    Haproxy,
    Nginx,
    Yardstick,
}

/// What a peer is beside the others in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Theirs,
    /// A proxy without features on a bare runtime: the floor of the machine.
    Yardstick,
}

/// A peer that is not measured, and why.
pub(crate) struct LeftOut {
    pub(crate) name: String,
    pub(crate) why: String,
}

/// A peer that runs and takes requests.
pub(crate) struct Running {
    /// From the backend to the clients.
    processes: Vec<Process>,
    pub(crate) address: SocketAddr,
}

impl Running {
    /// CPU time that it has had so far, in nanoseconds.
    pub(crate) fn cpu_ns(&self) -> Result<u64, BenchError> {
        self.processes.iter().map(|process| cpu_ns(process.pid())).sum()
    }

    /// What it holds of memory.
    pub(crate) fn pss_bytes(&self) -> Result<u64, BenchError> {
        self.processes
            .iter()
            .map(|process| pss_bytes(process.pid()))
            .sum()
    }
}

/// Where peers are started.
pub(crate) struct Place {
    pub(crate) cores: Cores,
    /// For configurations and logs.
    pub(crate) folder: PathBuf,
    pub(crate) origins: Origins,
    pub(crate) ports: Ports,
    pub(crate) material: Material,
}

/// All peers whose program is here, Sluice's builds first, and those whose program is not.
pub(crate) fn all(builds: &[Build]) -> (Vec<Peer>, Vec<LeftOut>) {
    let mut wanted = Vec::new();
    for build in builds {
        for base in &build.bases {
            let name = format!("{}-{base}", build.name);
            let path = build.path.is_file().then(|| build.path.clone());
            wanted.push((
                name,
                Kind::Sluice(base.clone()),
                path,
                format!("no file {}", build.path.display()),
            ));
        }
    }
    let missing = |package: &str| format!("not installed (Debian: apt-get install {package})");
    wanted.push((
        "envoy".to_owned(),
        Kind::Envoy,
        build::envoy_program(),
        "could not be installed".to_owned(),
    ));
    wanted.push((
        "haproxy".to_owned(),
        Kind::Haproxy,
        find("haproxy"),
        missing("haproxy"),
    ));
    wanted.push(("nginx".to_owned(), Kind::Nginx, find("nginx"), missing("nginx")));
    for (name, path) in yardsticks() {
        let why = format!("no file {}", path.display());
        let program = path.is_file().then_some(path);
        wanted.push((name.to_owned(), Kind::Yardstick, program, why));
    }
    let (mut peers, mut left_out) = (Vec::new(), Vec::new());
    for (name, kind, program, why) in wanted {
        match program {
            Some(program) => peers.push(Peer { name, kind, program }),
            None => left_out.push(LeftOut { name, why }),
        }
    }
    (peers, left_out)
}

/// Whether `--only` with these names takes the peer: by its name, or by the part before a dash.
pub(crate) fn is_wanted(name: &str, only: &[String]) -> bool {
    let takes = |wanted: &String| {
        name.strip_prefix(wanted.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    only.is_empty() || only.iter().any(takes)
}

/// Makes what the wanted peers need and is not there; what fails is told, and its peer will be left out.
pub(crate) fn prepare(only: &[String], builds: &[Build]) {
    let mut steps: Vec<(&str, Result<(), BenchError>)> = Vec::new();
    if builds.is_empty()
        && ["sluice-uring", "sluice-epoll"]
            .iter()
            .any(|name| is_wanted(name, only))
    {
        steps.push(("sluice", cargo(&["--release", "--package", "sluice"])));
    }
    if is_wanted("envoy", only) {
        steps.push(("envoy", install_envoy()));
    }
    let yardsticks: Vec<&str> = yardsticks()
        .map(|(name, _)| name)
        .filter(|name| is_wanted(name, only))
        .collect();
    if !yardsticks.is_empty() {
        steps.push(("yardsticks", build_yardsticks(&yardsticks)));
    }
    for (name, result) in steps {
        if let Err(error) = result {
            eprintln!("{name}: {error}");
        }
    }
}

impl Peer {
    /// Whether it is ours, another's or a yardstick.
    pub(crate) fn side(&self) -> Side {
        match self.kind {
            Kind::Sluice(_) => Side::Ours,
            Kind::Envoy | Kind::Haproxy | Kind::Nginx => Side::Theirs,
            Kind::Yardstick => Side::Yardstick,
        }
    }

    /// Why it cannot be measured so, if it cannot: a yardstick has one way for everything, and nginx passes bytes on
    /// with a module that has a package of its own.
    pub(crate) fn refuses(&self, scenario: &Scenario) -> Option<&'static str> {
        let is_nginx = self.kind == Kind::Nginx && scenario.protocols == Protocols::Tcp;
        if is_nginx && !Path::new(NGINX_STREAM).is_file() {
            Some("its module is missing (Debian: apt-get install libnginx-mod-stream)")
        } else if self.kind != Kind::Yardstick {
            None
        } else if scenario.protocols != Protocols::Http1 {
            Some("it speaks HTTP/1.1 alone")
        } else if scenario.security != Security::None {
            Some("it speaks no TLS")
        } else {
            (scenario.routes > 1).then_some("it has no routes")
        }
    }

    /// What it says of its version.
    pub(crate) fn version(&self) -> String {
        let flag = match self.kind {
            Kind::Yardstick => return concat!("of sluice ", env!("CARGO_PKG_VERSION")).to_owned(),
            Kind::Haproxy | Kind::Nginx => "-v",
            Kind::Sluice(_) | Kind::Envoy => "--version",
        };
        let Ok(output) = Command::new(&self.program).arg(flag).output() else {
            return "unknown".to_owned();
        };
        let said = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&said);
        let line = text
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("unknown");
        let after_path = line.rsplit_once("version: ").map_or(line, |(_, version)| version);
        after_path.trim().to_owned()
    }

    /// Starts it on its core with the scenario's routes to the origin and waits until it listens.
    pub(crate) fn start(&self, scenario: &Scenario, place: &mut Place) -> Result<Running, BenchError> {
        let mut running = Running {
            processes: Vec::new(),
            address: place.origins.address(scenario.protocols.origin()),
        };
        for (index, ends) in Ends::of(scenario).into_iter().enumerate() {
            let (listen, admin) = (place.ports.next()?, place.ports.next()?);
            let folder = place.folder.join(format!("{}-{index}", self.name));
            fs::create_dir_all(&folder).map_err(about(&folder))?;
            let hop = Hop {
                ends,
                listen,
                admin,
                backend: running.address,
                folder: &folder,
            };
            let arguments = self.configure(scenario.routes, &hop, &place.material)?;
            let mut process =
                Process::start(&self.name, &place.cores.peer, &self.program, arguments, &folder)?;
            process.wait_until_it_listens(listen, START_PATIENCE)?;
            running.processes.push(process);
            running.address = listen;
        }
        Ok(running)
    }

    /// Writes its configuration where it has one; gives the arguments it is started with.
    fn configure(
        &self,
        routes: usize,
        hop: &Hop<'_>,
        material: &Material,
    ) -> Result<Vec<String>, BenchError> {
        let Hop {
            listen,
            admin,
            backend,
            folder,
            ..
        } = hop;
        let path = |name: &str| folder.join(name).display().to_string();
        let map = path("routes.map");
        let (template, routes, flags) = match &self.kind {
            Kind::Yardstick => return Ok(vec![listen.to_string(), backend.to_string()]),
            Kind::Sluice(base) => {
                let flags = vec!["run", "--io", base, "--workers", "1", "-c"];
                (&SLUICE, routes::sluice(routes), flags)
            }
            Kind::Envoy => (&ENVOY, routes::envoy(routes), ENVOY_FLAGS.to_vec()),
            Kind::Haproxy => {
                let (line, lines) = routes::haproxy(routes, &map);
                fs::write(&map, lines).map_err(about(&map))?;
                (&HAPROXY, line, vec!["-f"])
            }
            Kind::Nginx => (&NGINX, routes::nginx(routes, &listen.to_string()), vec!["-c"]),
        };
        let text = match hop.ends.protocols {
            Protocols::Tcp => template.tcp,
            _ => template.http,
        };
        let mut text = text
            .replace("@routes@", &routes)
            .replace("@folder@", &folder.display().to_string());
        for (name, text_of) in hop.ends.fill(&self.kind, material) {
            text = text.replace(&format!("@{name}@"), &text_of);
        }
        for (name, address) in [("listen", listen), ("admin", admin), ("origin", backend)] {
            text = text.replace(&format!("@{name}@"), &address.to_string());
            text = text.replace(&format!("@{name}_host@"), &address.ip().to_string());
            text = text.replace(&format!("@{name}_port@"), &address.port().to_string());
        }
        let file = path(template.file);
        fs::write(&file, text).map_err(about(&file))?;
        let flags = flags.into_iter().map(str::to_owned);
        Ok(flags.chain([file]).collect())
    }
}

/// A configuration with names between `@` for what changes.
struct Template {
    /// As it is written.
    file: &'static str,
    http: &'static str,
    /// For bytes that are passed on.
    tcp: &'static str,
}

/// One process of a peer, and what stands around it.
struct Hop<'f> {
    ends: Ends,
    listen: SocketAddr,
    admin: SocketAddr,
    backend: SocketAddr,
    /// For its configuration and its log.
    folder: &'f Path,
}

/// Hands out loopback addresses that nobody listens on, below the ports that the kernel gives to clients, each once.
pub(crate) struct Ports(u16);

impl Default for Ports {
    fn default() -> Self {
        Self(PORT_FIRST)
    }
}

impl Ports {
    pub(crate) fn next(&mut self) -> Result<SocketAddr, BenchError> {
        while self.0 < PORT_END {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.0));
            self.0 += 1;
            if TcpListener::bind(address).is_ok() {
                return Ok(address);
            }
        }
        Err(BenchError::Usage("no port is free".to_owned()))
    }
}

const PORT_FIRST: u16 = 12_000;
const PORT_END: u16 = 20_000;
const SLUICE: Template = Template {
    file: "sluice.yaml",
    http: include_str!("../peers/sluice.yaml"),
    tcp: include_str!("../peers/tcp/sluice.yaml"),
};
const ENVOY: Template = Template {
    file: "envoy.yaml",
    http: include_str!("../peers/envoy.yaml"),
    tcp: include_str!("../peers/tcp/envoy.yaml"),
};
const HAPROXY: Template = Template {
    file: "haproxy.cfg",
    http: include_str!("../peers/haproxy.cfg"),
    tcp: include_str!("../peers/tcp/haproxy.cfg"),
};
const NGINX: Template = Template {
    file: "nginx.conf",
    http: include_str!("../peers/nginx.conf"),
    tcp: include_str!("../peers/tcp/nginx.conf"),
};
/// Where Debian keeps it.
const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";
const ENVOY_FLAGS: [&str; 6] = [
    "--concurrency",
    "1",
    "--disable-hot-restart",
    "--log-level",
    "error",
    "-c",
];
/// Envoy takes some seconds over ten thousand routes.
const START_PATIENCE: Duration = Duration::from_secs(60);
