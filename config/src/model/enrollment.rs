//! How this process comes by an identity of its own.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{
    service::Address,
    tls::{CertificateFiles, FilePath},
    value::{Millis, Place},
};

/// Who is asked for a certificate, and where it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrollment {
    /// Where the authority is.
    #[serde(with = "text")]
    pub authority: Address,
    /// What is shown to it while there is no certificate to show.
    pub token: Option<FilePath>,
    /// What is kept.
    pub folder: PathBuf,
    /// How long certificates are wanted to be good.
    pub ttl: Millis,
    /// Where it was declared.
    #[serde(skip)]
    pub place: Place,
}

/// An address as it is written, which is how people compare two.
mod text {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use super::Address;

    pub(super) fn serialize<S: Serializer>(address: &Address, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(address)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
        let text = String::deserialize(deserializer)?;
        Address::parse(&text).map_err(|invalid| de::Error::custom(invalid.reason))
    }
}

impl Enrollment {
    /// The certificate, those that lead to the root, and the key: one file, so that they change at once.
    #[must_use]
    pub fn certificate(&self) -> CertificateFiles {
        let file = self.file("identity.pem");
        CertificateFiles {
            cert: file.clone(),
            key: file,
        }
    }

    /// What peers of the mesh trust.
    #[must_use]
    pub fn roots(&self) -> FilePath {
        self.file("root.pem")
    }

    fn file(&self, name: &str) -> FilePath {
        FilePath {
            path: self.folder.join(name),
            place: self.place.clone(),
        }
    }
}
