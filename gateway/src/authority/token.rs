//! Join tokens: each is good once, for one workload that has no certificate yet.
//!
//! Owns their text and what the authority keeps of them: of the secret its sum, so that nobody who reads the folder can
//! join with what is there. Refuses to keep anything in memory: a token is used by removing its file, which succeeds once,
//! whoever else asks at the same time and whether or not the authority was started anew.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use sluice_config::defaults::operations::JOIN_TOKEN_PREFIX as PREFIX;
use sluice_tls::material::{random, sha256};

use super::{
    AuthorityError,
    folder::{self, at},
};

/// What a workload joins with. It carries the sum of the authority's root too, so that the workload knows whom to tell the
/// secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    secret: [u8; 32],
    root: [u8; 32],
}

/// For whom a token is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its SPIFFE ID.
    pub spiffe: String,
    /// Names under which clients that know no SPIFFE reach it.
    pub dns: Vec<String>,
    /// Until when it is good, in seconds since 1970.
    expires: u64,
}

/// The tokens of an authority that were not used yet.
pub struct Tokens {
    folder: PathBuf,
}

impl Token {
    /// SHA-256 of the root in DER.
    #[must_use]
    pub const fn root(&self) -> &[u8; 32] {
        &self.root
    }

    /// What the authority alone is told.
    #[must_use]
    pub fn secret(&self) -> String {
        hexadecimal(&self.secret)
    }
}

/// As it is given to a workload.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}.{}", self.secret(), hexadecimal(&self.root))
    }
}

/// Without the secret: this is what comes into logs.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("root", &hexadecimal(&self.root))
            .finish_non_exhaustive()
    }
}

impl FromStr for Token {
    type Err = AuthorityError;

    fn from_str(text: &str) -> Result<Self, AuthorityError> {
        let wrong = AuthorityError::Token;
        let rest = text
            .trim()
            .strip_prefix(PREFIX)
            .ok_or_else(|| wrong("it begins otherwise"))?;
        let (secret, root) = rest.split_once('.').ok_or_else(|| wrong("it is cut short"))?;
        Ok(Self {
            secret: bytes(secret).ok_or_else(|| wrong("its secret is malformed"))?,
            root: bytes(root).ok_or_else(|| wrong("its sum of the root is malformed"))?,
        })
    }
}

impl Tokens {
    /// Those of the authority in `folder`.
    ///
    /// # Errors
    /// When there is no place for them.
    pub fn of(folder: &Path) -> Result<Self, AuthorityError> {
        Ok(Self {
            folder: folder::tokens(folder)?,
        })
    }

    /// Makes one, which is good for `life` from `now` on. Those that were good once and are not any more are removed.
    ///
    /// # Errors
    /// When it cannot be written, or there is no randomness.
    pub fn make(
        &self,
        spiffe: &str,
        dns: &[String],
        root: &[u8; 32],
        life: Duration,
        now: SystemTime,
    ) -> Result<Token, AuthorityError> {
        self.sweep(now)?;
        let token = Token {
            secret: random().map_err(|_| AuthorityError::Unguessable)?,
            root: *root,
        };
        let grant = Grant {
            spiffe: spiffe.to_owned(),
            dns: dns.to_vec(),
            expires: seconds(now + life),
        };
        let text =
            serde_json::to_string(&grant).map_err(|error| AuthorityError::Malformed(error.to_string()))?;
        folder::create(&self.file(&token.secret), &text)?;
        Ok(token)
    }

    /// For whom the token with this secret is; `None` if there is none, or none any more. It is not used by that.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn find(&self, secret: &str, now: SystemTime) -> Result<Option<Grant>, AuthorityError> {
        let Some(secret) = bytes(secret) else {
            return Ok(None);
        };
        let grant = read(&self.file(&secret))?;
        Ok(grant.filter(|grant| seconds(now) < grant.expires))
    }

    /// Uses it up. Of all who try one alone gets `true`.
    ///
    /// # Errors
    /// When its file cannot be removed.
    pub fn take(&self, secret: &str) -> Result<bool, AuthorityError> {
        let Some(secret) = bytes(secret) else {
            return Ok(false);
        };
        let path = self.file(&secret);
        // Nor does a power cut bring it back.
        let removed = fs::remove_file(&path).and_then(|()| fs::File::open(&self.folder)?.sync_all());
        match removed {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(at(&path, error)),
        }
    }

    fn sweep(&self, now: SystemTime) -> Result<(), AuthorityError> {
        let entries = fs::read_dir(&self.folder).map_err(|error| at(&self.folder, error))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            let grant = read(&path).ok().flatten();
            let is_over = grant.is_some_and(|grant| grant.expires <= seconds(now));
            if is_over {
                // Somebody else has removed it at worst.
                let _ = fs::remove_file(&path);
            }
        }
        Ok(())
    }

    fn file(&self, secret: &[u8; 32]) -> PathBuf {
        self.folder.join(hexadecimal(&sha256(secret)))
    }
}

fn read(path: &Path) -> Result<Option<Grant>, AuthorityError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(path, error)),
    };
    let malformed = |error| AuthorityError::Malformed(format!("{}: {error}", path.display()));
    serde_json::from_str(&text).map(Some).map_err(malformed)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn hexadecimal(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 64 hexadecimal digits as what they stand for.
fn bytes(text: &str) -> Option<[u8; 32]> {
    let is_digits = text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let mut bytes = [0; 32];
    for (byte, two) in bytes.iter_mut().zip(0..) {
        *byte = u8::from_str_radix(text.get(2 * two..2 * two + 2).filter(|_| is_digits)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = UNIX_EPOCH;
    const LIFE: Duration = Duration::from_secs(60);

    fn made(folder: &Path) -> (Tokens, Token) {
        let tokens = Tokens::of(folder).unwrap();
        let token = tokens
            .make("spiffe://example.org/web", &[], &[7; 32], LIFE, NOW)
            .unwrap();
        (tokens, token)
    }

    #[test]
    fn a_token_is_read_as_it_was_written_and_hides_its_secret() {
        let folder = tempfile::tempdir().unwrap();
        let (_, token) = made(folder.path());
        let text = format!(" {token}\n");
        assert_eq!(text.parse::<Token>().unwrap(), token);
        assert!(!format!("{token:?}").contains(&token.secret()));
        for wrong in [
            "",
            "x",
            PREFIX,
            &text[..40],
            &text.replace('.', ""),
            &text.replace("v1", "v2"),
            &format!("{text}0"),
        ] {
            assert!(wrong.parse::<Token>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_good_once_and_in_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let (tokens, token) = made(folder.path());
        let secret = token.secret();
        for _ in 0..2 {
            let grant = tokens.find(&secret, NOW).unwrap().unwrap();
            assert_eq!(grant.spiffe, "spiffe://example.org/web");
        }
        assert_eq!(tokens.find(&secret, NOW + LIFE).unwrap(), None);
        let again = Tokens::of(folder.path()).unwrap();
        assert!(again.take(&secret).unwrap());
        assert!(!tokens.take(&secret).unwrap());
        assert_eq!(tokens.find(&secret, NOW).unwrap(), None);
        for unknown in ["", "x", "../root.key", &"0".repeat(64)] {
            assert_eq!(tokens.find(unknown, NOW).unwrap(), None);
            assert!(!tokens.take(unknown).unwrap());
        }
    }

    #[test]
    fn one_of_many_uses_it() {
        let folder = tempfile::tempdir().unwrap();
        let (tokens, token) = made(folder.path());
        let used: usize = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| usize::from(tokens.take(&token.secret()).unwrap())))
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(used, 1);
    }

    #[test]
    fn what_is_kept_gives_nobody_a_token_and_goes_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let (tokens, token) = made(folder.path());
        let kept = |tokens: &Tokens| -> Vec<String> {
            let entries = fs::read_dir(&tokens.folder).unwrap();
            let texts = entries.map(|entry| {
                let path = entry.unwrap().path();
                format!("{} {}", path.display(), fs::read_to_string(&path).unwrap())
            });
            texts.collect()
        };
        assert!(kept(&tokens).iter().all(|text| !text.contains(&token.secret())));
        tokens
            .make("spiffe://example.org/other", &[], &[7; 32], LIFE, NOW + LIFE)
            .unwrap();
        assert_eq!(kept(&tokens).len(), 1, "the first was over");
    }
}
