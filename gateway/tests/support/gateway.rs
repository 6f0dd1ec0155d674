//! The binary under test: started, asked, signalled, and killed at the end.
//!
//! Owns the process, its configuration folder and what it wrote to its outputs.

use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    thread,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{Client, Config, Driver, Response, config::Ports, eventually, metrics::Metrics, output::Output};

/// How to start the gateway.
pub struct Run {
    driver: Driver,
    workers: usize,
    files_max: Option<u32>,
    reads_stdout: bool,
    binary: PathBuf,
    environment: Vec<(String, OsString)>,
}

/// A running gateway.
pub struct Gateway {
    child: Child,
    /// Processes that have taken over, one from the other.
    successors: Vec<u32>,
    ports: Ports,
    folder: TempDir,
    out: Arc<Output>,
    err: Arc<Output>,
}

impl Run {
    /// One worker on `driver`.
    pub fn on(driver: Driver) -> Self {
        Self {
            driver,
            workers: 1,
            files_max: None,
            reads_stdout: true,
            binary: env!("CARGO_BIN_EXE_sluice").into(),
            environment: Vec::new(),
        }
    }

    /// From another place.
    pub fn binary(mut self, path: &Path) -> Self {
        path.clone_into(&mut self.binary);
        self
    }

    /// With a variable of the environment.
    pub fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Under a limit of open files, soft and hard.
    pub fn files_max(mut self, files: u32) -> Self {
        self.files_max = Some(files);
        self
    }

    /// With a standard output that nobody reads until [`Gateway::read_stdout`].
    pub fn stdout_unread(mut self) -> Self {
        self.reads_stdout = false;
        self
    }

    /// Starts the gateway and waits until it is ready.
    pub fn start(self, config: &Config) -> Gateway {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ports = Ports::free();
        fs::write(folder.path().join("sluice.yaml"), config.yaml(&ports)).expect("a written configuration");
        self.start_in(folder, ports)
    }

    /// Starts the gateway on a folder the test has filled, with the ports named there.
    pub fn start_in(self, folder: TempDir, ports: Ports) -> Gateway {
        let mut command = self.command();
        command.arg("run").arg("-c").arg(folder.path());
        command.args([
            "--io",
            self.driver.as_str(),
            "--workers",
            &self.workers.to_string(),
        ]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let err = Output::of(child.stderr.take().expect("stderr is piped"));
        let out = if self.reads_stdout {
            Output::of(child.stdout.take().expect("stdout is piped"))
        } else {
            Arc::default()
        };
        let mut gateway = Gateway {
            child,
            successors: Vec::new(),
            ports,
            folder,
            out,
            err,
        };
        eventually("a ready gateway", || {
            if let Some(status) = gateway.child.try_wait().expect("a child to ask") {
                panic!("the gateway ended at start: {status}");
            }
            gateway
                .try_admin("GET", "/readyz")
                .filter(|answer| answer.status == 200)
        });
        gateway
    }

    fn command(&self) -> Command {
        let mut command = match self.files_max {
            None => Command::new(&self.binary),
            Some(files) => {
                let mut command = Command::new("sh");
                let limited = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
                command.args(["-c", &limited]).arg(&self.binary);
                command
            }
        };
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Gateway {
    /// One worker on `driver` with `config`.
    pub fn start(driver: Driver, config: &Config) -> Self {
        Run::on(driver).start(config)
    }

    /// Where the listener `web` is.
    pub fn address(&self) -> SocketAddr {
        self.ports.web.address()
    }

    /// Where the admin server is.
    pub fn admin_address(&self) -> SocketAddr {
        self.ports.admin.address()
    }

    /// A new connection to `web`.
    pub fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// One GET on a connection of its own.
    pub fn get(&self, host: &str, target: &str) -> Response {
        self.client().get(host, target)
    }

    /// One request, as it stands, on a connection of its own.
    pub fn ask(&self, request: impl AsRef<[u8]>) -> Response {
        let mut client = self.client();
        client.send(request);
        client.response()
    }

    /// One request to the admin server.
    pub fn admin(&self, method: &str, target: &str) -> Response {
        self.try_admin(method, target).expect("the admin server answers")
    }

    fn try_admin(&self, method: &str, target: &str) -> Option<Response> {
        let mut client = Client::try_connect(self.admin_address()).ok()?;
        let request = format!(
            "{method} {target} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
        if !client.try_send(request) {
            return None;
        }
        client.try_response(method).ok()
    }

    /// One scrape.
    pub fn metrics(&self) -> Metrics {
        let answer = self.admin("GET", "/metrics");
        assert_eq!(answer.status, 200);
        Metrics::parse(answer.text())
    }

    /// Waits until a scrape is as wanted, and gives it.
    pub fn wait_metrics(&self, what: &str, is_so: impl Fn(&Metrics) -> bool) -> Metrics {
        eventually(what, || Some(self.metrics()).filter(&is_so))
    }

    /// The first access-log line that is as wanted; waits for it.
    pub fn log_line(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let parse = |line: &str| serde_json::from_str::<Value>(line).ok().filter(&is_so);
        self.out.wait_for(what, parse)
    }

    /// The log line of the request with this target.
    pub fn logged(&self, target: &str) -> Value {
        self.log_line(target, |line| line["path"] == target)
    }

    /// Every line of the access log by now.
    pub fn log_lines(&self) -> Vec<String> {
        self.out.lines()
    }

    /// Waits for a line of the process's own log that holds `text`.
    pub fn wait_stderr(&self, text: &str) -> String {
        self.err
            .wait_for(text, |line| line.contains(text).then(|| line.to_owned()))
    }

    /// The process's own log by now.
    pub fn stderr(&self) -> String {
        self.err.lines().join("\n")
    }

    /// Begins to read a standard output left unread until now.
    pub fn read_stdout(&mut self) {
        self.out = Output::of(self.child.stdout.take().expect("stdout was left unread"));
    }

    /// `config` as this gateway would have it.
    pub fn yaml(&self, config: &Config) -> String {
        config.yaml(&self.ports)
    }

    /// Closes the reading end of a standard output left unread.
    pub fn close_stdout(&mut self) {
        drop(self.child.stdout.take());
    }

    /// The folder it reads its configuration from.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file in it.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("sluice.yaml")
    }

    /// Replaces the configuration in place, without waiting for the reload.
    pub fn write(&self, yaml: &str) {
        fs::write(self.file(), yaml).expect("a written configuration");
    }

    /// Replaces the configuration by a rename and waits until it runs.
    pub fn reload(&self, config: &Config) {
        let before = self.reloads("applied");
        let beside = self.folder.path().join(".new");
        fs::write(&beside, self.yaml(config)).expect("a written configuration");
        fs::rename(&beside, self.file()).expect("a renamed configuration");
        self.wait_applied(before);
    }

    /// Waits until every worker runs a configuration applied after the first `before`.
    pub fn wait_applied(&self, before: f64) {
        self.wait_metrics("a reload on every worker", |metrics| {
            let generation = |name| metrics.sum(name, &[]);
            metrics.sum("sluice_config_reloads_total", &[("result", "applied")]) > before
                && generation("sluice_config_generation_oldest") >= generation("sluice_config_generation")
        });
    }

    /// Reloads so far that ended so.
    pub fn reloads(&self, result: &str) -> f64 {
        self.metrics()
            .sum("sluice_config_reloads_total", &[("result", result)])
    }

    /// Sends the signal of this name (`TERM`, `HUP`).
    pub fn signal(&self, name: &str) {
        assert!(send_signal(name, self.pid()), "no such process to signal");
    }

    /// The process that serves.
    pub fn pid(&self) -> u32 {
        self.successors.last().copied().unwrap_or_else(|| self.child.id())
    }

    /// Tells it to start its binary again and waits until that process has taken over. Gives the one that leaves.
    pub fn upgrade(&mut self) -> u32 {
        let old = self.pid();
        self.signal("USR2");
        let successor = eventually("a process that has taken over", || {
            let lines = self.err.lines();
            let words: Vec<&String> = lines
                .iter()
                .filter(|line| line.contains("has taken over"))
                .collect();
            let line = words.get(self.successors.len())?;
            serde_json::from_str::<Value>(line).ok()?["pid"].as_u64()
        });
        self.successors
            .push(u32::try_from(successor).expect("a process id"));
        old
    }

    /// Waits until a process is no more.
    pub fn wait_gone(&mut self, pid: u32) {
        if pid == self.child.id() {
            assert_eq!(self.wait_exit().code(), Some(0));
        }
        eventually("the end of a process", || (!runs(pid)).then_some(()));
    }

    /// Waits until it ends by itself.
    pub fn wait_exit(&mut self) -> ExitStatus {
        eventually("the end of the process", || {
            self.child.try_wait().expect("a child to ask")
        })
    }

    /// True while the process runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child to ask").is_none()
    }

    /// The most memory it ever held, in bytes.
    pub fn memory_peak(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a running process");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .expect("a peak");
        let kibibytes = line
            .split_whitespace()
            .nth(1)
            .and_then(|word| word.parse::<u64>().ok());
        kibibytes.expect("a number") * 1024
    }

    /// Processor time used so far, in clock ticks.
    pub fn processor_ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("a running process");
        let after_name = stat.rsplit_once(") ").expect("a name in brackets").1;
        let words = after_name.split(' ').skip(11).take(2); // utime and stime, fields 14 and 15
        words.map(|word| word.parse::<u64>().expect("ticks")).sum()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        for pid in self.successors.iter().filter(|pid| runs(**pid)) {
            send_signal("KILL", *pid);
        }
        if thread::panicking() {
            eprintln!("the gateway wrote:\n{}", self.stderr());
        }
    }
}

fn send_signal(name: &str, pid: u32) -> bool {
    let kill = format!("kill -{name} {pid}");
    let status = Command::new("sh").args(["-c", &kill]).status().expect("sh runs");
    status.success()
}

/// Whether a process runs; one that ended and was not asked how does not.
pub fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, state)| !state.starts_with('Z'))
}
