//! The command line.
//!
//! Owns the commands, their arguments and the exit status. Refuses to do their work itself; and it alone reads the
//! arguments and the environment.

mod ca;
mod check;
mod diff;
mod doctor;
mod log;
mod quickstart;

use std::{
    env,
    ffi::OsString,
    io::{self, Write as _},
    net::IpAddr,
    num::NonZeroU16,
    path::{self, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use sluice_io::DriverChoice;
use thiserror::Error;

use crate::{
    admin::explain::Question,
    app::{self, INHERIT, Program, Supervisor},
};
use log::{Format, Log};

/// A high-performance HTTP gateway: one binary, one YAML, reloaded while it runs.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, max_term_width = 110)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a configuration, and reload it when its files change or on SIGHUP
    Run(Run),
    /// Report every error of a configuration with its place
    Check {
        /// Files and folders of one configuration
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Tell what would become of a request: every rule tried, the one chosen, the odds of its split
    Explain {
        /// File or folder of the configuration
        path: PathBuf,
        /// `GET http://host/path`
        request: String,
        /// A header field, `name: value`; may be given several times
        #[arg(short = 'H', long = "header", value_parser = header)]
        headers: Vec<(String, String)>,
        /// Only on this listener [default: those with the port of the URL, else all]
        #[arg(long)]
        listener: Option<String>,
        /// As a peer with this SPIFFE ID [default: without an identity]
        #[arg(long, value_name = "ID")]
        spiffe: Option<String>,
        /// As a peer whose certificate has this DNS name; may be given several times
        #[arg(long, value_name = "NAME")]
        dns: Vec<String>,
        /// From this address [default: 127.0.0.1]
        #[arg(long, value_name = "ADDRESS")]
        source: Option<IpAddr>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell what a reload would change
    Diff {
        /// The new configuration; with a second path, the old one
        path: PathBuf,
        /// The new configuration, against the first path instead of a running gateway
        new: Option<PathBuf>,
        /// Where the running gateway's admin server is [default: the configuration's admin.bind]
        #[arg(long, conflicts_with = "new")]
        admin: Option<String>,
    },
    /// Try it: two backends, a 90/10 split between them, and a file to edit
    Quickstart {
        /// The first port to try
        #[arg(long, default_value_t = 8080)]
        port: u16,
        #[command(flatten)]
        driver: Driver,
    },
    /// Tell what this machine gives a gateway, and what to repair
    Doctor,
    /// Issue certificates for a mesh that has no authority of its own
    #[command(subcommand)]
    Ca(ca::Ca),
    /// Print the JSON Schema of the configuration language
    Schema,
}

#[derive(Debug, Args)]
struct Run {
    /// File or folder of the configuration; may be given several times [default: /etc/sluice]
    #[arg(short, long = "config", value_name = "PATH")]
    config: Vec<PathBuf>,
    #[command(flatten)]
    driver: Driver,
    /// Workers, instead of the configuration's `workers`
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroU16>,
    /// How the process's own log on standard error looks [default: text on a terminal, else JSON]
    #[arg(long, value_enum)]
    log_format: Option<Format>,
    /// Least severe lines of the process's own log: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: tracing::Level,
    /// Take over from the process that has started this one, over standard input
    #[arg(long, hide = true)]
    inherit: bool,
}

#[derive(Debug, Args)]
struct Driver {
    /// The workers' I/O driver
    #[arg(long, value_enum, default_value = "auto", value_name = "DRIVER")]
    io: DriverName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DriverName {
    /// io_uring where the kernel gives it, else epoll
    Auto,
    /// io_uring, or fail
    Uring,
    /// epoll
    Epoll,
    /// monoio's runtime on io_uring, or fail
    #[cfg(feature = "monoio")]
    Monoio,
    /// tokio-uring's runtime, or fail
    #[cfg(feature = "tokio-uring")]
    TokioUring,
}

impl Driver {
    const fn choice(&self) -> DriverChoice {
        match self.io {
            DriverName::Auto => DriverChoice::Auto,
            DriverName::Uring => DriverChoice::Uring,
            DriverName::Epoll => DriverChoice::Epoll,
            #[cfg(feature = "monoio")]
            DriverName::Monoio => DriverChoice::Monoio,
            #[cfg(feature = "tokio-uring")]
            DriverName::TokioUring => DriverChoice::TokioUring,
        }
    }
}

/// Why a command did not end well; it decides the exit status.
#[derive(Debug, Error)]
enum Failure {
    /// The configuration is wrong: each problem with its place.
    #[error("{}", .0.join("\n"))]
    Config(Vec<String>),
    /// The arguments are wrong.
    #[error("{0}")]
    Usage(String),
    /// Anything else.
    #[error("{0}")]
    Run(String),
}

impl Failure {
    /// 78 is EX_CONFIG of sysexits(3): a supervisor need not try again before the configuration changes.
    const fn exit_status(&self) -> u8 {
        match self {
            Self::Run(_) => 1,
            Self::Usage(_) => 2,
            Self::Config(_) => 78,
        }
    }
}

impl From<app::Failure> for Failure {
    fn from(failure: app::Failure) -> Self {
        match failure {
            app::Failure::Config(problems) => Self::Config(problems),
            app::Failure::Run(what) => Self::Run(what),
        }
    }
}

/// Does what `arguments` (the program's name first) ask for. What goes wrong is told on standard error.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let command = match CommandLine::try_parse_from(&arguments) {
        Ok(CommandLine { command }) => command,
        Err(error) => {
            // Help and version are errors too, told on standard output and no failure.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match dispatch(command, arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // With standard error closed, the exit status is all there is to tell.
            let _ = writeln!(io::stderr(), "{failure}");
            ExitCode::from(failure.exit_status())
        }
    }
}

fn dispatch(command: Command, arguments: Vec<OsString>) -> Result<(), Failure> {
    match command {
        Command::Run(run) => serve(run, program(arguments)),
        Command::Check { paths } => check::check(&paths),
        Command::Explain {
            path,
            request,
            headers,
            listener,
            spiffe,
            dns,
            source,
            json,
        } => {
            let mut question = Question {
                headers,
                listener,
                spiffe,
                dns,
                source,
                ..Question::default()
            };
            question.ask(&request);
            check::explain(&path, &question, json)
        }
        Command::Diff {
            path, new: Some(new), ..
        } => diff::between(&path, &new),
        Command::Diff { path, admin, .. } => diff::against_running(&path, admin),
        Command::Quickstart { port, driver } => quickstart::run(port, driver.choice()),
        Command::Doctor => doctor::examine(),
        Command::Ca(ca) => ca::run(ca),
        Command::Schema => {
            let schema = serde_json::to_string_pretty(&sluice_config::schema());
            print(&schema.map_err(|error| Failure::Run(error.to_string()))?);
            Ok(())
        }
    }
}

fn serve(run: Run, program: Option<Program>) -> Result<(), Failure> {
    let mut paths = run.config;
    if paths.is_empty() {
        let default = PathBuf::from(DEFAULT_CONFIG);
        if !default.exists() {
            return Err(Failure::Usage(format!(
                "no configuration: give one with `-c PATH`, or put it in {DEFAULT_CONFIG}, or try `sluice quickstart`"
            )));
        }
        paths.push(default);
    }
    let _log = Log::start(run.log_format, run.log_level).map_err(|error| Failure::Run(error.to_string()))?;
    let options = app::Options {
        paths,
        driver: run.driver.choice(),
        workers: run.workers,
        program,
        inherit: run.inherit,
        supervisor: env::var_os(NOTIFY_SOCKET).map(Supervisor::at),
    };
    app::run(options, |_| ()).map_err(Failure::from)
}

/// What an upgrade starts: the path this process was started by, so that a link to another version is followed; where it
/// was found on the search path, its file. Taken at the start, as the file may be gone later.
fn program(arguments: Vec<OsString>) -> Option<Program> {
    let mut arguments = arguments.into_iter();
    let name = PathBuf::from(arguments.next()?);
    let named = || path::absolute(&name).ok().filter(|path| path.exists());
    let is_path = name.components().count() > 1;
    let path = is_path
        .then(named)
        .flatten()
        .or_else(|| env::current_exe().ok())?;
    Some(Program {
        path,
        arguments: arguments.filter(|argument| argument != INHERIT).collect(),
    })
}

/// `name: value`.
fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header is `name: value`")?;
    Ok((name.to_owned(), value.trim().to_owned()))
}

/// Prints a text and a line end to standard output. Whoever closed it does not want the rest.
fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{}", text.trim_end_matches('\n'));
}

/// Where packages put a configuration.
const DEFAULT_CONFIG: &str = "/etc/sluice";
/// Where systemd says how to tell it, sd_notify(3).
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        CommandLine::try_parse_from(line.split(' ')).map(|line| line.command)
    }

    #[test]
    fn the_commands_are_well_formed() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn run_takes_several_paths() {
        let Command::Run(run) = parse("sluice run -c a -c b --io epoll --workers 3").unwrap() else {
            panic!()
        };
        assert_eq!(run.config, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(run.driver.choice(), DriverChoice::Epoll);
        assert_eq!(run.workers, NonZeroU16::new(3));
    }

    #[test]
    fn an_upgrade_starts_what_this_was_started_by() {
        let program = |line: &str| program(line.split(' ').map(OsString::from).collect()).unwrap();
        let own = env::current_exe().unwrap();
        let by_path = format!("{} run -c a --inherit --io epoll", own.display());
        assert_eq!(program(&by_path).path, own);
        assert_eq!(program(&by_path).arguments, ["run", "-c", "a", "--io", "epoll"]);
        assert_eq!(program("sluice run").path, own, "found on the search path");
        assert_eq!(
            program("./no/such/sluice run").path,
            own,
            "a name that is no path"
        );
    }

    #[test]
    fn wrong_usage_is_told_from_help() {
        for line in [
            "sluice",
            "sluice nonsense",
            "sluice check",
            "sluice run --workers 0",
            "sluice run --io x",
        ] {
            assert!(parse(line).unwrap_err().use_stderr(), "{line}");
        }
        for line in ["sluice --help", "sluice --version", "sluice diff --help"] {
            assert!(!parse(line).unwrap_err().use_stderr(), "{line}");
        }
        assert!(parse("sluice diff a b --admin x").is_err());
    }

    #[test]
    fn headers_are_names_and_values() {
        assert_eq!(
            header("x-a:  b: c ").unwrap(),
            ("x-a".to_owned(), "b: c".to_owned())
        );
        assert!(header("x-a").is_err());
    }
}
