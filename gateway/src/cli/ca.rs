//! `sluice ca`: a certificate authority in a folder, and pairs for workloads.
//!
//! Owns the words for what was made. Refuses to know what a certificate says: that is the authority's.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use clap::Subcommand;

use super::{Failure, print};
use crate::authority::{Authority, AuthorityError, Material, Workload, write_pair};

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
        "d" => 24 * 60 * 60,
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
            | AuthorityError::Ttl
            | AuthorityError::Outlives(_)
            | AuthorityError::Exists(_) => Self::Usage(error.to_string()),
            AuthorityError::File { .. } | AuthorityError::Malformed(_) | AuthorityError::Certificate(_) => {
                Self::Run(error.to_string())
            }
        }
    }
}

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
