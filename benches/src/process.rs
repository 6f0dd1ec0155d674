//! Processes that the bench starts, each on its core, and ends by their id.

use std::{
    ffi::OsStr,
    fs::File,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

use crate::error::{BenchError, about};

/// A running process; it ends when this is dropped, and at the latest when the bench does.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` on `cores` (as taskset takes them); what it says goes to `NAME.log` in `folder`.
    pub(crate) fn start<Argument: AsRef<OsStr>>(
        name: &str,
        cores: &str,
        program: &Path,
        arguments: impl IntoIterator<Item = Argument>,
        folder: &Path,
    ) -> Result<Self, BenchError> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).map_err(about(&log))?;
        let errors = file.try_clone().map_err(about(&log))?;
        let mut command = on_cores(cores, program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors);
        let child = command.spawn().map_err(about(program))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Its id: setpriv and taskset become what they start.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it takes connections at `address`; fails when it ends before, or takes longer than `patience`.
    pub(crate) fn wait_until_it_listens(
        &mut self,
        address: SocketAddr,
        patience: Duration,
    ) -> Result<(), BenchError> {
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = self.child.try_wait().map_err(about(&self.log))?;
            let reason = match ended {
                Some(status) => format!("ended at once with {status}: {}", self.last_words()),
                None if start.elapsed() > patience => {
                    format!(
                        "does not listen on {address} after {} s: {}",
                        patience.as_secs(),
                        self.last_words()
                    )
                }
                None => {
                    sleep(POLL);
                    continue;
                }
            };
            return Err(BenchError::Program {
                program: self.name.clone(),
                reason,
            });
        }
        Ok(())
    }

    /// Asks it to end and waits until it has; gives what it said.
    pub(crate) fn end(mut self) -> String {
        self.stop(PATIENCE_LONG);
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }

    fn stop(&mut self, patience: Duration) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let (Some(pid), Ok(None)) = (pid, self.child.try_wait()) {
            _ = kill_process(pid, Signal::TERM);
        }
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if start.elapsed() > patience {
                _ = self.child.kill();
                _ = self.child.wait();
                return;
            }
            sleep(POLL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop(PATIENCE);
    }
}

/// Runs `program` on `cores` to its end and gives its standard output; fails when it does.
pub(crate) fn output(command: &mut Command) -> Result<String, BenchError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(about(&program))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let reason = format!(
            "{}: {}{text}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        return Err(BenchError::Program { program, reason });
    }
    Ok(text)
}

/// A command that is pinned to `cores` and ends with the bench.
pub(crate) fn on_cores(cores: &str, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "TERM", "taskset", "-c", cores])
        .arg(program);
    command
}

/// Lets this process and what it starts open as many files as may be: ten thousand connections need one each on either
/// side, and some peers start with what they are given.
pub(crate) fn allow_descriptors() {
    let wanted = Rlimit {
        current: Some(DESCRIPTORS),
        maximum: Some(DESCRIPTORS),
    };
    let now = getrlimit(Resource::Nofile);
    let has_enough = now.current.is_none_or(|current| current >= DESCRIPTORS);
    if !has_enough && setrlimit(Resource::Nofile, wanted).is_err() {
        // Not root: then as many as this user may have, and a scenario that needs more says so.
        _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: now.maximum,
                ..now
            },
        );
    }
}

/// How many connections a peer can hold here: it may set a second descriptor aside for each, to reach the origin.
pub(crate) fn connections_max() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let pairs = descriptors.saturating_sub(DESCRIPTORS_RESERVED) / 2;
    usize::try_from(pairs).unwrap_or(usize::MAX)
}

/// Where a program stands that is searched for in PATH and in the folders that Debian keeps servers in.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Twice what 30,000 proxied connections take.
const DESCRIPTORS: u64 = 120_000;
/// For all that is no connection; Sluice itself keeps 256, and both ends of 256 pipes for large bodies.
const DESCRIPTORS_RESERVED: u64 = 1024;
const POLL: Duration = Duration::from_millis(10);
/// A peer that does not end when asked is killed: nothing is lost with it.
const PATIENCE: Duration = Duration::from_secs(1);
/// For what says something at its end, such as valgrind.
const PATIENCE_LONG: Duration = Duration::from_secs(60);
