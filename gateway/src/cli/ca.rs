//! `sluice ca`: a certificate authority in a folder, pairs for workloads, and the authority as a server.
//!
//! Owns the words for what was made, and the process of `sluice ca serve`. Refuses to know what a certificate says: that is the authority's.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use clap::Subcommand;
use sluice_config::defaults::operations::{CA_TOKEN_LIFE, CA_TOKEN_LIFE_MAX, CA_TTL_MAX, CA_TTL_MIN};
use tokio::{
    net::TcpListener,
    runtime,
    signal::unix::{SignalKind, signal},
};

use super::{
    Failure,
    log::{Format, Log},
    print,
};
use crate::authority::{Authority, AuthorityError, Material, Registrar, Server, Workload, write_pair};

#[derive(Debug, Subcommand)]
pub(super) enum Ca {
    /// Make a root and an intermediate in a new folder
    Init {
        /// The folder, absent or empty
        folder: PathBuf,
        /// Which SPIFFE IDs it issues: `example.org` for `spiffe://example.org/...`
        #[arg(long, value_name = "NAME")]
        trust_domain: String,
    },
    /// Make a certificate and its key for a workload
    Issue {
        /// The folder of the authority
        #[arg(long = "dir", value_name = "DIR", default_value = ".")]
        folder: PathBuf,
        /// The workload's ID, such as `spiffe://example.org/ns/default/sa/web`
        #[arg(long, value_name = "ID")]
        spiffe: String,
        /// A DNS name it is reached by; may be given several times
        #[arg(long, value_name = "NAME")]
        dns: Vec<String>,
        /// How long it is good: `90m`, `24h`, `7d`
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = time_to_live)]
        ttl: Duration,
        /// Where to put PREFIX.crt and PREFIX.key [default: the last word of the ID, here]
        #[arg(long, value_name = "PREFIX")]
        out: Option<PathBuf>,
    },
    /// Issue to workloads over the network: to who holds a join token, and to who shows the certificate it renews
    Serve {
        /// The folder of the authority
        #[arg(long = "dir", value_name = "DIR", default_value = ".")]
        folder: PathBuf,
        /// Where to listen
        #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8600")]
        bind: SocketAddr,
        /// Longest life of what is issued: `90m`, `24h`, `7d`
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = time_to_live)]
        ttl_max: Duration,
        /// How the log on standard error looks [default: text on a terminal, else JSON]
        #[arg(long, value_enum)]
        log_format: Option<Format>,
    },
    /// Print a token with which a workload gets its first certificate, once
    Token {
        /// The folder of the authority
        #[arg(long = "dir", value_name = "DIR", default_value = ".")]
        folder: PathBuf,
        /// The workload's ID, such as `spiffe://example.org/ns/default/sa/web`
        #[arg(long, value_name = "ID")]
        spiffe: String,
        /// A DNS name it is reached by; may be given several times
        #[arg(long, value_name = "NAME")]
        dns: Vec<String>,
        /// How long it can be used: `10m`, `1h` [default: 1h]
        #[arg(long, value_name = "TIME", value_parser = time_to_live)]
        ttl: Option<Duration>,
    },
}

/// Does what is asked.
///
/// # Errors
/// When there is no such authority, it may not issue that, or a file cannot be written.
pub(super) fn run(ca: Ca) -> Result<(), Failure> {
    match ca {
        Ca::Init { folder, trust_domain } => init(&folder, &trust_domain),
        Ca::Issue {
            folder,
            spiffe,
            dns,
            ttl,
            out,
        } => issue(&folder, &Workload { spiffe, dns, ttl }, out),
        Ca::Serve {
            folder,
            bind,
            ttl_max,
            log_format,
        } => serve(&folder, bind, ttl_max, log_format),
        Ca::Token {
            folder,
            spiffe,
            dns,
            ttl,
        } => token(&folder, &spiffe, &dns, ttl.unwrap_or(CA_TOKEN_LIFE)),
    }
}

fn init(folder: &Path, trust_domain: &str) -> Result<(), Failure> {
    Material::new(trust_domain, SystemTime::now())?.write(folder)?;
    let folder = folder.display();
    print(&format!(
        "{folder}/root.crt          what peers trust\n\
         {folder}/root.key          needed for new intermediates only: keep it somewhere safe\n\
         {folder}/intermediate.crt  issues for {trust_domain}\n\
         {folder}/intermediate.key\n\n\
         next: sluice ca issue --dir {folder} --spiffe spiffe://{trust_domain}/ns/default/sa/web"
    ));
    Ok(())
}

fn issue(folder: &Path, workload: &Workload, out: Option<PathBuf>) -> Result<(), Failure> {
    let authority = Authority::open(folder)?;
    let pair = authority.issue(workload, SystemTime::now(), &mut fastrand::Rng::new())?;
    let last = workload.spiffe.rsplit('/').next().unwrap_or_default();
    let prefix = out.unwrap_or_else(|| PathBuf::from(last));
    let [certificate, key] = write_pair(&prefix, &pair)?;
    print(&format!(
        "{}  {} and the intermediate\n{}  its key\nca: {}",
        certificate.display(),
        workload.spiffe,
        key.display(),
        folder.join("root.crt").display(),
    ));
    Ok(())
}

/// Serves until SIGTERM or SIGINT.
fn serve(folder: &Path, bind: SocketAddr, ttl_max: Duration, format: Option<Format>) -> Result<(), Failure> {
    if !(CA_TTL_MIN..=CA_TTL_MAX).contains(&ttl_max) {
        return Err(AuthorityError::Ttl.into());
    }
    let server = Server::new(Registrar::open(folder, ttl_max)?, SystemTime::now);
    let _log = Log::start(format, tracing::Level::INFO).map_err(|error| Failure::Run(error.to_string()))?;
    let failed = |what: &str, error: std::io::Error| Failure::Run(format!("{what}: {error}"));
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed("cannot start", error))?;
    runtime.block_on(async {
        let listener = TcpListener::bind(bind).await;
        let listener = listener.map_err(|error| failed(&format!("cannot listen on {bind}"), error))?;
        let mut terminate =
            signal(SignalKind::terminate()).map_err(|error| failed("cannot receive signals", error))?;
        let mut interrupt =
            signal(SignalKind::interrupt()).map_err(|error| failed("cannot receive signals", error))?;
        tracing::info!(%bind, "the authority issues certificates");
        let end = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        server.run(listener, end).await.map_err(Failure::from)
    })
}

fn token(folder: &Path, spiffe: &str, dns: &[String], life: Duration) -> Result<(), Failure> {
    if life.is_zero() || life > CA_TOKEN_LIFE_MAX {
        let days = CA_TOKEN_LIFE_MAX.as_secs() / DAY_SECONDS;
        return Err(Failure::Usage(format!(
            "a token is good for 1 second to {days} days"
        )));
    }
    let registrar = Registrar::open(folder, CA_TTL_MAX)?;
    print(
        &registrar
            .invite(spiffe, dns, life, SystemTime::now())?
            .to_string(),
    );
    Ok(())
}

/// A whole number and a unit.
fn time_to_live(text: &str) -> Result<Duration, String> {
    let wrong = || "a time is a whole number and a unit: `90m`, `24h` or `7d`".to_owned();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => DAY_SECONDS,
        _ => return Err(wrong()),
    };
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

impl From<AuthorityError> for Failure {
    fn from(error: AuthorityError) -> Self {
        match error {
            AuthorityError::Spiffe(..)
            | AuthorityError::OtherTrustDomain { .. }
            | AuthorityError::Dns(..)
            | AuthorityError::Reserved(_)
            | AuthorityError::Ttl
            | AuthorityError::Outlives(_)
            | AuthorityError::Exists(_) => Self::Usage(error.to_string()),
            AuthorityError::File { .. }
            | AuthorityError::Request(_)
            | AuthorityError::Token(_)
            | AuthorityError::Unguessable
            | AuthorityError::Server(_)
            | AuthorityError::Malformed(_)
            | AuthorityError::Certificate(_) => Self::Run(error.to_string()),
        }
    }
}

const DAY_SECONDS: u64 = 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        let seconds = |text: &str| time_to_live(text).map(|time| time.as_secs());
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("24h"), Ok(86_400));
        assert_eq!(seconds("7d"), Ok(604_800));
        for wrong in ["", "1", "h", "-1h", "1.5h", "1w", "99999999999999999999h"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
